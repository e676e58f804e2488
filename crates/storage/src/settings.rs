//! Which database, and its limits.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use web::StartError;

use crate::target::Target;

/// Settings of a service's database: flags and environment variables.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseSettings {
    /// The database: sqlite://FOLDER/ (a file a service in it), sqlite://FILE.db, or
    /// postgres://USER@HOST:PORT/DATABASE?sslmode=… (a schema a service in it); with a password better in a file
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite://data/", hide_env_values = true)]
    pub database_url: SecretString,

    /// File that holds the database's URL; it wins over the variable
    #[arg(long, env = "DATABASE_URL_FILE")]
    pub database_url_file: Option<PathBuf>,

    /// Most connections to the database; with SQLite one of them writes and the others read
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", default_value_t = 8, value_parser = clap::value_parser!(u16).range(2..=1_000))]
    pub database_max_connections: u16,

    /// Longest wait for a free connection, and for a new one, in milliseconds
    #[arg(long, env = "DATABASE_ACQUIRE_TIMEOUT_MS", default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub database_acquire_timeout_ms: u64,

    /// Longest that one statement may take, the wait for other writers included, in milliseconds
    #[arg(long, env = "DATABASE_STATEMENT_TIMEOUT_MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub database_statement_timeout_ms: u64,
}

impl DatabaseSettings {
    /// The defaults with this database, whatever the environment says: for tests.
    #[must_use]
    pub fn at(url: &str) -> Self {
        Self {
            database_url: SecretString::from(url),
            database_url_file: None,
            database_max_connections: 8,
            database_acquire_timeout_ms: 3_000,
            database_statement_timeout_ms: 5_000,
        }
    }

    pub(crate) fn target(&self, service: &str) -> Result<Target, StartError> {
        let (setting, url) = match &self.database_url_file {
            None => ("DATABASE_URL", self.database_url.clone()),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| StartError::Setting {
                    setting: "DATABASE_URL_FILE",
                    reason: format!("{} cannot be read: {error}", path.display()),
                })?;
                ("DATABASE_URL_FILE", SecretString::from(text.trim()))
            }
        };
        Target::parse(url.expose_secret(), service).map_err(|reason| StartError::Setting { setting, reason })
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            connections: usize::from(self.database_max_connections.max(2)),
            acquire: Duration::from_millis(self.database_acquire_timeout_ms),
            statement: Duration::from_millis(self.database_statement_timeout_ms),
        }
    }
}

/// Bounds on what one service takes of a database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) acquire: Duration,
    pub(crate) statement: Duration,
}
