//! Metrics of pipelines. The names of the first two, with their labels, are given by requirement 3.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::{Counter, CounterF64, Gauge, Histogram, Metric, Spec};

/// Most pipelines that metrics tell apart: a label for everybody's pipeline would be series without end.
pub const MAX_PIPELINES: usize = 200;

static SEEN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// The value of the label `pipeline_id`: the id for the first [`MAX_PIPELINES`] that this process asks for, then `other`.
#[must_use]
pub fn label(pipeline_id: &str) -> Cow<'_, str> {
    bounded(&mut SEEN.lock().unwrap_or_else(PoisonError::into_inner), pipeline_id)
}

fn bounded<'a>(seen: &mut HashSet<String>, pipeline_id: &'a str) -> Cow<'a, str> {
    if seen.contains(pipeline_id) {
        return Cow::Borrowed(pipeline_id);
    }
    if seen.len() >= MAX_PIPELINES {
        return Cow::Borrowed("other");
    }
    seen.insert(pipeline_id.to_owned());
    Cow::Borrowed(pipeline_id)
}

/// Executions that came to their end; `status` is `success`, `failed` or `cancelled`, `pipeline_id` is [`label`]'s.
pub static EXECUTIONS: Counter = Counter::new(Spec {
    name: "pipeline_executions_total",
    unit: "{execution}",
    labels: &["status", "pipeline_id", "trigger_mode"],
    help: "Executions of pipelines that came to their end, by how (success, failed, cancelled) and by what had set them off (signal, periodic, manual). pipeline_id: the first 200 that a process meets, all others are \"other\".",
});

/// From the beginning of the first attempt to the end.
pub static EXECUTION_DURATION: Histogram = Histogram::with_buckets(
    Spec {
        name: "pipeline_execution_duration_seconds",
        unit: "s",
        labels: &["status", "pipeline_id"],
        help: "Time from the beginning of an execution's first attempt to its end, by how it ended (success, failed). pipeline_id: the first 200 that a process meets, all others are \"other\".",
    },
    &[0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0],
);

/// Executions that are not at their end; `status` is `queued` or `running`.
pub static QUEUE_DEPTH: Gauge = Gauge::new(Spec {
    name: "pipeline_queue_depth",
    unit: "{execution}",
    labels: &["status"],
    help: "Executions that wait for a worker (queued), and those that a worker is at (running); told by pipeline-service alone.",
});

/// How long the oldest of those that wait has been there.
pub static QUEUE_OLDEST_AGE: Gauge = Gauge::new(Spec {
    name: "pipeline_queue_oldest_age_seconds",
    unit: "s",
    labels: &[],
    help: "Time since the oldest execution that waits for a worker was set off; 0 when none waits.",
});

/// Executions whose attempts have all failed.
pub static DEAD_LETTERS: Gauge = Gauge::new(Spec {
    name: "pipeline_dead_letters",
    unit: "{execution}",
    labels: &[],
    help: "Executions whose attempts have all failed: they wait for somebody to replay or discard them.",
});

/// How long a step takes; `agent` is the word of its agent, `status` is `success`, `failed` or `stopped`.
pub static STEP_DURATION: Histogram = Histogram::with_buckets(
    Spec {
        name: "pipeline_step_duration_seconds",
        unit: "s",
        labels: &["agent", "status"],
        help: "How long steps of pipelines take, by agent and by how they ended: success, failed, stopped (it said that the rest is not to be done).",
    },
    &[0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0],
);

/// What steps cost, as a figure for charts.
pub static COST_USD: CounterF64 = CounterF64::new(Spec {
    name: "pipeline_cost_usd_total",
    unit: "{USD}",
    labels: &["agent"],
    help: "What steps of pipelines have cost, in US dollars, by agent.",
});

/// Executions that a worker is at.
pub static WORKER_BUSY: Gauge = Gauge::new(Spec {
    name: "pipeline_worker_busy",
    unit: "{execution}",
    labels: &[],
    help: "Executions that this worker is at; at most WORKER_CONCURRENCY.",
});

/// Executions that were taken from workers.
pub static LEASES_LOST: Counter = Counter::new(Spec {
    name: "pipeline_leases_lost_total",
    unit: "{execution}",
    labels: &[],
    help: "Executions that were taken from workers that were not heard of for as long as a lease, by the worker that gave them back.",
});

/// Attempts that failed and have another one after them; `agent` is the word of the step's agent that failed.
pub static RETRIES: Counter = Counter::new(Spec {
    name: "pipeline_retries_total",
    unit: "{attempt}",
    labels: &["agent"],
    help: "Attempts of executions that failed and are followed by another one, by the agent of the step that failed.",
});

/// All of them.
pub static ALL: &[&dyn Metric] = &[
    &EXECUTIONS,
    &EXECUTION_DURATION,
    &QUEUE_DEPTH,
    &QUEUE_OLDEST_AGE,
    &DEAD_LETTERS,
    &STEP_DURATION,
    &COST_USD,
    &WORKER_BUSY,
    &LEASES_LOST,
    &RETRIES,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_beyond_the_bound_are_other() {
        let mut seen = HashSet::new();
        for number in 0..MAX_PIPELINES {
            assert_eq!(bounded(&mut seen, &format!("p{number}")), format!("p{number}"));
        }
        assert_eq!((&*bounded(&mut seen, "one more"), &*bounded(&mut seen, "p7")), ("other", "p7"));
        assert_eq!(seen.len(), MAX_PIPELINES);
    }
}
