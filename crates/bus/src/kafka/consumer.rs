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
use super::standing::{Asked, committed};
use super::{Kafka, blocking};
use crate::message::{End, LARGEST_BATCH_BYTES, Message, weight};
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
                Ok(message) => {
                    self.accept(&message?, held, &mut batch);
                }
            }
            // What else is there already; nothing is waited for, so that whoever drops this future loses nothing.
            let mut bytes = batch.bytes();
            while batch.len() < self.settings.max_batch && bytes < LARGEST_BATCH_BYTES {
                match client.recv().now_or_never() {
                    Some(Ok(message)) => {
                        bytes += self.accept(&message, held, &mut batch);
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

    /// Puts a message into a batch; how much of one that was.
    fn accept(&self, message: &BorrowedMessage<'_>, held: &Held, batch: &mut Batch) -> usize {
        let published_at = message.timestamp().to_millis().and_then(DateTime::<Utc>::from_timestamp_millis);
        let published_at = published_at.unwrap_or_else(Utc::now);
        // Of a partition that is not ours any more somebody else has it.
        let Some(generation) = held.read(message.partition(), message.offset(), published_at) else { return 0 };
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
        let bytes = weight(&message);
        batch.push(message, generation);
        bytes
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
        let held = &running.client.context().held;
        let missed = self.passed_over(running, &held.sort(ends.clone()).0).await?;
        let deadline = Instant::now() + self.kafka.limits.publish;
        let write = async |ours: Vec<End>| self.write(&running.client, &ours, deadline).await;
        let Written { done, fenced, lost } = write_ours(held, ends, deadline, write).await?;
        held.committed(&done);
        for (partition, messages) in missed {
            if done.iter().any(|end| end.partition == partition) {
                self.reader.missed(partition, messages);
            }
        }
        if !fenced.is_empty() {
            self.read_again(running, &fenced).await;
        }
        let lost: Vec<i32> = lost.into_iter().chain(fenced).collect();
        if lost.is_empty() { Ok(()) } else { Err(self.fenced(lost)) }
    }

    /// How many messages these ends leave behind that were deleted before they were read here. Not everything that reading
    /// passes over was one: what the brokers have for themselves, and what was replaced by later ones of its key, is not
    /// handed out either, so only what is before the oldest message that there is counts.
    async fn passed_over(&self, running: &Running, ends: &[End]) -> Result<Vec<(i32, i64)>, BusError> {
        let held = &running.client.context().held;
        let unbegun = held.unbegun(ends);
        if !unbegun.is_empty() {
            let (client, topic) = (Arc::clone(&running.client), self.settings.topic.clone());
            let limit = self.kafka.limits.publish;
            let before = blocking(move || {
                committed(&client, &topic, unbegun.iter().copied(), limit).map(|before| (unbegun, before))
            });
            let (unbegun, before) = before.await?;
            for partition in unbegun {
                held.begin(partition, before.get(&partition).copied());
            }
        }
        let gaps = held.gaps(ends);
        if gaps.is_empty() {
            return Ok(Vec::new());
        }
        let (asker, topic, limit) = (self.kafka.asker()?, self.settings.topic.clone(), self.kafka.limits.publish);
        blocking(move || {
            let mut missed = Vec::new();
            for (partition, due, came) in gaps {
                let (oldest, _) = asker.fetch_watermarks(&topic, partition, limit).map_err(|error| reason(&error))?;
                if oldest > due {
                    missed.push((partition, oldest.min(came) - due));
                }
            }
            Ok(missed)
        })
        .await
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

    /// Asks the brokers once to commit, and waits for their word.
    async fn write(
        &self,
        client: &Arc<StreamConsumer<Member>>,
        ends: &[End],
        deadline: Instant,
    ) -> Result<Result<(), KafkaError>, BusError> {
        let mut list = TopicPartitionList::new();
        for end in ends {
            list.add_partition_offset(&self.settings.topic, end.partition, Offset::Offset(end.next))
                .map_err(|error| reason(&error))?;
        }
        let client = Arc::clone(client);
        let work = blocking(move || Ok(client.commit(&list, CommitMode::Sync)));
        let late = || BusError::Timeout { reason: "Kafka did not answer a commit in time".to_owned() };
        tokio::time::timeout_at(deadline, work).await.map_err(|_| late())?
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

/// What has become of ends that were to be committed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Written {
    done: Vec<End>,
    /// Refused by the brokers.
    fenced: Vec<i32>,
    /// Not ours any more before the brokers were asked.
    lost: Vec<i32>,
}

/// Commits what is ours. While the group shares out its partitions that has to be tried again, and before each attempt it
/// is asked anew what is ours: the brokers take a commit of whoever is a member, whosever the partition is by then.
async fn write_ours(
    held: &Held,
    ends: Vec<End>,
    deadline: Instant,
    mut write: impl AsyncFnMut(Vec<End>) -> Result<Result<(), KafkaError>, BusError>,
) -> Result<Written, BusError> {
    let soon = deadline.min(Instant::now() + GAUGES);
    loop {
        let (ours, lost) = held.sort(ends.clone());
        if ours.is_empty() {
            return Ok(Written { lost, ..Written::default() });
        }
        match write(ours.clone()).await? {
            Ok(()) => return Ok(Written { done: ours, fenced: Vec::new(), lost }),
            // The group shares out its partitions at this moment; what is ours stays ours until we are asked.
            Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::RebalanceInProgress)) if Instant::now() < deadline => {}
            // It has just done so, and the next word of the group's coordinator tells us.
            Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::IllegalGeneration)) if Instant::now() < soon => {}
            Err(error) if is_fencing(&error) => {
                let fenced = ours.iter().map(|end| end.partition).collect();
                return Ok(Written { done: Vec::new(), fenced, lost });
            }
            Err(error) => return Err(reason(&error)),
        }
        tokio::time::sleep(AGAIN).await;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Between two attempts a partition may go to somebody else, who may have committed further.
    #[tokio::test]
    async fn what_is_not_ours_any_more_is_not_committed_again() {
        let held = Held::default();
        held.gain(&[0, 1]);
        let end = |partition: i32| End { partition, generation: i64::from(partition), next: 5 };
        let mut asked = Vec::new();
        let written = write_ours(&held, vec![end(0), end(1)], Instant::now() + GAUGES * 60, async |ours| {
            asked.push(ours);
            if asked.len() > 1 {
                return Ok(Ok(()));
            }
            held.lose(&[1]);
            held.gain(&[1]);
            Ok(Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::RebalanceInProgress)))
        });
        let written = written.await.unwrap();
        assert_eq!(asked, [vec![end(0), end(1)], vec![end(0)]]);
        assert_eq!(written, Written { done: vec![end(0)], fenced: Vec::new(), lost: vec![1] });
    }
}
