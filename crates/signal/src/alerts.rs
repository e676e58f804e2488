//! Alerts that came before, as instances share them. The database is the truth: an alert stands here when its signal is
//! committed there, for no longer than its key does, and whatever is not here is looked for there.

use cache::{Cache, Shelf};
use chrono::{DateTime, Utc};
use domain::DecisionId;
use serde::{Deserialize, Serialize};

const SHELF: Shelf = Shelf::new("signal-alerts");

/// The alerts that are shared.
pub(crate) struct Alerts(Cache);

/// The signal that came first with a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct First {
    pub(crate) signal_id: DecisionId,
    pub(crate) traceparent: Option<String>,
}

impl Alerts {
    pub(crate) const fn new(cache: Cache) -> Self {
        Self(cache)
    }

    pub(crate) async fn find(&self, key: &str) -> Option<First> {
        self.0.get(SHELF, key).await
    }

    /// Puts a signal here that the database knows by this key until a time.
    pub(crate) async fn put(&self, key: &str, first: &First, until: DateTime<Utc>) {
        self.0.set(SHELF, key, first, until).await;
    }
}
