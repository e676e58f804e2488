//! The gauges of what there is to do, kept true by pipeline-service alone.

use std::time::Duration;

use telemetry::metrics::pipeline::{DEAD_LETTERS, QUEUE_DEPTH, QUEUE_OLDEST_AGE};
use web::CancellationToken;

use crate::store::{Depth, Store, now};

const INTERVAL: Duration = Duration::from_secs(1);

/// Keeps the gauges true until `stop` is cancelled. While the database is away they stay as they were: it says so itself.
pub(crate) async fn keep_up(store: Store, stop: CancellationToken) {
    let mut said = false;
    loop {
        match store.depth().await {
            Ok(depth) => {
                said = false;
                show(&depth);
            }
            Err(error) if error.is_passing() => {}
            Err(error) => {
                if !std::mem::replace(&mut said, true) {
                    tracing::error!(error = %error, "the executions that wait cannot be counted");
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for charts")]
fn show(depth: &Depth) {
    QUEUE_DEPTH.set(depth.queued as f64, &[("status", "queued")]);
    QUEUE_DEPTH.set(depth.running as f64, &[("status", "running")]);
    DEAD_LETTERS.set(depth.failed as f64, &[]);
    let age = depth.oldest_queued.and_then(|oldest| (now() - oldest).to_std().ok()).unwrap_or_default();
    QUEUE_OLDEST_AGE.set(age.as_secs_f64(), &[]);
}
