//! Deleting what is too old or too much, in small steps: SQLite has one writer, and publishing must not wait for it.

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

/// A partition that has messages: topic, number, the next offset, the oldest message's offset and time.
type Filled = (String, i64, i64, i64, DateTime<Utc>);

impl Log {
    /// Deletes for ever. Every process that uses the bus does it; what another has deleted already is not there.
    pub(super) async fn delete_old(&self) -> Infallible {
        loop {
            let pause = match self.delete_step().await {
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
    async fn delete_step(&self) -> Result<u64, StorageError> {
        let cutoff = Utc::now() - self.limits.retention;
        let far = Utc::now() + FAR;
        let filled = self.filled().await?;
        let mut kept: HashMap<&str, i64> = HashMap::new();
        for (topic, _, next, oldest, _) in &filled {
            *kept.entry(topic).or_default() += next - oldest;
        }
        let mut deleted = 0;
        // That with the oldest message first.
        for (topic, part, next, oldest, oldest_at) in &filled {
            let all = kept.get(topic.as_str()).copied().unwrap_or(0);
            let excess = all - self.limits.retained;
            // What is too much is taken from each in proportion; of less than one for each, from the oldest.
            let share = if excess > 0 { ((next - oldest) * excess / all.max(1)).clamp(1, STEP) } else { 0 };
            let (step, published_before) = if *oldest_at < cutoff { (STEP, cutoff) } else { (share, far) };
            if step <= 0 {
                continue;
            }
            let gone = self.delete(topic, *part, oldest.saturating_add(step), published_before).await?;
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
        let select = Statement::new(
            QueryType::Select,
            PARTITIONS,
            "SELECT p.topic, p.part, p.next_offset, m.message_offset, m.published_at FROM bus_partitions p \
             JOIN bus_messages m ON m.topic = p.topic AND m.part = p.part AND m.message_offset = \
             (SELECT MIN(o.message_offset) FROM bus_messages o WHERE o.topic = p.topic AND o.part = p.part) \
             ORDER BY m.published_at",
        );
        self.database.quietly(select).await
    }

    async fn delete(&self, topic: &str, part: i64, before: i64, cutoff: DateTime<Utc>) -> Result<u64, StorageError> {
        let delete = Statement::new(
            QueryType::Delete,
            MESSAGES,
            "DELETE FROM bus_messages WHERE topic = $1 AND part = $2 AND message_offset < $3 AND published_at < $4",
        );
        self.database.execute_quietly(delete.bind(topic).bind(part).bind(before).bind(cutoff)).await
    }

    /// Makes every message of a topic this much older.
    #[cfg(feature = "testing")]
    pub(crate) async fn antedate(&self, topic: &str, age: Duration) -> Result<(), StorageError> {
        let update =
            Statement::new(QueryType::Update, MESSAGES, "UPDATE bus_messages SET published_at = $2 WHERE topic = $1");
        self.database.execute(update.bind(topic).bind(Utc::now() - age)).await.map(drop)
    }
}
