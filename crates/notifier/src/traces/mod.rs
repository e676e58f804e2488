//! Traces from Tempo and log lines from Loki, reduced to what a person looks at.
//!
//! [`TraceView`] and [`LogsView`] are what `GET /v1/traces/{trace_id}` and `/v1/traces/{trace_id}/logs` serve; the page and
//! `crypto-telemetry ask` both read them.

mod loki;
mod otlp;
mod reader;
mod tree;
mod view;

pub use reader::{TraceError, TraceId, TraceIdError, TraceReader};
pub use view::{EventView, LogLine, LogsView, SpanKind, SpanStatus, SpanView, TraceView};
