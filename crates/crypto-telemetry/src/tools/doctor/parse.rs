//! What the components answer, read as far as doctor needs it.

use serde::Deserialize;

/// One sample of Prometheus text: name, labels as written, value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample<'a> {
    pub(super) name: &'a str,
    pub(super) labels: &'a str,
    pub(super) value: f64,
}

/// The samples of a Prometheus (or OpenMetrics) text. Lines that are none are passed over.
pub(super) fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (name, labels, rest) = match line.find(['{', ' '])? {
            at if line[at..].starts_with('{') => {
                let end = at + 1 + end_of_labels(&line[at + 1..])?;
                (&line[..at], &line[at + 1..end], &line[end + 1..])
            }
            at => (&line[..at], "", &line[at..]),
        };
        let value = rest.split_whitespace().next()?.parse().ok()?;
        Some(Sample { name, labels, value })
    })
}

/// Where the brace is that ends the labels: one outside quotes, since a value may hold braces.
fn end_of_labels(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// What the Collector counts about one signal. Names are those of its metrics on port 8888, with or without `_total`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Counters {
    /// `otelcol_receiver_accepted_*`.
    pub(super) accepted: f64,
    /// `otelcol_receiver_refused_*` and `otelcol_receiver_failed_*`.
    pub(super) refused: f64,
    /// `otelcol_exporter_sent_*` of the exporter to the store.
    pub(super) sent: f64,
    /// `otelcol_exporter_send_failed_*` and `otelcol_exporter_enqueue_failed_*`.
    pub(super) failed: f64,
    /// `otelcol_exporter_queue_size`.
    pub(super) queued: f64,
}

/// Counters of the three signals.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct OwnMetrics {
    pub(super) traces: Counters,
    pub(super) logs: Counters,
    pub(super) metrics: Counters,
}

/// Reads the Collector's own metrics.
pub(super) fn own_metrics(text: &str) -> OwnMetrics {
    let mut own = OwnMetrics::default();
    for sample in samples(text) {
        let Some(name) = sample.name.strip_prefix("otelcol_") else { continue };
        let name = name.strip_suffix("_total").unwrap_or(name);
        if name == "exporter_queue_size" {
            if sample.labels.contains(r#"data_type="traces""#) {
                own.traces.queued += sample.value;
            } else if sample.labels.contains(r#"data_type="logs""#) {
                own.logs.queued += sample.value;
            } else if sample.labels.contains(r#"data_type="metrics""#) {
                own.metrics.queued += sample.value;
            }
            continue;
        }
        let (name, counters) = if let Some(name) = name.strip_suffix("_spans") {
            (name, &mut own.traces)
        } else if let Some(name) = name.strip_suffix("_log_records") {
            (name, &mut own.logs)
        } else if let Some(name) = name.strip_suffix("_metric_points") {
            (name, &mut own.metrics)
        } else {
            continue;
        };
        match name {
            "receiver_accepted" => counters.accepted += sample.value,
            "receiver_refused" | "receiver_failed" => counters.refused += sample.value,
            "exporter_sent" => counters.sent += sample.value,
            "exporter_send_failed" | "exporter_enqueue_failed" => counters.failed += sample.value,
            _ => {}
        }
    }
    own
}

/// The largest value of a metric of one service in a Prometheus text.
pub(super) fn of_service(text: &str, metric: &str, service: &str) -> Option<f64> {
    let label = format!("service_name=\"{service}\"");
    samples(text)
        .filter(|sample| sample.name == metric && sample.labels.split(',').any(|pair| pair == label))
        .map(|sample| sample.value)
        .reduce(f64::max)
}

/// Why an OTLP answer is no full success: the Collector answers 200 to a request of which it keeps a part only.
pub(super) fn otlp_rejection(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        partial_success: Option<serde_json::Map<String, serde_json::Value>>,
    }
    let partial = serde_json::from_slice::<Answer>(body).ok()?.partial_success?;
    let rejected = partial.iter().any(|(name, count)| {
        name.starts_with("rejected") && !matches!(count.as_str().or_else(|| (count == 0).then_some("0")), Some("0"))
    });
    let message = partial.get("errorMessage").and_then(serde_json::Value::as_str).unwrap_or_default();
    (rejected || !message.is_empty())
        .then(|| if message.is_empty() { "it rejected the probe".to_owned() } else { message.to_owned() })
}

/// Whether Tempo's search found this trace. It leaves leading zeroes of an id out.
pub(super) fn tempo_found(body: &[u8], trace_id: &str) -> Result<bool, String> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        traces: Vec<Found>,
    }
    #[derive(Deserialize)]
    struct Found {
        #[serde(rename = "traceID")]
        trace_id: String,
    }
    let answer: Answer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let bare = trace_id.trim_start_matches('0');
    Ok(answer.traces.iter().any(|found| found.trace_id.trim_start_matches('0') == bare))
}

/// The largest value of an instant query's vector; `None` when it is empty.
pub(super) fn prometheus_value(body: &[u8]) -> Result<Option<f64>, String> {
    #[derive(Deserialize)]
    struct Answer {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        result: Vec<Series>,
    }
    #[derive(Deserialize)]
    struct Series {
        value: (f64, String),
    }
    let answer: Answer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    Ok(answer.data.result.iter().filter_map(|series| series.value.1.parse().ok()).reduce(f64::max))
}

/// One address that Prometheus scrapes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    /// The job, as the configuration calls it.
    pub(super) scrape_pool: String,
    /// Where it scrapes.
    pub(super) scrape_url: String,
    /// `up`, `down`, or `unknown` before the first scrape.
    pub(super) health: String,
    /// What the last scrape failed with; empty when it did not.
    #[serde(default)]
    pub(super) last_error: String,
}

/// The targets of `/api/v1/targets?state=active`.
pub(super) fn prometheus_targets(body: &[u8]) -> Result<Vec<Target>, String> {
    #[derive(Deserialize)]
    struct Answer {
        data: Data,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        active_targets: Vec<Target>,
    }
    serde_json::from_slice::<Answer>(body).map(|answer| answer.data.active_targets).map_err(|error| error.to_string())
}

/// The failing checks of a service's `/health/ready`, a sentence each; `None` when it is no such report.
pub(super) fn failing_checks(body: &[u8]) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Report {
        checks: Vec<Check>,
    }
    #[derive(Deserialize)]
    struct Check {
        name: String,
        status: String,
        detail: Option<String>,
    }
    let report: Report = serde_json::from_slice(body).ok()?;
    let failing = report.checks.into_iter().filter(|check| check.status != "ok");
    Some(failing.map(|check| format!("{}: {}", check.name, check.detail.unwrap_or(check.status))).collect())
}
