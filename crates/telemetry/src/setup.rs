//! Setting telemetry up, and shutting it down in bounded time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{BatchConfigBuilder as LogBatchConfigBuilder, BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder as SpanBatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider,
};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, FilterFn, LevelFilter};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::export::{
    Gate, GatedLogProcessor, GatedSpanProcessor, OtlpBuilder, WatchedLogExporter, WatchedMetricExporter,
    WatchedSpanExporter,
};
use crate::log_writer::LogWriter;
use crate::logging::LogLine;
use crate::metrics;
use crate::settings::{OUTSIDERS_MAKE_SPEAK, Signal};
use crate::{TelemetryError, TelemetrySettings};

/// What runs for telemetry in this process. Keep it until the end of `main` and call [`Telemetry::shutdown`].
#[derive(Default)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    logs: Option<SdkLoggerProvider>,
    metrics: Option<SdkMeterProvider>,
    /// gRPC channels are driven here, not on the service's runtime: an export must not wait for a busy service, and
    /// the last flush must work after the service's runtime has ended.
    runtime: Option<tokio::runtime::Runtime>,
    lines: Option<LogWriter>,
    timeout: Duration,
}

/// Sets telemetry up for this process, once.
///
/// # Errors
/// When a setting cannot be used, in words that name it, or when the process has a `tracing` subscriber already.
pub fn init(service_name: &str, settings: &TelemetrySettings) -> Result<Telemetry, TelemetryError> {
    // TLS to a Collector (and of every client of ours) uses ring; a second installation is not an error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let from_environment = std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty());
    let service_name =
        settings.telemetry_service_name.clone().or(from_environment).unwrap_or_else(|| service_name.to_owned());
    let ratio = settings.ratio()?;
    // The SDK speaks once a failed batch; the gates speak once an outage and say what it means.
    let directives =
        format!("opentelemetry=off,opentelemetry_sdk=off,opentelemetry_otlp=off,{}", settings.log_directives()?);
    let log_filter = EnvFilter::builder()
        .parse(directives)
        .map_err(|error| TelemetryError::Setting { setting: "LOG_LEVEL", reason: error.to_string() })?;
    let instance_id = uuid::Uuid::new_v4().to_string();
    let resource = crate::resource::resource(&service_name, &settings.environment, &instance_id);
    let mut telemetry = Telemetry::default();
    telemetry.timeout = settings.shutdown_timeout();
    let lines = LogWriter::start();
    telemetry.lines = Some(lines.clone());

    let exporting = settings.exporting();
    let otlp = if exporting { Some(OtlpBuilder::new(settings)?) } else { None };
    if exporting {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("telemetry-export")
            .enable_all()
            .build()
            .map_err(TelemetryError::Runtime)?;
        telemetry.runtime = Some(runtime);
    }
    let handle = telemetry.runtime.as_ref().map(|runtime| runtime.handle().clone());
    let _entered = handle.as_ref().map(tokio::runtime::Handle::enter);

    // Metrics first: the gates of the other two count on them.
    let otlp_metrics = otlp.as_ref().filter(|_| settings.exports(Signal::Metrics).unwrap_or(false));
    settings.exports(Signal::Metrics)?;
    if otlp_metrics.is_some() || settings.native_metrics() {
        let mut provider = SdkMeterProvider::builder().with_resource(resource.clone());
        if let Some(otlp) = otlp_metrics {
            let interval = Duration::from_millis(settings.telemetry_metric_interval_ms);
            let gate = Gate::new(Signal::Metrics, usize::MAX, otlp.target());
            let exporter = WatchedMetricExporter { gate, inner: otlp.metrics()? };
            provider = provider.with_reader(PeriodicReader::builder(exporter).with_interval(interval).build());
        }
        if settings.native_metrics() {
            let (exporter, registry) = native(&service_name, &settings.environment)?;
            provider = provider.with_reader(exporter);
            metrics::serve_from(registry)?;
        }
        install_metrics(provider.build(), &mut telemetry);
    }

    let Some(otlp) = otlp else {
        // Off means off: no layer is interested in spans, so the macros make none.
        let events_only = FilterFn::new(|metadata: &tracing::Metadata<'_>| metadata.is_event());
        tracing_subscriber::registry()
            .with(events_only)
            .with(log_layer(settings, &service_name, lines, log_filter))
            .try_init()
            .map_err(|_| TelemetryError::AlreadySet)?;
        return Ok(telemetry);
    };

    opentelemetry::global::set_text_map_propagator(crate::propagation::propagator());

    if settings.exports(Signal::Traces)? {
        let capacity = settings.queue_size("OTEL_BSP_MAX_QUEUE_SIZE")?;
        let delay = settings.batch_delay("OTEL_BSP_SCHEDULE_DELAY")?;
        let gate = Gate::new(Signal::Traces, capacity, otlp.target());
        let batches = SpanBatchConfigBuilder::default()
            .with_max_queue_size(capacity)
            .with_max_export_batch_size(512)
            .with_scheduled_delay(delay)
            .build();
        let exporter = WatchedSpanExporter { gate: gate.clone(), inner: otlp.spans()? };
        let inner = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        telemetry.traces =
            Some(tracer_provider(ratio, &resource).with_span_processor(GatedSpanProcessor { gate, inner }).build());
    }
    if settings.exports(Signal::Logs)? {
        let capacity = settings.queue_size("OTEL_BLRP_MAX_QUEUE_SIZE")?;
        let delay = settings.batch_delay("OTEL_BLRP_SCHEDULE_DELAY")?;
        let gate = Gate::new(Signal::Logs, capacity, otlp.target());
        let batches = LogBatchConfigBuilder::default()
            .with_max_queue_size(capacity)
            .with_max_export_batch_size(512)
            .with_scheduled_delay(delay)
            .build();
        let exporter = WatchedLogExporter { gate: gate.clone(), inner: otlp.logs()? };
        let inner = BatchLogProcessor::builder(exporter).with_batch_config(batches).build();
        telemetry.logs = Some(
            SdkLoggerProvider::builder()
                .with_resource(resource)
                .with_log_processor(GatedLogProcessor { gate, inner })
                .build(),
        );
    }

    let spans = telemetry.traces.as_ref().map(|provider| span_layer(provider).with_filter(spans_and_their_events()));
    let logs = telemetry.logs.as_ref().map(|provider| OpenTelemetryTracingBridge::new(provider).with_filter(ours()));
    tracing_subscriber::registry()
        .with(spans)
        .with(logs)
        .with(log_layer(settings, &service_name, lines, log_filter))
        .try_init()
        .map_err(|_| TelemetryError::AlreadySet)?;
    Ok(telemetry)
}

impl Telemetry {
    /// Sends what waits and ends the exporters, within the time limit of the settings for all together.
    ///
    /// Traces and logs go first, so that metrics can still count what they lose.
    pub fn shutdown(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let deadline = Instant::now() + self.timeout;
        let mut unsent = Vec::new();
        if let Some(provider) = self.traces.take()
            && !ended_by(deadline, move |left| provider.shutdown_with_timeout(left))
        {
            unsent.push(Signal::Traces.as_str());
        }
        if let Some(provider) = self.logs.take()
            && !ended_by(deadline, move |left| provider.shutdown_with_timeout(left))
        {
            unsent.push(Signal::Logs.as_str());
        }
        if let Some(provider) = self.metrics.take()
            && !ended_by(deadline, move |left| provider.shutdown_with_timeout(left))
        {
            unsent.push(Signal::Metrics.as_str());
        }
        if !unsent.is_empty() {
            tracing::warn!(target: "telemetry::export", signals = unsent.join(", "), "not everything could be sent before shut-down");
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        if let Some(lines) = self.lines.take() {
            lines.flush();
        }
    }
}

/// Whether a shut-down ended well in the time that is left. It runs on a thread of its own, because the SDK's periodic
/// reader waits five seconds for an export under way whatever time limit it is given.
fn ended_by(deadline: Instant, shutdown: impl FnOnce(Duration) -> OTelSdkResult + Send + 'static) -> bool {
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
    let (ended, end) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name("telemetry-shutdown".to_owned()).spawn(move || {
        // Nobody listens any more when the time is over; the process ends then.
        let _ = ended.send(shutdown(left).is_ok());
    });
    thread.is_ok() && end.recv_timeout(left).unwrap_or(false)
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.end();
    }
}

fn log_layer<S>(
    settings: &TelemetrySettings,
    service: &str,
    lines: LogWriter,
    filter: EnvFilter,
) -> impl tracing_subscriber::Layer<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    tracing_subscriber::fmt::layer()
        .event_format(LogLine::new(settings.log_format, service))
        .with_writer(lines)
        // Without spans: it would write down the fields of each, and a line shows none of them.
        .with_filter(filter.and(FilterFn::new(|metadata: &tracing::Metadata<'_>| metadata.is_event())))
}

/// Tracer provider with the ratio sampler, if a ratio is set; else the SDK reads `OTEL_TRACES_SAMPLER`.
pub(crate) fn tracer_provider(
    ratio: Option<f64>,
    resource: &Resource,
) -> opentelemetry_sdk::trace::TracerProviderBuilder {
    let provider = SdkTracerProvider::builder().with_resource(resource.clone());
    match ratio {
        Some(ratio) => provider.with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)))),
        None => provider,
    }
}

