//! Errors on spans, with their chain of causes (spec E4).

use std::error::Error;

use opentelemetry::KeyValue;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Causes that are told of one error: a cycle would never end.
const MAX_CAUSES: usize = 10;

/// Puts an error onto the current span as an `exception` event and sets the span's status, as OpenTelemetry's
/// conventions for exceptions say. `kind` is a bounded word; the stack trace is the chain of causes, a line each.
///
/// The error's words reach the trace: an error must not quote secrets.
pub fn record_exception(kind: &'static str, error: &(dyn Error + 'static)) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    let causes = causes(error);
    span.set_status(opentelemetry::trace::Status::error(error.to_string()));
    span.set_attribute("error.type", kind);
    span.add_event(
        "exception",
        vec![
            KeyValue::new("exception.type", kind),
            KeyValue::new("exception.message", error.to_string()),
            KeyValue::new("exception.stacktrace", causes.join("\ncaused by: ")),
        ],
    );
}

/// Puts onto the current span that something else was done instead of what failed.
pub fn record_fallback(what_failed: &'static str, instead: &'static str, reason: &str) {
    Span::current().add_event(
        "fallback",
        vec![
            KeyValue::new("fallback.from", what_failed),
            KeyValue::new("fallback.to", instead),
            KeyValue::new("fallback.reason", reason.to_owned()),
        ],
    );
}

/// Puts onto the current span what went wrong before, elsewhere, and was recovered from.
pub fn record_recovered(service: &str, code: &str, detail: &str, recovery: &str) {
    Span::current().add_event(
        "recovered",
        vec![
            KeyValue::new("recovered.service", service.to_owned()),
            KeyValue::new("recovered.code", code.to_owned()),
            KeyValue::new("recovered.detail", detail.to_owned()),
            KeyValue::new("recovered.by", recovery.to_owned()),
        ],
    );
}

/// An error and what caused it, first to last.
#[must_use]
pub fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut told = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next.filter(|_| told.len() < MAX_CAUSES) {
        told.push(error.to_string());
        next = error.source();
    }
    told
}
