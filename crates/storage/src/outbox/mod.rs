//! A durable outbox: what is written with a transaction reaches its receiver, in order, once it can.
//!
//! A request writes an entry in the transaction of what the entry tells about, and holds a lease on it. It tries the
//! delivery itself at once, unless [`Outbox::has_backlog`], and says [`Outbox::done`] or [`Outbox::failed`]. Whatever
//! failed, or whose request has died so that its lease runs out, is delivered by [`Outbox::run`]: always the oldest
//! entry first; none behind it moves before it is delivered. Several processes may run the same outbox: an entry is
//! leased to one of them at a time.
//!
//! Delivery is at least once: a process can die between a delivery and writing down that it happened, so the receiver
//! has to know [`Entry::key`] again. Leases are times of the processes' clocks, which have to agree to within seconds.

mod context;
mod run;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use opentelemetry::Context;
use telemetry::metrics::storage::OUTBOX_DELIVERIES;
use tokio::sync::Notify;

use crate::{Database, Migration, QueryType, Statement, StorageError, Transaction};

/// The table. Each service has its own; its place among the service's migrations is `version`.
///
/// The index has everything that is looked at again and again, so that no payload is read for it.
#[must_use]
pub const fn migration(version: i64) -> Migration {
    Migration {
        version,
        name: "outbox",
        // AUTOINCREMENT: the number of a delivered entry is never given again, or a new one could go first.
        sqlite: "CREATE TABLE outbox_entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    outbox TEXT NOT NULL,
    key TEXT NOT NULL,
    payload TEXT NOT NULL,
    context TEXT NOT NULL,
    created_at TEXT NOT NULL,
    leased_until TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    last_error TEXT,
    UNIQUE (outbox, key)
);
CREATE INDEX outbox_entries_order ON outbox_entries (outbox, id, leased_until, waiting, created_at);",
        postgres: "CREATE TABLE outbox_entries (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    outbox TEXT NOT NULL,
    key TEXT NOT NULL,
    payload TEXT NOT NULL,
    context TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    leased_until TIMESTAMPTZ NOT NULL,
    attempts BIGINT NOT NULL,
    waiting BOOLEAN NOT NULL,
    last_error TEXT,
    UNIQUE (outbox, key)
);
CREATE INDEX outbox_entries_order ON outbox_entries (outbox, id, leased_until, waiting, created_at);",
    }
}

const TABLE: &str = "outbox_entries";

/// Wait after the first failure; it doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// Longest wait after a failure: how much longer than its receiver an outage can last for an entry.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// Longest text of a failure that is kept.
const LONGEST_REASON_CHARS: usize = 500;

/// Entries for one receiver. Clones are the same outbox.
#[derive(Clone)]
pub struct Outbox {
    database: Database,
    name: &'static str,
    shared: Arc<Shared>,
}

struct Shared {
    backlog: AtomicBool,
    /// Whether [`Outbox::run`] has looked since the start.
    looked: AtomicBool,
    /// Something failed here: the running loop need not find out by itself.
    failed: Notify,
}

/// An entry to be written.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// What it is about, unique in the outbox: the receiver knows a second delivery by it.
    pub key: String,
    /// What is to be delivered.
    pub payload: serde_json::Value,
    /// How long whoever writes it keeps it for a try of its own; longer than that try can take.
    pub lease: Duration,
}

/// An entry that is ours to deliver now.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its number, and which attempt this is.
    pub id: EntryId,
    /// What it is about.
    pub key: String,
    /// What is to be delivered.
    pub payload: serde_json::Value,
    /// Attempts, this one and that of the request included.
    pub attempts: i64,
    /// Trace and baggage of whoever wrote it. [`Outbox::run`] makes the delivery a part of that trace.
    pub context: Context,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

/// An entry and the attempt that holds it: a late word of an earlier attempt does not disturb a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryId {
    id: i64,
    attempt: i64,
}

impl Outbox {
    /// The outbox `name` (a bounded word: it is a label) of a database whose migrations have [`migration`].
    #[must_use]
    pub fn new(database: Database, name: &'static str) -> Self {
        // Until somebody has looked there may be entries from before the restart.
        let shared = Shared { backlog: AtomicBool::new(true), looked: AtomicBool::new(false), failed: Notify::new() };
        Self { database, name, shared: Arc::new(shared) }
    }

