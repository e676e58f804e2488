//! What is counted of executions, whichever process ends them.

use domain::pipeline::ExecutionStatus;
use telemetry::metrics::pipeline::{EXECUTION_DURATION, EXECUTIONS, label};

use crate::store::Ended;

/// Counts an execution that has come to its end.
pub(crate) fn ended(ended: &Ended) {
    let (status, pipeline_id) = (ended.status.as_str(), label(ended.pipeline_id.as_str()));
    EXECUTIONS
        .add(1, &[("status", status), ("pipeline_id", &pipeline_id), ("trigger_mode", ended.trigger_mode.as_str())]);
    // What somebody threw away has waited for that somebody.
    if ended.status != ExecutionStatus::Cancelled
        && let (Some(started), Some(finished)) = (ended.started_at, ended.finished_at)
    {
        // Clocks of two machines may differ by more than an execution takes.
        let took = (finished - started).to_std().unwrap_or_default();
        EXECUTION_DURATION.record(took.as_secs_f64(), &[("status", status), ("pipeline_id", &pipeline_id)]);
    }
}
