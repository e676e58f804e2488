//! The engine that is a log in a database: SQLite or PostgreSQL, through `storage`.
//!
//! A topic is a number of partitions; publishing takes the next offsets of a partition and writes the messages in one
//! transaction. The row of the partition is locked until that commits, so offsets become visible in their order on
//! PostgreSQL as well: whoever has read up to an offset has missed none before it.
//!
//! **Who reads which partition** is in the database, too: each member of a group counts up a number of its own (its
//! beat) five times within a session, and whoever sees another's beat stand still for a whole session, by its own
//! monotonic clock, takes that one for dead. No time is compared with one that another process wrote, so clocks that
//! differ or jump make nobody dead and keep nobody alive; all that a wall clock decides is the age of messages, for the
//! lag and for what is deleted (`retention` says how far). Taking a partition raises its generation, and a commit names
//! it: a commit of somebody who was taken for dead, or slept, changes nothing.

mod beat;
mod consumer;
mod membership;
mod publish;
mod read;
mod retention;
mod share;
mod tables;
mod wake;

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use storage::{Database, DatabaseSettings};
use web::{CancellationToken, StartError};

use crate::ConsumerSettings;
use crate::settings::Limits;
pub(crate) use consumer::LogConsumer;
use wake::Wake;

/// How long a member may be silent, where nothing else is said.
const SESSION: Duration = Duration::from_secs(5);

/// A log. Clones are the same.
#[derive(Clone)]
pub(crate) struct Log {
    database: Database,
    service: &'static str,
    limits: Limits,
    session: Duration,
    shared: Arc<Shared>,
}

struct Shared {
    /// How many partitions topics have: that never changes.
    topics: Mutex<HashMap<String, i64>>,
    /// Where the next message without a key goes.
    turn: AtomicU64,
}

impl Log {
    pub(crate) fn open(
        service: &'static str,
        setting: &'static str,
        url: SecretString,
        limits: Limits,
    ) -> Result<Self, StartError> {
        let settings = DatabaseSettings {
            database_url: url,
            database_url_file: None,
            database_max_connections: 4,
            database_acquire_timeout_ms: 3_000,
            database_statement_timeout_ms: 5_000,
        };
        // The schema is the bus's own, whichever service opens it.
        let database = Database::open("bus", &settings, tables::migrations()).map_err(|error| match error {
            StartError::Setting { reason, .. } => StartError::Setting { setting, reason },
            other => other,
        })?;
        let shared = Arc::new(Shared { topics: Mutex::default(), turn: AtomicU64::new(0) });
        let session = limits.session.unwrap_or(SESSION);
        Ok(Self { database, service, limits, session, shared })
    }

    pub(crate) fn system(&self) -> &'static str {
        self.database.engine()
    }

    pub(crate) async fn keep_up(self, stop: CancellationToken) {
        let database = self.database.clone().keep_up(stop.clone());
        tokio::select! {
            () = database => {}
            never = self.delete_old() => match never {},
        }
    }

    pub(crate) async fn ready(&self) -> Result<(), String> {
        self.database.ready().await
    }

    pub(crate) fn consumer(&self, settings: ConsumerSettings) -> LogConsumer {
        LogConsumer::new(self.clone(), settings)
    }

    /// How consumers of a topic are woken when something is published in this process.
    fn wake(topic: &str) -> Wake {
        Wake::of(topic)
    }
}