    /// Writes an entry with the current trace and baggage. It is there when the transaction is committed, and leased to
    /// the caller.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when there is an entry with this key, and as [`StorageError`] says.
    pub async fn put(&self, transaction: &mut Transaction, entry: NewEntry) -> Result<EntryId, StorageError> {
        let now = Utc::now();
        let statement = Statement::new(
            QueryType::Insert,
            TABLE,
            "INSERT INTO outbox_entries (outbox, key, payload, context, created_at, leased_until, attempts, waiting) \
             VALUES ($1, $2, $3, $4, $5, $6, 1, $7) RETURNING id",
        )
        .bind(self.name)
        .bind(entry.key)
        .bind(entry.payload.to_string())
        .bind(context::store(&Context::current()))
        .bind(now)
        .bind(now + entry.lease)
        .bind(false);
        let (id,) = transaction.fetch_one::<(i64,)>(statement).await?;
        Ok(EntryId { id, attempt: 1 })
    }

    /// The entry has been delivered.
    ///
    /// # Errors
    /// As [`StorageError`] says; it is delivered again then, once its lease has run out.
    pub async fn done(&self, id: EntryId) -> Result<(), StorageError> {
        OUTBOX_DELIVERIES.add(1, &[("outbox", self.name), ("outcome", "delivered")]);
        // Whichever attempt holds it now: it has been delivered.
        let statement =
            Statement::new(QueryType::Delete, TABLE, "DELETE FROM outbox_entries WHERE id = $1").bind(id.id);
        self.database.execute(statement).await.map(drop)
    }

    /// The entry could not be delivered; `reason` is kept with it. The outbox tries again by and by.
    ///
    /// # Errors
    /// As [`StorageError`] says; it is tried again then, once its lease has run out.
    pub async fn failed(&self, id: EntryId, reason: &str) -> Result<(), StorageError> {
        OUTBOX_DELIVERIES.add(1, &[("outbox", self.name), ("outcome", "failed")]);
        self.shared.backlog.store(true, Ordering::Release);
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE outbox_entries SET leased_until = $3, waiting = $4, last_error = $5 WHERE id = $1 AND attempts = $2",
        )
        .bind(id.id)
        .bind(id.attempt)
        .bind(Utc::now() + backoff(id.attempt))
        .bind(true)
        .bind(reason.chars().take(LONGEST_REASON_CHARS).collect::<String>());
        let written = self.database.execute(statement).await.map(drop);
        self.shared.failed.notify_one();
        written
    }

    /// For health checks: whether it is known what waits. Until then every request leaves its delivery to the outbox.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn ready(&self) -> Result<(), String> {
        if self.shared.looked.load(Ordering::Acquire) {
            Ok(())
        } else {
            Err("the outbox has not been looked at since the start".to_owned())
        }
    }

    /// Whether entries wait that nobody delivers at the moment, as far as is known here (also before [`Outbox::run`] has
    /// looked for the first time): whoever delivered its own now would overtake them.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        self.shared.backlog.load(Ordering::Acquire)
    }
}

/// How long an entry waits after its `attempts`-th failure.
fn backoff(attempts: i64) -> Duration {
    let doublings = u32::try_from(attempts.clamp(1, 16) - 1).unwrap_or(0);
    let longest = FIRST_BACKOFF.saturating_mul(1 << doublings).min(LONGEST_BACKOFF);
    // Outboxes that lost the same receiver must not come back in step.
    longest.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_back_off_grows_and_is_bounded() {
        for attempts in [i64::MIN, 0, 1, 2, 10, 17, i64::MAX] {
            let wait = backoff(attempts);
            assert!(wait >= FIRST_BACKOFF / 2 && wait <= LONGEST_BACKOFF, "{attempts}: {wait:?}");
        }
        assert!(backoff(1) <= FIRST_BACKOFF && backoff(3) >= FIRST_BACKOFF * 2 && backoff(40) >= LONGEST_BACKOFF / 2);
    }
}
