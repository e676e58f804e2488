//! The table of the outboxes, and the statements of the loop: none of them costs more the more entries wait, but for
//! the count, which is made rarely.

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::Outbox;
use super::group::{Failed, Refused};
use crate::{Migration, QueryType, Statement, StorageError};

/// The table. Each service has its own; its place among the service's migrations is `version`.
#[must_use]
pub const fn migration(version: i64) -> Migration {
    Migration {
        version,
        name: "outbox",
        // AUTOINCREMENT: the number of a delivered entry is never given again, or a new one could go first.
        sqlite: "CREATE TABLE outbox_entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    outbox TEXT NOT NULL,
    order_group TEXT NOT NULL,
    key TEXT NOT NULL,
    payload TEXT NOT NULL,
    context TEXT NOT NULL,
    created_at TEXT NOT NULL,
    holder INTEGER NOT NULL,
    leased_until TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    parked INTEGER NOT NULL,
    parked_at TEXT,
    last_error TEXT,
    UNIQUE (outbox, key)
);
CREATE INDEX outbox_entries_order ON outbox_entries (outbox, order_group, id) WHERE NOT parked;
CREATE INDEX outbox_entries_parked ON outbox_entries (outbox, id) WHERE parked;",
        // Groups are compared byte by byte, as this program and SQLite do.
        postgres: "CREATE TABLE outbox_entries (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    outbox TEXT NOT NULL,
    order_group TEXT COLLATE \"C\" NOT NULL,
    key TEXT NOT NULL,
    payload TEXT NOT NULL,
    context TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    holder BIGINT NOT NULL,
    leased_until TIMESTAMPTZ NOT NULL,
    attempts BIGINT NOT NULL,
    waiting BOOLEAN NOT NULL,
    parked BOOLEAN NOT NULL,
    parked_at TIMESTAMPTZ,
    last_error TEXT,
    UNIQUE (outbox, key)
);
CREATE INDEX outbox_entries_order ON outbox_entries (outbox, order_group, id) WHERE NOT parked;
CREATE INDEX outbox_entries_parked ON outbox_entries (outbox, id) WHERE parked;",
    }
}

pub(super) const TABLE: &str = "outbox_entries";

/// Groups that one look looks at.
pub(super) const PAGE: i64 = 256;

/// Longest text of a failure that is kept.
const LONGEST_REASON_CHARS: usize = 500;

pub(super) fn reason_of(text: &str) -> String {
    text.chars().take(LONGEST_REASON_CHARS).collect()
}

/// The first entry of a group, and what is behind it.
#[derive(FromRow)]
pub(super) struct Head {
    pub(super) order_group: String,
    pub(super) id: i64,
    /// Until when it is leased, or waits after a failure.
    pub(super) leased_until: DateTime<Utc>,
    /// Whether any entry of the group waits, or was left by a process that may have died.
    pub(super) has_waiting: bool,
}

/// An entry as it stands in the table.
#[derive(FromRow)]
pub(super) struct Stored {
    pub(super) id: i64,
    pub(super) order_group: String,
    pub(super) key: String,
    pub(super) payload: String,
    pub(super) context: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) leased_until: DateTime<Utc>,
    pub(super) attempts: i64,
    pub(super) last_error: Option<String>,
}

/// The first entry of a group, which is ours now, and with it the group.
#[derive(FromRow)]
pub(super) struct Claimed {
    #[sqlx(flatten)]
    pub(super) head: Stored,
    /// Whether there are entries behind it.
    pub(super) more: bool,
}

/// How much there is.
#[derive(FromRow)]
pub(super) struct Counted {
    pub(super) entries: i64,
    pub(super) parked: i64,
    pub(super) oldest: Option<DateTime<Utc>>,
}

/// Steps from group to group along the index, so that a long line of one group costs no more than a short one.
macro_rules! heads {
    ($from:literal) => {
        concat!(
            "WITH RECURSIVE line (order_group, place) AS (\
             SELECT MIN(e.order_group), 1 FROM outbox_entries e WHERE e.outbox = $1 AND NOT e.parked AND e.order_group ",
            $from,
            " $2 UNION ALL \
             SELECT (SELECT MIN(e.order_group) FROM outbox_entries e WHERE e.outbox = $1 AND NOT e.parked \
             AND e.order_group > line.order_group), line.place + 1 \
             FROM line WHERE line.order_group IS NOT NULL AND line.place < $3) \
             SELECT line.order_group AS order_group, head.id AS id, head.leased_until AS leased_until, \
             EXISTS (SELECT 1 FROM outbox_entries w WHERE w.outbox = $1 AND NOT w.parked \
             AND w.order_group = line.order_group AND (w.waiting OR w.leased_until <= $4 \
             OR (w.holder <> $5 AND w.created_at < $6))) AS has_waiting \
             FROM line JOIN outbox_entries head ON head.id = (SELECT MIN(h.id) FROM outbox_entries h \
             WHERE h.outbox = $1 AND NOT h.parked AND h.order_group = line.order_group) \
             ORDER BY line.order_group"
        )
    };
}

