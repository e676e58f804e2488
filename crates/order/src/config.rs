//! Settings of order-service.

use clap::Args;
use storage::DatabaseSettings;
use url::Url;
use web::{ChainSettings, ServerSettings};

use crate::trading::TradingSettings;

/// Settings of order-service: flags and environment variables.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// HTTP server.
    #[command(flatten)]
    pub server: ServerSettings,

    /// Where the orders are kept.
    #[command(flatten)]
    pub database: DatabaseSettings,

    /// What comes behind; left out, audit-service at http://127.0.0.1:5003.
    #[command(flatten)]
    pub chain: ChainSettings,

    /// market-data-service, for the items' prices
    #[arg(long, env = "MARKET_DATA_URL", default_value = "http://127.0.0.1:8081", help_heading = "Orders")]
    pub market_data_url: Url,

    /// Trading.
    #[command(flatten)]
    pub trading: TradingSettings,
}

impl Config {
    /// For tests: a free port, a database, where prices come from, and what comes behind. Nothing is traded.
    #[must_use]
    pub fn ephemeral(database: DatabaseSettings, market_data_url: Url, next: Option<Url>) -> Self {
        Self {
            server: ServerSettings::ephemeral(),
            database,
            chain: ChainSettings::to(next),
            market_data_url,
            trading: TradingSettings::off(),
        }
    }
}
