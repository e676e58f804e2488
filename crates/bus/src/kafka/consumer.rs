//! A consumer of Kafka.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::context::Member;
use super::held::Held;
use super::reason::{is_fatal, is_fencing, reason};
use super::standing::Asked;
use super::{Kafka, blocking};
use crate::message::{End, LARGEST_BATCH_BYTES, Message};
use crate::observe::Reader;
use crate::{Batch, BusError, ConsumerSettings, Standing};

/// How often the gauges are set.
const GAUGES: Duration = Duration::from_secs(1);

/// Between two attempts to commit while the group shares out its partitions.
const AGAIN: Duration = Duration::from_millis(50);

pub(crate) struct KafkaConsumer {
    pub(super) kafka: Kafka,
    pub(super) settings: ConsumerSettings,
    reader: Reader,
    /// None before the first batch is asked for, and when it has to be made anew.
    running: Option<Running>,
    /// Nobody knows where it reads on, so it has to be made anew.
    astray: AtomicBool,
}

struct Running {
    client: Arc<StreamConsumer<Member>>,
    gauges: JoinHandle<()>,
}

impl KafkaConsumer {
    pub(super) fn new(kafka: Kafka, settings: ConsumerSettings) -> Self {
        let reader = Reader { topic: settings.topic.clone(), group: settings.group.clone() };
        Self { kafka, settings, reader, running: None, astray: AtomicBool::new(false) }
    }

    pub(crate) async fn next(&mut self) -> Result<Batch, BusError> {
        let deadline = Instant::now() + self.settings.max_wait;
        let client = self.client().await?;
        let read = self.read(&client, deadline).await;
        // Never the last that holds it: its end would block this thread.
        drop(client);
        read.map_err(|error| self.failed(&error))
    }

