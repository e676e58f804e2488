//! What a load run found, for people.

use std::fmt::Write as _;
use std::time::Duration;

use super::journeys::Journeys;
use super::json::{JsonReport, micros};
use super::tally::{Latencies, Requests, Tally};
use crate::tools::terminal::{self, Style, Terminal};

/// What a load run found.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(super) rate_per_second: u32,
    pub(super) seed: u64,
    pub(super) journeys: Journeys,
    /// Arrivals that there were to be.
    pub(super) planned: u64,
    pub(super) took: Duration,
    /// Ended before its time.
    pub(super) interrupted: bool,
    pub(super) tally: Tally,
}

impl Report {
    /// Whether every request was answered as it should be.
    pub(crate) fn is_clean(&self) -> bool {
        self.tally.all.failed() == 0 && self.tally.all.rate_limited == 0
    }

    /// p99 over all requests.
    pub(crate) fn p99(&self) -> Duration {
        self.tally.all.latencies.quantile(0.99)
    }

    pub(super) fn answered_per_second(&self) -> u64 {
        let ms = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX).max(1);
        self.tally.all.answered().saturating_mul(1_000) / ms
    }

    /// How many failed, and why in parentheses.
    pub(crate) fn failures(&self) -> String {
        let all = &self.tally.all;
        let mut reasons: Vec<String> =
            all.failures.iter().map(|(reason, count)| format!("{count} × {reason}")).collect();
        if all.rate_limited > 0 {
            reasons.push(format!("{} × rate_limited", all.rate_limited));
        }
        let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
        format!("{} failed{reasons}", all.failed() + all.rate_limited)
    }

    pub(crate) fn print(&self, as_json: bool) -> anyhow::Result<()> {
        let terminal = Terminal::stdout();
        if as_json {
            terminal.line(&serde_json::to_string(&JsonReport::from(self))?)?;
        } else {
            terminal.line(&self.tell(terminal))?;
        }
        Ok(())
    }

    /// The summary in lines.
    pub(crate) fn tell(&self, terminal: Terminal) -> String {
        let tally = &self.tally;
        let all = &tally.all;
        let mut text = format!(
            "{} of {} arrivals at {} a second in {:.1} s ({}, seed {})",
            tally.begun(),
            self.planned,
            self.rate_per_second,
            self.took.as_secs_f64(),
            self.journeys,
            self.seed,
        );
        if self.interrupted {
            text.push_str(&terminal.paint(Style::Warn, ", interrupted"));
        }
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n{} requests: {} answered ({} a second), {} failed, {} rate limited",
            all.sent,
            all.answered(),
            self.answered_per_second(),
            all.failed(),
            all.rate_limited
        );
        if all.open() > 0 {
            let _ = write!(text, ", {} given up", all.open());
        }
        let _ = write!(
            text,
            "\nSent at most {} after they were due (p99 {})",
            shown(tally.send_lateness.max()),
            shown(tally.send_lateness.quantile(0.99))
        );
        if tally.held_back > 0 {
            let _ = write!(text, "; {} had to wait for others to end (--max-in-flight)", tally.held_back);
        }
        text.push_str(".\n\n");
        let head = format!(
            "{:<18}{:>9}{:>8}{:>8}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "latency from due", "sent", "failed", "limited", "p50", "p90", "p99", "p99.9", "max"
        );
        text.push_str(&terminal.paint(Style::Dim, &head));
        for walks in &tally.walks {
            let name = walks.journey.name();
            if let [(_, only)] = walks.steps.as_slice() {
                let _ = write!(text, "\n{}", row(name, only));
                continue;
            }
            let _ = write!(
                text,
                "\n{:<18}{:>9}{:>8}{:>8}{}",
                format!("{name}, whole"),
                walks.begun,
                walks.failed,
                "",
                columns(&walks.latencies)
            );
            for (step, requests) in &walks.steps {
                let _ = write!(text, "\n{}", row(&format!("  {}", step.name()), requests));
            }
        }
        let failures: Vec<String> = tally
            .walks
            .iter()
            .flat_map(|walks| &walks.steps)
            .flat_map(|(step, requests)| {
                requests.failures.iter().map(move |(reason, count)| format!("{count} × {}: {reason}", step.name()))
            })
            .collect();
        if !failures.is_empty() {
            let _ = write!(text, "\n\n{}", terminal.paint(Style::Bad, "Failures"));
            for failure in failures {
                let _ = write!(text, "\n  {failure}");
            }
        }
        text
    }
}

fn row(name: &str, requests: &Requests) -> String {
    format!(
        "{name:<18}{:>9}{:>8}{:>8}{}",
        requests.sent,
        requests.failed(),
        requests.rate_limited,
        columns(&requests.latencies)
    )
}

fn columns(latencies: &Latencies) -> String {
    if latencies.count() == 0 {
        return format!("{:>10}", "–").repeat(5);
    }
    let quantiles = [0.5, 0.9, 0.99, 0.999].map(|quantile| latencies.quantile(quantile));
    quantiles.into_iter().chain([latencies.max()]).map(|latency| format!("{:>10}", shown(latency))).collect()
}

pub(super) fn shown(duration: Duration) -> String {
    terminal::micros(micros(duration))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::caller::Failure;
    use super::super::journeys::{Journey, Step};
    use super::*;

    /// Two asks, of which one failed; one process, sent twice.
    pub(crate) fn report() -> Report {
        let journeys: Journeys = "ask=2,process".parse().unwrap();
        let mut tally = Tally::new(&journeys);
        let timeout = Failure::Status {
            status: 503,
            code: Some("upstream_timeout".to_owned()),
            upstream: Some("binance".to_owned()),
        };
        let ms = Duration::from_millis;
        for (journey, steps) in [
            (Journey::Ask, vec![(Step::Ask, Ok(()))]),
            (Journey::Ask, vec![(Step::Ask, Err(&timeout))]),
            (Journey::Process, vec![(Step::Process, Ok(())), (Step::ProcessAgain, Err(&Failure::RateLimited))]),
        ] {
            tally.begin(journey, Duration::from_micros(120));
            let well = steps.iter().all(|(_, outcome)| outcome.is_ok());
            for (step, outcome) in steps {
                tally.send(step);
                tally.record(step, ms(2), outcome);
            }
            tally.end(journey, ms(4), well);
        }
        Report { rate_per_second: 100, seed: 7, journeys, planned: 3, took: ms(2_000), interrupted: false, tally }
    }

    #[test]
    fn the_summary_tells_each_journey_and_step() {
        let expected = "\
3 of 3 arrivals at 100 a second in 2.0 s (ask=2,process=1, seed 7)
4 requests: 2 answered (1 a second), 1 failed, 1 rate limited
Sent at most 120 µs after they were due (p99 120 µs).

latency from due       sent  failed limited       p50       p90       p99     p99.9       max
ask                       2       1       0    2.0 ms    2.0 ms    2.0 ms    2.0 ms    2.0 ms
process, whole            1       1                 –         –         –         –         –
  process                 1       0       0    2.0 ms    2.0 ms    2.0 ms    2.0 ms    2.0 ms
  process_again           1       0       1         –         –         –         –         –

Failures
  1 × ask: 503 upstream_timeout (binance)";
        assert_eq!(report().tell(Terminal::plain(100)), expected);
        assert_eq!(report().failures(), "2 failed (1 × 503 upstream_timeout (binance), 1 × rate_limited)");
        assert!(!report().is_clean());
    }
}