/// The layer that turns `tracing` spans into OpenTelemetry's, without code locations and threads on every span.
pub(crate) fn span_layer<S>(
    provider: &SdkTracerProvider,
) -> tracing_opentelemetry::OpenTelemetryLayer<S, opentelemetry_sdk::trace::SdkTracer>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("crypto-telemetry"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
}

/// What goes into traces: as [`ours`], without access lines.
pub(crate) fn spans_and_their_events<S>() -> impl tracing_subscriber::layer::Filter<S> {
    ours().and(FilterFn::new(|metadata: &tracing::Metadata<'_>| metadata.target() != crate::ACCESS_LOG))
}

/// What goes to OTLP: info and above, nothing of the libraries that carry the export, which would feed itself, and
/// nothing that outsiders make a library say.
pub(crate) fn ours<S>() -> impl tracing_subscriber::layer::Filter<S> {
    const CARRIERS: [&str; 9] =
        ["h2", "hyper", "hyper_util", "tonic", "tower", "reqwest", "opentelemetry", "rustls", "telemetry::export"];
    FilterFn::new(|metadata: &tracing::Metadata<'_>| {
        let target = metadata.target();
        *metadata.level() <= tracing::Level::INFO
            && !OUTSIDERS_MAKE_SPEAK.contains(&target)
            && !CARRIERS.iter().any(|carrier| {
                target.strip_prefix(carrier).is_some_and(|rest| {
                    rest.is_empty() || rest.starts_with("::") || rest.starts_with('_') || rest.starts_with('-')
                })
            })
    })
    .with_max_level_hint(LevelFilter::INFO)
}

/// The native exporter and the registry it fills; labels as the Collector adds them on its path.
pub(crate) fn native(
    service_name: &str,
    environment: &str,
) -> Result<(opentelemetry_prometheus::PrometheusExporter, prometheus::Registry), TelemetryError> {
    let labels = HashMap::from([
        ("service_name".to_owned(), service_name.to_owned()),
        ("deployment_environment".to_owned(), environment.to_owned()),
    ]);
    let registry = prometheus::Registry::new_custom(None, Some(labels))
        .map_err(|error| TelemetryError::Native(error.to_string()))?;
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .without_scope_info()
        // target_info has the resource's attributes as labels, service_name among them, and would get the registry's besides:
        // Prometheus refuses a page on which a label stands twice, all of it.
        .without_target_info()
        .build()
        .map_err(|error| TelemetryError::Native(error.to_string()))?;
    Ok((exporter, registry))
}

pub(crate) fn install_metrics(provider: SdkMeterProvider, telemetry: &mut Telemetry) {
    opentelemetry::global::set_meter_provider(provider.clone());
    metrics::set_installed();
    crate::process::observe(&opentelemetry::global::meter("crypto-telemetry"));
    telemetry.metrics = Some(provider);
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::Context;

    use super::*;

    /// Keeps the targets of what reaches it.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<String>>>);

    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Kept {
        fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
            self.0.lock().unwrap().push(event.metadata().target().to_owned());
        }
    }

    #[test]
    fn garbage_of_outsiders_does_not_go_to_otlp() {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::registry().with(kept.clone().with_filter(ours()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "actix_http::h1::dispatcher", "stream error: garbage");
            tracing::error!(target: "actix_http::h1::decoder", "too much garbage");
            tracing::error!(target: "h2::proto", "the export's own");
            tracing::error!(target: "actix_http::h2::service", "not ready");
            tracing::debug!(target: "web", "too much");
        });
        assert_eq!(*kept.0.lock().unwrap(), ["actix_http::h2::service"]);
    }

    /// Prometheus refuses a whole page of which one series has a label twice.
    #[test]
    fn no_native_series_has_a_label_twice() {
        use opentelemetry::metrics::MeterProvider as _;

        let (exporter, registry) = native("a-service", "test").unwrap();
        let resource = crate::resource::resource("a-service", "test", "1");
        let provider = SdkMeterProvider::builder().with_resource(resource).with_reader(exporter).build();
        provider.meter("test").u64_counter("things").build().add(1, &[]);
        let families = registry.gather();
        assert!(families.iter().any(|family| family.name() == "things_total"), "{families:?}");
        for family in families {
            for series in family.get_metric() {
                let mut labels: Vec<_> = series.get_label().iter().map(prometheus::proto::LabelPair::name).collect();
                labels.sort_unstable();
                let all = labels.len();
                labels.dedup();
                assert_eq!(labels.len(), all, "{}: {:?}", family.name(), series.get_label());
            }
        }
    }
}
