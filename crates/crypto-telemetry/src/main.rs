//! The binary: one subcommand a service or tool. It composes; what the services do is in their crates.

mod cli;
mod serve;
mod tools;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use cli::{Cli, Command, Tool};
use tools::ports;

/// A setting that cannot be used (EX_USAGE of sysexits.h): told in a sentence, before any port is bound.
const BAD_SETTING: u8 = 64;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, and are no errors.
            let code = if error.use_stderr() { ExitCode::from(BAD_SETTING) } else { ExitCode::SUCCESS };
            // Nobody is left to tell when standard error is closed.
            let _ = error.print();
            return code;
        }
    };
    match cli.command {
        Command::MarketDataService(args) => {
            serve::service(&ports::MARKET_DATA, args, |config| &mut config.server, market_data::start)
        }
        Command::DecisionService(args) => {
            serve::service(&ports::DECISION, args, |config| &mut config.server, decision::start)
        }
        Command::NotifierService(mut args) => {
            let telemetry = &mut args.common.telemetry;
            telemetry.metrics_enabled = telemetry.metrics_enabled.or(args.bot_metrics_enabled);
            serve::service(&ports::NOTIFIER, args.common, |config| &mut config.server, notifier::start)
        }
        Command::ApiGateway(args) => serve::service(&ports::GATEWAY, args, |config| &mut config.server, gateway::start),
        Command::UserService(args) => serve::service(&ports::USER, args, |config| &mut config.server, user::start),
        Command::OrderService(args) => serve::service(&ports::ORDER, args, |config| &mut config.server, order::start),
        Command::AuditService(args) => serve::service(&ports::AUDIT, args, |config| &mut config.server, audit::start),
        Command::SignalService(args) => {
            serve::service(&ports::SIGNAL, args, |config| &mut config.server, signal::start)
        }
        Command::SignalGenerator(args) => {
            serve::service(&ports::GENERATOR, args, |config| &mut config.server, generator::start)
        }
        Command::PipelineService(args) => {
            serve::service(&ports::PIPELINE, args, |config| &mut config.server, pipeline::api::start)
        }
        Command::TriggerDispatcher(args) => {
            serve::service(&ports::DISPATCHER, args, |config| &mut config.server, pipeline::dispatch::start)
        }
        Command::PipelineWorker(args) => {
            serve::service(&ports::WORKER, args, |config| &mut config.server, pipeline::work::start)
        }
        Command::Simulator(args) => {
            serve::service(&ports::SIMULATOR, args, |config| &mut config.server, simulator::start)
        }
        Command::Tool(tool) => serve::tool(async move {
            match tool {
                Tool::Ask(args) => tools::ask::run(args).await,
                Tool::Doctor(args) => tools::doctor::run(args).await,
                Tool::Chaos(args) => tools::chaos::run(args).await,
                Tool::Load(args) => tools::load::run(args).await,
                Tool::ApiKey(args) => tools::api_key::run(args).await,
                Tool::Hooks(args) => tools::hooks::run(args).await,
                Tool::Preflight(args) => tools::preflight::run(args).await,
                Tool::MetricsDoc => Ok(tools::metrics_doc()),
                Tool::SettingsDoc => Ok(tools::settings_doc(&Cli::command())),
            }
        }),
    }
}
