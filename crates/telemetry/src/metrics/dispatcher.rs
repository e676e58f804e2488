//! Metrics of trigger-dispatcher. The first eight names, with their labels, are given by requirement 3;
//! `kafka_consumer_lag_seconds` and `kafka_consumer_offset` are the bus's.

use super::{Counter, Gauge, Histogram, Metric, Spec};

/// Messages that were worked through.
pub static CONSUMED: Counter = Counter::new(Spec {
    name: "signals_consumed_total",
    unit: "{signal}",
    labels: &[],
    help: "Messages of the bus's topic of signals that were worked on, those that are none or came before among them.",
});

/// How many messages are read at once.
pub static BATCH_SIZE: Histogram = Histogram::with_buckets(
    Spec {
        name: "batch_size",
        unit: "{signal}",
        labels: &[],
        help: "Signals that trigger-dispatcher reads from the bus at once, where there are any.",
    },
    &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0],
);

/// How long a batch takes.
pub static BATCH_DURATION: Histogram = Histogram::with_buckets(
    Spec {
        name: "batch_processing_duration_seconds",
        unit: "s",
        labels: &[],
        help: "Time to work a batch of signals through, until everything it sets off is committed; the wait for a database that is away is part of it.",
    },
    &[0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0],
);

/// Pipelines that signals matched; `ticker` is one of `DISPATCHER_SYMBOLS` or `other`.
pub static MATCHED: Counter = Counter::new(Spec {
    name: "pipelines_matched_total",
    unit: "{pipeline}",
    labels: &["ticker"],
    help: "Pipelines that signals matched, whether they were set off or not, by the signal's market: one of DISPATCHER_SYMBOLS, or \"other\".",
});

/// What came of it; `status` is `enqueued` or `skipped`.
pub static ENQUEUED: Counter = Counter::new(Spec {
    name: "pipelines_enqueued_total",
    unit: "{pipeline}",
    labels: &["status"],
    help: "Pipelines that a signal or a clock set off (enqueued), or would have and did not because an execution still waits or runs or the day's budget is spent (skipped).",
});

/// Pipelines that were passed by because they run.
pub static SKIPPED_RUNNING: Counter = Counter::new(Spec {
    name: "pipelines_skipped_running_total",
    unit: "{pipeline}",
    labels: &[],
    help: "Pipelines that were not set off because an execution of them still waits or runs.",
});

/// Memory of the remembered pipelines.
pub static CACHE_SIZE: Gauge = Gauge::new(Spec {
    name: "cache_size_bytes",
    unit: "By",
    labels: &[],
    help: "Memory that the pipelines take that trigger-dispatcher remembers.",
});

/// How long it takes to read pipelines.
pub static CACHE_REFRESH_DURATION: Histogram = Histogram::new(Spec {
    name: "cache_refresh_duration_seconds",
    unit: "s",
    labels: &[],
    help: "Time to read the pipelines that have changed, or all of them at the start and every DISPATCHER_FULL_REFRESH_SECONDS.",
});

/// Messages that are no signals.
pub static POISON: Counter = Counter::new(Spec {
    name: "signals_poison_total",
    unit: "{signal}",
    labels: &[],
    help: "Messages that are no signals, or that the database refuses: they are logged and passed by.",
});

/// Signals that came before.
pub static REPEATED: Counter = Counter::new(Spec {
    name: "signals_repeated_total",
    unit: "{signal}",
    labels: &[],
    help: "Signals that had been taken before and set nothing off.",
});

/// Pipelines that were passed by because their budget is spent.
pub static SKIPPED_BUDGET: Counter = Counter::new(Spec {
    name: "pipelines_skipped_budget_total",
    unit: "{pipeline}",
    labels: &[],
    help: "Pipelines that were not set off because what they may cost in a day is spent.",
});

/// Remembered pipelines.
pub static PIPELINES_CACHED: Gauge = Gauge::new(Spec {
    name: "pipelines_cached",
    unit: "{pipeline}",
    labels: &[],
    help: "Pipelines that trigger-dispatcher remembers: those that are enabled.",
});

/// All of them.
pub static ALL: &[&dyn Metric] = &[
    &CONSUMED,
    &BATCH_SIZE,
    &BATCH_DURATION,
    &MATCHED,
    &ENQUEUED,
    &SKIPPED_RUNNING,
    &CACHE_SIZE,
    &CACHE_REFRESH_DURATION,
    &POISON,
    &REPEATED,
    &SKIPPED_BUDGET,
    &PIPELINES_CACHED,
];
