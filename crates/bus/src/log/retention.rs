//! Deleting what is too old or too much, in small steps: SQLite has one writer, and publishing must not wait for it.
//!
//! **What is too old** is not left to the clock of whoever deletes. A partition has a time of its own: when its last
//! message was published, or now where that is earlier, by the clock of this process and by that of the database's
//! server. So a process that is ahead deletes nothing by that alone, and a partition at rest keeps what it has. A message
//! is as old as the youngest of it and all before it: what somebody publishes whose clock is behind is as young as what
//! was there already. And what a group has still to read is deleted only when it is twice as old. A group counts as long
//! as it has members or its place is still in the log, so that one that never comes back does not keep everything.
//!
//! **What remains**: on SQLite, where all processes have the clock of one machine, one that jumps ahead by more than twice
//! the retention and publishes makes unread messages of that partition old; on PostgreSQL that takes the server's clock.
//! A message published by a clock that is ahead keeps itself and those behind it from growing old until that time has
//! come; the number of messages bounds them all the same.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use chrono::{DateTime, Utc};
use storage::{QueryType, Statement, StorageError};

use super::Log;
use super::tables::{MESSAGES, PARTITIONS};

/// Between two looks when there is nothing to delete.
const INTERVAL: Duration = Duration::from_secs(10);

/// Between two looks while the database is away, as it is at first.
const AWAY: Duration = Duration::from_millis(500);

/// Most messages that are deleted in one step, and the pause behind one.
const STEP: i64 = 500;
const PAUSE: Duration = Duration::from_millis(20);

/// Further ahead than any clock was wrong.
const FAR: Duration = Duration::from_secs(1_000 * 365 * 24 * 3_600);

/// A partition that has messages: topic, number, the next offset, the oldest message's offset and time, the time of the
/// partition, and the first message that a group has still to read.
type Filled = (String, i64, i64, i64, DateTime<Utc>, DateTime<Utc>, Option<i64>);

/// Asks for all of them; told how an engine says the time of a partition, where `l` is its last message.
macro_rules! filled {
    ($time:literal) => {
        concat!(
            "SELECT p.topic, p.part, p.next_offset, m.message_offset, m.published_at, ",
            $time,
            ", (SELECT MIN(a.committed) FROM bus_assignments a WHERE a.topic = p.topic AND a.part = p.part \
             AND (a.committed >= m.message_offset OR EXISTS (SELECT 1 FROM bus_members g \
             WHERE g.consumer_group = a.consumer_group AND g.topic = a.topic))) \
             FROM bus_partitions p \
             JOIN bus_messages m ON m.topic = p.topic AND m.part = p.part AND m.message_offset = \
             (SELECT MIN(o.message_offset) FROM bus_messages o WHERE o.topic = p.topic AND o.part = p.part) \
             JOIN bus_messages l ON l.topic = p.topic AND l.part = p.part AND l.message_offset = \
             (SELECT MAX(o.message_offset) FROM bus_messages o WHERE o.topic = p.topic AND o.part = p.part) \
             ORDER BY m.published_at"
        )
    };
}

/// A server's clock bounds it.
const FILLED_POSTGRES: &str = filled!("LEAST(l.published_at, CURRENT_TIMESTAMP)");
const FILLED_SQLITE: &str = filled!("l.published_at");

impl Log {
    /// Deletes for ever. Every process that uses the bus does it; what another has deleted already is not there.
    pub(super) async fn delete_old(&self) -> Infallible {
        loop {
            let pause = match self.delete_step(Utc::now()).await {
                Ok(0) => INTERVAL.min(self.limits.retention / 10).max(PAUSE),
                Ok(_) => PAUSE,
                // That the database is away it says itself.
                Err(error) if error.is_passing() => AWAY,
                Err(error) => {
                    tracing::warn!(error = %error, "old messages of the bus could not be deleted");
                    INTERVAL
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// One step of each partition that has something to delete; how many messages that were.
    pub(crate) async fn delete_step(&self, now: DateTime<Utc>) -> Result<u64, StorageError> {
        let far = now + FAR;
        let filled = self.filled().await?;
        let mut kept: HashMap<&str, i64> = HashMap::new();
        for (topic, _, next, oldest, ..) in &filled {
            *kept.entry(topic).or_default() += next - oldest;
        }
        let mut deleted = 0;
        // That with the oldest message first.
        for (topic, part, next, oldest, oldest_at, time, unread) in &filled {
            let all = kept.get(topic.as_str()).copied().unwrap_or(0);
            let excess = all - self.limits.retained;
            // What is too much is taken from each in proportion; of less than one for each, from the oldest.
            let share = if excess > 0 { ((next - oldest) * excess / all.max(1)).clamp(1, STEP) } else { 0 };
            let time = now.min(*time);
            let (old, twice) = (time - self.limits.retention, time - self.limits.retention * 2);
            let step = oldest.saturating_add(STEP);
            let unread = unread.unwrap_or(step);
            let (before, published_before) = if *oldest_at < twice {
                (step, twice)
            } else if *oldest_at < old && *oldest < unread {
                (step.min(unread), old)
            } else {
                (oldest.saturating_add(share), far)
            };
            if before <= *oldest {
                continue;
            }
            let gone = self.delete(topic, *part, before, published_before).await?;
            deleted += gone;
            if let Some(kept) = kept.get_mut(topic.as_str()) {
                *kept -= i64::try_from(gone).unwrap_or(0);
            }
        }
        if deleted > 0 {
            tracing::debug!(messages = deleted, "old messages of the bus are deleted");
        }
        Ok(deleted)
    }

    async fn filled(&self) -> Result<Vec<Filled>, StorageError> {
        let text = if self.system() == "sqlite" { FILLED_SQLITE } else { FILLED_POSTGRES };
        let select = Statement::new(QueryType::Select, PARTITIONS, text);
        self.database.quietly(select).await
    }

    /// Deletes the messages before an offset, up to the first that is younger: none is left out.
    async fn delete(&self, topic: &str, part: i64, before: i64, cutoff: DateTime<Utc>) -> Result<u64, StorageError> {
        let delete = Statement::new(
            QueryType::Delete,
            MESSAGES,
            "DELETE FROM bus_messages WHERE topic = $1 AND part = $2 AND message_offset < \
             COALESCE((SELECT MIN(m.message_offset) FROM bus_messages m WHERE m.topic = $1 AND m.part = $2 \
             AND m.message_offset < $3 AND m.published_at >= $4), $3)",
        );
        self.database.execute_quietly(delete.bind(topic).bind(part).bind(before).bind(cutoff)).await
    }

    /// Deletes the messages of a partition before an offset, whatever their age.
    #[cfg(feature = "testing")]
    pub(crate) async fn delete_before(&self, topic: &str, part: i64, before: i64) -> Result<(), StorageError> {
        self.delete(topic, part, before, Utc::now() + FAR).await.map(drop)
    }

    /// Makes the messages of a topic from an offset on as if they had been published at another time.
    #[cfg(feature = "testing")]
    pub(crate) async fn redate(&self, topic: &str, from: i64, at: DateTime<Utc>) -> Result<(), StorageError> {
        let update = Statement::new(
            QueryType::Update,
            MESSAGES,
            "UPDATE bus_messages SET published_at = $3 WHERE topic = $1 AND message_offset >= $2",
        );
        self.database.execute(update.bind(topic).bind(from).bind(at)).await.map(drop)
    }
}
