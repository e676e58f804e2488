//! Keys that make a repeated request have no further effect and get the first one's answer.
//!
//! A request holds its key by a short lease that it renews while it works ([`IdempotencyKeys::working`]): the key of a
//! process that dies is free again within seconds, and that of a slow one is not. A key stays with the request that it
//! was first used for, also when that failed: with another request it is a [`Begun::Mismatch`] until it expires.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::FromRow;
use web::CancellationToken;

use crate::{Database, Migration, QueryType, Statement, StorageError};

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

/// How long a request whose process has died holds its key.
const LEASE: Duration = Duration::from_secs(15);

/// A lease is renewed so many times before it would run out: two renewals may fail.
const RENEWALS: u32 = 3;

/// When to come back while the first request runs: most take milliseconds.
const COME_BACK: Duration = Duration::from_secs(1);

/// Expired keys are deleted once in so many requests, at most so many at a time: more than come in, and bounded.
const CLEAN_EVERY: u32 = 64;
const CLEAN_AT_MOST: i64 = 256;

/// How often [`IdempotencyKeys::keep_clean`] looks for expired keys.
const CLEAN_INTERVAL: Duration = Duration::from_secs(60);

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
    /// It is new: do the work within [`IdempotencyKeys::working`], then [`IdempotencyKeys::complete`] or
    /// [`IdempotencyKeys::release`].
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

/// The right to do the work of a key, for 15 s from [`IdempotencyKeys::begin`] or the last renewal. Dropped without a
/// word, the key is held until then.
#[derive(Debug, PartialEq)]
#[must_use = "a key that is neither completed nor released is held until its lease runs out"]
pub struct Lease {
    key: String,
    /// Tells this holder from a later one.
    token: i64,
    /// When the key, and what is kept of it, is forgotten.
    expires_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct Held {
    request_hash: String,
    leased_until: DateTime<Utc>,
    response: Option<String>,
}

impl IdempotencyKeys {
    /// The keys in a database whose migrations have [`migration`]: kept for 24 h, held for 15 s unless
    /// the lease is renewed.
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
        let expires_at = now + self.kept_for;
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
        .bind(expires_at)
        .bind(now);
        let taken = self.database.execute(statement).await? > 0;
        Ok(taken.then(|| Lease { key: key.to_owned(), token, expires_at }))
    }

    /// Does the work of a key and renews the lease meanwhile, three times in the time that it lasts. A lease that is lost
    /// does not end the work: what is done is done.
    pub async fn working<T>(&self, lease: &Lease, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let renewing = async {
            loop {
                tokio::time::sleep(self.lease / RENEWALS).await;
                match self.renew(lease).await {
                    Ok(true) => {}
                    Ok(false) => {
                        tracing::warn!("the lease of an idempotency key was lost: its request may be done twice");
                        return;
                    }
                    Err(error) => tracing::warn!(error = %error, "the lease of an idempotency key was not renewed"),
                }
            }
        };
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = renewing => {}
        }
        work.await
    }

    /// Begins the lease anew, whether or not it has run out; false when another request has the key.
    ///
    /// # Errors
    /// As [`StorageError`] says; the lease runs on as it did.
    pub async fn renew(&self, lease: &Lease) -> Result<bool, StorageError> {
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE idempotency_keys SET leased_until = $3 WHERE key = $1 AND token = $2 AND response IS NULL",
        )
        .bind(lease.key.as_str())
        .bind(lease.token)
        .bind(Utc::now() + self.lease);
        Ok(self.database.execute(statement).await? > 0)
    }

    /// Keeps the answer for repetitions, and tells until when. When the lease was lost and another request has the key,
    /// that is logged, and it is none: the work is done, and its answer is as good as the other one's, which is the one that
    /// is kept.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn complete(&self, lease: Lease, response: &Value) -> Result<Option<DateTime<Utc>>, StorageError> {
        let expires_at = lease.expires_at;
        if self.database.execute(lease.completion(response)).await? == 0 {
            tracing::warn!("an answer is not kept: the lease of its idempotency key was lost");
            return Ok(None);
        }
        Ok(Some(expires_at))
    }

    /// Gives the key back after a failure: the next try of the same request does the work. Another request does not get
    /// the key, because something of this one may have been done.
    ///
    /// # Errors
    /// As [`StorageError`] says; the key is held then until its lease runs out.
    pub async fn release(&self, lease: Lease) -> Result<(), StorageError> {
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE idempotency_keys SET leased_until = $3 WHERE key = $1 AND token = $2 AND response IS NULL",
        )
        .bind(lease.key)
        .bind(lease.token)
        .bind(Utc::now());
        self.database.execute(statement).await.map(drop)
    }

    /// Deletes expired keys once a minute, until `stop` is cancelled.
    pub async fn keep_clean(self, stop: CancellationToken) {
        loop {
            let wait = match self.clean().await {
                // There may be more.
                Ok(deleted) if deleted >= CLEAN_AT_MOST.unsigned_abs() => Duration::from_millis(50),
                Ok(_) => CLEAN_INTERVAL,
                Err(error) => {
                    // The database says itself that it is away; here it is only waited for.
                    if !error.is_passing() {
                        tracing::error!(error = %error, "expired idempotency keys cannot be deleted");
                    }
                    CLEAN_INTERVAL / 60
                }
            };
            // Processes that began together must not do it together.
            let wait = wait.mul_f64(rand::random_range(0.5..=1.0));
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn clean(&self) -> Result<u64, StorageError> {
        let statement = Statement::new(
            QueryType::Delete,
            TABLE,
            "DELETE FROM idempotency_keys WHERE key IN (SELECT key FROM idempotency_keys WHERE expires_at <= $1 \
             ORDER BY expires_at LIMIT $2)",
        )
        .bind(Utc::now())
        .bind(CLEAN_AT_MOST);
        // Quietly: nobody's request asked for it.
        self.database.execute_quietly(statement).await
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
