//! The pipelines as a dispatcher remembers them: read whole at first and now and then, and in between what has changed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::SignalEvent;
use domain::pipeline::PipelineId;
use telemetry::metrics::dispatcher::{CACHE_REFRESH_DURATION, CACHE_SIZE, PIPELINES_CACHED};
use tokio::sync::watch;
use web::CancellationToken;

use super::index::{Index, Periodic};
use super::shared::Shared;
use crate::store::{Change, Store, StoreError, now};

/// Changes that are read at once.
const PAGE: u16 = 500;

/// Longest wait after a look that failed.
const AFTER_FAILURE: Duration = Duration::from_millis(250);

/// What is remembered, and when it was read.
struct Remembered {
    index: Index,
    /// Up to which change it is known what pipelines are.
    change_number: i64,
    /// When it was found to be so last.
    looked_at: DateTime<Utc>,
    /// When everything was read last.
    read_at: DateTime<Utc>,
    /// The same by a clock that nobody sets.
    read: Instant,
}

/// How the cache stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cached {
    pub(crate) on_signals: usize,
    pub(crate) on_clocks: usize,
    pub(crate) bytes: usize,
    pub(crate) change_number: i64,
    pub(crate) looked_at: DateTime<Utc>,
    pub(crate) read_at: DateTime<Utc>,
}

/// The pipelines as a dispatcher remembers them.
pub(crate) struct Cache {
    store: Store,
    shared: Shared,
    full_refresh: Duration,
    remembered: Mutex<Option<Remembered>>,
    /// One reads at a time: what one of two had read first must not come last.
    reading: tokio::sync::Mutex<()>,
    is_filled: watch::Sender<bool>,
}

impl Cache {
    pub(crate) fn new(store: Store, full_refresh: Duration) -> Self {
        let (shared, is_filled) = (Shared::default(), watch::Sender::new(false));
        Self {
            store,
            shared,
            full_refresh,
            remembered: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            is_filled,
        }
    }

    /// With what dispatchers share.
    pub(crate) fn sharing(self, shared: Shared) -> Self {
        Self { shared, ..self }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Remembered>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the pipelines have been read once.
    pub(crate) async fn filled(&self) {
        // The sender lives as long as this.
        let _ = self.is_filled.subscribe().wait_for(|filled| *filled).await;
    }

    /// For health checks: whether the pipelines have been read once. That they are read again since is for the database
    /// to say.
    pub(crate) fn ready(&self) -> Result<(), String> {
        if *self.is_filled.borrow() { Ok(()) } else { Err("the pipelines have not been read yet".to_owned()) }
    }

    /// The pipelines that a signal sets off, as far as is remembered.
    pub(crate) fn matching(&self, signal: &SignalEvent) -> Vec<PipelineId> {
        self.lock().as_ref().map(|known| known.index.matching(signal)).unwrap_or_default()
    }

    /// The pipelines that a clock sets off.
    pub(crate) fn periodic(&self) -> Vec<Periodic> {
        self.lock().as_ref().map(|known| known.index.periodic().copied().collect()).unwrap_or_default()
    }

    /// How it stands; none while nothing has been read.
    pub(crate) fn cached(&self) -> Option<Cached> {
        self.lock().as_ref().map(|known| Cached {
            on_signals: known.index.on_signals(),
            on_clocks: known.index.on_clocks(),
            bytes: known.index.size_bytes(),
            change_number: known.change_number,
            looked_at: known.looked_at,
            read_at: known.read_at,
        })
    }

    /// Keeps it true until `stop` is cancelled.
    pub(crate) async fn keep_up(&self, every: Duration, stop: CancellationToken) {
        let mut said = false;
        loop {
            let refreshed = tokio::select! {
                () = stop.cancelled() => return,
                refreshed = self.refresh() => refreshed,
            };
            // What failed is tried again soon, however seldom it is looked otherwise.
            let wait = if refreshed.is_ok() { every } else { every.min(AFTER_FAILURE) };
            match refreshed {
                Ok(()) => said = false,
                // The database says itself that it is away; what is remembered is used until it is back.
                Err(error) if error.is_passing() => {}
                Err(error) => {
                    if !std::mem::replace(&mut said, true) {
                        tracing::error!(error = %error, "the pipelines cannot be read; what is remembered of them is used");
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Reads what has changed since; everything when nothing has been read yet, when it is time for that, or when the
    /// database is an older one than before.
    pub(crate) async fn refresh(&self) -> Result<(), StoreError> {
        let _alone = self.reading.lock().await;
        let began = Instant::now();
        let clock = self.store.clock().await?;
        let known = self.lock().as_ref().map(|known| (known.change_number, known.read));
        let since = known.filter(|(number, read)| *number <= clock && read.elapsed() < self.full_refresh);
        match since {
            Some((number, _)) if number == clock => {
                if let Some(known) = self.lock().as_mut() {
                    known.looked_at = now();
                }
                return Ok(());
            }
            Some((number, _)) => self.read_changes(number, clock).await?,
            None => self.read_everything(clock).await?,
        }
        CACHE_REFRESH_DURATION.record(began.elapsed().as_secs_f64(), &[]);
        self.show();
        self.is_filled.send_replace(true);
        Ok(())
    }

    /// Up to the clock, or beyond: whatever was changed up to there can be seen by now, but for what was deleted since.
    async fn read_changes(&self, mut number: i64, clock: i64) -> Result<(), StoreError> {
        loop {
            let changes = self.store.changes(number, PAGE).await?;
            let is_last = changes.len() < usize::from(PAGE);
            if let Some(last) = changes.last() {
                number = last.change_number;
            }
            if is_last {
                number = number.max(clock);
            }
            if let Some(known) = self.lock().as_mut() {
                changes.iter().for_each(|change| apply(&mut known.index, change));
                (known.change_number, known.looked_at) = (number, now());
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// What was remembered is used until all is read. A pipeline that is changed meanwhile comes once more, later.
    async fn read_everything(&self, clock: i64) -> Result<(), StoreError> {
        let (mut index, mut number) = (Index::filling(), 0);
        let mut reading = self.shared.reading(&self.store, clock).await?;
        loop {
            let rows = reading.page(number, PAGE).await?;
            let is_last = rows.len() < usize::from(PAGE);
            if let Some(last) = rows.last() {
                number = last.change_number();
            }
            for row in rows {
                apply(&mut index, &row.try_into()?);
            }
            if is_last {
                break;
            }
        }
        let (index, at, change_number) = (index.filled(), now(), number.max(clock));
        *self.lock() = Some(Remembered { index, change_number, looked_at: at, read_at: at, read: Instant::now() });
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for charts")]
    fn show(&self) {
        if let Some(cached) = self.cached() {
            CACHE_SIZE.set(cached.bytes as f64, &[]);
            PIPELINES_CACHED.set((cached.on_signals + cached.on_clocks) as f64, &[]);
        }
    }
}

fn apply(index: &mut Index, change: &Change) {
    match &change.pipeline {
        Some(pipeline) => index.put(pipeline),
        None => index.remove(&change.pipeline_id),
    }
}
