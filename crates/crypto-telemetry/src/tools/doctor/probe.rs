//! The probe: one span, one log record, one metric, in OTLP's JSON form over HTTP.
//!
//! Not through the SDK: its exporters hide whether and how the Collector answered, which is what doctor wants to know.

use std::time::Duration;

use chrono::Utc;
use serde_json::{Value, json};
use url::Url;

use super::parse;
use crate::tools::http::{self, CallError, Http};

/// `service.name` of the probe.
pub(super) const SERVICE: &str = "doctor";
/// The metric, as Prometheus shows it. Its value, not a label, tells one probe from the next: labels stay bounded.
pub(super) const METRIC: &str = telemetry::metrics::doctor::PROBE_SENT_NAME;
/// What the Collector's span metrics count of the probe's spans.
pub(super) const SPAN_METRIC: &str = "traces_span_metrics_duration_seconds_count";
/// Attribute of the span and the log record.
const PROBE_ID: &str = "doctor.probe.id";

/// One probe.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    /// Unique, 8 hex digits.
    pub(super) id: String,
    /// 32 hex digits.
    pub(super) trace_id: String,
    /// 16 hex digits.
    span_id: String,
    /// Milliseconds since 1970.
    sent_ms: i64,
}

/// How the Collector answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sent {
    /// It took all of it.
    Accepted(Duration),
    /// It answered that it did not.
    Rejected(String),
    /// It did not answer.
    Unreachable(String),
}

impl Probe {
    pub(super) fn new() -> Self {
        let span_id = uuid::Uuid::new_v4().simple().to_string();
        let id = uuid::Uuid::new_v4().simple().to_string();
        Self {
            id: id.chars().take(8).collect(),
            trace_id: uuid::Uuid::new_v4().simple().to_string(),
            // The version nibble of a UUID is never zero, so neither is the id.
            span_id: span_id.chars().take(16).collect(),
            sent_ms: Utc::now().timestamp_millis(),
        }
    }

    /// The metric's value: seconds since 1970.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 have 41 bits, an f64 holds 53")]
    pub(super) fn value(&self) -> f64 {
        self.sent_ms as f64 / 1_000.0
    }

    /// Whether a value of the metric is this probe's or a later one's, which came the same way.
    pub(super) fn is_in(&self, value: f64) -> bool {
        // Half a millisecond for what is lost on the way through texts.
        value >= self.value() - 0.000_5
    }

    /// TraceQL that finds the span.
    pub(super) fn traceql(&self) -> String {
        format!(r#"{{ resource.service.name = "{SERVICE}" && span.{PROBE_ID} = "{}" }}"#, self.id)
    }

    /// LogQL that finds the log record, by the trace id, as everybody looks for logs of a trace.
    pub(super) fn logql(&self) -> String {
        format!(r#"{{service_name="{SERVICE}"}} | trace_id="{}""#, self.trace_id)
    }

    fn nanos(&self, later_ms: i64) -> String {
        format!("{}000000", self.sent_ms + later_ms)
    }

    fn resource(&self) -> Value {
        json!({"attributes": [text("service.name", SERVICE), text("service.version", env!("CARGO_PKG_VERSION")),
            // Always the same: one series, whoever runs doctor how often.
            text("service.instance.id", SERVICE)]})
    }

    pub(super) fn trace(&self) -> Value {
        json!({"resourceSpans": [{"resource": self.resource(), "scopeSpans": [{"scope": {"name": SERVICE}, "spans": [{
            "traceId": self.trace_id, "spanId": self.span_id, "name": "doctor probe", "kind": 1,
            "startTimeUnixNano": self.nanos(0), "endTimeUnixNano": self.nanos(1),
            "attributes": [text(PROBE_ID, &self.id)],
        }]}]}]})
    }

    pub(super) fn log(&self) -> Value {
        json!({"resourceLogs": [{"resource": self.resource(), "scopeLogs": [{"scope": {"name": SERVICE}, "logRecords": [{
            "timeUnixNano": self.nanos(0), "observedTimeUnixNano": self.nanos(0), "severityNumber": 9, "severityText": "INFO",
            "body": {"stringValue": "doctor probe"}, "attributes": [text(PROBE_ID, &self.id)],
            "traceId": self.trace_id, "spanId": self.span_id,
        }]}]}]})
    }

    pub(super) fn metric(&self) -> Value {
        // The Collector appends the unit to the name.
        let name = METRIC.trim_end_matches("_seconds");
        json!({"resourceMetrics": [{"resource": self.resource(), "scopeMetrics": [{"scope": {"name": SERVICE}, "metrics": [{
            "name": name, "unit": "s", "description": "When doctor sent its last probe, in seconds since 1970",
            "gauge": {"dataPoints": [{"timeUnixNano": self.nanos(0), "asDouble": self.value()}]},
        }]}]}]})
    }
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// Sends one signal to the Collector.
pub(super) async fn send(http: &Http, otlp: &Url, path: &str, body: &Value) -> Sent {
    match http.post(&http::join(otlp, path), body).await {
        Ok(reply) if reply.is_success() => match parse::otlp_rejection(&reply.body) {
            None => Sent::Accepted(reply.took),
            Some(reason) => Sent::Rejected(format!("it answered that {reason}")),
        },
        Ok(reply) => Sent::Rejected(format!("it answered HTTP {}: {}", reply.status, reply.first_line())),
        Err(CallError::Refused) => Sent::Unreachable(CallError::Refused.to_string()),
        Err(error) => Sent::Unreachable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_well_formed_and_everywhere_the_same() {
        let probe = Probe::new();
        assert_eq!((probe.id.len(), probe.trace_id.len(), probe.span_id.len()), (8, 32, 16));
        let (trace, log) = (probe.trace(), probe.log());
        let span = &trace["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        let record = &log["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        assert_eq!(span["traceId"], record["traceId"]);
        assert_eq!(span["attributes"][0]["value"]["stringValue"], probe.id.as_str());
        assert!(probe.traceql().contains(&probe.id) && probe.logql().contains(&probe.trace_id));
        assert_ne!(Probe::new().trace_id, probe.trace_id);
    }

    #[test]
    fn a_probe_is_told_from_an_earlier_one_by_its_value() {
        let probe = Probe { sent_ms: 1_795_246_867_356, ..Probe::new() };
        assert!(probe.is_in(1_795_246_867.356) && probe.is_in("1.795246867356e+09".parse().unwrap()));
        assert!(probe.is_in(1_795_246_900.0));
        assert!(!probe.is_in(1_795_246_867.355));
        assert_eq!(probe.nanos(1), "1795246867357000000");
    }
}
