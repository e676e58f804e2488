//! Traces, metrics and logs of every service: set-up, shut-down, the metric registry, propagation.
//!
//! Off unless `TELEMETRY_ENABLED=true` (spec C5). Off means off: no provider, no exporter, no span, no instrument;
//! only log lines on standard output. On, it never holds a service up: queues are bounded, what does not fit is
//! dropped and counted, exports run on threads of their own, and shut-down is bounded in time.

mod error;
mod exception;
pub mod export;
mod log_writer;
mod logging;
pub mod metrics;
mod process;
pub mod propagation;
mod resource;
mod settings;
mod setup;
pub mod testing;

pub use error::TelemetryError;
pub use exception::{causes, record_exception, record_fallback, record_recovered};
pub use settings::{LogFormat, OtlpProtocol, TelemetrySettings};
pub use setup::{Telemetry, init};

use opentelemetry::trace::TraceContextExt as _;

/// Target of the one log line a request; it goes to the logs and not onto the span, which says the same.
pub const ACCESS_LOG: &str = "access";

/// Trace id of the current span as 32 hex digits; `None` outside any span or when telemetry is off.
#[must_use]
pub fn trace_id() -> Option<String> {
    let context = opentelemetry::Context::current();
    let span = context.span();
    let span_context = span.span_context();
    span_context.is_valid().then(|| span_context.trace_id().to_string())
}
