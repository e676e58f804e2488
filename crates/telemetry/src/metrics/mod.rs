//! Instruments, declared once: name, unit, labels and meaning of every metric stand in the groups below.
//!
//! A declaration carries the name as Prometheus shows it; the OpenTelemetry name is derived from it, so that the
//! Collector's path and the native `/metrics` give the same names. An instrument that is used before telemetry is
//! set up, or when it is off, does nothing.

pub mod bus;
pub mod decision;
pub mod dispatcher;
pub mod doctor;
pub mod export;
pub mod gateway;
pub mod generator;
pub mod http;
mod instrument;
pub mod market_data;
pub mod notifier;
pub mod pipeline;
pub mod process;
pub mod redis;
mod registry;
pub mod signal;
pub mod simulator;
pub mod storage;
pub mod trading;

use std::sync::OnceLock;

pub(crate) use instrument::set_installed;
pub use instrument::{Counter, CounterF64, Gauge, Histogram, Kind, Metric, Observed, Spec, UpDownCounter};
pub use registry::{all, markdown};

static NATIVE: OnceLock<prometheus::Registry> = OnceLock::new();

pub(crate) fn serve_from(registry: prometheus::Registry) -> Result<(), crate::TelemetryError> {
    NATIVE.set(registry).map_err(|_| crate::TelemetryError::AlreadySet)
}

/// Content type of [`render`]: Prometheus text exposition format 0.0.4.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Every metric of this process in Prometheus text format; `None` when native metrics are off.
#[must_use]
pub fn render() -> Option<String> {
    let families = NATIVE.get()?.gather();
    let mut text = String::new();
    match prometheus::TextEncoder::new().encode_utf8(&families, &mut text) {
        Ok(()) => Some(text),
        Err(error) => {
            tracing::error!(error = %error, "cannot encode metrics");
            None
        }
    }
}
