//! Settings of user-service.

use cache::CacheSettings;
use clap::Args;
use storage::DatabaseSettings;
use url::Url;
use web::{ChainSettings, ServerSettings};

/// Settings of user-service: flags and environment variables.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// HTTP server.
    #[command(flatten)]
    pub server: ServerSettings,

    /// Where the users are kept.
    #[command(flatten)]
    pub database: DatabaseSettings,

    /// Where instances share answers.
    #[command(flatten)]
    pub cache: CacheSettings,

    /// What comes behind; left out, order-service at http://127.0.0.1:5002.
    #[command(flatten)]
    pub chain: ChainSettings,
}

impl Config {
    /// For tests: a free port, a database, and what comes behind.
    #[must_use]
    pub fn ephemeral(database: DatabaseSettings, next: Option<Url>) -> Self {
        Self {
            server: ServerSettings::ephemeral(),
            database,
            cache: CacheSettings::none(),
            chain: ChainSettings::to(next),
        }
    }
}
