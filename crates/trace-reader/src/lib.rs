//! Traces from Tempo and log lines from Loki, reduced to what a person looks at.
//!
//! [`TraceView`] and [`LogsView`] are what api-gateway serves at `GET /api/v1/traces/{trace_id}` and
//! `/api/v1/traces/{trace_id}/logs` and its page draws; `crypto-telemetry ask` reads them from Tempo itself.
//! [`breakdown()`] says in a few steps where a trace's time went.

mod breakdown;
mod loki;
mod otlp;
mod reader;
mod tree;
mod view;

pub use breakdown::{Breakdown, Step, StepKind, breakdown};
pub use reader::{TraceError, TraceId, TraceIdError, TraceReader};
pub use view::{EventView, LogLine, LogsView, SpanKind, SpanStatus, SpanView, TraceView};

/// Whether Tempo's answer to `/api/v2/traces/{id}` or `/api/traces/{id}` has a span: an unknown id may give 200 and none.
///
/// # Errors
/// When the answer is none of Tempo's, in words.
pub fn has_span(answer: &[u8]) -> Result<bool, String> {
    otlp::read(answer).map(|spans| !spans.is_empty()).map_err(|error| error.to_string())
}

/// Whether Loki's answer to `/loki/api/v1/query_range` has a line.
///
/// # Errors
/// When the answer is none of Loki's, in words.
pub fn has_line(answer: &[u8]) -> Result<bool, String> {
    // Which trace they are of, and how many at most, makes no difference here.
    loki::read("", answer, usize::MAX).map(|view| !view.lines.is_empty())
}
