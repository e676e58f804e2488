//! Keys that make a repeated request have no further effect and get the first one's answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::FromRow;

use crate::{Database, Migration, QueryType, Statement, StorageError, Transaction};

/// The table. Each service has its own; its place among the service's migrations is `version`.
#[must_use]
pub const fn migration(version: i64) -> Migration {
    Migration {
        version,
        name: "idempotency keys",
        sqlite: "CREATE TABLE idempotency_keys (
    key TEXT PRIMARY KEY,
    request_hash TEXT NOT NULL,
    token INTEGER NOT NULL,
    leased_until TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    response TEXT
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);",
        postgres: "CREATE TABLE idempotency_keys (
    key TEXT PRIMARY KEY,
    request_hash TEXT NOT NULL,
    token BIGINT NOT NULL,
    leased_until TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    response TEXT
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);",
    }
}

const TABLE: &str = "idempotency_keys";

/// How long a key and its answer are kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a request that does not end holds its key.
const LEASE: Duration = Duration::from_secs(60);

/// When to come back while the first request runs: most take milliseconds.
const COME_BACK: Duration = Duration::from_secs(1);

/// Expired keys are deleted once in so many requests, at most so many at a time: more than come in, and bounded.
const CLEAN_EVERY: u32 = 64;
const CLEAN_AT_MOST: i64 = 256;

/// The keys of a service. Clones are the same.
#[derive(Clone)]
pub struct IdempotencyKeys {
    database: Database,
    begun: Arc<AtomicU32>,
    kept_for: Duration,
    lease: Duration,
}

/// What a key means for a request.
#[derive(Debug, PartialEq)]
pub enum Begun {
    /// It is new: do the work, then [`IdempotencyKeys::complete`] or [`IdempotencyKeys::release`].
    New(Lease),
    /// It has been answered: this was the answer.
    Replay(Value),
    /// The first request with it still runs.
    InProgress {
        /// When to ask again.
        retry_after: Duration,
    },
    /// It was used for another request.
    Mismatch,
}

/// The right to do the work of a key, for a minute. Dropped without a word, the key is held until then.
#[derive(Debug, PartialEq)]
#[must_use = "a key that is neither completed nor released is held for a minute"]
pub struct Lease {
    key: String,
    /// Tells this holder from a later one.
    token: i64,
}

#[derive(FromRow)]
struct Held {
    request_hash: String,
    leased_until: DateTime<Utc>,
    response: Option<String>,
}

