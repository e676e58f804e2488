//! The report for scripts. Its keys are kept: `scripts/bench.sh` and the end-to-end tests read them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::Report;
use super::tally::{Latencies, Requests, Walks};

/// What `--json` prints, one object in one line.
#[derive(Serialize)]
pub(super) struct JsonReport<'a> {
    /// Arrivals a second that the run was to have; with `--find-highest` the highest that was held.
    rate_per_second: u32,
    /// Where the mix was drawn from.
    seed: u64,
    /// Arrivals that the run was to have.
    planned: u64,
    /// Arrivals that it had.
    begun: u64,
    /// Whether it was ended before its time.
    interrupted: bool,
    /// From the first arrival's due time to the last answer, in milliseconds.
    took_ms: u64,
    /// Requests answered a second, over the whole of `took_ms`.
    answered_per_second: u64,
    /// All requests of all journeys.
    #[serde(flatten)]
    all: JsonRequests<'a>,
    /// How long after they were due arrivals were sent: the generator's own part in the latencies.
    send_lateness: JsonLatencies,
    /// Arrivals that had to wait because as many as `--max-in-flight` were on their way.
    held_back: u64,
    /// By name.
    journeys: BTreeMap<&'static str, JsonWalks<'a>>,
}

/// Requests of one kind.
#[derive(Serialize)]
struct JsonRequests<'a> {
    sent: u64,
    answered: u64,
    /// Without the rate-limited ones.
    failed: u64,
    /// Answered with 429.
    rate_limited: u64,
    /// Given up when the run was ended at once.
    unfinished: u64,
    /// How many failed, by status, problem code and upstream, or by a word such as `timeout`.
    failures: &'a BTreeMap<String, u64>,
    /// Of the answered ones.
    latency: JsonLatencies,
}

/// Microseconds from when a request (or a journey) was due until it was answered (or ended).
#[derive(Serialize)]
struct JsonLatencies {
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    #[serde(rename = "p99.9_us")]
    p999_us: u64,
    max_us: u64,
}

/// Journeys of one kind.
#[derive(Serialize)]
struct JsonWalks<'a> {
    weight: u32,
    begun: u64,
    /// Came to their end, every step answered.
    completed: u64,
    /// Ended by a step that failed or was rate limited.
    failed: u64,
    /// Of the completed ones, all steps together.
    latency: JsonLatencies,
    /// By name.
    steps: BTreeMap<&'static str, JsonRequests<'a>>,
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl From<&Latencies> for JsonLatencies {
    fn from(latencies: &Latencies) -> Self {
        let at = |quantile| micros(latencies.quantile(quantile));
        Self { p50_us: at(0.5), p90_us: at(0.9), p99_us: at(0.99), p999_us: at(0.999), max_us: micros(latencies.max()) }
    }
}

impl<'a> From<&'a Requests> for JsonRequests<'a> {
    fn from(requests: &'a Requests) -> Self {
        Self {
            sent: requests.sent,
            answered: requests.answered(),
            failed: requests.failed(),
            rate_limited: requests.rate_limited,
            unfinished: requests.open(),
            failures: &requests.failures,
            latency: (&requests.latencies).into(),
        }
    }
}

impl<'a> From<&'a Walks> for JsonWalks<'a> {
    fn from(walks: &'a Walks) -> Self {
        Self {
            weight: walks.weight,
            begun: walks.begun,
            completed: walks.latencies.count(),
            failed: walks.failed,
            latency: (&walks.latencies).into(),
            steps: walks.steps.iter().map(|(step, requests)| (step.name(), requests.into())).collect(),
        }
    }
}

impl<'a> From<&'a Report> for JsonReport<'a> {
    fn from(report: &'a Report) -> Self {
        let tally = &report.tally;
        Self {
            rate_per_second: report.rate_per_second,
            seed: report.seed,
            planned: report.planned,
            begun: tally.begun(),
            interrupted: report.interrupted,
            took_ms: u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
            answered_per_second: report.answered_per_second(),
            all: (&tally.all).into(),
            send_lateness: (&tally.send_lateness).into(),
            held_back: tally.held_back,
            journeys: tally.walks.iter().map(|walks| (walks.journey.name(), walks.into())).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Every path of names that leads to a value; those of failures are their own.
    fn paths(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(members) if !path.ends_with("failures") => {
                for (name, member) in members {
                    paths(member, &format!("{path}/{name}"), found);
                }
            }
            _ => found.push(path.to_owned()),
        }
    }

    #[test]
    fn the_keys_are_those_that_scripts_know() {
        let report = super::super::report::tests::report();
        let value = serde_json::to_value(JsonReport::from(&report)).unwrap();
        let mut found = Vec::new();
        paths(&value, "", &mut found);
        let latency = ["p50_us", "p90_us", "p99_us", "p99.9_us", "max_us"].map(|name| format!("latency/{name}"));
        let counts = ["sent", "answered", "failed", "rate_limited", "unfinished", "failures"].map(str::to_owned);
        let requests: Vec<String> = latency.iter().chain(&counts).cloned().collect();
        let mut expected: Vec<String> = [
            "rate_per_second",
            "seed",
            "planned",
            "begun",
            "interrupted",
            "took_ms",
            "answered_per_second",
            "held_back",
        ]
        .map(|name| format!("/{name}"))
        .to_vec();
        expected.extend(requests.iter().map(|name| format!("/{name}")));
        expected.extend(latency.iter().map(|name| format!("/send_lateness/{}", name.trim_start_matches("latency/"))));
        for (journey, steps) in [("ask", vec!["ask"]), ("process", vec!["process", "process_again"])] {
            let own = ["weight", "begun", "completed", "failed"].map(str::to_owned);
            expected.extend(own.iter().chain(&latency).map(|name| format!("/journeys/{journey}/{name}")));
            for step in steps {
                expected.extend(requests.iter().map(|name| format!("/journeys/{journey}/steps/{step}/{name}")));
            }
        }
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        // What scripts/bench.sh reads, with its numbers.
        assert_eq!((&value["rate_per_second"], &value["failed"]), (&100.into(), &1.into()));
        assert_eq!(value["failures"], serde_json::json!({"503 upstream_timeout (binance)": 1}));
        for name in ["p50_us", "p99_us", "max_us"] {
            assert!(value["latency"][name].as_u64().is_some_and(|us| us >= 1_000), "{value}");
        }
    }
}
