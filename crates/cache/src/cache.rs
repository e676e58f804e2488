//! The cache of a process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use web::{CancellationToken, Readiness, StartError};

use crate::error::CacheError;
use crate::health::Health;
use crate::observe::{Described, Operation, Outcome, looked, observed};
use crate::target::Target;
use crate::{CacheSettings, Shelf};

/// Largest value: a cache is for what is quicker to read there.
const MAX_VALUE_BYTES: usize = 1024 * 1024;

/// Longest that connecting may take, signing in included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// First wait before a cache that is away is looked for again, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// A cache that has been there for as long is not on and off.
const STEADY: Duration = Duration::from_secs(10);

/// How often a cache that nobody asks is asked whether it is there.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The cache of a process, or none. Clones are the same.
///
/// Opening it connects to nobody. [`Cache::keep_up`] has to run beside the server.
#[derive(Clone, Default)]
pub struct Cache {
    inner: Option<Arc<Inner>>,
    quietly: bool,
}

struct Inner {
    target: Target,
    described: Described,
    prefix: String,
    timeout: Duration,
    health: Health,
}

/// What stands in the cache. Whoever wrote it has said until when it is true: that is not left to the server's clock.
#[derive(Serialize, Deserialize)]
struct Kept<T> {
    /// Milliseconds since 1970.
    until: i64,
    value: T,
}

impl Cache {
    /// Opens the cache.
    ///
    /// # Errors
    /// When a setting cannot be used, in words that show no secret.
    pub fn open(settings: &CacheSettings) -> Result<Self, StartError> {
        let prefix = settings.prefix()?;
        let Some(target) = settings.target()? else { return Ok(Self::default()) };
        if target.is_tls() {
            // Fails only where it is installed already.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let described = Described::new(&target);
        let inner = Inner { target, described, prefix, timeout: settings.timeout(), health: Health::new() };
        Ok(Self { inner: Some(Arc::new(inner)), quietly: false })
    }

    /// The same without spans: for tasks that nobody's request has asked for.
    #[must_use]
    pub fn quietly(&self) -> Self {
        Self { inner: self.inner.clone(), quietly: true }
    }

    /// Whether there is one.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.inner.is_some()
    }

    /// Connects, and looks for the cache whenever it is away, until `stop` is cancelled.
    pub async fn keep_up(self, stop: CancellationToken) {
        let Some(inner) = self.inner else { return };
        tokio::select! {
            () = stop.cancelled() => {}
            () = inner.keep_connected() => {}
        }
    }

    /// Waits until the cache has been looked for once, about a second at most where [`Cache::keep_up`] runs: for what is
    /// done at the start of a service, when the connection is hardly made.
    pub async fn looked_for(&self) {
        let Some(inner) = &self.inner else { return };
        // Where it takes longer the cache is away.
        let _ = tokio::time::timeout(CONNECT_TIMEOUT + inner.timeout, inner.health.known()).await;
    }

    /// For health checks: whether the cache answers now.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub async fn ready(&self) -> Result<(), String> {
        let Some(inner) = &self.inner else { return Ok(()) };
        inner.ping().await.map_err(|error| error.to_string())
    }

    /// Names it, as `cache`, in what a service says of itself, where there is one. It is never needed.
    #[must_use]
    pub fn noted_in(&self, readiness: Readiness) -> Readiness {
        if !self.is_on() {
            return readiness;
        }
        let cache = self.clone();
        readiness.noted_check("cache", move || {
            let cache = cache.clone();
            async move { cache.ready().await }
        })
    }

    /// What stands there, unless its time is over; none too when that cannot be told.
    pub async fn get<T: DeserializeOwned>(&self, shelf: Shelf, key: &str) -> Option<T> {
        let inner = self.inner.as_deref()?;
        let mut command = redis::cmd("GET");
        command.arg(inner.key(shelf, key));
        let found = Box::pin(inner.run::<Option<Vec<u8>>>(Operation::Get, self.quietly, command)).await;
        read(shelf, found.as_ref().map(|found| found.as_deref()))
    }

    /// What stands at each of these keys, as [`Cache::get`], in one command.
    pub async fn get_many<T: DeserializeOwned>(&self, shelf: Shelf, keys: &[String]) -> Vec<Option<T>> {
        let nothing = || keys.iter().map(|_| None).collect();
        let Some(inner) = self.inner.as_deref().filter(|_| !keys.is_empty()) else { return nothing() };
        let mut command = redis::cmd("MGET");
        for key in keys {
            command.arg(inner.key(shelf, key));
        }
        let found = Box::pin(inner.run::<Vec<Option<Vec<u8>>>>(Operation::Mget, self.quietly, command)).await;
        let place = |place: usize| found.as_ref().map(|found| found.get(place).and_then(Option::as_deref));
        (0..keys.len()).map(|number| read(shelf, place(number))).collect()
    }

    /// Puts a value there that is true until a time. It may not come to stand there.
    pub async fn set<T: Serialize>(&self, shelf: Shelf, key: &str, value: &T, until: DateTime<Utc>) {
        let Some(inner) = self.inner.as_deref() else { return };
        let left = (until - Utc::now()).num_milliseconds();
        if left <= 0 {
            return;
        }
        let bytes = match serde_json::to_vec(&Kept { until: until.timestamp_millis(), value }) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(cache = shelf.word(), error = %error, "a value for the shared cache cannot be written as JSON");
                return;
            }
        };
        if bytes.len() > MAX_VALUE_BYTES {
            tracing::debug!(cache = shelf.word(), bytes = bytes.len(), "a value is too large for the shared cache");
            return;
        }
        let mut command = redis::cmd("SET");
        command.arg(inner.key(shelf, key)).arg(bytes).arg("PX").arg(left);
        // It has been said and counted; whoever puts something there does not depend on it.
        let _ = Box::pin(inner.run::<()>(Operation::Set, self.quietly, command)).await;
    }
}