impl IdempotencyKeys {
    /// The keys in a database whose migrations have [`migration`]: kept for 24 h, a request holds one for 60 s at most.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database, begun: Arc::default(), kept_for: KEPT_FOR, lease: LEASE }
    }

    /// With other times.
    #[must_use]
    pub const fn with_times(mut self, kept_for: Duration, lease: Duration) -> Self {
        self.kept_for = kept_for;
        self.lease = lease;
        self
    }

    /// Begins a request with this key. `request_hash` tells requests apart: a digest of what is asked for.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn begin(&self, key: &str, request_hash: &str) -> Result<Begun, StorageError> {
        if self.begun.fetch_add(1, Ordering::Relaxed) % CLEAN_EVERY == CLEAN_EVERY - 1 {
            self.clean().await?;
        }
        // Taking the key and looking who has it are two statements: the key can be given back in between.
        for _ in 0..3 {
            let now = Utc::now();
            if let Some(lease) = self.take(key, request_hash, now).await? {
                return Ok(Begun::New(lease));
            }
            let held = Statement::new(
                QueryType::Select,
                TABLE,
                "SELECT request_hash, leased_until, response FROM idempotency_keys WHERE key = $1",
            )
            .bind(key);
            if let Some(held) = self.database.fetch_optional::<Held>(held).await? {
                return held.means(request_hash, now);
            }
        }
        Ok(Begun::InProgress { retry_after: COME_BACK })
    }

    /// Takes a key that is new, has expired, or was left by a request that did not end.
    async fn take(&self, key: &str, request_hash: &str, now: DateTime<Utc>) -> Result<Option<Lease>, StorageError> {
        let token: i64 = rand::random();
        let statement = Statement::new(
            QueryType::Insert,
            TABLE,
            "INSERT INTO idempotency_keys (key, request_hash, token, leased_until, expires_at) \
             VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (key) DO UPDATE SET request_hash = excluded.request_hash, token = excluded.token, \
             leased_until = excluded.leased_until, expires_at = excluded.expires_at, response = NULL \
             WHERE idempotency_keys.expires_at <= $6 OR (idempotency_keys.response IS NULL \
             AND idempotency_keys.leased_until <= $6 AND idempotency_keys.request_hash = excluded.request_hash)",
        )
        .bind(key)
        .bind(request_hash)
        .bind(token)
        .bind(now + self.lease)
        .bind(now + self.kept_for)
        .bind(now);
        let taken = self.database.execute(statement).await? > 0;
        Ok(taken.then(|| Lease { key: key.to_owned(), token }))
    }

    /// Keeps the answer for repetitions.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when the lease had run out and another request has the key, and as [`StorageError`]
    /// says.
    pub async fn complete(&self, lease: Lease, response: &Value) -> Result<(), StorageError> {
        still_ours(self.database.execute(lease.completion(response)).await?)
    }

    /// Keeps the answer in the transaction of the work itself: either both are there, or none.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when the lease had run out and another request has the key: do not commit. And as
    /// [`StorageError`] says.
    pub async fn complete_in(
        &self,
        transaction: &mut Transaction,
        lease: Lease,
        response: &Value,
    ) -> Result<(), StorageError> {
        still_ours(transaction.execute(lease.completion(response)).await?)
    }

    /// Gives the key back: nothing was done, and the next request with it is a new one.
    ///
    /// # Errors
    /// As [`StorageError`] says; the key is held then until its lease runs out.
    pub async fn release(&self, lease: Lease) -> Result<(), StorageError> {
        let statement = Statement::new(
            QueryType::Delete,
            TABLE,
            "DELETE FROM idempotency_keys WHERE key = $1 AND token = $2 AND response IS NULL",
        )
        .bind(lease.key)
        .bind(lease.token);
        self.database.execute(statement).await.map(drop)
    }

    async fn clean(&self) -> Result<(), StorageError> {
        let statement = Statement::new(
            QueryType::Delete,
            TABLE,
            "DELETE FROM idempotency_keys WHERE key IN (SELECT key FROM idempotency_keys WHERE expires_at <= $1 \
             ORDER BY expires_at LIMIT $2)",
        )
        .bind(Utc::now())
        .bind(CLEAN_AT_MOST);
        self.database.execute(statement).await.map(drop)
    }
}

impl Lease {
    fn completion(self, response: &Value) -> Statement {
        Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE idempotency_keys SET response = $3 WHERE key = $1 AND token = $2 AND response IS NULL",
        )
        .bind(self.key)
        .bind(self.token)
        .bind(response.to_string())
    }
}

fn still_ours(rows: u64) -> Result<(), StorageError> {
    if rows == 1 { Ok(()) } else { Err(StorageError::Conflict { constraint: "idempotency_keys_lease".to_owned() }) }
}

impl Held {
    fn means(self, request_hash: &str, now: DateTime<Utc>) -> Result<Begun, StorageError> {
        if self.request_hash != request_hash {
            return Ok(Begun::Mismatch);
        }
        let Some(response) = self.response else {
            let left = (self.leased_until - now).to_std().unwrap_or_default();
            return Ok(Begun::InProgress { retry_after: left.min(COME_BACK) });
        };
        let malformed = |_| StorageError::Malformed { column: "response".to_owned() };
        serde_json::from_str(&response).map(Begun::Replay).map_err(malformed)
    }
}
