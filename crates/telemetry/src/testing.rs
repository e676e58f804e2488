//! For tests: the real SDK with spans kept in memory and native metrics, set up once a test process.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::Telemetry;
use crate::setup::{install_metrics, native, span_layer, spans_and_their_events, tracer_provider};

static FINISHED: Mutex<Vec<SpanData>> = Mutex::new(Vec::new());
static RUNNING: OnceLock<Telemetry> = OnceLock::new();

#[derive(Debug)]
struct Keep;

impl SpanProcessor for Keep {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        FINISHED.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Sets telemetry up for this test process; later calls do nothing.
///
/// # Panics
/// When something else has installed a `tracing` subscriber.
#[expect(clippy::expect_used, reason = "a test set-up that fails must fail the test")]
pub fn init() {
    RUNNING.get_or_init(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut telemetry = Telemetry::default();
        let resource = crate::resource::resource("test", "test", "test");
        let (exporter, registry) = native("test", "test").expect("native exporter");
        crate::metrics::serve_from(registry).expect("first set-up");
        install_metrics(
            SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(exporter).build(),
            &mut telemetry,
        );
        opentelemetry::global::set_text_map_propagator(crate::propagation::propagator());
        let provider = tracer_provider(Some(1.0), &resource).with_span_processor(Keep).build();
        tracing_subscriber::registry().with(span_layer(&provider).with_filter(spans_and_their_events())).init();
        telemetry
    });
}

/// Every span that has ended in this test process, of all tests: pick yours by trace id or attribute.
#[must_use]
pub fn finished_spans() -> Vec<SpanData> {
    FINISHED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// One attribute of a span as text.
#[must_use]
pub fn attribute(span: &SpanData, key: &str) -> Option<String> {
    span.attributes.iter().find(|attribute| attribute.key.as_str() == key).map(|found| found.value.to_string())
}

/// Values of the series of a metric that carry all these labels, whatever else they carry.
///
/// A histogram is asked for by its parts: `…_count`, `…_sum`.
#[must_use]
pub fn metric_values(name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
    let text = crate::metrics::render().unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, found_labels) = series.split_once('{').unwrap_or((series, ""));
            let wanted = labels.iter().all(|(label, value)| found_labels.contains(&format!("{label}=\"{value}\"")));
            (found == name && wanted).then(|| value.parse().ok())?
        })
        .collect()
}
