//! The tables of pipelines, and every statement that reads or writes them. One database, several processes:
//! pipeline-service changes pipelines, dispatchers enqueue executions, workers claim them.
//!
//! What has to be so is held by the database and not by whoever asks: a name is one pipeline's, a pipeline has one
//! execution at a time, a signal is matched once, and a worker that lost its execution writes nothing to it.

mod claims;
mod depth;
mod error;
mod executions;
mod letters;
mod matches;
mod periodic;
mod pipelines;
mod spending;
mod sweep;
mod watch;

use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use storage::{Database, Migration};

pub use claims::Claim;
pub(crate) use claims::Tried;
pub use depth::Depth;
pub use error::StoreError;
pub use executions::{Ended, Enqueued, Filter, New};
pub use matches::Taking;
#[cfg(test)]
pub(crate) use matches::is_for;
pub(crate) use pipelines::Row;
pub use pipelines::{Change, Replaced};
pub use sweep::Swept;
pub use watch::{Running, Watch};

/// Longest detail or summary that is kept, in characters.
const MAX_TEXT: usize = 1_000;

/// Longest that an attempt can be put off, with whatever settings: a day, and what a service may ask for.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(25);

/// Name of the database: the one SQLite file, or the one schema, of the three processes.
pub const DATABASE: &str = "pipeline-service";

/// How the tables are made. Each of the processes may do it.
#[must_use]
pub fn migrations() -> Vec<Migration> {
    vec![Migration {
        version: 1,
        name: "pipelines",
        sqlite: include_str!("../../migrations/0001_pipelines.sqlite.sql"),
        postgres: include_str!("../../migrations/0001_pipelines.postgres.sql"),
    }]
}

/// Now, to the microsecond: what is written is what is read again.
#[must_use]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// Where pipelines and their executions are kept. Clones are the same.
#[derive(Clone)]
pub struct Store {
    database: Database,
    /// Longest that an execution waits for its next attempt.
    longest_wait: TimeDelta,
}

impl Store {
    /// On a database of [`migrations`].
    #[must_use]
    pub const fn new(database: Database) -> Self {
        Self { database, longest_wait: LONGEST_WAIT }
    }

    /// Takes an attempt that is put off for longer than this for one that a wrong clock has put off.
    #[must_use]
    pub fn waiting_at_most(self, longest: Duration) -> Self {
        Self { longest_wait: TimeDelta::from_std(longest).unwrap_or(LONGEST_WAIT), ..self }
    }

    /// The database, for a transaction that several of the functions here are part of.
    #[must_use]
    pub const fn database(&self) -> &Database {
        &self.database
    }
}

/// A text of others as it is kept: PostgreSQL takes no NUL, and nobody knows what others say.
pub(crate) fn kept_text(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(MAX_TEXT).collect()
}

/// As a statement binds a number.
fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
