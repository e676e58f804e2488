//! Whether the cache can be used, as far as is known, and the connection where it can.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use telemetry::metrics::redis::CONNECTED;
use tokio::sync::{Notify, watch};

use crate::error::CacheError;

/// What the server refuses is said no more often than this, whatever it is.
const REFUSAL_SAID_EVERY: Duration = Duration::from_secs(60);

/// What every command asks first, so that nobody waits for a cache that is known to be away.
pub(crate) struct Health {
    state: Mutex<State>,
    /// Wakes whoever looks for the cache again.
    pub(crate) went_down: Notify,
    /// Whether it has been looked for.
    known: watch::Sender<bool>,
}

struct State {
    link: Option<MultiplexedConnection>,
    /// How often it has been there: what fails on a connection from before says nothing about now.
    epoch: u64,
    reason: String,
    since: Instant,
    /// Whether the log knows that it is away.
    said: bool,
    refusal_said: Option<Instant>,
}

/// A connection, and since when it is the one.
pub(crate) struct Link {
    pub(crate) connection: MultiplexedConnection,
    pub(crate) epoch: u64,
}

impl Health {
    pub(crate) fn new() -> Self {
        let state = State {
            link: None,
            epoch: 0,
            reason: "it has not been reached since the service started".to_owned(),
            since: Instant::now(),
            said: false,
            refusal_said: None,
        };
        Self { state: Mutex::new(state), went_down: Notify::new(), known: watch::Sender::new(false) }
    }

    /// The connection.
    pub(crate) fn link(&self) -> Result<Link, CacheError> {
        let state = self.lock();
        match &state.link {
            Some(connection) => Ok(Link { connection: connection.clone(), epoch: state.epoch }),
            None => Err(CacheError::Away(state.reason.clone())),
        }
    }

    /// The cache cannot be used; it was found so on the connection of `epoch`. Says so once.
    pub(crate) fn failed(&self, epoch: u64, error: &CacheError) {
        let mut state = self.lock();
        if epoch != state.epoch {
            return;
        }
        if state.link.take().is_some() {
            state.since = Instant::now();
            state.said = false;
        }
        state.reason = error.to_string();
        if !std::mem::replace(&mut state.said, true) {
            tracing::warn!(error = %error, "the shared cache is away; it is done without, and looked for until it is back");
        }
        CONNECTED.set(0.0, &[]);
        drop(state);
        self.known.send_replace(true);
        self.went_down.notify_one();
    }

    /// The cache refuses something. Says so now and then.
    pub(crate) fn refused(&self, error: &CacheError) {
        let mut state = self.lock();
        if state.refusal_said.is_none_or(|said| said.elapsed() >= REFUSAL_SAID_EVERY) {
            state.refusal_said = Some(Instant::now());
            tracing::warn!(error = %error, "the shared cache refuses a command; it is done without");
        }
    }

    /// The cache can be used, by this connection. Says so once.
    pub(crate) fn recovered(&self, connection: MultiplexedConnection) {
        let mut state = self.lock();
        state.epoch += 1;
        state.link = Some(connection);
        CONNECTED.set(1.0, &[]);
        if std::mem::replace(&mut state.said, false) {
            let away_ms = i64::try_from(state.since.elapsed().as_millis()).unwrap_or(i64::MAX);
            tracing::info!(away_ms, "the shared cache is back");
        }
        drop(state);
        self.known.send_replace(true);
    }

    /// Waits until the cache has been looked for once.
    pub(crate) async fn known(&self) {
        // The sender lives as long as this.
        let _ = self.known.subscribe().wait_for(|known| *known).await;
    }

    /// The number of the connection that is the one, or was the last.
    pub(crate) fn epoch(&self) -> u64 {
        self.lock().epoch
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
