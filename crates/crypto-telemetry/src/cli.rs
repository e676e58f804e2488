//! The command line.

use clap::{Args, Parser, Subcommand};
use telemetry::TelemetrySettings;

use crate::tools;

/// A trading-signal platform that can be watched from end to end
#[derive(Debug, Parser)]
#[command(name = "crypto-telemetry", version, max_term_width = 110, subcommand_value_name = "SERVICE|TOOL")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// One service with its telemetry.
#[derive(Debug, Args)]
pub(crate) struct ServiceArgs<C: Args> {
    #[command(flatten)]
    pub(crate) config: C,
    #[command(flatten)]
    pub(crate) telemetry: TelemetrySettings,
}

#[derive(Debug, Args)]
pub(crate) struct NotifierArgs {
    #[command(flatten)]
    pub(crate) common: ServiceArgs<notifier::Config>,

    /// Serve native /metrics of the bot where METRICS_ENABLED says nothing
    #[arg(long, env = "BOT_METRICS_ENABLED", help_heading = "Telemetry")]
    pub(crate) bot_metrics_enabled: Option<bool>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Service, port 8081: prices and candles from Binance
    MarketDataService(ServiceArgs<market_data::Config>),
    /// Service, port 8082: Buy, Sell or Hold
    DecisionService(ServiceArgs<decision::Config>),
    /// Service, port 8080: the public API and the web page
    ApiGateway(ServiceArgs<gateway::Config>),
    /// Service, port 9000: the Telegram bot, and POST /v1/ask
    NotifierService(NotifierArgs),
    /// Service, port 5001: users, the first link of the business chain
    UserService(ServiceArgs<user::Config>),
    /// Service, port 5002: orders, their items, prices and totals
    OrderService(ServiceArgs<order::Config>),
    /// Service, port 5003: the audit trail, the last link of the business chain
    AuditService(ServiceArgs<audit::Config>),
    /// Service, port 8000: TradingView's alerts in, signals out
    SignalService(ServiceArgs<signal::Config>),
    /// Service, port 8003: signals of its own, from crossings of moving averages
    SignalGenerator(ServiceArgs<generator::Config>),
    /// Service, port 8001: pipelines, what set them off, and what came of it
    PipelineService(ServiceArgs<pipeline::api::Config>),
    /// Service, port 8004: which pipelines a signal sets off
    TriggerDispatcher(ServiceArgs<pipeline::dispatch::DispatcherConfig>),
    /// Service, port 8002: executes pipelines; any number of them share the work
    PipelineWorker(ServiceArgs<pipeline::work::WorkerConfig>),
    /// Service, port 8090: Binance, Telegram and an LLM in their own wire formats, for running offline
    Simulator(ServiceArgs<simulator::Config>),
    #[command(flatten)]
    Tool(Tool),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tool {
    /// Ask what to do, and see the trace of the answer as a tree
    Ask(tools::ask::Args),
    /// Send one probe through the whole stack and name the hop that loses it
    Doctor(tools::doctor::Args),
    /// Make the simulated outside world misbehave for a while
    Chaos(tools::chaos::Args),
    /// Send users through journeys (ask, process, reads) at a fixed rate of arrival, and report how long answers took
    Load(tools::load::Args),
    /// Make an API key for a client of api-gateway
    ApiKey(tools::api_key::Args),
    /// Make, list and revoke the addresses that TradingView sends alerts to
    Hooks(tools::hooks::Args),
    /// Check ports, tools and disk before the stack starts
    Preflight(tools::preflight::Args),
    /// Print docs/METRICS.md from the registry of metrics
    MetricsDoc,
    /// Print every setting of every service as JSON, for packagers (nix/modules/settings.json)
    SettingsDoc,
}
