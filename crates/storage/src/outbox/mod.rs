//! A durable outbox: what is written with a transaction reaches its receiver, once it can; in order within each group.
//!
//! A request writes an entry in the transaction of what the entry tells about, and holds a lease on it. It tries the
//! delivery itself at once, unless others of its group wait ([`EntryId::waits`]), and says [`Outbox::done`],
//! [`Outbox::failed`] or [`Outbox::park`]. Whatever failed or waits, or whose request has died so that its lease runs
//! out, is delivered by [`Outbox::run`].
//!
//! **Order is per group** ([`NewEntry::group`]), and only there: the entries of a group are delivered one after the
//! other, oldest first, and none moves before those before it are delivered or parked. Groups know nothing of each
//! other: up to 16 are delivered to at once, and one that cannot be delivered to holds up no other. Entries of a group
//! that are written by requests at the same time have no order.
//!
//! An entry that its receiver refuses for good ([`Undelivered::Never`]) is parked: it stays in the table, is passed
//! over, and waits for a person ([`Outbox::parked`], [`Outbox::unpark`]).
//!
//! Several processes may run the same outbox: a group is leased to one of them at a time. Delivery is at least once: a
//! process can die between a delivery and writing down that it happened (which is done for many together, some
//! milliseconds later), so the receiver has to know [`Entry::key`] again. Leases are times of the processes' clocks, which have to agree to within seconds.

mod complaints;
mod context;
mod group;
mod pace;
mod parked;
mod renewal;
mod run;
mod table;
mod ticked;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use opentelemetry::Context;
use telemetry::metrics::storage::OUTBOX_DELIVERIES;

use crate::{Database, QueryType, Statement, StorageError, Transaction};
pub use context::{restore as restore_context, store as store_context};
pub use parked::ParkedEntry;
pub use table::migration;
use table::{TABLE, reason_of};
use ticked::Ticked;
use waiting::Waiting;

/// Wait after the first failure; it doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// Longest wait after a failure: how much longer than its receiver an outage can last for a group.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// Longest that a delivery by [`Outbox::run`] may take where nothing else is said.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(20);

/// Entries for one receiver. Clones are the same outbox.
#[derive(Clone)]
pub struct Outbox {
    database: Database,
    name: &'static str,
    delivery_timeout: Duration,
    shared: Arc<Shared>,
}

struct Shared {
    waiting: Waiting,
    /// Entries that wait, when they were counted last.
    entries: AtomicU64,
    ticked: Ticked,
    /// Tells the leases of this process from those of others, and of its own life before a restart.
    holder: i64,
    started: DateTime<Utc>,
}

/// An entry to be written.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// Whose order is kept: entries of the same group are delivered one after the other, and of different groups at
    /// once.
    pub group: String,
    /// What it is about, unique in the outbox: the receiver knows a second delivery by it.
    pub key: String,
    /// What is to be delivered.
    pub payload: serde_json::Value,
    /// How long whoever writes it keeps it for a try of its own: see [`Outbox::lease_for`]. None leaves it to
    /// [`Outbox::run`] at once.
    pub lease: Option<Duration>,
}

/// An entry that is ours to deliver now.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its group.
    pub group: String,
    /// What it is about.
    pub key: String,
    /// What is to be delivered.
    pub payload: serde_json::Value,
    /// Attempts, this one and that of the request included.
    pub attempts: i64,
    /// Why the attempt before failed; none when there was none, or nobody was left to say.
    pub last_error: Option<String>,
    /// Trace and baggage of whoever wrote it. [`Outbox::run`] makes the delivery a part of that trace.
    pub context: Context,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

/// An entry and the attempt that holds it: a late word of an earlier attempt does not disturb a later one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryId {
    id: i64,
    attempt: i64,
    group: Arc<str>,
    waits: bool,
}

impl EntryId {
    /// Whether it is left to [`Outbox::run`], because it was written without a lease or others of its group waited:
    /// whoever delivered it now would overtake them. Otherwise it is for whoever wrote it to try.
    #[must_use]
    pub const fn waits(&self) -> bool {
        self.waits
    }
}

/// Why an entry was not delivered. A sentence that is kept with the entry and reaches logs and traces: no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// It may work later: it is tried again, longer and longer apart, and its group waits for it.
    #[error("{0}")]
    Later(String),
    /// It will never work: it is parked, and its group goes on without it.
    #[error("{0}")]
    Never(String),
}

impl Undelivered {
    /// A bounded word, for `error.type`.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Later(_) => "undelivered",
            Self::Never(_) => "refused",
        }
    }
}

#[derive(sqlx::FromRow)]
struct Written {
    id: i64,
    attempts: i64,
    waiting: bool,
}

/// Tells the outbox that the transaction of an entry that waits has ended.
struct Uncommitted {
    shared: Arc<Shared>,
    group: Arc<str>,
}

impl Drop for Uncommitted {
    fn drop(&mut self) {
        self.shared.waiting.end(&self.group);
    }
}

impl Outbox {
    /// The outbox `name` (a bounded word: it is a label) of a database whose migrations have [`migration`].
    #[must_use]
    pub fn new(database: Database, name: &'static str) -> Self {
        let shared = Shared {
            waiting: Waiting::new(),
            entries: AtomicU64::new(0),
            ticked: Ticked::default(),
            holder: rand::random(),
            started: Utc::now(),
        };
        Self { database, name, delivery_timeout: DELIVERY_TIMEOUT, shared: Arc::new(shared) }
    }

