//! Entries that their writers have delivered, ticked off together: a statement and a commit for each would cost a
//! request more than the delivery's own row.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use web::CancellationToken;

use super::Outbox;
use super::run::wait;

/// How long a delivered entry waits for others. A process that is killed delivers once more what waits.
const TOGETHER: Duration = Duration::from_millis(20);

/// Wait after a failure.
const AGAIN: Duration = Duration::from_millis(500);

/// What waits to be ticked off.
#[derive(Debug, Default)]
pub(super) struct Ticked {
    /// None where nobody runs who would do it.
    ids: Mutex<Option<Vec<i64>>>,
    some: Notify,
}

impl Ticked {
    fn lock(&self) -> MutexGuard<'_, Option<Vec<i64>>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an entry, if somebody runs who ticks it off.
    pub(super) fn take_in(&self, id: i64) -> bool {
        let mut ids = self.lock();
        let Some(ids) = &mut *ids else { return false };
        ids.push(id);
        self.some.notify_one();
        true
    }

    fn waiting(&self) -> Vec<i64> {
        self.lock().as_mut().map(mem::take).unwrap_or_default()
    }
}

/// While this is there, entries are taken in. Dropped, as when its process dies, it forgets those that wait: they are
/// delivered once more.
struct Open<'a>(&'a Ticked);

impl<'a> Open<'a> {
    fn new(ticked: &'a Ticked) -> Self {
        ticked.lock().get_or_insert_default();
        Self(ticked)
    }

    /// The last ones.
    fn close(self) -> Vec<i64> {
        self.0.lock().take().unwrap_or_default()
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.lock().take();
    }
}

impl Outbox {
    /// Ticks off what is delivered, until `stop` is cancelled; from then on every writer does it itself.
    pub(super) async fn tick_off(&self, stop: &CancellationToken) {
        let open = Open::new(&self.shared.ticked);
        let mut said = false;
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.shared.ticked.some.notified() => {}
            }
            wait(stop, TOGETHER).await;
            let ids = self.shared.ticked.waiting();
            while !ids.is_empty()
                && let Err(error) = self.delete(&ids).await
            {
                // A database that is away says so itself.
                if !error.is_passing() && !mem::replace(&mut said, true) {
                    tracing::error!(outbox = self.name, error = %error, "what is delivered cannot be ticked off");
                }
                if stop.is_cancelled() {
                    tracing::warn!(outbox = self.name, error = %error, entries = ids.len(), "delivered once more");
                    break;
                }
                wait(stop, AGAIN).await;
            }
            said = false;
        }
        let last = open.close();
        if !last.is_empty()
            && let Err(error) = self.delete(&last).await
        {
            tracing::warn!(outbox = self.name, error = %error, entries = last.len(), "delivered once more");
        }
    }
}
