//! Topics: asking for them, and making them.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::time::Instant;

use super::context::Quiet;
use super::reason::{of_code, reason};
use super::{Kafka, blocking};
use crate::BusError;

/// Between two looks for a topic that was just made.
const LOOK: Duration = Duration::from_millis(20);

/// What is known of a topic.
pub(super) enum Known {
    /// It can be used.
    Ready,
    /// It is there, and not all of its partitions have a leader yet.
    Coming,
    /// There is none.
    Missing,
}

impl Kafka {
    /// The client that asks.
    pub(super) fn asker(&self) -> Result<Arc<BaseConsumer<Quiet>>, BusError> {
        let mut asker = self.shared.asker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asker) = &*asker {
            return Ok(Arc::clone(asker));
        }
        let made =
            BaseConsumer::from_config_and_context(&self.asker_config(), Quiet).map_err(|error| reason(&error))?;
        Ok(Arc::clone(asker.insert(Arc::new(made))))
    }

    /// Asks for a topic; no answer means that no broker can be reached.
    pub(super) async fn metadata(&self, topic: &str, limit: Duration) -> Result<Known, BusError> {
        let (asker, topic) = (self.asker()?, topic.to_owned());
        blocking(move || {
            let metadata = asker.fetch_metadata(Some(&topic), limit).map_err(|error| why(&asker, &error))?;
            let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
                return Ok(Known::Missing);
            };
            match found.error().map(RDKafkaErrorCode::from) {
                None if found.partitions().is_empty() => Ok(Known::Coming),
                None if found.partitions().iter().any(|partition| partition.leader() < 0) => Ok(Known::Coming),
                None => Ok(Known::Ready),
                Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(Known::Missing),
                Some(RDKafkaErrorCode::LeaderNotAvailable) => Ok(Known::Coming),
                Some(code) => Err(of_code(code)),
            }
        })
        .await
    }

    /// Waits until a topic can be used, and makes it if there is none.
    pub(super) async fn ensure_topic(&self, topic: &str, limit: Duration) -> Result<(), BusError> {
        if self.topics().contains(topic) {
            return Ok(());
        }
        let deadline = Instant::now() + limit;
        let mut made = false;
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(LOOK);
            match self.metadata(topic, left).await? {
                Known::Ready => break,
                Known::Missing if !made => {
                    self.make_topic(topic, left).await?;
                    made = true;
                }
                Known::Missing | Known::Coming => {}
            }
            if Instant::now() >= deadline {
                return Err(BusError::unavailable(format!("the topic {topic} has no leaders yet")));
            }
            tokio::time::sleep(LOOK).await;
        }
        self.topics().insert(topic.to_owned());
        Ok(())
    }

    async fn make_topic(&self, topic: &str, limit: Duration) -> Result<(), BusError> {
        let admin = AdminClient::from_config_and_context(&self.config, Quiet).map_err(|error| reason(&error))?;
        // As often as the brokers' own setting says.
        let replication = TopicReplication::Fixed(-1);
        let new = NewTopic::new(topic, i32::from(self.limits.partitions), replication);
        let options = AdminOptions::new().request_timeout(Some(limit)).operation_timeout(Some(limit));
        let made = admin.create_topics([&new], &options).await;
        // Its end waits for its thread.
        tokio::task::spawn_blocking(move || drop(admin));
        for outcome in made.map_err(|error| reason(&error))? {
            match outcome {
                Ok(_) => tracing::info!(topic, partitions = self.limits.partitions, "a topic of Kafka is made"),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, code)) => return Err(of_code(code)),
            }
        }
        Ok(())
    }

    /// Deletes the messages of a partition before an offset.
    #[cfg(feature = "testing")]
    pub(crate) async fn delete_before(&self, topic: &str, partition: i32, offset: i64) -> Result<(), BusError> {
        let admin: AdminClient<Quiet> =
            AdminClient::from_config_and_context(&self.config, Quiet).map_err(|error| reason(&error))?;
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition_offset(topic, partition, rdkafka::Offset::Offset(offset)).map_err(|error| reason(&error))?;
        let options = AdminOptions::new().operation_timeout(Some(self.limits.publish));
        let deleted = admin.delete_records(&list, &options).await;
        // Its end waits for its thread.
        tokio::task::spawn_blocking(move || drop(admin));
        let deleted = deleted.map_err(|error| reason(&error))?;
        deleted.elements().iter().try_for_each(|element| element.error().map_err(|error| reason(&error)))
    }

    pub(super) fn forget(&self, topic: &str) {
        self.topics().remove(topic);
    }

    fn topics(&self) -> std::sync::MutexGuard<'_, std::collections::HashSet<String>> {
        self.shared.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why no broker answers. What the client noticed on the way says more than that: a broker that lets nobody in closes the
/// connection.
fn why(asker: &BaseConsumer<Quiet>, error: &KafkaError) -> BusError {
    let mut told = reason(error);
    while let Some(noticed) = asker.poll(LOOK) {
        match noticed.err().and_then(|noticed| noticed.rdkafka_error_code()) {
            Some(RDKafkaErrorCode::Authentication) => {
                told = BusError::unavailable("signing in failed; BUS_KAFKA_SASL_… say how it is done");
            }
            Some(RDKafkaErrorCode::SSL) => {
                told = BusError::unavailable("TLS failed; BUS_KAFKA_CA_FILE says whom to trust");
            }
            _ => {}
        }
    }
    told
}
