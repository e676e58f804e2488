//! What librdkafka tells by itself: log lines, and which partitions a consumer gets and loses.

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::held::Held;
use crate::observe::Reader;

/// Log lines go through `tracing`. That a broker is away is said by whoever wanted something of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Quiet;

fn tell(level: RDKafkaLogLevel, facility: &str, text: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, text, "librdkafka");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => tracing::warn!(facility, text, "librdkafka"),
        _ => tracing::debug!(facility, text, "librdkafka"),
    }
}

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        tell(level, facility, text);
    }

    fn stats(&self, _statistics: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(error = %error, reason, "librdkafka");
    }
}

impl ConsumerContext for Quiet {}

/// A consumer's.
pub(super) struct Member {
    pub(super) reader: Reader,
    pub(super) held: Held,
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        tell(level, facility, text);
    }

    fn stats(&self, _statistics: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(error = %error, reason, "librdkafka");
    }
}

impl ConsumerContext for Member {
    /// Before anybody else can have them: what is committed from here on is not ours any more.
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            self.held.lose(&numbers(list));
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                self.held.gain(&numbers(list));
                if list.count() > 0 {
                    self.reader.rebalanced(&self.held.partitions());
                }
            }
            Rebalance::Revoke(list) if list.count() > 0 => self.reader.rebalanced(&self.held.partitions()),
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => {
                tracing::warn!(error = %error, topic = self.reader.topic, "partitions could not be shared out");
            }
        }
    }
}

fn numbers(list: &TopicPartitionList) -> Vec<i32> {
    list.elements().iter().map(rdkafka::topic_partition_list::TopicPartitionListElem::partition).collect()
}
