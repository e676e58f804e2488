//! A service's database.

use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use web::{Readiness, StartError};

use crate::checkpoint::{self, Written};
use crate::error::Failure;
use crate::health::{Health, Trouble};
use crate::lease::{Control, GRACE, Lease, Pools, Row, Rows, writes};
use crate::link::{PostgresManager, SqliteManager, pool};
use crate::migration::{self, Migration};
use crate::observe::{Described, Told, measured, observed};
use crate::settings::Limits;
use crate::target::Target;
use crate::{DatabaseSettings, Statement, StorageError, Transaction};

/// Longest that [`Database::ready`] takes: whoever probes a service waits two seconds.
const READY_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Statements that each connection keeps prepared.
const PREPARED_STATEMENTS: usize = 128;

/// A service's database: its connections, its tables, and what is known of its health. Clones are the same database.
///
/// Opening it does not connect. [`Database::keep_up`] has to run beside the server: it brings the tables up to date, and
/// looks for the database again whenever it is away. Until then, and while it is away, every statement fails at once
/// with [`StorageError::Unavailable`].
#[derive(Clone)]
pub struct Database {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) target: Target,
    pub(crate) migrations: Vec<Migration>,
    pub(crate) limits: Limits,
    pub(crate) health: Arc<Health>,
    pub(crate) pools: Pools,
    pub(crate) described: Described,
    pub(crate) written: Written,
}

impl Database {
    /// Opens the database of `service` (its one word), whose tables are made by `migrations`. No connection is made; the
    /// folder of an SQLite file is.
    ///
    /// # Errors
    /// When the URL cannot be used, in words that do not show it, or the folder cannot be made.
    pub fn open(
        service: &'static str,
        settings: &DatabaseSettings,
        migrations: Vec<Migration>,
    ) -> Result<Self, StartError> {
        let mut target = settings.target(service)?;
        let limits = settings.limits();
        let health = Arc::new(Health::new());
        let pools = match &mut target {
            Target::Sqlite { path } => {
                migration::make_folder(path).map_err(|error| StartError::Setting {
                    setting: "DATABASE_URL",
                    reason: format!("the folder of {} cannot be made: {error}", path.display()),
                })?;
                let options = sqlite_options(path, service, &limits);
                let read = SqliteManager { options: options.clone(), writes: false };
                let write = SqliteManager { options, writes: true };
                Pools::Sqlite { read: pool(read, limits.connections - 1, &limits), write: pool(write, 1, &limits) }
            }
            Target::Postgres { options, schema } => {
                **options = postgres_options((**options).clone(), service, schema);
                let statement_timeout = limits.statement.as_millis().to_string();
                let options = (**options).clone().options([("statement_timeout", statement_timeout)]);
                Pools::Postgres(pool(
                    PostgresManager { options, health: Arc::clone(&health) },
                    limits.connections,
                    &limits,
                ))
            }
        };
        let described = Described::new(&target);
        Ok(Self {
            inner: Arc::new(Inner { target, migrations, limits, health, pools, described, written: Written::new() }),
        })
    }

    /// Every row.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn fetch_all<T: Row>(&self, statement: Statement) -> Result<Vec<T>, StorageError> {
        let inner = &*self.inner;
        observed(
            &inner.described,
            Told::statement(&statement),
            Box::pin(async {
                let rows = inner.rows(statement).await?;
                Ok((rows.all()?, Some(rows.len())))
            }),
        )
        .await
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn fetch_optional<T: Row>(&self, statement: Statement) -> Result<Option<T>, StorageError> {
        let inner = &*self.inner;
        observed(
            &inner.described,
            Told::statement(&statement),
            Box::pin(async {
                let rows = inner.rows(statement).await?;
                Ok((rows.first()?, Some(rows.len())))
            }),
        )
        .await
    }

    /// The first row, which must be there.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] when there is none, and as [`StorageError`] says.
    pub async fn fetch_one<T: Row>(&self, statement: Statement) -> Result<T, StorageError> {
        let collection = statement.collection;
        self.fetch_optional(statement).await?.ok_or(StorageError::NotFound { collection })
    }

