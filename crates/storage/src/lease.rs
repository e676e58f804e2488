//! One connection at work, whichever the engine: runs statements within their time limit.

use std::time::Duration;

use deadpool::managed::Pool;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Executor as _, FromRow, Postgres, Sqlite};

use crate::error::Failure;
use crate::link::{Held, PostgresManager, SqliteManager};
use crate::statement::Statement;
use crate::value::{postgres_arguments, sqlite_arguments};
use crate::{QueryType, StorageError};

/// A row that both engines can give; derive `sqlx::FromRow` for it, or use a tuple.
pub trait Row: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

impl<T> Row for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

/// The database's own time limit speaks first; ours is for one that does not answer at all.
pub(crate) const GRACE: Duration = Duration::from_millis(500);

/// The pools of a database.
pub(crate) enum Pools {
    /// SQLite has one writer at a time: who waits for a connection here would wait in its busy handler otherwise, which
    /// sleeps and knows no order.
    Sqlite {
        read: Pool<SqliteManager>,
        write: Pool<SqliteManager>,
    },
    Postgres(Pool<PostgresManager>),
}

impl Pools {
    /// A connection for reading, or for anything.
    pub(crate) async fn lease(&self, writes: bool, epoch: u64) -> Result<Lease, Failure> {
        match self {
            Self::Sqlite { write, .. } if writes => Held::from(write, epoch).await.map(Lease::Sqlite),
            Self::Sqlite { read, .. } => Held::from(read, epoch).await.map(Lease::Sqlite),
            Self::Postgres(pool) => Held::from(pool, epoch).await.map(Lease::Postgres),
        }
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        match self {
            Self::Sqlite { read, write } => read.status().size + write.status().size,
            Self::Postgres(pool) => pool.status().size,
        }
    }
}

/// A connection that is ours for now.
pub(crate) enum Lease {
    Sqlite(Held<SqliteManager, SqliteConnection>),
    Postgres(Held<PostgresManager, PgConnection>),
}

/// Rows of either engine.
pub(crate) enum Rows {
    Sqlite(Vec<SqliteRow>),
    Postgres(Vec<PgRow>),
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Sqlite(rows) => rows.len(),
            Self::Postgres(rows) => rows.len(),
        }
    }

    pub(crate) fn all<T: Row>(&self) -> Result<Vec<T>, Failure> {
        match self {
            Self::Sqlite(rows) => rows.iter().map(T::from_row).collect::<Result<_, _>>().map_err(Failure::from),
            Self::Postgres(rows) => rows.iter().map(T::from_row).collect::<Result<_, _>>().map_err(Failure::from),
        }
    }

    pub(crate) fn first<T: Row>(&self) -> Result<Option<T>, Failure> {
        match self {
            Self::Sqlite(rows) => rows.first().map(T::from_row).transpose().map_err(Failure::from),
            Self::Postgres(rows) => rows.first().map(T::from_row).transpose().map_err(Failure::from),
        }
    }
}

/// Runs one future of the driver on a connection within its time.
macro_rules! timed {
    ($held:expr, $limit:expr, $late:expr, |$connection:ident| $work:expr) => {{
        let link = $held.link()?;
        link.begin($limit);
        let $connection = &mut link.connection;
        match tokio::time::timeout($limit + GRACE, $work).await {
            Ok(Ok(done)) => {
                link.end(false);
                Ok(done)
            }
            Ok(Err(error)) => {
                let failure = Failure::from(error);
                link.end(failure.broken);
                Err(failure)
            }
            // The connection stays marked: whatever still runs on it ends with it.
            Err(_) => Err($late),
        }
    }};
}

fn sqlite_late() -> Failure {
    Failure::timeout("the statement took longer than DATABASE_STATEMENT_TIMEOUT_MS")
}

/// The server would have ended the statement before: it does not answer, or cannot be heard.
fn postgres_late() -> Failure {
    let error = StorageError::Timeout { reason: "the server does not answer" };
    Failure { error, broken: true, away: true, code: None }
}

