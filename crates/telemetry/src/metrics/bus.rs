//! The signal bus. Names that begin with `kafka_` are those of the requirement and stand for the bus whichever its engine
//! is, a log in the database or Kafka.

use super::{Counter, Gauge, Histogram, Metric, Spec};

/// From an insert into a file to the longest that publishing may take by default.
const PUBLISH_BUCKETS_SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// How long publishing takes.
pub static PUBLISH_DURATION: Histogram = Histogram::with_buckets(
    Spec {
        name: "kafka_publish_duration_seconds",
        unit: "s",
        labels: &[],
        help: "Time to publish to the signal bus until it is durable, a call of one or many messages, whether it \
               succeeded or not; whichever the engine of the bus.",
    },
    PUBLISH_BUCKETS_SECONDS,
);

/// Messages that were published.
pub static PUBLISH_SUCCESS: Counter = Counter::new(Spec {
    name: "kafka_publish_success_total",
    unit: "{message}",
    labels: &[],
    help: "Messages that were published to the signal bus and are durable; whichever the engine of the bus.",
});

/// Messages that could not be.
pub static PUBLISH_FAILURE: Counter = Counter::new(Spec {
    name: "kafka_publish_failure_total",
    unit: "{message}",
    labels: &[],
    help: "Messages that could not be published to the signal bus, or of which that is not known; whichever the engine \
           of the bus.",
});

/// How far behind a consumer is.
pub static CONSUMER_LAG: Gauge = Gauge::new(Spec {
    name: "kafka_consumer_lag_seconds",
    unit: "s",
    labels: &["topic", "consumer_group"],
    help: "Age of the oldest message in this process's partitions of a topic that its consumer has not committed; 0 when \
           there is none; whichever the engine of the bus.",
});

/// Where a consumer is.
pub static CONSUMER_OFFSET: Gauge = Gauge::new(Spec {
    name: "kafka_consumer_offset",
    unit: "{message}",
    labels: &["topic", "consumer_group"],
    help: "Committed offsets of a consumer, summed over this process's partitions of a topic; whichever the engine of \
           the bus.",
});

/// Messages that were gone before they were read.
pub static MESSAGES_MISSED: Counter = Counter::new(Spec {
    name: "bus_messages_missed_total",
    unit: "{message}",
    labels: &["topic", "consumer_group"],
    help: "Messages of the signal bus that were deleted, being too old or too many, before a consumer had read them.",
});

/// Changes of who reads what.
pub static REBALANCES: Counter = Counter::new(Spec {
    name: "bus_rebalances_total",
    unit: "{rebalance}",
    labels: &["topic", "consumer_group"],
    help: "How often the set of partitions that a consumer of this process reads has changed.",
});

/// Every metric of this group.
pub static ALL: &[&dyn Metric] = &[
    &PUBLISH_DURATION,
    &PUBLISH_SUCCESS,
    &PUBLISH_FAILURE,
    &CONSUMER_LAG,
    &CONSUMER_OFFSET,
    &MESSAGES_MISSED,
    &REBALANCES,
];
