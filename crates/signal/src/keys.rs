//! The keys by which an alert that is sent again is known.

use chrono::{DateTime, Utc};
use domain::DecisionId;
use storage::{Database, FromRow, QueryType, Statement, StorageError, Transaction};

const TABLE: &str = "signal_keys";

/// The signal that came first with a key.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct First {
    pub(crate) signal_id: String,
    pub(crate) traceparent: Option<String>,
    /// When the key is forgotten.
    pub(crate) expires_at: DateTime<Utc>,
}

/// Takes a key for a signal. Of two at the same time, on either engine, one gets it: the other waits until the first is
/// committed, or gets it where that is undone. False when it belongs to an earlier signal.
pub(crate) async fn take(
    transaction: &mut Transaction,
    key: &str,
    signal_id: &DecisionId,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<bool, StorageError> {
    let statement = Statement::new(
        QueryType::Insert,
        TABLE,
        "INSERT INTO signal_keys (key, signal_id, expires_at) VALUES ($1, $2, $3) \
         ON CONFLICT (key) DO UPDATE SET signal_id = excluded.signal_id, expires_at = excluded.expires_at \
         WHERE signal_keys.expires_at <= $4",
    )
    .bind(key)
    .bind(signal_id.as_str())
    .bind(expires_at)
    .bind(now);
    Ok(transaction.execute(statement).await? > 0)
}

/// The signal that a key belongs to.
pub(crate) async fn first(transaction: &mut Transaction, key: &str) -> Result<First, StorageError> {
    let statement = Statement::new(
        QueryType::Select,
        TABLE,
        "SELECT k.signal_id AS signal_id, s.traceparent AS traceparent, k.expires_at AS expires_at FROM signal_keys k \
         LEFT JOIN signals s ON s.id = k.signal_id WHERE k.key = $1",
    )
    .bind(key);
    transaction.fetch_one(statement).await
}

/// Deletes keys that have expired, and how many.
pub(crate) async fn forget(database: &Database, now: DateTime<Utc>, most: i64) -> Result<u64, StorageError> {
    let statement = Statement::new(
        QueryType::Delete,
        TABLE,
        "DELETE FROM signal_keys WHERE key IN (SELECT key FROM signal_keys WHERE expires_at <= $1 \
         ORDER BY expires_at LIMIT $2)",
    )
    .bind(now)
    .bind(most);
    database.execute_quietly(statement).await
}