impl Lease {
    /// Runs a statement to its end and gives its rows. All of them, because a statement that is left after its first row
    /// has not told whether it could be committed.
    pub(crate) async fn rows(&mut self, statement: Statement, limit: Duration) -> Result<Rows, Failure> {
        let sql = statement.sql;
        match self {
            Self::Sqlite(held) => {
                let arguments = sqlite_arguments(statement.values).map_err(sqlx::Error::Encode)?;
                timed!(held, limit, sqlite_late(), |connection| {
                    sqlx::query_with::<Sqlite, _>(sql, arguments).fetch_all(connection)
                })
                .map(Rows::Sqlite)
            }
            Self::Postgres(held) => {
                let arguments = postgres_arguments(statement.values).map_err(sqlx::Error::Encode)?;
                timed!(held, limit, postgres_late(), |connection| {
                    sqlx::query_with::<Postgres, _>(sql, arguments).fetch_all(connection)
                })
                .map(Rows::Postgres)
            }
        }
    }

    /// Runs a statement and tells how many rows it changed.
    pub(crate) async fn execute(&mut self, statement: Statement, limit: Duration) -> Result<u64, Failure> {
        let sql = statement.sql;
        match self {
            Self::Sqlite(held) => {
                let arguments = sqlite_arguments(statement.values).map_err(sqlx::Error::Encode)?;
                timed!(held, limit, sqlite_late(), |connection| {
                    sqlx::query_with::<Sqlite, _>(sql, arguments).execute(connection)
                })
                .map(|done| done.rows_affected())
            }
            Self::Postgres(held) => {
                let arguments = postgres_arguments(statement.values).map_err(sqlx::Error::Encode)?;
                timed!(held, limit, postgres_late(), |connection| {
                    sqlx::query_with::<Postgres, _>(sql, arguments).execute(connection)
                })
                .map(|done| done.rows_affected())
            }
        }
    }

    /// Begins, commits or rolls back.
    pub(crate) async fn control(&mut self, control: Control, limit: Duration) -> Result<(), Failure> {
        let sql = control.sql(matches!(self, Self::Sqlite(_)));
        let ended = match self {
            Self::Sqlite(held) => timed!(held, limit, sqlite_late(), |connection| sqlx::query::<Sqlite>(sql)
                .execute(connection))
            .map(|_| ()),
            // In PostgreSQL's simple protocol: one message there, one back, nothing to prepare.
            Self::Postgres(held) => {
                timed!(held, limit, postgres_late(), |connection| connection.execute(sql)).map(|_| ())
            }
        };
        if ended.is_ok() {
            self.in_transaction(control == Control::Begin);
        }
        ended
    }

    /// Marks the connection as in a transaction, or not: one that is dropped within it is closed.
    pub(crate) fn in_transaction(&mut self, is: bool) {
        match self {
            Self::Sqlite(held) => held.link().map(|link| link.in_transaction = is),
            Self::Postgres(held) => held.link().map(|link| link.in_transaction = is),
        }
        // None is left that could be marked.
        .unwrap_or_default();
    }

    /// When it was taken.
    pub(crate) const fn epoch(&self) -> u64 {
        match self {
            Self::Sqlite(held) => held.epoch,
            Self::Postgres(held) => held.epoch,
        }
    }

    /// Whether a statement was left running, or the connection is broken: there is no use in another one.
    pub(crate) fn is_running(&mut self) -> bool {
        match self {
            Self::Sqlite(held) => held.link().map(|link| link.is_running()),
            Self::Postgres(held) => held.link().map(|link| link.is_running()),
        }
        .unwrap_or(true)
    }
}

/// What begins and ends transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    Begin,
    Commit,
    Rollback,
}

impl Control {
    pub(crate) const fn operation(self) -> &'static str {
        match self {
            Self::Begin => "BEGIN",
            Self::Commit => "COMMIT",
            Self::Rollback => "ROLLBACK",
        }
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Commit => "commit",
            Self::Rollback => "rollback",
        }
    }

    pub(crate) const fn sql(self, sqlite: bool) -> &'static str {
        match self {
            // A transaction that begins to write after it has read can find that another was faster, and then there is
            // no waiting: it would have to begin again.
            Self::Begin if sqlite => "BEGIN IMMEDIATE",
            other => other.operation(),
        }
    }
}

/// Whether a statement needs a connection that may write.
pub(crate) const fn writes(query_type: QueryType) -> bool {
    !matches!(query_type, QueryType::Select)
}
