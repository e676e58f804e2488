//! `crypto-telemetry load`: asks at a fixed rate of arrival, and how long the answers took.
//!
//! Open loop: a request starts when it is due, whether or not earlier ones have been answered, and its latency counts
//! from when it was due. A service that stalls therefore shows in the percentiles as its users would feel it
//! (no coordinated omission).

mod arrivals;
mod report;
mod search;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use domain::{StrategyName, Symbol};
use url::Url;

use crate::tools::ports;

pub(crate) use arrivals::Plan;
pub(crate) use report::Report;

/// Ask at a fixed rate and report latencies
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// notifier-service; left out, NOTIFIER_PORT on this machine
    #[arg(long, env = "NOTIFIER_URL", value_parser = ports::http_url)]
    url: Option<Url>,

    /// Asks a second
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,

    /// How long, "20s" or "2m"; ten minutes at most
    #[arg(long = "for", default_value = "10s", value_parser = humantime::parse_duration)]
    duration: Duration,

    /// Symbols that are asked about in turn
    #[arg(long, value_delimiter = ',', default_value = "BTCUSDT,ETHUSDT,SOLUSDT")]
    symbols: Vec<Symbol>,

    /// Which strategy decides; the service's default when left out
    #[arg(long)]
    strategy: Option<StrategyName>,

    /// Look for the highest rate that is held: every ask answered, p99 within --p99-limit
    #[arg(long)]
    find_highest: bool,

    /// The p99 that a held rate keeps to
    #[arg(long, default_value = "100ms", value_parser = humantime::parse_duration)]
    p99_limit: Duration,

    /// One JSON object instead of words
    #[arg(long)]
    json: bool,
}

/// A bound on what one call can do to the machine it runs on.
const LONGEST: Duration = Duration::from_secs(600);

/// Runs the load and prints its report. Fails when an ask failed.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(args.duration <= LONGEST, "--for: at most {} minutes", LONGEST.as_secs() / 60);
    let plan = Plan {
        url: ports::NOTIFIER.url(args.url.as_ref())?.join("/v1/ask").context("--url")?,
        rate_per_second: args.rate,
        duration: args.duration,
        symbols: args.symbols,
        strategy: args.strategy,
    };
    if args.find_highest {
        let found = search::highest(&plan, args.p99_limit, args.json).await?;
        found.print(args.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let report = arrivals::run(&plan).await;
    report.print(args.json)?;
    Ok(if report.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
