//! W3C trace context and baggage, in and out of HTTP headers (and, later, message headers).

use opentelemetry::Context;
use opentelemetry::KeyValue;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::{Extractor, Injector, TextMapCompositePropagator};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

/// The propagator of every process: `traceparent`, `tracestate`, `baggage`.
pub(crate) fn propagator() -> TextMapCompositePropagator {
    TextMapCompositePropagator::new(vec![Box::new(TraceContextPropagator::new()), Box::new(BaggagePropagator::new())])
}

/// Reads the caller's context from anything that can look headers up without regard to case.
#[must_use]
pub fn extract(headers: &dyn Extractor) -> Context {
    opentelemetry::global::get_text_map_propagator(|propagator| propagator.extract(headers))
}

/// Writes the headers that carry `context`. Nothing is written when telemetry is off.
pub fn inject(context: &Context, headers: &mut dyn Injector) {
    opentelemetry::global::get_text_map_propagator(|propagator| propagator.inject_context(context, headers));
}

/// The current context with further baggage: it travels along the whole chain of calls made within it.
#[must_use]
pub fn with_baggage(entries: &[(&'static str, &str)]) -> Context {
    let context = Context::current();
    let mut all: Vec<KeyValue> =
        context.baggage().iter().map(|(key, (value, _))| KeyValue::new(key.clone(), value.to_string())).collect();
    all.extend(entries.iter().map(|(key, value)| KeyValue::new(*key, (*value).to_owned())));
    context.with_baggage(all)
}

/// One baggage entry of the current context.
#[must_use]
pub fn baggage(key: &str) -> Option<String> {
    Context::current().baggage().get(key).map(ToString::to_string)
}
