//! Typed handles to OpenTelemetry instruments, made on first use.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

/// Set once a meter provider is installed: instruments made before would stay dead for ever.
static INSTALLED: AtomicBool = AtomicBool::new(false);

pub(crate) fn set_installed() {
    INSTALLED.store(true, Ordering::Release);
}

fn installed() -> bool {
    INSTALLED.load(Ordering::Acquire)
}

fn meter() -> Meter {
    opentelemetry::global::meter("crypto-telemetry")
}

/// What kind of instrument a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

impl Kind {
    /// As Prometheus calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The declaration of a metric.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Name as Prometheus shows it; counters end in `_total`, and the unit is part of the name.
    pub name: &'static str,
    /// UCUM unit: `s`, `By`, `%`, or an annotation such as `{request}` or `{USD}` (which adds nothing to the name).
    pub unit: &'static str,
    /// Every label it may carry. Values are bounded: never an id, never a text from outside.
    pub labels: &'static [&'static str],
    /// What one learns from it.
    pub help: &'static str,
}

impl Spec {
    /// The OpenTelemetry name: without the suffixes that both Prometheus exporters add again.
    #[must_use]
    pub fn otel_name(&self, kind: Kind) -> String {
        let mut name = self.name;
        if kind == Kind::Counter {
            name = name.strip_suffix("_total").unwrap_or(name);
        }
        let unit_suffix = match self.unit {
            "s" => "_seconds",
            "ms" => "_milliseconds",
            "By" => "_bytes",
            _ => "",
        };
        name = name.strip_suffix(unit_suffix).unwrap_or(name);
        // Names that OpenTelemetry's semantic conventions know keep their dots for OTLP backends.
        match name {
            "http_server_request_duration" => "http.server.request.duration".to_owned(),
            "http_server_active_requests" => "http.server.active_requests".to_owned(),
            "http_client_request_duration" => "http.client.request.duration".to_owned(),
            "gen_ai_client_operation_duration" => "gen_ai.client.operation.duration".to_owned(),
            "gen_ai_client_token_usage" => "gen_ai.client.token.usage".to_owned(),
            other => other.to_owned(),
        }
    }

    fn attributes(&self, labels: &[(&'static str, &str)]) -> Vec<KeyValue> {
        debug_assert!(
            labels.len() == self.labels.len() && labels.iter().all(|(name, _)| self.labels.contains(name)),
            "{} is declared with labels {:?} and was used with {labels:?}",
            self.name,
            self.labels,
        );
        labels.iter().map(|(name, value)| KeyValue::new(*name, (*value).to_owned())).collect()
    }
}

/// A declared metric, for the registry.
pub trait Metric: Sync {
    /// Its declaration.
    fn spec(&self) -> &Spec;
    /// Its kind.
    fn kind(&self) -> Kind;
}

/// A metric whose values are not recorded here: read when metrics are collected, or sent by a tool by itself.
#[derive(Debug)]
pub struct Observed {
    spec: Spec,
    kind: Kind,
}

impl Observed {
    /// Declares it.
    #[must_use]
    pub const fn new(spec: Spec, kind: Kind) -> Self {
        Self { spec, kind }
    }
}

impl Metric for Observed {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn kind(&self) -> Kind {
        self.kind
    }
}

macro_rules! instrument {
    ($(#[$doc:meta])* $name:ident, $kind:expr, $otel:ty, $build:ident, $(#[$method_doc:meta])* $method:ident($value:ty)) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            spec: Spec,
            instrument: OnceLock<$otel>,
        }

        impl $name {
            /// Declares it.
            #[must_use]
            pub const fn new(spec: Spec) -> Self {
                Self { spec, instrument: OnceLock::new() }
            }

            $(#[$method_doc])*
            pub fn $method(&self, value: $value, labels: &[(&'static str, &str)]) {
                if !installed() {
                    return;
                }
                self.instrument
                    .get_or_init(|| {
                        meter()
                            .$build(self.spec.otel_name($kind))
                            .with_unit(self.spec.unit)
                            .with_description(self.spec.help)
                            .build()
                    })
                    .$method(value, &self.spec.attributes(labels));
            }
        }

        impl Metric for $name {
            fn spec(&self) -> &Spec {
                &self.spec
            }

            fn kind(&self) -> Kind {
                $kind
            }
        }
    };
}

instrument!(
    /// A whole number that only grows.
    Counter, Kind::Counter, opentelemetry::metrics::Counter<u64>, u64_counter,
    /// Adds to it.
    add(u64)
);
instrument!(
    /// A quantity that only grows (money as a figure for charts, never for book-keeping).
    CounterF64, Kind::Counter, opentelemetry::metrics::Counter<f64>, f64_counter,
    /// Adds to it.
    add(f64)
);
instrument!(
    /// A value that goes up and down, set as it is now.
    Gauge, Kind::Gauge, opentelemetry::metrics::Gauge<f64>, f64_gauge,
    /// Sets it.
    record(f64)
);
instrument!(
    /// A number of things under way.
    UpDownCounter, Kind::Gauge, opentelemetry::metrics::UpDownCounter<i64>, i64_up_down_counter,
    /// Adds to it, or takes from it.
    add(i64)
);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: f64, labels: &[(&'static str, &str)]) {
        self.record(value, labels);
    }
}

/// Bucket bounds for latencies, in seconds: fine around the promises of the specification (20 ms, 100 ms, 1 s).
pub(crate) const LATENCY_BUCKETS_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A distribution.
#[derive(Debug)]
pub struct Histogram {
    spec: Spec,
    bounds: &'static [f64],
    instrument: OnceLock<opentelemetry::metrics::Histogram<f64>>,
}

impl Histogram {
    /// Declares one of latencies in seconds.
    #[must_use]
    pub const fn new(spec: Spec) -> Self {
        Self::with_buckets(spec, LATENCY_BUCKETS_SECONDS)
    }

    /// Declares one with bucket bounds of its own, in the metric's unit.
    #[must_use]
    pub const fn with_buckets(spec: Spec, bounds: &'static [f64]) -> Self {
        Self { spec, bounds, instrument: OnceLock::new() }
    }

    /// Records one value, in the metric's unit.
    pub fn record(&self, value: f64, labels: &[(&'static str, &str)]) {
        if !installed() {
            return;
        }
        self.instrument
            .get_or_init(|| {
                meter()
                    .f64_histogram(self.spec.otel_name(Kind::Histogram))
                    .with_unit(self.spec.unit)
                    .with_description(self.spec.help)
                    .with_boundaries(self.bounds.to_vec())
                    .build()
            })
            .record(value, &self.spec.attributes(labels));
    }
}

impl Metric for Histogram {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn kind(&self) -> Kind {
        Kind::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &'static str, unit: &'static str) -> Spec {
        Spec { name, unit, labels: &[], help: "" }
    }

    #[test]
    fn otel_names_lose_what_exporters_add() {
        assert_eq!(spec("asks_total", "{ask}").otel_name(Kind::Counter), "asks");
        assert_eq!(spec("ask_duration_seconds", "s").otel_name(Kind::Histogram), "ask_duration");
        assert_eq!(spec("process_cpu_seconds_total", "s").otel_name(Kind::Counter), "process_cpu");
        assert_eq!(
            spec("http_server_request_duration_seconds", "s").otel_name(Kind::Histogram),
            "http.server.request.duration"
        );
        assert_eq!(spec("queue_depth", "{item}").otel_name(Kind::Gauge), "queue_depth");
    }
}
