//! The way out: OTLP exporters behind bounded queues that count what they lose.

mod gate;
mod otlp;

pub(crate) use gate::{
    Gate, GatedLogProcessor, GatedSpanProcessor, WatchedLogExporter, WatchedMetricExporter, WatchedSpanExporter,
};
pub(crate) use otlp::OtlpBuilder;
