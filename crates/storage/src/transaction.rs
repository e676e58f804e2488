//! Transactions.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::database::Inner;
use crate::error::Failure;
use crate::lease::{Control, Lease, Row, Rows};
use crate::observe::{Told, observed};
use crate::{Statement, StorageError};

/// Longest that a dropped transaction may take to be rolled back; then its connection is closed, which does it too.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(1);

/// A transaction that may write. Dropped, it is rolled back.
///
/// After a statement has failed nothing more can be done in it, on either engine.
#[must_use = "a transaction that is not committed is rolled back"]
pub struct Transaction {
    inner: Arc<Inner>,
    /// None once it has ended.
    lease: Option<Lease>,
    failed: bool,
    /// When its connection was taken.
    epoch: u64,
    /// What is dropped when it has ended, one way or the other.
    until_end: Vec<Box<dyn Send + Sync>>,
}

impl Transaction {
    pub(crate) const fn new(inner: Arc<Inner>, lease: Lease) -> Self {
        Self { inner, epoch: lease.epoch(), lease: Some(lease), failed: false, until_end: Vec::new() }
    }

    /// Keeps something until it has been committed or rolled back; dropping it tells its owner so.
    pub(crate) fn keep_until_end(&mut self, kept: impl Send + Sync + 'static) {
        self.until_end.push(Box::new(kept));
    }

    /// Every row.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn fetch_all<T: Row>(&mut self, statement: Statement) -> Result<Vec<T>, StorageError> {
        let inner = Arc::clone(&self.inner);
        observed(
            &inner.described,
            Told::statement(&statement),
            Box::pin(async {
                let rows = self.rows(statement).await?;
                Ok((rows.all()?, Some(rows.len())))
            }),
        )
        .await
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn fetch_optional<T: Row>(&mut self, statement: Statement) -> Result<Option<T>, StorageError> {
        let inner = Arc::clone(&self.inner);
        observed(
            &inner.described,
            Told::statement(&statement),
            Box::pin(async {
                let rows = self.rows(statement).await?;
                Ok((rows.first()?, Some(rows.len())))
            }),
        )
        .await
    }

    /// The first row, which must be there.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] when there is none (the transaction goes on), and as [`StorageError`] says.
    pub async fn fetch_one<T: Row>(&mut self, statement: Statement) -> Result<T, StorageError> {
        let collection = statement.collection;
        self.fetch_optional(statement).await?.ok_or(StorageError::NotFound { collection })
    }

    /// Runs a statement; how many rows it wrote, changed or deleted.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn execute(&mut self, statement: Statement) -> Result<u64, StorageError> {
        let inner = Arc::clone(&self.inner);
        observed(
            &inner.described,
            Told::statement(&statement),
            Box::pin(async {
                let limit = self.inner.limits.statement;
                let done = self.lease(&statement)?.execute(statement, limit).await;
                Ok((self.heed(done)?, None))
            }),
        )
        .await
    }

    /// Which engine it is, as [`crate::Database::engine`] says.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        self.inner.target.system()
    }

    /// Makes everything in it last. When the answer is lost ([`StorageError::Unavailable`], [`StorageError::Timeout`]) it
    /// is not known whether it does.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn commit(self) -> Result<(), StorageError> {
        self.end(Control::Commit).await
    }

    /// Undoes everything in it, and waits for that.
    ///
    /// # Errors
    /// As [`StorageError`] says; it is undone all the same.
    pub async fn rollback(self) -> Result<(), StorageError> {
        self.end(Control::Rollback).await
    }

    async fn end(mut self, control: Control) -> Result<(), StorageError> {
        let inner = Arc::clone(&self.inner);
        observed(
            &inner.described,
            Told::control(control, inner.is_sqlite()),
            Box::pin(async {
                // PostgreSQL would roll back a failed transaction at COMMIT and call that a success.
                if self.failed && control == Control::Commit {
                    return Err(Failure::of(StorageError::Aborted));
                }
                let Some(lease) = &mut self.lease else { return Err(Failure::of(StorageError::Aborted)) };
                let ended = lease.control(control, inner.limits.statement).await;
                inner.heed(self.epoch, ended)?;
                self.lease = None;
                Ok(((), None))
            }),
        )
        .await
    }

    async fn rows(&mut self, statement: Statement) -> Result<Rows, Failure> {
        let limit = self.inner.limits.statement;
        let rows = self.lease(&statement)?.rows(statement, limit).await;
        self.heed(rows)
    }

    fn lease(&mut self, statement: &Statement) -> Result<&mut Lease, Failure> {
        debug_assert!(statement.is_complete(), "placeholders and values differ: {}", statement.sql);
        if self.failed {
            return Err(Failure::of(StorageError::Aborted));
        }
        // Whoever drops the future in the middle of the statement leaves a transaction that cannot go on.
        self.failed = true;
        self.lease.as_mut().ok_or_else(|| Failure::of(StorageError::Aborted))
    }

    fn heed<T>(&mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        self.failed = result.is_err();
        self.inner.heed(self.epoch, result)
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let (Some(mut lease), Ok(runtime)) = (self.lease.take(), Handle::try_current()) else { return };
        // Dropping the connection closes it, which rolls back too.
        if lease.is_running() {
            return;
        }
        runtime.spawn(async move {
            let rolled_back = lease.control(Control::Rollback, ROLLBACK_TIMEOUT).await;
            if let Err(failure) = rolled_back {
                tracing::debug!(error = %failure.error, "a transaction could not be rolled back; its connection is closed");
            }
        });
    }
}