const CLAIM_SQLITE: &str = "UPDATE outbox_entries SET leased_until = $2, attempts = attempts + 1, waiting = $3, \
    holder = $4 WHERE id IN (SELECT value FROM json_each($1)) AND leased_until <= $5 AND NOT parked \
    RETURNING id, order_group, key, payload, context, created_at, leased_until, attempts, last_error, \
    EXISTS (SELECT 1 FROM outbox_entries b WHERE b.outbox = outbox_entries.outbox AND NOT b.parked \
    AND b.order_group = outbox_entries.order_group AND b.id > outbox_entries.id) AS more";

/// What another process is claiming at this moment is its own; nobody waits for anybody.
const CLAIM_POSTGRES: &str = "UPDATE outbox_entries SET leased_until = $2, attempts = attempts + 1, waiting = $3, \
    holder = $4 WHERE id IN (SELECT e.id FROM outbox_entries e WHERE e.id IN (SELECT CAST(given.value AS BIGINT) \
    FROM json_array_elements_text(CAST($1 AS JSON)) AS given) AND e.leased_until <= $5 AND NOT e.parked \
    ORDER BY e.id FOR UPDATE SKIP LOCKED) \
    RETURNING id, order_group, key, payload, context, created_at, leased_until, attempts, last_error, \
    EXISTS (SELECT 1 FROM outbox_entries b WHERE b.outbox = outbox_entries.outbox AND NOT b.parked \
    AND b.order_group = outbox_entries.order_group AND b.id > outbox_entries.id) AS more";

const DELETE_SQLITE: &str = "DELETE FROM outbox_entries WHERE id IN (SELECT value FROM json_each($1))";

const DELETE_POSTGRES: &str = "DELETE FROM outbox_entries WHERE id IN (SELECT CAST(given.value AS BIGINT) \
    FROM json_array_elements_text(CAST($1 AS JSON)) AS given)";

const RELEASE_SQLITE: &str = "UPDATE outbox_entries SET leased_until = $2 WHERE holder = $3 \
    AND id IN (SELECT value FROM json_each($1))";

const RELEASE_POSTGRES: &str = "UPDATE outbox_entries SET leased_until = $2 WHERE holder = $3 \
    AND id IN (SELECT CAST(given.value AS BIGINT) FROM json_array_elements_text(CAST($1 AS JSON)) AS given)";

const EXTEND_SQLITE: &str = "UPDATE outbox_entries SET leased_until = $2 WHERE holder = $3 AND leased_until > $4 \
    AND NOT parked AND id IN (SELECT value FROM json_each($1))";

const EXTEND_POSTGRES: &str = "UPDATE outbox_entries SET leased_until = $2 WHERE holder = $3 AND leased_until > $4 \
    AND NOT parked AND id IN (SELECT CAST(given.value AS BIGINT) FROM json_array_elements_text(CAST($1 AS JSON)) AS given)";

fn list(ids: &[i64]) -> String {
    serde_json::Value::from(ids).to_string()
}

/// All of these are measured and none is traced: nobody asked for them, and they come again and again.
impl Outbox {
    fn text(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        if self.database.engine() == "sqlite" { sqlite } else { postgres }
    }

    /// The first entries of the groups after `after`, at most [`PAGE`] of them, in the order of the groups.
    pub(super) async fn heads(&self, after: Option<&str>, now: DateTime<Utc>) -> Result<Vec<Head>, StorageError> {
        let text = if after.is_some() { heads!(">") } else { heads!(">=") };
        let statement = Statement::new(QueryType::Select, TABLE, text)
            .bind(self.name)
            .bind(after.unwrap_or_default())
            .bind(PAGE)
            .bind(now)
            .bind(self.shared.holder)
            .bind(self.shared.started);
        self.database.quietly(statement).await
    }

