//! A gate before each queue of the SDK.
//!
//! The SDK's batch processors drop silently when their queue is full; the gate in front admits no more than the
//! queue holds, so that every loss is counted (`telemetry_items_dropped_total`) and a Collector that is slow or gone
//! costs a service one atomic addition a span. The exporter behind the queue settles what the gate admitted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::logs::Severity;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, LogProcessor, SdkLogRecord};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

use crate::metrics::export::{DROPPED, EXPORTED};
use crate::settings::Signal;

/// Counts what waits for export of one signal.
#[derive(Debug)]
pub(crate) struct Gate {
    signal: Signal,
    capacity: usize,
    waiting: AtomicUsize,
    failing: AtomicBool,
    target: String,
}

impl Gate {
    pub(crate) fn new(signal: Signal, capacity: usize, target: String) -> Arc<Self> {
        Arc::new(Self { signal, capacity, waiting: AtomicUsize::new(0), failing: AtomicBool::new(false), target })
    }

    /// Takes a place in the queue, or counts a drop.
    fn admit(&self) -> bool {
        let taken = self
            .waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |waiting| {
                (waiting < self.capacity).then_some(waiting + 1)
            })
            .is_ok();
        if !taken {
            DROPPED.add(1, &[("signal", self.signal.as_str()), ("reason", "queue_full")]);
        }
        taken
    }

    /// Gives the places of a batch back and counts how it ended.
    fn settle(&self, items: usize, result: &OTelSdkResult) {
        // Never below zero: a batch the gate has not seen would otherwise open it for ever.
        let _ = self
            .waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |waiting| Some(waiting.saturating_sub(items)));
        let count = u64::try_from(items).unwrap_or(u64::MAX);
        match result {
            Ok(()) => {
                EXPORTED.add(count, &[("signal", self.signal.as_str())]);
                if self.failing.swap(false, Ordering::AcqRel) {
                    tracing::info!(target: "telemetry::export", signal = self.signal.as_str(), "telemetry is taken again by {}", self.target);
                }
            }
            Err(error) => {
                DROPPED.add(count, &[("signal", self.signal.as_str()), ("reason", "export_failed")]);
                // Once an outage, not once a batch.
                if !self.failing.swap(true, Ordering::AcqRel) {
                    tracing::warn!(target: "telemetry::export", signal = self.signal.as_str(), error = %error,
                        "{} does not take telemetry; the service goes on, what cannot be sent is dropped and counted", self.target);
                }
            }
        }
    }
}

/// A span processor behind a [`Gate`].
#[derive(Debug)]
pub(crate) struct GatedSpanProcessor<P> {
    pub(crate) gate: Arc<Gate>,
    pub(crate) inner: P,
}

impl<P: SpanProcessor> SpanProcessor for GatedSpanProcessor<P> {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.inner.on_start(span, cx);
    }

    fn on_end(&self, span: SpanData) {
        // The batch processor ignores spans that are not sampled, so they take no place.
        if span.span_context.is_sampled() && self.gate.admit() {
            self.inner.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// A log processor behind a [`Gate`].
#[derive(Debug)]
pub(crate) struct GatedLogProcessor<P> {
    pub(crate) gate: Arc<Gate>,
    pub(crate) inner: P,
}

impl<P: LogProcessor> LogProcessor for GatedLogProcessor<P> {
    fn emit(&self, data: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.gate.admit() {
            self.inner.emit(data, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.inner.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// A span exporter that settles with its [`Gate`].
pub(crate) struct WatchedSpanExporter<E> {
    pub(crate) gate: Arc<Gate>,
    pub(crate) inner: E,
}

impl<E> fmt::Debug for WatchedSpanExporter<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedSpanExporter").field("gate", &self.gate).finish_non_exhaustive()
    }
}

impl<E: SpanExporter> SpanExporter for WatchedSpanExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let items = batch.len();
        let result = self.inner.export(batch).await;
        self.gate.settle(items, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// A log exporter that settles with its [`Gate`].
pub(crate) struct WatchedLogExporter<E> {
    pub(crate) gate: Arc<Gate>,
    pub(crate) inner: E,
}

impl<E> fmt::Debug for WatchedLogExporter<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedLogExporter").field("gate", &self.gate).finish_non_exhaustive()
    }
}

impl<E: LogExporter> LogExporter for WatchedLogExporter<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let items = batch.iter().count();
        let result = self.inner.export(batch).await;
        self.gate.settle(items, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.inner.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// A metric exporter that tells its [`Gate`] how exports end. Metrics do not queue: the next export has the sums.
pub(crate) struct WatchedMetricExporter<E> {
    pub(crate) gate: Arc<Gate>,
    pub(crate) inner: E,
}

impl<E: PushMetricExporter> PushMetricExporter for WatchedMetricExporter<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let items = metrics.scope_metrics().map(|scope| scope.metrics().count()).sum();
        let result = self.inner.export(metrics).await;
        self.gate.settle(items, &result);
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::error::OTelSdkError;

    use super::*;

    #[test]
    fn admits_no_more_than_the_queue_holds() {
        let gate = Gate::new(Signal::Traces, 3, "nowhere".to_owned());
        assert_eq!((0..5).filter(|_| gate.admit()).count(), 3);
        gate.settle(2, &Ok(()));
        assert_eq!((0..5).filter(|_| gate.admit()).count(), 2);
        gate.settle(3, &Err(OTelSdkError::Timeout(Duration::from_secs(1))));
        gate.settle(100, &Ok(()));
        assert_eq!((0..9).filter(|_| gate.admit()).count(), 3, "settling too much opens no further place");
    }
}
