//! The highest rate that is held.

use std::time::Duration;

use super::{Plan, Report, arrivals};
use crate::tools::terminal::Terminal;

/// A rate beyond which this does not look.
const MOST: u32 = 50_000;

/// Doubles the rate until it is no longer held, then halves the gap until it is within five per cent.
pub(crate) async fn highest(plan: &Plan, p99_limit: Duration, quiet: bool) -> anyhow::Result<Report> {
    let holds = |report: &Report| report.failed() == 0 && report.quantile(0.99) <= p99_limit;
    let mut best = attempt(plan, plan.rate_per_second, quiet).await?;
    if !holds(&best) {
        anyhow::bail!(
            "not even {} asks a second are held: p99 {} ms, {} failed{}",
            best.rate_per_second(),
            best.quantile(0.99).as_millis(),
            best.failed(),
            best.reasons()
        );
    }
    let mut too_high = MOST;
    while best.rate_per_second() < MOST {
        let rate = best.rate_per_second().saturating_mul(2).min(MOST);
        let report = attempt(plan, rate, quiet).await?;
        if !holds(&report) {
            too_high = rate;
            break;
        }
        best = report;
    }
    while too_high - best.rate_per_second() > best.rate_per_second() / 20 {
        let rate = best.rate_per_second().midpoint(too_high);
        let report = attempt(plan, rate, quiet).await?;
        if holds(&report) {
            best = report;
        } else {
            too_high = rate;
        }
    }
    Ok(best)
}

async fn attempt(plan: &Plan, rate_per_second: u32, quiet: bool) -> std::io::Result<Report> {
    let report = arrivals::run(&Plan { rate_per_second, ..plan.clone() }).await;
    if !quiet {
        Terminal::stdout().line(&format!(
            "{rate_per_second:>6} a second: p99 {:.1} ms, {} failed{}",
            report.quantile(0.99).as_secs_f64() * 1_000.0,
            report.failed(),
            report.reasons()
        ))?;
    }
    // What the last attempt left in queues must not count against the next one.
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(report)
}