    async fn read(&self, client: &StreamConsumer<Member>, deadline: Instant) -> Result<Batch, KafkaError> {
        let held = &client.context().held;
        let mut batch = Batch::default();
        loop {
            match tokio::time::timeout_at(deadline, client.recv()).await {
                Err(_) => return Ok(batch),
                Ok(message) => self.accept(&message?, held, &mut batch),
            }
            // What else is there already; nothing is waited for, so that whoever drops this future loses nothing.
            let mut bytes = batch.bytes();
            while batch.len() < self.settings.max_batch && bytes < LARGEST_BATCH_BYTES {
                match client.recv().now_or_never() {
                    Some(Ok(message)) => {
                        bytes += message.payload_len() + message.key_len();
                        self.accept(&message, held, &mut batch);
                    }
                    // If it lasts it comes again; what was read is handed out first.
                    Some(Err(error)) => tracing::debug!(error = %error, "a consumer of Kafka"),
                    None => break,
                }
            }
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
    }

    /// The client, which joins the group by its first reading.
    async fn client(&mut self) -> Result<Arc<StreamConsumer<Member>>, BusError> {
        if self.astray.swap(false, Ordering::Relaxed) {
            self.end();
        }
        if let Some(running) = &self.running {
            return Ok(Arc::clone(&running.client));
        }
        self.kafka.ensure_topic(&self.settings.topic, self.settings.max_wait.max(GAUGES)).await?;
        let config = self.kafka.consumer_config(&self.settings);
        let member = Member { reader: self.reader.clone(), held: Held::default() };
        let client: StreamConsumer<Member> =
            StreamConsumer::from_config_and_context(&config, member).map_err(|error| reason(&error))?;
        client.subscribe(&[&self.settings.topic]).map_err(|error| reason(&error))?;
        let client = Arc::new(client);
        let gauges = set_gauges(self.kafka.clone(), self.settings.clone(), Asked::of(&client));
        let gauges = tokio::spawn(gauges);
        self.running = Some(Running { client: Arc::clone(&client), gauges });
        Ok(client)
    }

    fn accept(&self, message: &BorrowedMessage<'_>, held: &Held, batch: &mut Batch) {
        let published_at = message.timestamp().to_millis().and_then(DateTime::<Utc>::from_timestamp_millis);
        let published_at = published_at.unwrap_or_else(Utc::now);
        // Of a partition that is not ours any more somebody else has it.
        let Some(generation) = held.read(message.partition(), message.offset(), published_at) else { return };
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = message.headers().map(|headers| {
            headers.iter().map(|header| (header.key.to_owned(), header.value.map(lossy).unwrap_or_default())).collect()
        });
        let message = Message {
            topic: self.settings.topic.clone(),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(lossy),
            payload: message.payload().unwrap_or_default().to_vec(),
            headers: headers.unwrap_or_default(),
            published_at,
        };
        batch.push(message, generation);
    }

    fn failed(&mut self, error: &KafkaError) -> BusError {
        if is_fatal(error) {
            tracing::warn!(error = %error, "a consumer of Kafka cannot go on and is made anew");
            self.end();
        }
        reason(error)
    }

    pub(crate) async fn commit(&self, batch: &Batch) -> Result<(), BusError> {
        let ends = batch.ends();
        if ends.is_empty() {
            return Ok(());
        }
        let Some(running) = &self.running else {
            return Err(self.fenced(ends.iter().map(|end| end.partition).collect()));
        };
        let (ours, mut lost) = running.client.context().held.sort(ends);
        if !ours.is_empty() {
            match self.write(&running.client, &ours).await {
                Ok(()) => running.client.context().held.committed(&ours),
                Err(Unwritten::Fenced) => {
                    let fenced: Vec<i32> = ours.iter().map(|end| end.partition).collect();
                    self.read_again(running, &fenced).await;
                    lost.extend(fenced);
                }
                Err(Unwritten::Failed(error)) => return Err(error),
            }
        }
        if lost.is_empty() { Ok(()) } else { Err(self.fenced(lost)) }
    }

    /// After a commit that was fenced. If a partition comes to be ours after all (the group has begun anew, and it was
    /// given to us again), what was not committed has to come again to us.
    async fn read_again(&self, running: &Running, partitions: &[i32]) {
        let places = running.client.context().held.rewind(Some(partitions));
        if let Err(error) = self.seek(&running.client, places).await {
            tracing::debug!(error = %error, "a consumer of Kafka begins anew");
            self.astray.store(true, Ordering::Relaxed);
        }
    }

    async fn seek(&self, client: &Arc<StreamConsumer<Member>>, places: Vec<(i32, i64)>) -> Result<(), BusError> {
        if places.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        for (partition, offset) in places {
            list.add_partition_offset(&self.settings.topic, partition, Offset::Offset(offset))
                .map_err(|error| reason(&error))?;
        }
        let (client, limit) = (Arc::clone(client), self.kafka.limits.publish);
        blocking(move || {
            let sought = client.seek_partitions(list, limit).map_err(|error| reason(&error))?;
            sought.elements().iter().try_for_each(|element| element.error().map_err(|error| reason(&error)))
        })
        .await
    }

    /// Commits at the brokers, and waits for their word.
    async fn write(&self, client: &Arc<StreamConsumer<Member>>, ends: &[End]) -> Result<(), Unwritten> {
        let deadline = Instant::now() + self.kafka.limits.publish;
        let soon = deadline.min(Instant::now() + GAUGES);
        loop {
            let mut list = TopicPartitionList::new();
            for end in ends {
                list.add_partition_offset(&self.settings.topic, end.partition, Offset::Offset(end.next))
                    .map_err(|error| Unwritten::Failed(reason(&error)))?;
            }
            let client = Arc::clone(client);
            let work = blocking(move || Ok(client.commit(&list, CommitMode::Sync)));
            let done = tokio::time::timeout_at(deadline, work).await.map_err(|_| {
                Unwritten::Failed(BusError::Timeout { reason: "Kafka did not answer a commit in time".to_owned() })
            })?;
            match done.map_err(Unwritten::Failed)? {
                Ok(()) => return Ok(()),
                // The group shares out its partitions at this moment; what is ours stays ours until we are asked.
                Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::RebalanceInProgress)) if Instant::now() < deadline => {
                    tokio::time::sleep(AGAIN).await;
                }
                // It has just done so, and the next word of the group's coordinator tells us.
                Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::IllegalGeneration)) if Instant::now() < soon => {
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) if is_fencing(&error) => return Err(Unwritten::Fenced),
                Err(error) => return Err(Unwritten::Failed(reason(&error))),
            }
        }
    }

    fn fenced(&self, mut partitions: Vec<i32>) -> BusError {
        partitions.sort_unstable();
        partitions.dedup();
        BusError::Fenced { topic: self.settings.topic.clone(), partitions }
    }

    pub(crate) async fn rewind(&mut self) -> Result<(), BusError> {
        let Some(running) = &self.running else { return Ok(()) };
        let places = running.client.context().held.rewind(None);
        if let Err(error) = self.seek(&running.client, places).await {
            // Nobody knows now where it reads on: a new one begins with what is committed.
            self.end();
            return Err(error);
        }
        Ok(())
    }

    pub(crate) async fn standing(&self) -> Result<Standing, BusError> {
        let Some(running) = &self.running else { return Ok(Standing::default()) };
        let standing = self.kafka.standing(&self.settings, &Asked::of(&running.client)).await?;
        self.reader.stands(&standing);
        Ok(standing)
    }

    pub(crate) async fn close(mut self) -> Result<(), BusError> {
        let Some(Running { client, gauges }) = self.running.take() else { return Ok(()) };
        gauges.abort();
        self.reader.stands(&Standing::default());
        blocking(move || {
            drop(client);
            Ok(())
        })
        .await
    }

    /// Leaves the group, on a thread of its own: that waits for the group's coordinator.
    fn end(&mut self) {
        if let Some(Running { client, gauges }) = self.running.take() {
            gauges.abort();
            std::thread::spawn(move || drop(client));
        }
    }
}

impl Drop for KafkaConsumer {
    fn drop(&mut self) {
        self.end();
    }
}

/// Why something could not be committed.
enum Unwritten {
    Fenced,
    Failed(BusError),
}

/// Sets the gauges while the consumer works; its commits and its reading alone would leave them standing when it is stuck.
async fn set_gauges(kafka: Kafka, settings: ConsumerSettings, asked: Asked) {
    loop {
        match kafka.standing(&settings, &asked).await {
            Ok(standing) => asked.member.reader.stands(&standing),
            Err(error) => tracing::debug!(error = %error, "how far a consumer is cannot be asked now"),
        }
        tokio::time::sleep(GAUGES).await;
    }
}
