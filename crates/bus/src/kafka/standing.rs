//! How far a consumer is.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _, StreamConsumer};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::context::{Member, Quiet};
use super::reason::reason;
use super::{Kafka, blocking};
use crate::{BusError, ConsumerSettings, PartitionStanding, Standing};

/// Longest wait for one answer.
const LIMIT: Duration = Duration::from_secs(2);

/// When messages were published, by partition, each with its offset.
type Times = BTreeMap<i32, (i64, DateTime<Utc>)>;

/// A consumer that is asked how far it is, and not kept alive by that: the end of a client blocks, so that it must not
/// come where futures run.
pub(super) struct Asked {
    pub(super) member: Arc<Member>,
    client: Weak<StreamConsumer<Member>>,
}

impl Asked {
    pub(super) fn of(client: &Arc<StreamConsumer<Member>>) -> Self {
        Self { member: Arc::clone(client.context()), client: Arc::downgrade(client) }
    }
}

impl Kafka {
    pub(super) async fn standing(&self, settings: &ConsumerSettings, asked: &Asked) -> Result<Standing, BusError> {
        let known: BTreeMap<i32, Option<i64>> =
            asked.member.held.lock().iter().map(|(number, held)| (*number, held.committed)).collect();
        if known.is_empty() {
            return Ok(Standing::default());
        }
        let (asker, topic) = (self.asker()?, settings.topic.clone());
        let client = Weak::clone(&asked.client);
        let partitions = blocking(move || match client.upgrade() {
            Some(client) => ask(&asker, &client, &topic, known),
            None => Ok(Vec::new()),
        });
        let partitions = partitions.await?;
        let mut oldest: Option<DateTime<Utc>> = None;
        let mut unknown = Vec::new();
        {
            let held = asked.member.held.lock();
            for standing in partitions.iter().filter(|standing| standing.end_offset > standing.committed_offset) {
                let Some(held) = held.get(&standing.partition) else { continue };
                let peeked = held.peeked.filter(|(offset, _)| *offset >= standing.committed_offset);
                match held.pending.front().copied().or(peeked) {
                    Some((_, at)) => oldest = Some(oldest.map_or(at, |oldest| oldest.min(at))),
                    None => unknown.push((standing.partition, standing.committed_offset)),
                }
            }
        }
        if !unknown.is_empty() {
            let times = self.peek(settings, unknown).await?;
            let mut held = asked.member.held.lock();
            for (number, (offset, at)) in times {
                oldest = Some(oldest.map_or(at, |oldest| oldest.min(at)));
                if let Some(held) = held.get_mut(&number) {
                    held.peeked = Some((offset, at));
                }
            }
        }
        // A clock that was put back makes nothing younger than new.
        let lag = oldest.and_then(|oldest| (Utc::now() - oldest).to_std().ok()).unwrap_or(Duration::ZERO);
        Ok(Standing::new(partitions, lag))
    }

    /// Looks when messages were published that nobody here has read yet, at each of these places the first.
    async fn peek(&self, settings: &ConsumerSettings, places: Vec<(i32, i64)>) -> Result<Times, BusError> {
        let (config, topic) = (self.peeker_config(settings), settings.topic.clone());
        blocking(move || {
            let peeker = BaseConsumer::from_config_and_context(&config, Quiet).map_err(|error| reason(&error))?;
            let mut list = TopicPartitionList::new();
            for (partition, offset) in &places {
                list.add_partition_offset(&topic, *partition, Offset::Offset(*offset))
                    .map_err(|error| reason(&error))?;
            }
            peeker.assign(&list).map_err(|error| reason(&error))?;
            let (mut times, deadline) = (Times::new(), Instant::now() + LIMIT);
            while times.len() < places.len() && Instant::now() < deadline {
                if let Some(Ok(message)) = peeker.poll(Duration::from_millis(50)) {
                    let at = message.timestamp().to_millis().and_then(DateTime::<Utc>::from_timestamp_millis);
                    times.entry(message.partition()).or_insert((message.offset(), at.unwrap_or_else(Utc::now)));
                }
            }
            Ok(times)
        })
        .await
    }
}

/// Asks the brokers for what is not known here: where partitions end, and what was committed before we had them.
fn ask(
    asker: &BaseConsumer<Quiet>,
    member: &StreamConsumer<Member>,
    topic: &str,
    known: BTreeMap<i32, Option<i64>>,
) -> Result<Vec<PartitionStanding>, BusError> {
    let mut unknown = TopicPartitionList::new();
    for partition in known.iter().filter(|(_, committed)| committed.is_none()).map(|(partition, _)| partition) {
        unknown.add_partition(topic, *partition);
    }
    let mut before = BTreeMap::new();
    if unknown.count() > 0 {
        let list = member.committed_offsets(unknown, LIMIT).map_err(|error| reason(&error))?;
        for element in list.elements() {
            if let Offset::Offset(offset) = element.offset() {
                before.insert(element.partition(), offset);
            }
        }
    }
    let stands = known.into_iter().map(|(partition, committed)| {
        let (low, high) = asker.fetch_watermarks(topic, partition, LIMIT).map_err(|error| reason(&error))?;
        let committed = committed.or_else(|| before.get(&partition).copied());
        // A group that has committed nothing begins with the oldest.
        Ok(PartitionStanding { partition, committed_offset: committed.unwrap_or(low), end_offset: high })
    });
    stands.collect()
}
