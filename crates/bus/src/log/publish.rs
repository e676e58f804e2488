//! Publishing.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use chrono::Utc;
use serde_json::json;
use storage::{QueryType, Statement, Transaction};

use super::Log;
use super::tables::{MESSAGES, PARTITIONS};
use crate::{BusError, NewMessage};

const INSERT_SQLITE: &str = "INSERT INTO bus_messages \
    (topic, part, message_offset, key, headers, payload, published_at) \
    SELECT $1, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), \
    json_extract(value, '$[3]'), json_extract(value, '$[4]'), $2 FROM json_each($3)";

const INSERT_POSTGRES: &str = "INSERT INTO bus_messages \
    (topic, part, message_offset, key, headers, payload, published_at) \
    SELECT $1, CAST(value ->> 0 AS BIGINT), CAST(value ->> 1 AS BIGINT), value ->> 2, value ->> 3, value ->> 4, $2 \
    FROM json_array_elements(CAST($3 AS JSON)) AS given (value)";

impl Log {
    /// Writes messages in one transaction.
    pub(crate) async fn publish(&self, topic: &str, messages: Vec<NewMessage>) -> Result<(), BusError> {
        let work = async {
            for _ in 0..2 {
                let partitions = self.partitions(topic).await?;
                if self.try_publish(topic, partitions, &messages).await? {
                    return Ok(());
                }
                // The database is another one than before: the file was taken away, or a backup was restored.
                self.forget(topic);
            }
            Err(BusError::Broken { reason: format!("the partitions of {topic} are not those that it was made with") })
        };
        let late = || BusError::Timeout { reason: "publishing took longer than BUS_PUBLISH_TIMEOUT_MS".to_owned() };
        tokio::time::timeout(self.limits.publish, work).await.map_err(|_| late())??;
        Self::wake(topic).all();
        Ok(())
    }

    /// Tells whether the topic has these partitions; nothing is written if not.
    async fn try_publish(&self, topic: &str, partitions: i64, messages: &[NewMessage]) -> Result<bool, BusError> {
        let parts: Vec<i64> = messages.iter().map(|message| self.part(message, partitions)).collect();
        let mut wanted: BTreeMap<i64, i64> = BTreeMap::new();
        for part in &parts {
            *wanted.entry(*part).or_default() += 1;
        }
        let mut transaction = self.database.begin().await?;
        // In the order of their numbers: two that each wait for the other's partition would wait for ever.
        for (part, messages) in &mut wanted {
            let Some(end) = take_offsets(&mut transaction, topic, *part, *messages).await? else {
                transaction.rollback().await?;
                return Ok(false);
            };
            *messages = end - *messages;
        }
        let rows = messages.iter().zip(&parts).map(|(message, part)| {
            let next = wanted.entry(*part).or_default();
            let offset = *next;
            *next += 1;
            json!([part, offset, message.key, json!(message.headers).to_string(), message.payload])
        });
        let rows = serde_json::Value::from_iter(rows).to_string();
        let text = if self.system() == "sqlite" { INSERT_SQLITE } else { INSERT_POSTGRES };
        let insert = Statement::new(QueryType::Insert, MESSAGES, text).bind(topic).bind(Utc::now()).bind(rows);
        transaction.execute(insert).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The partition of a message.
    fn part(&self, message: &NewMessage, partitions: i64) -> i64 {
        let number = match &message.key {
            Some(key) => stable_hash(key.as_bytes()),
            None => self.shared.turn.fetch_add(1, Ordering::Relaxed),
        };
        let partitions = u64::try_from(partitions).unwrap_or(1).max(1);
        i64::try_from(number % partitions).unwrap_or(0)
    }

    /// How many partitions a topic has. One that is not there is made.
    pub(super) async fn partitions(&self, topic: &str) -> Result<i64, BusError> {
        if let Some(known) = self.topics().get(topic) {
            return Ok(*known);
        }
        let mut count = self.count_partitions(topic).await?;
        if count == 0 {
            self.make_topic(topic).await?;
            count = self.count_partitions(topic).await?;
        }
        self.topics().insert(topic.to_owned(), count);
        Ok(count)
    }

    /// Makes a topic. Of several that do it at once only the one that writes its first partition writes the others, and
    /// the rest wait for it: they may have been told another number of partitions.
    async fn make_topic(&self, topic: &str) -> Result<(), BusError> {
        let insert = |part: i64| {
            Statement::new(
                QueryType::Insert,
                PARTITIONS,
                "INSERT INTO bus_partitions (topic, part, next_offset) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING",
            )
            .bind(topic)
            .bind(part)
        };
        let mut transaction = self.database.begin().await?;
        if transaction.execute(insert(0)).await? == 1 {
            for part in 1..i64::from(self.limits.partitions) {
                transaction.execute(insert(part)).await?;
            }
            tracing::info!(topic, partitions = self.limits.partitions, "a topic of the bus is made");
        }
        Ok(transaction.commit().await?)
    }

    async fn count_partitions(&self, topic: &str) -> Result<i64, BusError> {
        let count = Statement::new(
            QueryType::Select,
            PARTITIONS,
            "SELECT CAST(COUNT(*) AS BIGINT) FROM bus_partitions WHERE topic = $1",
        );
        let rows: Vec<(i64,)> = self.database.quietly(count.bind(topic)).await?;
        Ok(rows.first().map_or(0, |(count,)| *count))
    }

    pub(super) fn forget(&self, topic: &str) {
        self.topics().remove(topic);
    }

    fn topics(&self) -> std::sync::MutexGuard<'_, std::collections::HashMap<String, i64>> {
        self.shared.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the next offsets of a partition; the answer is the one behind them. The row stays locked until the end of the
/// transaction.
async fn take_offsets(
    transaction: &mut Transaction,
    topic: &str,
    part: i64,
    messages: i64,
) -> Result<Option<i64>, BusError> {
    let update = Statement::new(
        QueryType::Update,
        PARTITIONS,
        "UPDATE bus_partitions SET next_offset = next_offset + $3 WHERE topic = $1 AND part = $2 RETURNING next_offset",
    );
    let end: Option<(i64,)> = transaction.fetch_optional(update.bind(topic).bind(part).bind(messages)).await?;
    Ok(end.map(|(end,)| end))
}

/// FNV-1a: the same in every version of this program, which decides where the messages of a key are.
fn stable_hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        // From the authors' test suite.
        assert_eq!(stable_hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(stable_hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(stable_hash(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
