//! Trace and baggage as text, and back.

use std::collections::BTreeMap;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};

/// As W3C headers in a JSON object: `traceparent`, `tracestate`, `baggage`.
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

/// Trace and baggage of a context as text, to be kept with what is gone on with later. Empty when telemetry is off.
#[must_use]
pub fn store(context: &Context) -> String {
    let mut headers = Headers::default();
    telemetry::propagation::inject(context, &mut headers);
    serde_json::to_string(&headers.0).unwrap_or_default()
}

/// The context of such a text. One without a trace, written with telemetry off, begins a trace of its own.
#[must_use]
pub fn restore(text: &str) -> Context {
    telemetry::propagation::extract(&Headers(serde_json::from_str(text).unwrap_or_default()))
}
