//! Entries that were refused for good: set aside, looked at, and given back.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use telemetry::metrics::storage::OUTBOX_PARKED_TOTAL;

use super::table::{TABLE, reason_of};
use super::{EntryId, Outbox};
use crate::{QueryType, Statement, StorageError, Transaction};

/// An entry that is parked.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ParkedEntry {
    /// Its number.
    pub id: i64,
    /// Its group.
    #[sqlx(rename = "order_group")]
    pub group: String,
    /// What it is about.
    pub key: String,
    /// What was to be delivered, as it stands in the table: JSON, unless that is what is wrong with it.
    pub payload: String,
    /// Attempts that were made.
    pub attempts: i64,
    /// Why it was parked.
    #[sqlx(rename = "last_error")]
    pub reason: String,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was parked.
    pub parked_at: DateTime<Utc>,
}

impl Outbox {
    /// The receiver has refused the entry for good: it is parked, and its group goes on without it.
    ///
    /// # Errors
    /// As [`StorageError`] says; [`Outbox::run`] tries it once more then, once its lease has run out.
    pub async fn park(&self, id: EntryId, reason: &str) -> Result<(), StorageError> {
        self.count("refused");
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE outbox_entries SET waiting = $2, parked = $3, parked_at = $4, last_error = $5 \
             WHERE id = $1 AND NOT parked RETURNING key",
        )
        .bind(id.id)
        .bind(false)
        .bind(true)
        .bind(Utc::now())
        .bind(reason_of(reason));
        let parked = self.database.fetch_optional::<(String,)>(statement).await?;
        if let Some((key,)) = parked {
            self.is_parked(id.id, &key, id.attempt, reason);
        }
        Ok(())
    }

    /// The entries that are parked and have a number below `before`, the newest first, at most `limit`.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn parked(&self, before: i64, limit: u32) -> Result<Vec<ParkedEntry>, StorageError> {
        let statement = Statement::new(
            QueryType::Select,
            TABLE,
            "SELECT id, order_group, key, payload, attempts, last_error, created_at, parked_at FROM outbox_entries \
             WHERE outbox = $1 AND parked AND id < $2 ORDER BY id DESC LIMIT $3",
        )
        .bind(self.name)
        .bind(before)
        .bind(i64::from(limit));
        self.database.fetch_all(statement).await
    }

    /// Gives a parked entry back: it waits again, at its old place, before all others of its group that wait. Whatever of
    /// the group is under way at this moment (a request's own try, a turn of [`Outbox::run`] of up to 17 entries) goes on
    /// beside it: to those it may come late. Tells whether there was one with this key.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn unpark(&self, key: &str) -> Result<bool, StorageError> {
        let unparked = self.database.fetch_optional::<(String,)>(self.unparking(key)).await?;
        let Some((group,)) = unparked else { return Ok(false) };
        tracing::info!(outbox = self.name, key, "a parked outbox entry is tried again");
        self.shared.waiting.mark(&group);
        self.shared.waiting.changed.notify_one();
        Ok(true)
    }

    /// The same as [`Outbox::unpark`] with what else changes then: the entry waits once the transaction is committed.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn unpark_with(&self, transaction: &mut Transaction, key: &str) -> Result<bool, StorageError> {
        let unparked = transaction.fetch_optional::<(String,)>(self.unparking(key)).await?;
        let Some((group,)) = unparked else { return Ok(false) };
        tracing::info!(outbox = self.name, key, "a parked outbox entry is tried again");
        // Known before it is committed, as with `put`.
        transaction.keep_until_end(self.uncommitted(&Arc::from(group)));
        Ok(true)
    }

    fn unparking(&self, key: &str) -> Statement {
        Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE outbox_entries SET parked = $3, parked_at = NULL, waiting = $4, leased_until = $5 \
             WHERE outbox = $1 AND key = $2 AND parked RETURNING order_group",
        )
        .bind(self.name)
        .bind(key)
        .bind(false)
        .bind(true)
        .bind(Utc::now())
    }

    /// Throws a parked entry away, with what was to be delivered. The log keeps its key and why it was parked, which is
    /// told to the caller, too; none when no entry with this key is parked.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn discard(&self, key: &str) -> Result<Option<String>, StorageError> {
        let statement = Statement::new(
            QueryType::Delete,
            TABLE,
            "DELETE FROM outbox_entries WHERE outbox = $1 AND key = $2 AND parked RETURNING id, attempts, last_error",
        )
        .bind(self.name)
        .bind(key);
        let discarded = self.database.fetch_optional::<(i64, i64, String)>(statement).await?;
        let Some((entry_id, attempts, reason)) = discarded else { return Ok(None) };
        // The last trace of it; what was to be delivered is not in it, because that may name people.
        tracing::warn!(
            outbox = self.name,
            key,
            entry_id,
            attempts,
            reason,
            "a parked outbox entry was discarded: it will never be delivered"
        );
        Ok(Some(reason))
    }

    /// Says so, and counts it.
    pub(super) fn is_parked(&self, entry_id: i64, key: &str, attempts: i64, reason: &str) {
        OUTBOX_PARKED_TOTAL.add(1, &[("outbox", self.name)]);
        tracing::error!(
            outbox = self.name,
            key,
            entry_id,
            attempts,
            reason,
            "an outbox entry was refused for good: it is parked, and those behind it go on"
        );
    }
}
