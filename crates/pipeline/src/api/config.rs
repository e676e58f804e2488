//! Settings of pipeline-service.

use std::time::Duration;

use clap::Args;
use storage::DatabaseSettings;
use web::ServerSettings;

/// Settings of pipeline-service: flags and environment variables.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// HTTP server.
    #[command(flatten)]
    pub server: ServerSettings,

    /// Where pipelines and executions are kept: of pipeline-service, trigger-dispatcher and pipeline-worker the same.
    #[command(flatten)]
    pub database: DatabaseSettings,

    /// Days that executions are kept that are at their end, and signals that were matched
    #[arg(long, env = "PIPELINE_RETENTION_DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=36_500), help_heading = "Pipelines")]
    pub retention_days: u32,

    /// Make the example pipelines on the first start; those that somebody deletes do not come back
    #[arg(long, env = "PIPELINE_EXAMPLES", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", help_heading = "Pipelines")]
    pub examples: bool,

    /// Of the example pipelines, have the one that orders enabled when they are made: on paper, unless order-service trades
    /// live
    #[arg(long, env = "PIPELINE_EXAMPLES_ORDERS", default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", help_heading = "Pipelines")]
    pub examples_orders: bool,
}

impl Config {
    /// For tests: a free port, a database, and no examples.
    #[must_use]
    pub fn ephemeral(database: DatabaseSettings) -> Self {
        let server = ServerSettings::ephemeral();
        Self { server, database, retention_days: 90, examples: false, examples_orders: false }
    }

    pub(crate) const fn retention(&self) -> Duration {
        Duration::from_secs(self.retention_days as u64 * 24 * 60 * 60)
    }
}
