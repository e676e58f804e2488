//! An execution that is held, for as long as its worker is heard of.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{Claim, Store, StoreError};

/// Heartbeats in the time of a lease.
const HEARTBEATS: u32 = 3;

/// Wait before a heartbeat that failed is tried again.
pub(super) const AGAIN: Duration = Duration::from_millis(100);

/// An execution that a worker has claimed.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) claim: Claim,
    lease: Duration,
    /// By this worker's own clock: whoever cannot say a word until then has lost it, whatever the database says later.
    until: Cell<Instant>,
}

/// How an execution was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// Somebody else has it, or it is at its end.
    Taken,
    /// The database has not taken a word for as long as the lease was.
    Unheard,
}

impl Held {
    /// `asked` is when the claim was asked for: the lease has begun later than that.
    pub(super) fn new(claim: Claim, lease: Duration, asked: Instant) -> Self {
        Self { claim, lease, until: Cell::new(asked + lease) }
    }

    /// Until when it is held for certain.
    pub(super) fn until(&self) -> Instant {
        self.until.get()
    }

    /// Says that the worker is still at it, until it is lost.
    pub(super) async fn keep(&self, store: &Store) -> Lost {
        let usual = self.lease / HEARTBEATS;
        let mut wait = usual;
        loop {
            tokio::time::sleep_until(self.until().min(Instant::now() + wait)).await;
            let asked = Instant::now();
            match tokio::time::timeout_at(self.until(), store.heartbeat(&self.claim)).await {
                Ok(Ok(())) => {
                    self.until.set(asked + self.lease);
                    wait = usual;
                }
                Ok(Err(StoreError::Fenced)) => return Lost::Taken,
                Ok(Err(error)) if asked < self.until() => {
                    // The database says itself that it is away.
                    if !error.is_passing() {
                        tracing::warn!(error = %error, "it cannot be said that the worker is still at it");
                    }
                    wait = AGAIN;
                }
                Ok(Err(_)) | Err(_) => return Lost::Unheard,
            }
        }
    }

    /// Writes something down, as often as it takes while the database is away, and for as long as it is held.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] also when the lease ran out before it was known to be written; and what cannot pass.
    pub(super) async fn write<T>(&self, write: impl AsyncFn(Again) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut again = Again(false);
        loop {
            let Ok(written) = tokio::time::timeout_at(self.until(), write(again)).await else {
                return Err(StoreError::Fenced);
            };
            match written {
                Err(error) if error.is_passing() => again.0 |= error.may_be_written(),
                other => return other,
            }
            tokio::time::sleep_until(self.until().min(Instant::now() + AGAIN)).await;
        }
    }
}

/// Whether an earlier try may have been written although it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Again(pub(super) bool);
