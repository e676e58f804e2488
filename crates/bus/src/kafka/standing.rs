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

/// For how long nobody looks again for a message where there was none.
const BLANK: Duration = Duration::from_secs(10);

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
                    // There may never be one: where one was replaced by a later one of its key, or is the brokers' own.
                    None if held.blank.is_some_and(|(offset, until)| {
                        offset == standing.committed_offset && Instant::now() < until
                    }) => {}
                    None => unknown.push((standing.partition, standing.committed_offset)),
                }
            }
        }
        if !unknown.is_empty() {
            let times = self.peek(settings, unknown.clone()).await?;
            let mut held = asked.member.held.lock();
            for (number, place) in unknown {
                let found = times.get(&number).copied();
                oldest = oldest.into_iter().chain(found.map(|(_, at)| at)).min();
                if let Some(held) = held.get_mut(&number) {
                    (held.peeked, held.blank) = match found {
                        Some(_) => (found, None),
                        None => (held.peeked, Some((place, Instant::now() + BLANK))),
                    };
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
    let unknown: Vec<i32> =
        known.iter().filter(|(_, known)| known.is_none()).map(|(partition, _)| *partition).collect();
    let before = committed(member, topic, unknown, LIMIT)?;
    let stands = known.into_iter().map(|(partition, committed)| {
        let (low, high) = asker.fetch_watermarks(topic, partition, LIMIT).map_err(|error| reason(&error))?;
        let committed = committed.or_else(|| before.get(&partition).copied());
        // A group that has committed nothing begins with the oldest, and so does one whose place was deleted.
        let committed_offset = committed.unwrap_or(low).max(low);
        Ok(PartitionStanding { partition, committed_offset, end_offset: high })
    });
    stands.collect()
}

/// Asks the brokers what the group has committed in partitions; nothing where that is nothing.
pub(super) fn committed(
    member: &StreamConsumer<Member>,
    topic: &str,
    partitions: impl IntoIterator<Item = i32>,
    limit: Duration,
) -> Result<BTreeMap<i32, i64>, BusError> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(topic, partition);
    }
    let mut committed = BTreeMap::new();
    if list.count() > 0 {
        let list = member.committed_offsets(list, limit).map_err(|error| reason(&error))?;
        for element in list.elements() {
            element.error().map_err(|error| reason(&error))?;
            if let Offset::Offset(offset) = element.offset() {
                committed.insert(element.partition(), offset);
            }
        }
    }
    Ok(committed)
}
