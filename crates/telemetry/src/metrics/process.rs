//! What the process itself uses; observed when metrics are collected.

use super::instrument::{Kind, Metric, Observed, Spec};

/// CPU time used since start.
pub static CPU: Observed = Observed::new(
    Spec {
        name: "process_cpu_seconds_total",
        unit: "s",
        labels: &[],
        help: "CPU time the process has used, in user and system mode",
    },
    Kind::Counter,
);

/// Memory in use.
pub static RESIDENT_MEMORY: Observed = Observed::new(
    Spec {
        name: "process_resident_memory_bytes",
        unit: "By",
        labels: &[],
        help: "Memory of the process that is in RAM",
    },
    Kind::Gauge,
);

/// When it started.
pub static START_TIME: Observed = Observed::new(
    Spec {
        name: "process_start_time_seconds",
        unit: "s",
        labels: &[],
        help: "When the process started, in seconds since 1970; a change is a restart",
    },
    Kind::Gauge,
);

/// All of them.
pub static ALL: &[&dyn Metric] = &[&CPU, &RESIDENT_MEMORY, &START_TIME];
