//! Where the time of a trace went, as Tempo tells it.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use trace_reader::{StepKind, TraceError, TraceId, TraceReader, TraceView};
use url::Url;

/// Longest wait for a trace that is still on its way to Tempo.
const WAIT: Duration = Duration::from_secs(6);

/// Pause between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Steps that would be shown as nothing are left out, in milliseconds.
const SHOWN_FROM_MS: f64 = 0.05;

/// Where time went, or why that is not known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Latency {
    /// There is nobody to ask.
    Off,
    /// It was not traced.
    Untraced,
    /// Tempo has no such trace (yet).
    Missing,
    /// Tempo failed.
    Failed(String),
    /// From the beginning to the end, and the steps in between.
    Steps {
        /// In milliseconds.
        total_ms: f64,
        /// In their order.
        steps: Vec<Step>,
    },
}

/// A part of a trace.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    pub(crate) name: String,
    /// Time that no step below it took, in milliseconds.
    pub(crate) own_ms: f64,
}

/// Reads traces, where there is a Tempo.
#[derive(Debug, Clone)]
pub(super) struct Latencies {
    reader: Option<TraceReader>,
}

impl Latencies {
    pub(super) fn new(tempo_url: Option<Url>) -> Self {
        // Its logs are not asked for, so there is no Loki to name.
        let reader = tempo_url.map(|url| TraceReader::new(url.clone(), url, TimeDelta::hours(1)));
        Self { reader }
    }

    /// Where the time of a trace went. Waits a moment for one that is still on its way.
    pub(super) async fn of(&self, trace_id: Option<&str>) -> Latency {
        let Some(reader) = &self.reader else { return Latency::Off };
        let Some(id) = trace_id.and_then(|id| id.parse::<TraceId>().ok()) else { return Latency::Untraced };
        let begun = Instant::now();
        loop {
            let found = reader.trace(&id).await;
            let is_last = begun.elapsed() + LOOK_AGAIN >= WAIT;
            match found {
                Ok(view) if view.orphan_count == 0 || is_last => return steps_of(&view),
                Err(TraceError::NotFound(_)) if is_last => return Latency::Missing,
                Err(TraceError::Upstream(error)) => return Latency::Failed(error.to_string()),
                // Some or all of it is still on its way.
                Ok(_) | Err(TraceError::NotFound(_)) => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    }
}

/// The steps of a trace that took any time, in their order.
fn steps_of(view: &TraceView) -> Latency {
    let breakdown = trace_reader::breakdown(view);
    let steps = breakdown
        .steps
        .into_iter()
        .map(|step| Step { own_ms: milliseconds(step.self_us), name: name_of(step) })
        .filter(|step| step.own_ms >= SHOWN_FROM_MS)
        .collect();
    Latency::Steps { total_ms: milliseconds(breakdown.total_us), steps }
}

/// A step's name. A wait says for whom, in as few letters as tell it.
fn name_of(step: trace_reader::Step) -> String {
    let who = step.service.strip_suffix("-service").unwrap_or(&step.service);
    if step.kind == StepKind::Waiting && !who.is_empty() { format!("{} for {who}", step.name) } else { step.name }
}

#[expect(clippy::cast_precision_loss, reason = "a trace lasts less than 2^52 microseconds")]
fn milliseconds(us: u64) -> f64 {
    us as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_says_for_whom() {
        let step = |kind: StepKind, service: &str| trace_reader::Step {
            kind,
            name: kind.name().to_owned(),
            service: service.to_owned(),
            start_offset_us: 0,
            self_us: 1,
            total_us: 1,
            span_count: 1,
            is_error: false,
        };
        assert_eq!(name_of(step(StepKind::Waiting, "order-service")), "Waiting for order");
        assert_eq!(name_of(step(StepKind::Waiting, "bingx")), "Waiting for bingx");
        assert_eq!(name_of(step(StepKind::Waiting, "")), "Waiting");
        assert_eq!(name_of(step(StepKind::Queue, "order-service")), "Waiting in the queue");
    }
}
