//! What a load run found.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::json;

use super::Plan;
use crate::tools::terminal::Terminal;

/// Longer ones count as this long: one minute, in microseconds.
const LONGEST_US: u64 = 60_000_000;

/// Latencies from when each request was due, and what failed.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    rate_per_second: u32,
    /// Microseconds, up to a minute, to three digits.
    latencies_us: Histogram<u64>,
    failures: BTreeMap<String, u64>,
    took: Duration,
}

impl Report {
    pub(crate) fn new(plan: &Plan) -> Self {
        let latencies_us = Histogram::new_with_bounds(1, LONGEST_US, 3)
            .unwrap_or_else(|error| unreachable!("these bounds are allowed: {error}"));
        Self { rate_per_second: plan.rate_per_second, latencies_us, failures: BTreeMap::new(), took: Duration::ZERO }
    }

    pub(crate) fn record(&mut self, latency: Duration, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.latencies_us.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)),
            Err(reason) => *self.failures.entry(reason).or_default() += 1,
        }
    }

    pub(crate) fn finish(&mut self, took: Duration, sent: u64) {
        self.took = took;
        let missing = sent.saturating_sub(self.answered() + self.failed());
        if missing > 0 {
            self.failures.insert("lost".to_owned(), missing);
        }
    }

    pub(crate) const fn rate_per_second(&self) -> u32 {
        self.rate_per_second
    }

    pub(crate) fn answered(&self) -> u64 {
        self.latencies_us.len()
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Why asks failed, in parentheses; nothing where none did.
    pub(crate) fn reasons(&self) -> String {
        let reasons: Vec<String> = self.failures.iter().map(|(reason, count)| format!("{count} × {reason}")).collect();
        if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) }
    }

    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.latencies_us.value_at_quantile(quantile))
    }

    pub(crate) fn print(&self, as_json: bool) -> anyhow::Result<()> {
        let percentiles = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];
        if as_json {
            let latencies: BTreeMap<String, u128> = percentiles
                .iter()
                .map(|(name, quantile)| (format!("{name}_us"), self.quantile(*quantile).as_micros()))
                .collect();
            let report = json!({
                "rate_per_second": self.rate_per_second,
                "took_ms": self.took.as_millis(),
                "answered": self.answered(),
                "failed": self.failed(),
                "failures": self.failures,
                "latency": latencies,
            });
            Terminal::stdout().line(&serde_json::to_string(&report)?)?;
            return Ok(());
        }
        let terminal = Terminal::stdout();
        terminal.line(&format!(
            "{} asks at {} a second in {:.1} s: {} answered, {} failed",
            self.answered() + self.failed(),
            self.rate_per_second,
            self.took.as_secs_f64(),
            self.answered(),
            self.failed(),
        ))?;
        for (reason, count) in &self.failures {
            terminal.line(&format!("  {count} × {reason}"))?;
        }
        for (name, quantile) in percentiles {
            terminal.line(&format!("  {name:<6} {:>9.2} ms", self.quantile(quantile).as_secs_f64() * 1_000.0))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_every_request_once_and_keeps_the_latencies() {
        let plan = Plan {
            url: "http://127.0.0.1:1/".parse().unwrap(),
            rate_per_second: 10,
            duration: Duration::from_secs(1),
            symbols: Vec::new(),
            strategy: None,
        };
        let mut report = Report::new(&plan);
        for millis in 1..=100 {
            report.record(Duration::from_millis(millis), Ok(()));
        }
        report.record(Duration::from_secs(1), Err("HTTP 503".to_owned()));
        report.finish(Duration::from_secs(1), 103);
        assert_eq!((report.answered(), report.failed()), (100, 3), "one refused, two of which nothing was heard");
        let median = report.quantile(0.5).as_micros();
        assert!((49_900..=50_100).contains(&median), "{median} µs");
        assert!(report.quantile(1.0) >= Duration::from_millis(100));
    }
}
