//! Settings of trigger-dispatcher.

use std::time::Duration;

use ::cache::CacheSettings;
use bus::BusSettings;
use clap::Args;
use domain::Symbol;
use storage::DatabaseSettings;
use web::ServerSettings;

/// Settings of trigger-dispatcher: flags and environment variables.
#[derive(Debug, Clone, Args)]
pub struct DispatcherConfig {
    /// HTTP server.
    #[command(flatten)]
    pub server: ServerSettings,

    /// Where pipelines and executions are kept: of pipeline-service, trigger-dispatcher and pipeline-worker the same.
    #[command(flatten)]
    pub database: DatabaseSettings,

    /// Where signals come from.
    #[command(flatten)]
    pub bus: BusSettings,

    /// Where dispatchers share the pipelines that one of them has read.
    #[command(flatten)]
    pub cache: CacheSettings,

    /// How signals are read.
    #[command(flatten)]
    pub dispatcher: DispatcherSettings,
}

/// How signals are read, and how often pipelines are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Dispatcher")]
pub struct DispatcherSettings {
    /// Most signals that are read at once
    #[arg(long, env = "DISPATCHER_BATCH", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub batch: u16,

    /// Longest wait for a signal before it is asked for again, in milliseconds
    #[arg(long, env = "DISPATCHER_BATCH_WAIT_MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub batch_wait_ms: u64,

    /// Time between two looks at whether pipelines have changed, in milliseconds
    #[arg(long, env = "DISPATCHER_REFRESH_MS", default_value_t = 250, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub refresh_ms: u64,

    /// Seconds after which all pipelines are read anew, changed or not
    #[arg(long, env = "DISPATCHER_FULL_REFRESH_SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub full_refresh_seconds: u64,

    /// Markets that metrics tell apart, separated by commas; all others are "other"
    #[arg(long, env = "DISPATCHER_SYMBOLS", default_value = "BTCUSDT,ETHUSDT,SOLUSDT", value_delimiter = ',')]
    pub symbols: Vec<Symbol>,
}

impl DispatcherSettings {
    pub(crate) const fn batch_wait(&self) -> Duration {
        Duration::from_millis(self.batch_wait_ms)
    }

    pub(crate) const fn refresh(&self) -> Duration {
        Duration::from_millis(self.refresh_ms)
    }

    pub(crate) const fn full_refresh(&self) -> Duration {
        Duration::from_secs(self.full_refresh_seconds)
    }
}

impl DispatcherConfig {
    /// For tests: a free port, a database and a bus.
    #[must_use]
    pub fn ephemeral(database: DatabaseSettings, bus: BusSettings) -> Self {
        Self {
            server: ServerSettings::ephemeral(),
            database,
            bus,
            cache: CacheSettings::none(),
            dispatcher: DispatcherSettings {
                batch: 500,
                batch_wait_ms: 50,
                refresh_ms: 20,
                full_refresh_seconds: 300,
                symbols: ["BTCUSDT", "ETHUSDT", "SOLUSDT"].iter().filter_map(|symbol| symbol.parse().ok()).collect(),
            },
        }
    }
}
