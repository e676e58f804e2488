//! Databases: queries, connections, outboxes. The names of the first three are those of requirement 3 (spec D5).

use super::{Counter, Gauge, Histogram, Metric, Spec, UpDownCounter};

/// From a primary-key lookup in a file to the longest that a statement may take.
const QUERY_BUCKETS_SECONDS: &[f64] =
    &[0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// How long statements take.
///
/// `query_type` is `select`, `insert`, `update`, `delete`, `begin`, `commit` or `rollback`.
pub static QUERY_DURATION: Histogram = Histogram::with_buckets(
    Spec {
        name: "db_query_duration_seconds",
        unit: "s",
        labels: &["query_type"],
        help: "Time of a database statement, the wait for a connection included, whether it succeeded or not.",
    },
    QUERY_BUCKETS_SECONDS,
);

/// Connections at work: counted up and down, because most work is over long before somebody would look.
pub static ACTIVE_CONNECTIONS: UpDownCounter = UpDownCounter::new(Spec {
    name: "db_active_connections",
    unit: "{connection}",
    labels: &[],
    help: "Database connections that a statement or transaction uses now.",
});

/// Connections that are open.
pub static POOL_SIZE: Gauge = Gauge::new(Spec {
    name: "db_pool_size",
    unit: "{connection}",
    labels: &[],
    help: "Open database connections, idle ones too, seen once a second.",
});

/// Statements that failed.
///
/// `reason` is the label of the error: `unavailable`, `timeout`, `conflict`, `rejected`, `not_found`, `malformed`,
/// `aborted` or `query`.
pub static QUERY_ERRORS: Counter = Counter::new(Spec {
    name: "db_query_errors_total",
    unit: "{error}",
    labels: &["query_type", "reason"],
    help: "Database statements that failed, by kind of statement and reason.",
});

/// Entries that wait for their delivery.
pub static OUTBOX_BACKLOG: Gauge = Gauge::new(Spec {
    name: "outbox_backlog",
    unit: "{entry}",
    labels: &["outbox"],
    help: "Entries of a durable outbox that wait to be delivered later; those that their request is delivering are not among them.",
});

/// How long the oldest entry has waited.
pub static OUTBOX_OLDEST_AGE: Gauge = Gauge::new(Spec {
    name: "outbox_oldest_age_seconds",
    unit: "s",
    labels: &["outbox"],
    help: "Age of the oldest entry of a durable outbox that is still to be delivered; 0 when there is none.",
});

/// Attempts to deliver.
///
/// `outcome` is `delivered`, `failed` (it is tried again) or `refused` (it is parked).
pub static OUTBOX_DELIVERIES: Counter = Counter::new(Spec {
    name: "outbox_deliveries_total",
    unit: "{attempt}",
    labels: &["outbox", "outcome"],
    help: "Attempts to deliver an entry of a durable outbox, by how they ended.",
});

/// Entries that are set aside.
pub static OUTBOX_PARKED: Gauge = Gauge::new(Spec {
    name: "outbox_parked",
    unit: "{entry}",
    labels: &["outbox"],
    help: "Entries of a durable outbox that were refused for good and wait for a person.",
});

/// Entries that were set aside.
pub static OUTBOX_PARKED_TOTAL: Counter = Counter::new(Spec {
    name: "outbox_parked_total",
    unit: "{entry}",
    labels: &["outbox"],
    help: "Entries of a durable outbox that were set aside because they were refused for good or cannot be read.",
});

/// Every metric of this group.
pub static ALL: &[&dyn Metric] = &[
    &QUERY_DURATION,
    &ACTIVE_CONNECTIONS,
    &POOL_SIZE,
    &QUERY_ERRORS,
    &OUTBOX_BACKLOG,
    &OUTBOX_OLDEST_AGE,
    &OUTBOX_DELIVERIES,
    &OUTBOX_PARKED,
    &OUTBOX_PARKED_TOTAL,
];
