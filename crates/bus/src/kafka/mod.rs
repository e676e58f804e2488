//! The engine that is Kafka, through librdkafka.
//!
//! Publishing is idempotent and waits for all replicas in sync. A consumer commits by itself, never beside its work; a
//! partition that the group has taken away is not committed any more. What of librdkafka blocks runs on threads for
//! that.

mod config;
mod consumer;
mod context;
mod held;
mod publish;
mod reason;
mod standing;
mod topics;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::producer::FutureProducer;
use web::{CancellationToken, StartError};

use crate::settings::Limits;
use crate::target::Brokers;
use crate::{BusError, BusSettings, ConsumerSettings};
pub(crate) use consumer::KafkaConsumer;
use context::Quiet;

/// Longest that [`Kafka::ready`] takes: whoever probes a service waits two seconds.
const READY_TIMEOUT: Duration = Duration::from_millis(1_500);

/// How long a member may be silent, where nothing else is said: brokers allow no less than six seconds by default.
const SESSION: Duration = Duration::from_secs(10);

/// A Kafka cluster. Clones are the same.
#[derive(Clone)]
pub(crate) struct Kafka {
    /// What all clients have in common.
    config: ClientConfig,
    limits: Limits,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Made by the first publishing, and anew when it cannot go on.
    producer: Mutex<Option<FutureProducer<Quiet>>>,
    /// Asks for topics and offsets; a consumer that is in no group.
    asker: Mutex<Option<Arc<BaseConsumer<Quiet>>>>,
    /// Topics that are there.
    topics: Mutex<HashSet<String>>,
}

impl Kafka {
    pub(crate) fn open(service: &'static str, settings: &BusSettings, brokers: &Brokers) -> Result<Self, StartError> {
        let config = config::common(service, settings, brokers)?;
        Ok(Self { config, limits: settings.limits(), shared: Arc::default() })
    }

    pub(crate) async fn keep_up(self, stop: CancellationToken) {
        // librdkafka keeps its connections up itself.
        stop.cancelled().await;
    }

    pub(crate) async fn ready(&self) -> Result<(), String> {
        self.metadata("bus", READY_TIMEOUT).await.map(drop).map_err(|error| error.to_string())
    }

    pub(crate) fn consumer(&self, settings: ConsumerSettings) -> KafkaConsumer {
        KafkaConsumer::new(self.clone(), settings)
    }

    fn session(&self) -> Duration {
        self.limits.session.unwrap_or(SESSION)
    }
}

/// Does something that blocks, on a thread for that.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BusError> + Send + 'static,
) -> Result<T, BusError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(BusError::Broken { reason: format!("a call of librdkafka broke off: {error}") }))
}
