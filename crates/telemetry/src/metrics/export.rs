//! How telemetry itself fares.

use super::{Counter, Metric, Spec};

/// Spans and log records that were handed to the Collector.
pub static EXPORTED: Counter = Counter::new(Spec {
    name: "telemetry_items_exported_total",
    unit: "{item}",
    labels: &["signal"],
    help: "Spans, log records and metrics the Collector has taken",
});

/// Spans and log records that were lost.
pub static DROPPED: Counter = Counter::new(Spec {
    name: "telemetry_items_dropped_total",
    unit: "{item}",
    labels: &["signal", "reason"],
    help: "Spans and log records lost: queue_full when the queue was full, export_failed when the Collector did not take them (metrics are not lost, the next export has their sums)",
});

/// All of them.
pub static ALL: &[&dyn Metric] = &[&EXPORTED, &DROPPED];
