//! Whether the database can be used, as far as is known.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::StorageError;

/// What every query asks first, so that nobody waits for a database that is known to be away.
#[derive(Debug)]
pub(crate) struct Health {
    up: AtomicBool,
    down: Mutex<Down>,
    /// Wakes whoever looks for the database again.
    pub(crate) went_down: Notify,
    started: Instant,
    /// Microseconds from `started` to the latest failure: connections that were idle then are tested before use.
    last_failure: AtomicU64,
    /// How often it has come back: what fails on a connection from before says nothing about now.
    epoch: AtomicU64,
}

#[derive(Debug)]
struct Down {
    reason: String,
    since: Instant,
    /// What the log has said; the same is not said again.
    said: Option<Trouble>,
}

/// What keeps a database from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It cannot be reached.
    Away,
    /// Its tables are not those of this program.
    Migrations,
}

impl Health {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let down =
            Down { reason: "it has not been reached since the service started".to_owned(), since: now, said: None };
        Self {
            up: AtomicBool::new(false),
            down: Mutex::new(down),
            went_down: Notify::new(),
            started: now,
            last_failure: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
        }
    }

    pub(crate) fn check(&self) -> Result<(), StorageError> {
        if self.up.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(StorageError::Unavailable { reason: self.lock().reason.clone() })
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    /// Counts the times that the database has come back.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The database failed for everybody, on a connection that was taken in `epoch`. Says so once.
    pub(crate) fn failed(&self, epoch: u64, trouble: Trouble, reason: &str) {
        let mut down = self.lock();
        if epoch != self.epoch() {
            return;
        }
        self.suspect_all();
        if self.up.swap(false, Ordering::AcqRel) {
            down.since = Instant::now();
            down.said = None;
        }
        reason.clone_into(&mut down.reason);
        if down.said != Some(trouble) {
            down.said = Some(trouble);
            match trouble {
                Trouble::Away => tracing::warn!(reason, "the database is away; it is looked for until it is back"),
                Trouble::Migrations => tracing::error!(reason, "the database has other tables than this program needs"),
            }
        }
        drop(down);
        self.went_down.notify_one();
    }

    /// The database works. Says so once.
    pub(crate) fn recovered(&self) {
        let down = self.lock();
        if self.up.swap(true, Ordering::AcqRel) {
            return;
        }
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.suspect_all();
        if down.said.is_some() {
            let away_ms = i64::try_from(down.since.elapsed().as_millis()).unwrap_or(i64::MAX);
            tracing::info!(away_ms, "the database is back");
        }
    }

    /// Whether a connection that last worked at `last_used` may have died in a failure since.
    pub(crate) fn is_suspect(&self, last_used: Instant) -> bool {
        let last_failure = self.started + Duration::from_micros(self.last_failure.load(Ordering::Acquire));
        last_used <= last_failure
    }

    fn suspect_all(&self) {
        let since_start = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last_failure.fetch_max(since_start, Ordering::AcqRel);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Down> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
