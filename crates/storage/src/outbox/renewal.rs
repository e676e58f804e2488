//! Leases of what is being delivered. They are short and renewed while that lasts, so that what a process held that died
//! is soon free again, however long a delivery may take.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;

use super::{LONGEST_BACKOFF, Outbox};

/// Time between two renewals.
const EVERY: Duration = Duration::from_secs(2);

/// The first entries of the groups that are ours, from their claim until it is written down what has become of them.
#[derive(Default)]
pub(super) struct Held(Mutex<BTreeSet<i64>>);

impl Held {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, ids: impl IntoIterator<Item = i64>) {
        self.lock().extend(ids);
    }

    pub(super) fn remove<'a>(&self, ids: impl IntoIterator<Item = &'a i64>) {
        let mut held = self.lock();
        for id in ids {
            held.remove(id);
        }
    }

    /// Whether it is being delivered here, whatever the table says of its lease.
    pub(super) fn has(&self, id: i64) -> bool {
        self.lock().contains(&id)
    }

    fn all(&self) -> Vec<i64> {
        self.lock().iter().copied().collect()
    }
}

impl Outbox {
    /// How long the loop leases a group to itself. A renewal may fail, as slowly as the database lets it, and the next one
    /// still finds more left of the lease than a wait after a failure lasts: by that the two are told apart. A delivery
    /// that is over sooner needs no renewal.
    pub(super) fn loop_lease(&self) -> Duration {
        let longest_statement = self.database.longest_statement();
        let unrenewed = self.delivery_timeout * 2 + longest_statement * 2;
        unrenewed.min(LONGEST_BACKOFF + EVERY * 3 + longest_statement)
    }

    /// Renews the leases of what is held, without end.
    pub(super) async fn renew(&self, held: &Held) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(EVERY).await;
            let ids = held.all();
            if ids.is_empty() {
                continue;
            }
            let now = Utc::now();
            // What fails is tried again before the lease runs out. A database that is away says so itself.
            if let Err(error) = self.extend(&ids, now + LONGEST_BACKOFF, now + self.loop_lease()).await
                && !error.is_passing()
            {
                tracing::error!(outbox = self.name, error = %error, "the leases of what is delivered cannot be renewed");
            }
        }
    }
}
