//! The statements of reading.

use std::time::Duration;

use chrono::{DateTime, Utc};
use storage::{QueryType, Statement};

use super::Log;
use super::tables::{ASSIGNMENTS, MESSAGES, PARTITIONS};
use crate::message::End;
use crate::observe::Reader;
use crate::{BusError, PartitionStanding, Standing};

/// A message as the table has it: offset, key, headers, payload, when it was published.
pub(super) type Row = (i64, Option<String>, String, String, DateTime<Utc>);

/// A partition as it stands: number, committed, end, and when the oldest message that is not committed was published.
type Stands = (i64, i64, i64, Option<DateTime<Utc>>);

/// How much of a batch a message is.
pub(super) fn weight((_, key, headers, payload, _): &Row) -> usize {
    key.as_ref().map_or(0, String::len) + headers.len() + payload.len()
}

/// All of these are measured and none is traced: nobody asked for them, and they come again and again.
impl Log {
    /// The offset that the next message of each partition gets.
    pub(super) async fn ends(&self, topic: &str) -> Result<Vec<(i64, i64)>, BusError> {
        let select = Statement::new(
            QueryType::Select,
            PARTITIONS,
            "SELECT part, next_offset FROM bus_partitions WHERE topic = $1 ORDER BY part",
        );
        Ok(self.database.quietly(select.bind(topic)).await?)
    }

    /// The next messages of a partition: at most so many, and none behind those that have so many bytes together.
    pub(super) async fn messages(
        &self,
        topic: &str,
        part: i64,
        from: i64,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<Row>, BusError> {
        let select = Statement::new(
            QueryType::Select,
            MESSAGES,
            "SELECT message_offset, key, headers, payload, published_at FROM (\
             SELECT message_offset, key, headers, payload, published_at, \
             SUM(weight) OVER (ORDER BY message_offset) - weight AS before FROM (\
             SELECT message_offset, key, headers, payload, published_at, \
             OCTET_LENGTH(payload) + OCTET_LENGTH(headers) + COALESCE(OCTET_LENGTH(key), 0) AS weight \
             FROM bus_messages \
             WHERE topic = $1 AND part = $2 AND message_offset >= $3 ORDER BY message_offset LIMIT $4) AS next) AS summed \
             WHERE before < $5 ORDER BY message_offset",
        );
        let most = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let select = select.bind(topic).bind(part).bind(from).bind(most(limit)).bind(most(bytes));
        Ok(self.database.quietly(select).await?)
    }

    /// Commits in one partition; never back to before what is committed. Tells whether it is still this member's.
    pub(super) async fn write_committed(&self, reader: &Reader, member: &str, end: End) -> Result<bool, BusError> {
        let update = Statement::new(
            QueryType::Update,
            ASSIGNMENTS,
            "UPDATE bus_assignments SET committed = CASE WHEN committed > $6 THEN committed ELSE $6 END \
             WHERE consumer_group = $1 AND topic = $2 AND part = $3 AND member = $4 AND generation = $5",
        );
        let update = update.bind(&reader.group).bind(&reader.topic).bind(i64::from(end.partition));
        let update = update.bind(member).bind(end.generation).bind(end.next);
        Ok(self.database.execute_quietly(update).await? > 0)
    }

    /// How far a member is in its partitions.
    pub(super) async fn standing(&self, reader: &Reader, member: &str) -> Result<Standing, BusError> {
        let select = Statement::new(
            QueryType::Select,
            ASSIGNMENTS,
            "SELECT a.part, a.committed, p.next_offset, (SELECT m.published_at FROM bus_messages m \
             WHERE m.topic = a.topic AND m.part = a.part AND m.message_offset >= a.committed \
             ORDER BY m.message_offset LIMIT 1) AS oldest \
             FROM bus_assignments a JOIN bus_partitions p ON p.topic = a.topic AND p.part = a.part \
             WHERE a.consumer_group = $1 AND a.topic = $2 AND a.member = $3",
        );
        let select = select.bind(&reader.group).bind(&reader.topic).bind(member);
        let rows: Vec<Stands> = self.database.quietly(select).await?;
        let oldest = rows.iter().filter_map(|(_, _, _, oldest)| *oldest).min();
        // A clock that was put back makes nothing younger than new.
        let lag = oldest.and_then(|oldest| (Utc::now() - oldest).to_std().ok()).unwrap_or(Duration::ZERO);
        let partitions = rows.into_iter().map(|(part, committed_offset, end_offset, _)| PartitionStanding {
            partition: number(part),
            committed_offset,
            end_offset,
        });
        Ok(Standing::new(partitions.collect(), lag))
    }
}

/// A partition's number; there are a thousand at most.
pub(super) fn number(part: i64) -> i32 {
    i32::try_from(part).unwrap_or(i32::MAX)
}