    /// Runs a statement; how many rows it wrote, changed or deleted.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn execute(&self, statement: Statement) -> Result<u64, StorageError> {
        let inner = &*self.inner;
        observed(
            &inner.described,
            Told::statement(&statement),
            Box::pin(async { Ok((inner.execute(statement).await?, None)) }),
        )
        .await
    }

    /// Begins a transaction that may write. SQLite has one such at a time, so nothing slow belongs into it: above all no
    /// call to others.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn begin(&self) -> Result<Transaction, StorageError> {
        let inner = &*self.inner;
        let lease = observed(
            &inner.described,
            Told::control(Control::Begin, inner.is_sqlite()),
            Box::pin(async {
                let mut lease = inner.lease(true).await?;
                let begun = lease.control(Control::Begin, inner.limits.statement).await;
                inner.heed(lease.epoch(), begun)?;
                Ok((lease, None))
            }),
        )
        .await?;
        Ok(Transaction::new(Arc::clone(&self.inner), lease))
    }

    /// For health checks: whether the tables are up to date and the database answers now, within 1.5 s.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub async fn ready(&self) -> Result<(), String> {
        let inner = &*self.inner;
        inner.health.check().map_err(|error| error.to_string())?;
        match tokio::time::timeout(READY_TIMEOUT, inner.probe()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failure)) => Err(failure.error.to_string()),
            Err(_) => Err(format!("the database does not answer within {} ms", READY_TIMEOUT.as_millis())),
        }
    }

    /// Every row, measured and not traced: for loops that nobody waits for, which would be traces without end.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn quietly<T: Row>(&self, statement: Statement) -> Result<Vec<T>, StorageError> {
        measured(Told::statement(&statement), async { self.inner.rows(statement).await?.all() })
            .await
            .map_err(|failure| failure.error)
    }

    /// Runs a statement, measured and not traced; how many rows it wrote, changed or deleted.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn execute_quietly(&self, statement: Statement) -> Result<u64, StorageError> {
        measured(Told::statement(&statement), self.inner.execute(statement)).await.map_err(|failure| failure.error)
    }

    /// Longest that a statement outside of a transaction can take, the wait for a connection and for an answer that
    /// never comes included: for time limits that have to be longer than a statement.
    #[must_use]
    pub fn longest_statement(&self) -> Duration {
        self.inner.limits.acquire + self.inner.limits.statement + GRACE
    }

    /// Adds it to what a service needs, as `database`.
    #[must_use]
    pub fn checked_in(&self, readiness: Readiness) -> Readiness {
        let database = self.clone();
        readiness.check("database", move || {
            let database = database.clone();
            async move { database.ready().await }
        })
    }

    /// Which engine it is, as `db.system.name` has it: `sqlite` or `postgresql`.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        self.inner.target.system()
    }
}

impl Inner {
    pub(crate) const fn is_sqlite(&self) -> bool {
        matches!(self.target, Target::Sqlite { .. })
    }

    pub(crate) async fn lease(&self, writes: bool) -> Result<Lease, Failure> {
        self.health.check().map_err(Failure::of)?;
        let epoch = self.health.epoch();
        let lease = self.pools.lease(writes, epoch).await;
        if writes {
            self.written.count();
        }
        self.heed(epoch, lease)
    }

    async fn rows(&self, statement: Statement) -> Result<Rows, Failure> {
        debug_assert!(statement.is_complete(), "placeholders and values differ: {}", statement.sql);
        let lease = self.lease(writes(statement.query_type)).await?;
        self.rows_by(lease, statement).await
    }

    /// On a connection that is ours already.
    pub(crate) async fn rows_by(&self, mut lease: Lease, statement: Statement) -> Result<Rows, Failure> {
        let rows = lease.rows(statement, self.limits.statement).await;
        self.heed(lease.epoch(), rows)
    }

    async fn execute(&self, statement: Statement) -> Result<u64, Failure> {
        debug_assert!(statement.is_complete(), "placeholders and values differ: {}", statement.sql);
        let mut lease = self.lease(true).await?;
        let done = lease.execute(statement, self.limits.statement).await;
        self.heed(lease.epoch(), done)
    }

    /// Takes note when a failure is everybody's. `epoch` is that of the connection.
    pub(crate) fn heed<T>(&self, epoch: u64, result: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(failure) = &result
            && failure.away
        {
            let reason = match &failure.error {
                StorageError::Unavailable { reason } => reason.clone(),
                other => other.to_string(),
            };
            self.health.failed(epoch, Trouble::Away, &reason);
        }
        result
    }

    /// Whether the database answers. Not a statement of the service's, so neither traced nor counted. SQLite has to look
    /// into the file for it.
    pub(crate) async fn probe(&self) -> Result<(), Failure> {
        let statement = Statement::new(
            crate::QueryType::Select,
            "",
            if self.is_sqlite() { "SELECT COUNT(*) FROM sqlite_schema" } else { "SELECT 1" },
        );
        let epoch = self.health.epoch();
        let lease = self.heed(epoch, self.pools.lease(false, epoch).await)?;
        self.rows_by(lease, statement).await.map(|_| ())
    }
}

pub(crate) fn sqlite_options(path: &std::path::Path, service: &'static str, limits: &Limits) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        // The migration makes it, private to its user; a file that is gone later must not come back empty.
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // In WAL mode this survives a killed process; only a power cut may lose the latest commits, never the file.
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true)
        .busy_timeout(limits.statement)
        .statement_cache_capacity(PREPARED_STATEMENTS)
        .pragma("temp_store", "memory")
        .pragma("journal_size_limit", "67108864")
        // Writers leave checkpoints, which wait for the disk, to the task beside the server: see `checkpoint.rs`.
        .pragma("wal_autocheckpoint", checkpoint::BACKSTOP_PAGES)
        .thread_name(move |number| format!("{service}-db-{number}"))
        .disable_statement_logging()
}

fn postgres_options(options: PgConnectOptions, service: &str, schema: &str) -> PgConnectOptions {
    options
        .application_name(service)
        // Sent with the start of each connection, so it costs nothing and cannot be forgotten.
        .options([("search_path", schema), ("idle_in_transaction_session_timeout", "60000"), ("TimeZone", "UTC")])
        .statement_cache_capacity(PREPARED_STATEMENTS)
        .disable_statement_logging()
}
