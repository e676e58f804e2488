//! Trace and baggage as text, and back: what is said later is said in the trace of whoever caused it.

use std::collections::BTreeMap;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};

/// W3C headers in a JSON object: `traceparent`, `tracestate`, `baggage`.
#[derive(Default)]
struct Headers(BTreeMap<String, String>);

impl Injector for Headers {
    fn set(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            self.0.insert(key.to_owned(), value);
        }
    }
}

impl Extractor for Headers {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// The current trace and baggage.
pub(super) fn current() -> String {
    let mut headers = Headers::default();
    telemetry::propagation::inject(&Context::current(), &mut headers);
    serde_json::to_string(&headers.0).unwrap_or_default()
}

/// What was written with telemetry off begins a trace of its own.
pub(super) fn restore(text: &str) -> Context {
    telemetry::propagation::extract(&Headers(serde_json::from_str(text).unwrap_or_default()))
}
