//! Where the time of a trace went, as Tempo tells it.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use trace_reader::{TraceError, TraceId, TraceReader, TraceView};
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
        .map(|step| Step { name: step.name, own_ms: milliseconds(step.self_us) })
        .filter(|step| step.own_ms >= SHOWN_FROM_MS)
        .collect();
    Latency::Steps { total_ms: milliseconds(breakdown.total_us), steps }
}

#[expect(clippy::cast_precision_loss, reason = "a trace lasts less than 2^52 microseconds")]
fn milliseconds(us: u64) -> f64 {
    us as f64 / 1_000.0
}