    /// How long a delivery by [`Outbox::run`] may take, 20 s where this is not said: longer than the receiver's own time
    /// limit. What [`Outbox::run`] has leased when its process dies is free again after 11 s and what a statement of the
    /// database may take, 20 s where nothing else is set.
    #[must_use]
    pub const fn with_delivery_timeout(mut self, timeout: Duration) -> Self {
        self.delivery_timeout = timeout;
        self
    }

    /// The lease for a try that takes `delivery` at most. It begins with [`Outbox::put`], so it has to last while the
    /// transaction is committed and while [`Outbox::done`] is written, too.
    #[must_use]
    pub fn lease_for(&self, delivery: Duration) -> Duration {
        delivery + self.database.longest_statement() * 2
    }

    /// Writes an entry with the current trace and baggage. It is there when the transaction is committed, and leased to
    /// the caller if it has a lease and no other of its group waits: ask [`EntryId::waits`].
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when there is an entry with this key, and as [`StorageError`] says.
    pub async fn put(&self, transaction: &mut Transaction, entry: NewEntry) -> Result<EntryId, StorageError> {
        let (now, group) = (Utc::now(), Arc::<str>::from(entry.group));
        let statement = Statement::new(
            QueryType::Insert,
            TABLE,
            "INSERT INTO outbox_entries (outbox, order_group, key, payload, context, created_at, holder, leased_until, \
             attempts, waiting, parked) \
             SELECT $1, $2, $3, $4, $5, $6, $7, CASE WHEN line.waits THEN $6 ELSE $8 END, \
             CASE WHEN line.waits THEN 0 ELSE 1 END, line.waits, $9 \
             FROM (SELECT $10 OR EXISTS (SELECT 1 FROM outbox_entries w WHERE w.outbox = $1 AND NOT w.parked \
             AND w.order_group = $2 AND (w.waiting OR w.leased_until <= $6 \
             OR (w.holder <> $7 AND w.created_at < $11))) AS waits) AS line \
             RETURNING id, attempts, waiting",
        )
        .bind(self.name)
        .bind(&*group)
        .bind(entry.key)
        .bind(entry.payload.to_string())
        .bind(context::store(&Context::current()))
        .bind(now)
        .bind(self.shared.holder)
        .bind(now + entry.lease.unwrap_or_default())
        .bind(false)
        .bind(entry.lease.is_none())
        .bind(self.shared.started);
        let written: Written = transaction.fetch_one(statement).await?;
        if written.waiting {
            // Known before it is committed: whoever comes after that must not overtake it.
            transaction.keep_until_end(self.uncommitted(&group));
        }
        Ok(EntryId { id: written.id, attempt: written.attempts, group, waits: written.waiting })
    }

    /// The entry has been delivered. While [`Outbox::run`] runs this only says so, and it is ticked off a moment later,
    /// together with others; else it is ticked off at once.
    ///
    /// # Errors
    /// As [`StorageError`] says; it is delivered again then, once its lease has run out.
    pub async fn done(&self, id: EntryId) -> Result<(), StorageError> {
        self.count("delivered");
        if self.shared.ticked.take_in(id.id) {
            return Ok(());
        }
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
        self.count("failed");
        let _uncommitted = self.uncommitted(&id.group);
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE outbox_entries SET leased_until = $3, waiting = $4, last_error = $5 \
             WHERE id = $1 AND attempts = $2 AND NOT parked",
        )
        .bind(id.id)
        .bind(id.attempt)
        .bind(Utc::now() + backoff(id.attempt))
        .bind(true)
        .bind(reason_of(reason));
        self.database.execute(statement).await.map(drop)
    }

    /// For health checks: whether it is known what waits. Until then every request leaves its delivery to the outbox.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn ready(&self) -> Result<(), String> {
        if self.shared.waiting.is_known() {
            Ok(())
        } else {
            Err("the outbox has not been looked through since the start".to_owned())
        }
    }

    /// Whether entries of this group wait, as far as is known here (also before [`Outbox::run`] has looked for the first
    /// time, and when more groups wait than are remembered): whoever delivered its own now would overtake them. Costs
    /// nothing; what other processes have left is known half a second later, or by [`EntryId::waits`].
    #[must_use]
    pub fn has_backlog(&self, group: &str) -> bool {
        self.shared.waiting.has(group)
    }

    /// How many entries wait, when [`Outbox::run`] counted them last, which it does every second or so: for whoever has to
    /// bound them.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        self.shared.entries.load(Ordering::Relaxed)
    }

    /// The group counts as one with entries that wait, and is looked at when this is dropped.
    fn uncommitted(&self, group: &Arc<str>) -> Uncommitted {
        self.shared.waiting.begin(group);
        Uncommitted { shared: Arc::clone(&self.shared), group: Arc::clone(group) }
    }

    fn count(&self, outcome: &'static str) {
        OUTBOX_DELIVERIES.add(1, &[("outbox", self.name), ("outcome", outcome)]);
    }
}

/// How long a group waits after the `attempts`-th failure of its first entry.
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