/// What a look into the cache came to.
fn read<T: DeserializeOwned>(shelf: Shelf, found: Result<Option<&[u8]>, &CacheError>) -> Option<T> {
    let (outcome, value) = match found {
        Err(CacheError::Away(_)) => (Outcome::Away, None),
        Err(_) => (Outcome::Failed, None),
        Ok(None) => (Outcome::Miss, None),
        Ok(Some(bytes)) => match serde_json::from_slice::<Kept<T>>(bytes) {
            Ok(kept) if kept.until > Utc::now().timestamp_millis() => (Outcome::Hit, Some(kept.value)),
            Ok(_) => (Outcome::Miss, None),
            Err(_) => (Outcome::Unreadable, None),
        },
    };
    looked(shelf, outcome);
    value
}

impl Inner {
    fn key(&self, shelf: Shelf, key: &str) -> String {
        format!("{}:{}:{key}", self.prefix, shelf.word())
    }

    /// Runs a command, unless the cache is known to be away.
    async fn run<T: FromRedisValue>(&self, operation: Operation, quietly: bool, command: Cmd) -> Result<T, CacheError> {
        let link = self.health.link()?;
        let mut connection = link.connection;
        let work = async {
            match tokio::time::timeout(self.timeout, command.query_async(&mut connection)).await {
                Ok(answer) => answer.map_err(CacheError::from),
                Err(_) => Err(CacheError::Timeout(self.timeout)),
            }
        };
        let answer = observed(&self.described, operation, quietly, work).await;
        if let Err(error) = &answer {
            self.note(link.epoch, error);
        }
        answer
    }

    fn note(&self, epoch: u64, error: &CacheError) {
        if error.is_outage() {
            self.health.failed(epoch, error);
        } else {
            self.health.refused(error);
        }
    }

    /// Whether it answers, on the connection that commands use.
    async fn ping(&self) -> Result<(), CacheError> {
        let link = self.health.link()?;
        let answer = self.ping_by(link.connection).await;
        if let Err(error) = &answer {
            self.note(link.epoch, error);
        }
        answer
    }

    async fn ping_by(&self, mut connection: redis::aio::MultiplexedConnection) -> Result<(), CacheError> {
        let ping = redis::cmd("PING");
        let answer = tokio::time::timeout(self.timeout, ping.query_async::<()>(&mut connection)).await;
        match answer {
            Ok(answer) => answer.map_err(CacheError::from),
            Err(_) => Err(CacheError::Timeout(self.timeout)),
        }
    }

    async fn keep_connected(&self) {
        let mut wait = WAITS.0;
        loop {
            match self.connect().await {
                Ok(connection) => {
                    self.health.recovered(connection);
                    let since = Instant::now();
                    self.until_down().await;
                    if since.elapsed() >= STEADY {
                        wait = WAITS.0;
                        continue;
                    }
                }
                Err(error) => self.health.failed(self.health.epoch(), &error),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WAITS.1);
        }
    }

    /// A connection that answers within the time that commands have.
    async fn connect(&self) -> Result<redis::aio::MultiplexedConnection, CacheError> {
        // Times are kept here, for the whole of it.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connecting = Box::pin(self.target.client.get_multiplexed_async_connection_with_config(&config));
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
        let connection = connected.map_err(|_| CacheError::Timeout(CONNECT_TIMEOUT))?.map_err(CacheError::from)?;
        self.ping_by(connection.clone()).await?;
        Ok(connection)
    }

    /// Returns when the cache is away.
    async fn until_down(&self) {
        while self.health.link().is_ok() {
            tokio::select! {
                () = self.health.went_down.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {
                    // What it comes to is known to `health`.
                    let _ = self.ping().await;
                }
            }
        }
    }
}
