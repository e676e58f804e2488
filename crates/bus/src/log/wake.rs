//! Waking the consumers of this process when something is published in it; those of others find it by looking.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::Notify;

/// The consumers of one topic in this process, whichever [`crate::Bus`] they read from: a look in vain costs little.
#[derive(Clone)]
pub(super) struct Wake(Arc<Notify>);

impl Wake {
    pub(super) fn of(topic: &str) -> Self {
        static TOPICS: OnceLock<Mutex<HashMap<String, Arc<Notify>>>> = OnceLock::new();
        let mut topics = TOPICS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        Self(Arc::clone(topics.entry(topic.to_owned()).or_default()))
    }

    pub(super) fn all(&self) {
        self.0.notify_waiters();
    }

    /// Ends at the next waking; one that comes before it is first polled counts, too.
    pub(super) fn woken(&self) -> impl Future<Output = ()> + use<> {
        Arc::clone(&self.0).notified_owned()
    }
}
