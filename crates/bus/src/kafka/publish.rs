//! Publishing.

use std::sync::PoisonError;
use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::Kafka;
use super::context::Quiet;
use super::reason::{is_fatal, reason};
use crate::{BusError, NewMessage};

/// Wait when the producer's line is full.
const FULL_LINE: Duration = Duration::from_millis(10);

impl Kafka {
    pub(crate) async fn publish(&self, topic: &str, messages: Vec<NewMessage>) -> Result<(), BusError> {
        let late = || BusError::Timeout { reason: "publishing took longer than BUS_PUBLISH_TIMEOUT_MS".to_owned() };
        let work = async {
            self.ensure_topic(topic, self.attempt()).await?;
            self.send(topic, &messages).await
        };
        tokio::time::timeout(self.limits.publish, work).await.map_err(|_| late())?
    }

    async fn send(&self, topic: &str, messages: &[NewMessage]) -> Result<(), BusError> {
        let producer = self.producer()?;
        let mut under_way = Vec::with_capacity(messages.len());
        let mut failed = None;
        // All of them are put in line, in their order, before the first is waited for.
        for message in messages {
            match enqueue(&producer, topic, message).await {
                Ok(delivery) => under_way.push(delivery),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        for delivery in under_way {
            match delivery.await {
                Ok(Ok(_)) => {}
                Ok(Err((error, _))) => {
                    failed.get_or_insert(error);
                }
                Err(_) => {
                    failed.get_or_insert(KafkaError::Canceled);
                }
            }
        }
        let Some(error) = failed else { return Ok(()) };
        if is_fatal(&error) {
            self.replace_producer();
        }
        if matches!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition)
        ) {
            self.forget(topic);
        }
        Err(reason(&error))
    }

    fn producer(&self) -> Result<FutureProducer<Quiet>, BusError> {
        let mut producer = self.shared.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = &*producer {
            return Ok(producer.clone());
        }
        let made =
            FutureProducer::from_config_and_context(&self.producer_config(), Quiet).map_err(|error| reason(&error))?;
        Ok(producer.insert(made).clone())
    }

    /// The next publishing makes another one.
    fn replace_producer(&self) {
        let producer = self.shared.producer.lock().unwrap_or_else(PoisonError::into_inner).take();
        tracing::warn!("Kafka's producer cannot go on and is made anew");
        // Its end waits for its thread.
        tokio::task::spawn_blocking(move || drop(producer));
    }
}

async fn enqueue(
    producer: &FutureProducer<Quiet>,
    topic: &str,
    message: &NewMessage,
) -> Result<rdkafka::producer::future_producer::DeliveryFuture, KafkaError> {
    let headers = message
        .headers
        .iter()
        .fold(OwnedHeaders::new_with_capacity(message.headers.len()), |headers, (name, value)| {
            headers.insert(Header { key: name, value: Some(value) })
        });
    let mut record = FutureRecord::to(topic).payload(&message.payload).headers(headers);
    if let Some(key) = &message.key {
        record = record.key(key);
    }
    loop {
        match producer.send_result(record) {
            Ok(delivery) => return Ok(delivery),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                tokio::time::sleep(FULL_LINE).await;
            }
            Err((error, _)) => return Err(error),
        }
    }
}
