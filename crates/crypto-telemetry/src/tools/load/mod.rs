//! `crypto-telemetry load`: users who arrive at a fixed rate, and how long they waited.
//!
//! Open loop: a user arrives when they are due, whether or not those before them have been answered, and the latency of
//! their first request counts from when it was due, not from when it was sent. A service that stalls therefore shows in
//! the percentiles as its users would feel it (no coordinated omission), and so does a generator that falls behind, which
//! `send_lateness` tells apart. A later step of a journey is due when the step before it ended. Percentiles are of what was
//! answered: a failure, however quick or slow, is counted and makes none of them look better.

mod arrivals;
mod caller;
mod journeys;
mod json;
mod mix;
mod progress;
mod report;
mod schedule;
mod search;
mod settings;
mod tally;
#[cfg(test)]
mod tests;
mod walk;

use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::terminal::{Terminal, complain};
use arrivals::{Plan, Stop};
use progress::Progress;
use report::{Report, shown};

pub(crate) use settings::Args;

/// Between two attempts of a search: what the last one left in queues must not count against the next one.
const REST: Duration = Duration::from_secs(1);
/// As shells say it of a program that SIGINT ended.
const INTERRUPTED: u8 = 130;
/// Files and sockets of this process beside those of users on their way.
const OTHER_FILES: u64 = 64;

/// Runs the load and prints its report. Fails when a request failed.
///
/// # Errors
/// When a setting cannot be used, when not even the first rate of a search is held, or when standard output cannot be
/// written.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut plan = args.plan()?;
    plan.most_in_flight = plan.most_in_flight.min(sockets());
    let stop = Stop::default();
    let progress = Progress::on_stderr(args.quiet);
    stop_on_signals(&stop, progress)?;
    if args.find_highest {
        let report = find_highest(&plan, args.p99_limit, args.json, &stop, progress, REST).await?;
        report.print(args.json)?;
        return Ok(if report.interrupted { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS });
    }
    let report = arrivals::run(&plan, &stop, progress).await?;
    report.print(args.json)?;
    Ok(match (report.interrupted, report.is_clean()) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
    })
}

/// Searches, and tells each attempt unless only JSON is wanted.
async fn find_highest(
    plan: &Plan,
    p99_limit: Duration,
    json: bool,
    stop: &Stop,
    progress: Progress,
    rest: Duration,
) -> anyhow::Result<Report> {
    let mut first = true;
    search::highest(plan.rate_per_second, p99_limit, async |rate_per_second| {
        if !std::mem::take(&mut first) {
            tokio::select! { () = stop.gently.cancelled() => {}, () = tokio::time::sleep(rest) => {} }
        }
        let report = arrivals::run(&Plan { rate_per_second, ..plan.clone() }, stop, progress).await?;
        if !json {
            let (p99, failures) = (shown(report.p99()), report.failures());
            Terminal::stdout().line(&format!("{rate_per_second:>6} a second: p99 {p99}, {failures}"))?;
        }
        Ok(report)
    })
    .await
}

/// The first SIGINT or SIGTERM ends the run with what was done, the second one without waiting for answers.
fn stop_on_signals(stop: &Stop, progress: Progress) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = stop.clone();
    // A bar stands in its line without ending it.
    let start = if progress == Progress::Bar { "\n" } else { "" };
    actix_web::rt::spawn(async move {
        for (token, words) in [
            (&stop.gently, "waiting for the answers on their way; Ctrl-C again does not wait"),
            (&stop.now, "not waiting"),
        ] {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            complain(&format!("{start}load: stopping, {words}"));
            token.cancel();
        }
    });
    Ok(())
}

/// How many users can be on their way with the sockets this process may open, once it may open as many as it can.
fn sockets() -> u32 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Some systems refuse what they themselves name as the most: what is allowed now then stays.
    let _ = setrlimit(Resource::Nofile, limit);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    u32::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(u32::MAX).max(1)
}
