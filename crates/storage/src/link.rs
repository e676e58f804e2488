//! Connections, and the pools that keep them.
//!
//! Each engine's connections are kept by deadpool, not by sqlx's own pool: that asks the server on every release
//! whether the connection still lives, which costs as much as a short query.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool::Runtime;
use deadpool::managed::{
    Manager, Metrics, Object, Pool, PoolConfig, PoolError, QueueMode, RecycleError, RecycleResult, TimeoutType,
    Timeouts,
};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection, Executor as _};
use telemetry::metrics::storage::ACTIVE_CONNECTIONS;

use crate::error::Failure;
use crate::health::Health;
use crate::settings::Limits;

/// A connection idle for longer is asked whether it lives before it is used: a firewall may have forgotten it.
const TRUSTED_FOR: Duration = Duration::from_secs(5);

/// A PostgreSQL connection older than this is replaced: its server process only ever grows.
const LONGEST_LIFE: Duration = Duration::from_secs(30 * 60);

/// Longest wait for the answer of an idle connection.
const TEST_TIMEOUT: Duration = Duration::from_millis(500);

/// Virtual machine instructions of SQLite between two looks at the clock: about a millisecond.
const INSTRUCTIONS_BETWEEN_LOOKS: i32 = 20_000;

/// A connection with what has to be known about it.
pub(crate) struct Link<C> {
    pub(crate) connection: C,
    /// A statement runs, or was left running, or the connection is broken: nobody else may use it.
    running: bool,
    /// Between BEGIN and its end.
    pub(crate) in_transaction: bool,
    last_used: Instant,
    /// SQLite: when the statement that runs has to end.
    deadline: Deadline,
}

impl<C> Link<C> {
    fn new(connection: C, deadline: Deadline) -> Self {
        Self { connection, running: false, in_transaction: false, last_used: Instant::now(), deadline }
    }

    pub(crate) fn begin(&mut self, limit: Duration) {
        self.running = true;
        self.deadline.set(limit);
    }

    pub(crate) const fn is_running(&self) -> bool {
        self.running
    }

    pub(crate) const fn is_clean(&self) -> bool {
        !self.running && !self.in_transaction
    }

    pub(crate) fn end(&mut self, broken: bool) {
        self.running = broken;
        self.deadline.clear();
        if !broken {
            self.last_used = Instant::now();
        }
    }
}

/// A point in time that SQLite's thread looks at while it works.
#[derive(Debug, Clone)]
pub(crate) struct Deadline {
    origin: Instant,
    /// Microseconds from `origin`; 0 is none.
    at: Arc<AtomicU64>,
}

impl Deadline {
    fn none() -> Self {
        Self { origin: Instant::now(), at: Arc::default() }
    }

    fn set(&self, limit: Duration) {
        let at = (self.origin.elapsed() + limit).as_micros();
        self.at.store(u64::try_from(at).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// It is over.
    fn expire(&self) {
        self.at.store(1, Ordering::Relaxed);
    }

    fn clear(&self) {
        self.at.store(0, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        let at = self.at.load(Ordering::Relaxed);
        at != 0 && self.origin.elapsed() > Duration::from_micros(at)
    }
}

/// Opens connections to SQLite's file.
pub(crate) struct SqliteManager {
    pub(crate) options: SqliteConnectOptions,
    /// Whether they may write.
    pub(crate) writes: bool,
}

impl Manager for SqliteManager {
    type Type = Link<SqliteConnection>;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Self::Type, sqlx::Error> {
        let mut connection = Box::pin(self.options.connect()).await?;
        if !self.writes {
            // A statement that writes although it says SELECT would get past the order of writers.
            Box::pin(connection.execute("PRAGMA query_only = ON")).await?;
        }
        let deadline = Deadline::none();
        let watched = deadline.clone();
        connection.lock_handle().await?.set_progress_handler(INSTRUCTIONS_BETWEEN_LOOKS, move || !watched.is_over());
        Ok(Link::new(connection, deadline))
    }

    async fn recycle(&self, link: &mut Self::Type, _: &Metrics) -> RecycleResult<sqlx::Error> {
        if link.is_clean() { Ok(()) } else { Err(RecycleError::message("unclean")) }
    }
}

/// Opens connections to a PostgreSQL server.
pub(crate) struct PostgresManager {
    pub(crate) options: PgConnectOptions,
    pub(crate) health: Arc<Health>,
}

impl Manager for PostgresManager {
    type Type = Link<PgConnection>;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Self::Type, sqlx::Error> {
        // Boxed: connecting is rare and its future large, and every statement's future would hold room for it.
        Ok(Link::new(Box::pin(self.options.connect()).await?, Deadline::none()))
    }

    async fn recycle(&self, link: &mut Self::Type, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if !link.is_clean() || metrics.created.elapsed() > LONGEST_LIFE {
            return Err(RecycleError::message("unclean or old"));
        }
        if link.last_used.elapsed() < TRUSTED_FOR && !self.health.is_suspect(link.last_used) {
            return Ok(());
        }
        match tokio::time::timeout(TEST_TIMEOUT, Box::pin(link.connection.ping())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(RecycleError::Backend(error)),
            Err(_) => Err(RecycleError::message("no answer")),
        }
    }
}

/// A pool of `size` connections.
pub(crate) fn pool<M: Manager>(manager: M, size: usize, limits: &Limits) -> Pool<M> {
    let timeouts = Timeouts { wait: Some(limits.acquire), create: Some(limits.acquire), recycle: None };
    // The last one used is used next: it is warm, and the others may be gone through a quiet time unasked.
    let config = PoolConfig { max_size: size, timeouts, queue_mode: QueueMode::Lifo };
    match Pool::builder(manager).config(config).runtime(Runtime::Tokio1).build() {
        Ok(pool) => pool,
        Err(error) => unreachable!("a pool with a runtime takes time limits: {error}"),
    }
}

/// A connection that is ours until it is dropped. One that was left in the middle of something is closed then.
pub(crate) struct Held<M: Manager<Type = Link<C>>, C> {
    object: Option<Object<M>>,
    /// When it was taken, as [`Health::epoch`] counts.
    pub(crate) epoch: u64,
}

impl<M: Manager<Type = Link<C>, Error = sqlx::Error>, C> Held<M, C> {
    pub(crate) async fn from(pool: &Pool<M>, epoch: u64) -> Result<Self, Failure> {
        let object = pool.get().await.map_err(|error| match error {
            PoolError::Timeout(TimeoutType::Wait) => {
                Failure::timeout("no connection became free within DATABASE_ACQUIRE_TIMEOUT_MS")
            }
            PoolError::Timeout(_) => Failure::away("it did not let us in within DATABASE_ACQUIRE_TIMEOUT_MS"),
            PoolError::Backend(error) => error.into(),
            PoolError::Closed => Failure::away("the service is stopping"),
            other => Failure::away(other.to_string()),
        })?;
        ACTIVE_CONNECTIONS.add(1, &[]);
        Ok(Self { object: Some(object), epoch })
    }

    pub(crate) fn link(&mut self) -> Result<&mut Link<C>, Failure> {
        self.object.as_deref_mut().ok_or_else(|| Failure::away("the connection is closed"))
    }
}

impl<M: Manager<Type = Link<C>>, C> Drop for Held<M, C> {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else { return };
        ACTIVE_CONNECTIONS.add(-1, &[]);
        if !object.is_clean() {
            // Closing the connection ends its transaction, and what was left running: SQLite's thread gives up at once,
            // because a writer would keep all others out.
            object.deadline.expire();
            drop(Object::take(object));
        }
    }
}
