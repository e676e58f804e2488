//! Counts and latencies of a run as it goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::caller::Failure;
use super::journeys::{Journey, Journeys, Step};

/// Longer ones count as this long: one hour, in microseconds. No run takes longer.
const LONGEST_US: u64 = 3_600_000_000;
/// Kinds of failure that are told apart in one step; what comes after them is `other`.
const MOST_KINDS: usize = 40;

/// Durations in microseconds, to three digits.
#[derive(Debug, Clone)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_US, 3);
        Self(histogram.unwrap_or_else(|error| unreachable!("these bounds are allowed: {error}")))
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that this share of all stayed within; zero when there are none.
    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.0.value_at_quantile(quantile))
    }

    pub(crate) fn max(&self) -> Duration {
        Duration::from_micros(self.0.max())
    }

    /// How many took this long or longer.
    #[cfg(test)]
    pub(crate) fn at_least(&self, latency: Duration) -> u64 {
        self.0.count_between(u64::try_from(latency.as_micros()).unwrap(), LONGEST_US)
    }
}

/// Requests of one kind.
#[derive(Debug, Clone)]
pub(crate) struct Requests {
    pub(crate) sent: u64,
    /// Of the answered ones.
    pub(crate) latencies: Latencies,
    pub(crate) rate_limited: u64,
    /// How many failed, by [`Failure::label`].
    pub(crate) failures: BTreeMap<String, u64>,
}

impl Requests {
    pub(crate) fn new() -> Self {
        Self { sent: 0, latencies: Latencies::new(), rate_limited: 0, failures: BTreeMap::new() }
    }

    pub(crate) fn answered(&self) -> u64 {
        self.latencies.count()
    }

    /// Without the rate-limited ones.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Sent, and neither answered nor failed yet.
    pub(crate) fn open(&self) -> u64 {
        self.sent.saturating_sub(self.answered() + self.rate_limited + self.failed())
    }

    pub(crate) fn record(&mut self, latency: Duration, outcome: Result<(), &Failure>) {
        match outcome {
            Ok(()) => self.latencies.record(latency),
            Err(Failure::RateLimited) => self.rate_limited += 1,
            Err(failure) => self.fail(failure.label(), 1),
        }
    }

    pub(crate) fn fail(&mut self, label: String, count: u64) {
        let full = self.failures.len() >= MOST_KINDS && !self.failures.contains_key(&label);
        *self.failures.entry(if full { "other".to_owned() } else { label }).or_default() += count;
    }
}

/// Journeys of one kind.
#[derive(Debug, Clone)]
pub(crate) struct Walks {
    pub(crate) journey: Journey,
    pub(crate) weight: u32,
    pub(crate) begun: u64,
    /// From when the arrival was due to the end of the last step, of those that came to their end.
    pub(crate) latencies: Latencies,
    /// Ended by a step that was not answered as it should.
    pub(crate) failed: u64,
    pub(crate) steps: Vec<(Step, Requests)>,
}

/// Everything counted so far.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    /// How long after they were due arrivals were sent.
    pub(crate) send_lateness: Latencies,
    /// Arrivals that had to wait because too many requests were in flight.
    pub(crate) held_back: u64,
    /// All requests together.
    pub(crate) all: Requests,
    pub(crate) walks: Vec<Walks>,
}

impl Tally {
    pub(crate) fn new(journeys: &Journeys) -> Self {
        let walks = journeys.weights().iter().map(|(journey, weight)| Walks {
            journey: *journey,
            weight: *weight,
            begun: 0,
            latencies: Latencies::new(),
            failed: 0,
            steps: journey.steps().iter().map(|step| (*step, Requests::new())).collect(),
        });
        Self { send_lateness: Latencies::new(), held_back: 0, all: Requests::new(), walks: walks.collect() }
    }

    /// An arrival begins its journey so long after it was due.
    pub(crate) fn begin(&mut self, journey: Journey, late: Duration) {
        self.send_lateness.record(late);
        self.each_walk(journey, |walks| walks.begun += 1);
    }