    /// Leases entries to us, those that are nobody's, and with them their groups: they are the first.
    pub(super) async fn claim(
        &self,
        ids: &[i64],
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<Claimed>, StorageError> {
        let statement = Statement::new(QueryType::Update, TABLE, self.text(CLAIM_SQLITE, CLAIM_POSTGRES))
            .bind(list(ids))
            .bind(until)
            .bind(true)
            .bind(self.shared.holder)
            .bind(now);
        self.database.quietly(statement).await
    }

    /// The entries of a group behind one.
    pub(super) async fn behind(&self, group: &str, id: i64, limit: i64) -> Result<Vec<Stored>, StorageError> {
        let statement = Statement::new(
            QueryType::Select,
            TABLE,
            "SELECT id, order_group, key, payload, context, created_at, leased_until, attempts, last_error \
             FROM outbox_entries WHERE outbox = $1 AND NOT parked AND order_group = $2 AND id > $3 ORDER BY id LIMIT $4",
        )
        .bind(self.name)
        .bind(group)
        .bind(id)
        .bind(limit);
        self.database.quietly(statement).await
    }

    pub(super) async fn delete(&self, ids: &[i64]) -> Result<(), StorageError> {
        let statement = Statement::new(QueryType::Delete, TABLE, self.text(DELETE_SQLITE, DELETE_POSTGRES));
        self.database.execute_quietly(statement.bind(list(ids))).await.map(drop)
    }

    /// Gives back what was claimed and not tried.
    pub(super) async fn release(&self, ids: &[i64]) -> Result<(), StorageError> {
        let statement = Statement::new(QueryType::Update, TABLE, self.text(RELEASE_SQLITE, RELEASE_POSTGRES))
            .bind(list(ids))
            .bind(Utc::now())
            .bind(self.shared.holder);
        self.database.execute_quietly(statement).await.map(drop)
    }

    /// Makes leases of ours last until `until`, those that last beyond `beyond` now.
    pub(super) async fn extend(
        &self,
        ids: &[i64],
        beyond: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        let statement = Statement::new(QueryType::Update, TABLE, self.text(EXTEND_SQLITE, EXTEND_POSTGRES))
            .bind(list(ids))
            .bind(until)
            .bind(self.shared.holder)
            .bind(beyond);
        self.database.execute_quietly(statement).await.map(drop)
    }

    pub(super) async fn write_failed(&self, failed: &Failed) -> Result<(), StorageError> {
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE outbox_entries SET attempts = $3, leased_until = $4, waiting = $5, last_error = $6 \
             WHERE id = $1 AND attempts = $2 AND NOT parked",
        )
        .bind(failed.id)
        .bind(failed.attempts_before)
        .bind(failed.attempt)
        .bind(failed.until)
        .bind(true)
        .bind(reason_of(&failed.reason));
        self.database.execute_quietly(statement).await.map(drop)
    }

    pub(super) async fn write_refused(&self, refused: &Refused) -> Result<(), StorageError> {
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE outbox_entries SET attempts = $2, waiting = $3, parked = $4, parked_at = $5, last_error = $6 \
             WHERE id = $1 AND NOT parked",
        )
        .bind(refused.id)
        .bind(refused.attempt)
        .bind(false)
        .bind(true)
        .bind(Utc::now())
        .bind(reason_of(&refused.reason));
        self.database.execute_quietly(statement).await.map(drop)
    }

    /// Counts what waits; what its writer is delivering at this moment does not.
    pub(super) async fn counted(&self) -> Result<Counted, StorageError> {
        let statement = Statement::new(
            QueryType::Select,
            TABLE,
            "SELECT COALESCE(SUM(CASE WHEN e.waiting OR e.leased_until <= $2 THEN 1 ELSE 0 END), 0) AS entries, \
             (SELECT COUNT(*) FROM outbox_entries p WHERE p.outbox = $1 AND p.parked) AS parked, \
             (SELECT o.created_at FROM outbox_entries o WHERE o.id = (SELECT MIN(m.id) FROM outbox_entries m \
             WHERE m.outbox = $1 AND NOT m.parked)) AS oldest \
             FROM outbox_entries e WHERE e.outbox = $1 AND NOT e.parked",
        )
        .bind(self.name)
        .bind(Utc::now());
        self.database.quietly(statement).await?.into_iter().next().ok_or(StorageError::NotFound { collection: TABLE })
    }
}
