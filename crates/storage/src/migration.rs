//! Bringing the tables up to date, safe when several processes begin at once.
//!
//! sqlx applies the migrations and keeps the list of them in `_sqlx_migrations`, with a checksum of each. PostgreSQL has
//! a lock for that which ends with its connection; SQLite has none, so a file beside the database is locked.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{Migrate as _, MigrateError, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection, Executor as _, SqlSafeStr as _};

use crate::database::{Inner, sqlite_options};
use crate::error::Failure;
use crate::health::Trouble;
use crate::target::Target;

/// One step in the life of a service's tables. It never changes once it has been released: a further step does.
#[derive(Debug, Clone)]
pub struct Migration {
    /// Its place in the order; unique within the service.
    pub version: i64,
    /// What it does, in a few words.
    pub name: &'static str,
    /// Its statements for SQLite.
    pub sqlite: &'static str,
    /// Its statements for PostgreSQL; tables are made in the service's schema without naming it.
    pub postgres: &'static str,
}

/// Longest wait for another process that migrates; then the back-off decides.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// Between two attempts to lock the file. A blocking wait would hold a thread of the runtime.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

/// Why the tables could not be brought up to date.
#[derive(Debug)]
pub(crate) struct Unmigrated {
    pub(crate) trouble: Trouble,
    pub(crate) reason: String,
}

impl From<Failure> for Unmigrated {
    fn from(failure: Failure) -> Self {
        let reason = match failure.error {
            crate::StorageError::Unavailable { reason } => reason,
            other => other.to_string(),
        };
        Self { trouble: Trouble::Away, reason }
    }
}

impl From<sqlx::Error> for Unmigrated {
    fn from(error: sqlx::Error) -> Self {
        Failure::from(error).into()
    }
}

impl From<MigrateError> for Unmigrated {
    fn from(error: MigrateError) -> Self {
        let reason = match error {
            MigrateError::Execute(error) => return error.into(),
            MigrateError::ExecuteMigration(error, version) => {
                let failure = Failure::from(error);
                let reason = format!("migration {version} failed: {}", failure.error);
                let trouble = if failure.error.is_passing() { Trouble::Away } else { Trouble::Migrations };
                return Self { trouble, reason };
            }
            MigrateError::VersionMissing(version) => format!(
                "it has migration {version}, which this program does not know: a newer program has been here, or the \
                 database is another service's"
            ),
            MigrateError::VersionMismatch(version) => {
                format!("migration {version} is not the one that was applied to it: migrations must not change")
            }
            other => other.to_string(),
        };
        Self { trouble: Trouble::Migrations, reason }
    }
}

/// Brings the tables up to date; tells how many migrations there are.
pub(crate) async fn run(inner: &Inner) -> Result<usize, Unmigrated> {
    let mut versions: Vec<i64> = inner.migrations.iter().map(|migration| migration.version).collect();
    versions.sort_unstable();
    if let Some(pair) = versions.windows(2).find(|pair| pair[0] == pair[1]) {
        let reason = format!("the program has two migrations with the version {}", pair[0]);
        return Err(Unmigrated { trouble: Trouble::Migrations, reason });
    }
    let connect = inner.limits.acquire;
    match &inner.target {
        Target::Sqlite { path } => {
            sqlite(path, &inner.migrations, &sqlite_options(path, "migration", &inner.limits)).await
        }
        Target::Postgres { options, schema } => postgres(options, schema, &inner.migrations, connect).await,
    }?;
    Ok(versions.len())
}

fn migrator(migrations: &[Migration], text: impl Fn(&Migration) -> &'static str) -> Migrator {
    let migrations = migrations.iter().map(|migration| {
        let (sql, name) = (text(migration).into_sql_str(), migration.name.into());
        sqlx::migrate::Migration::new(migration.version, name, MigrationType::Simple, sql, false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    // Locked by us already, around more than sqlx would.
    migrator.set_locking(false);
    migrator
}

async fn sqlite(path: &Path, migrations: &[Migration], options: &SqliteConnectOptions) -> Result<(), Unmigrated> {
    let away = |error: io::Error| Unmigrated {
        trouble: Trouble::Away,
        reason: format!("{} cannot be made or locked: {error}", path.display()),
    };
    make_folder(path).map_err(away)?;
    let _lock = lock(&beside(path)).await.map_err(away)?;
    // An empty file is an empty database. SQLite gives the files beside it the same rights.
    private(path).map_err(away)?;
    let mut connection: SqliteConnection = options.connect().await?;
    migrator(migrations, |migration| migration.sqlite).run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

async fn postgres(
    options: &PgConnectOptions,
    schema: &str,
    migrations: &[Migration],
    connect: Duration,
) -> Result<(), Unmigrated> {
    let late = |what: &str| Unmigrated { trouble: Trouble::Away, reason: what.to_owned() };
    let mut connection: PgConnection = tokio::time::timeout(connect, options.connect())
        .await
        .map_err(|_| late("it did not let us in within DATABASE_ACQUIRE_TIMEOUT_MS"))??;
    tokio::time::timeout(LOCK_TIMEOUT, connection.lock())
        .await
        .map_err(|_| late("another process has been migrating for a minute"))??;
    // A user that may not make schemas can still use one that somebody made for it.
    let there =
        sqlx::query("SELECT 1 FROM pg_namespace WHERE nspname = $1").bind(schema).fetch_optional(&mut connection);
    if there.await?.is_none() {
        let quoted = schema.replace('"', "\"\"");
        connection.execute(AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS \"{quoted}\""))).await?;
    }
    migrator(migrations, |migration| migration.postgres).run(&mut connection).await?;
    connection.unlock().await?;
    connection.close().await?;
    Ok(())
}

/// Makes the folder of a file, private to its user.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => DirBuilder::new().recursive(true).mode(0o700).create(folder),
        _ => Ok(()),
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Opens a file, makes it first if need be, private to its user.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Locks a file until the answer is dropped, or the process ends.
async fn lock(path: &Path) -> io::Result<File> {
    let file = private(path)?;
    let deadline = tokio::time::Instant::now() + LOCK_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if tokio::time::Instant::now() > deadline => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "another process has held it for a minute"));
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_INTERVAL).await,
        }
    }
}