    /// A journey has ended.
    pub(crate) fn end(&mut self, journey: Journey, latency: Duration, well: bool) {
        self.each_walk(journey, |walks| if well { walks.latencies.record(latency) } else { walks.failed += 1 });
    }

    pub(crate) fn send(&mut self, step: Step) {
        self.each_step(step, |requests| requests.sent += 1);
    }

    pub(crate) fn record(&mut self, step: Step, latency: Duration, outcome: Result<(), &Failure>) {
        self.each_step(step, |requests| requests.record(latency, outcome));
    }

    /// What was sent and never heard of again is no less a failure.
    pub(crate) fn close(&mut self, label: &str) {
        let steps = self.walks.iter_mut().flat_map(|walks| walks.steps.iter_mut().map(|(_, requests)| requests));
        for requests in steps.chain(std::iter::once(&mut self.all)) {
            let open = requests.open();
            if open > 0 {
                requests.fail(label.to_owned(), open);
            }
        }
    }

    pub(crate) fn begun(&self) -> u64 {
        self.walks.iter().map(|walks| walks.begun).sum()
    }

    fn each_walk(&mut self, journey: Journey, change: impl FnOnce(&mut Walks)) {
        if let Some(walks) = self.walks.iter_mut().find(|walks| walks.journey == journey) {
            change(walks);
        }
    }

    /// A step is one of one journey only.
    fn each_step(&mut self, step: Step, change: impl Fn(&mut Requests)) {
        change(&mut self.all);
        let mut steps = self.walks.iter_mut().flat_map(|walks| &mut walks.steps);
        if let Some((_, requests)) = steps.find(|(known, _)| *known == step) {
            change(requests);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_every_request_once_and_keeps_the_latencies() {
        let mut tally = Tally::new(&"ask,process".parse().unwrap());
        for millis in 1..=100 {
            tally.send(Step::Ask);
            tally.record(Step::Ask, Duration::from_millis(millis), Ok(()));
        }
        let failed = Failure::Status { status: 503, code: None, upstream: None };
        for (step, outcome) in [
            (Step::Ask, Err(&failed)),
            (Step::Process, Err(&Failure::RateLimited)),
            (Step::Process, Err(&Failure::Timeout)),
        ] {
            tally.send(step);
            tally.record(step, Duration::from_secs(1), outcome);
        }
        tally.send(Step::ProcessAgain);
        tally.close("lost");
        let all = &tally.all;
        assert_eq!((all.sent, all.answered(), all.rate_limited, all.failed(), all.open()), (104, 100, 1, 3, 0));
        let failures: Vec<(&str, u64)> = all.failures.iter().map(|(label, count)| (label.as_str(), *count)).collect();
        assert_eq!(failures, [("503", 1), ("lost", 1), ("timeout", 1)]);
        let median = all.latencies.quantile(0.5).as_micros();
        assert!((49_900..=50_100).contains(&median), "{median} µs");
        assert!(all.latencies.max() >= Duration::from_millis(100));
        assert_eq!(all.latencies.at_least(Duration::from_millis(91)), 10);
        let steps: Vec<(&str, u64, u64)> = tally
            .walks
            .iter()
            .flat_map(|walks| &walks.steps)
            .map(|(step, requests)| (step.name(), requests.answered(), requests.failed()))
            .collect();
        assert_eq!(steps, [("ask", 100, 1), ("process", 0, 1), ("process_again", 0, 1)]);
    }

    #[test]
    fn a_server_cannot_fill_the_memory_with_kinds_of_failure() {
        let mut requests = Requests::new();
        for number in 0..1_000 {
            requests.fail(format!("500 code_{number}"), 1);
        }
        requests.fail("500 code_0".to_owned(), 1);
        assert_eq!((requests.failures.len(), requests.failed()), (MOST_KINDS + 1, 1_001));
        assert_eq!(requests.failures["500 code_0"], 2);
    }
}
