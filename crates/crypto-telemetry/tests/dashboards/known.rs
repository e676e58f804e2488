//! What can be asked for: names of series and the labels that each has.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::label::{MatchOp, Matcher};
use telemetry::metrics::{self, Kind};

/// Labels; `None`: whatever there is.
pub(crate) type Labels = Option<BTreeSet<String>>;

/// Every series of a service has them: `job` and `instance` from whoever scrapes, the others from the service itself.
const COMMON: [&str; 4] = ["service_name", "deployment_environment", "job", "instance"];

/// What the backends make, and the labels that are asked for.
const OTHERS: &[(&str, &[&str])] = &[
    // The Collector's span metrics, which have the common labels besides.
    (
        "traces_span_metrics_calls_total",
        &["service_name", "deployment_environment", "span_name", "span_kind", "status_code"],
    ),
    (
        "traces_span_metrics_duration_seconds_bucket",
        &["service_name", "deployment_environment", "span_name", "span_kind", "status_code", "le"],
    ),
    // The Collector of itself: names end in _total or not, by its version.
    ("otelcol_exporter_sent_spans", &["job", "instance", "exporter"]),
    ("otelcol_exporter_send_failed_spans", &["job", "instance", "exporter"]),
    ("otelcol_exporter_enqueue_failed_spans", &["job", "instance", "exporter"]),
    ("otelcol_exporter_queue_size", &["job", "instance", "exporter", "data_type"]),
    ("otelcol_exporter_queue_capacity", &["job", "instance", "exporter", "data_type"]),
    ("otelcol_receiver_refused_spans", &["job", "instance", "receiver", "transport"]),
    // Prometheus and Alertmanager.
    ("up", &["job", "instance"]),
    ("prometheus_config_last_reload_successful", &["job", "instance"]),
    ("alertmanager_config_last_reload_successful", &["job", "instance"]),
    ("alertmanager_notifications_failed_total", &["job", "instance", "integration", "reason"]),
];

/// Series by name.
pub(crate) struct Known(BTreeMap<String, Labels>);

impl Known {
    /// The registry, and what others make.
    pub(crate) fn new() -> Self {
        let mut series = BTreeMap::new();
        for metric in metrics::all() {
            let spec = metric.spec();
            let labels = || spec.labels.iter().chain(&COMMON).map(|label| (*label).to_owned());
            if metric.kind() == Kind::Histogram {
                series.insert(format!("{}_bucket", spec.name), Some(labels().chain(["le".to_owned()]).collect()));
                series.insert(format!("{}_sum", spec.name), Some(labels().collect()));
                series.insert(format!("{}_count", spec.name), Some(labels().collect()));
            } else {
                series.insert(spec.name.to_owned(), Some(labels().collect()));
            }
        }
        for (name, labels) in OTHERS {
            series.insert((*name).to_owned(), Some(labels.iter().map(|label| (*label).to_owned()).collect()));
        }
        // Every alert with its own labels.
        series.insert("ALERTS".to_owned(), None);
        Self(series)
    }

    /// A series that a rule records.
    pub(crate) fn record(&mut self, name: String, labels: Labels) {
        self.0.insert(name, labels);
    }

    /// The labels of a series by its name.
    pub(crate) fn named(&self, name: &str) -> Option<&Labels> {
        self.0.get(name)
    }

    /// The labels of all series whose names match, together; nothing where none does.
    pub(crate) fn matching(&self, matcher: &Matcher) -> Option<Labels> {
        let matches = |name: &str| match matcher.op {
            MatchOp::NotEqual | MatchOp::NotRe(_) => false,
            MatchOp::Equal | MatchOp::Re(_) => matcher.is_match(name),
        };
        let mut found = self.0.iter().filter(|(name, _)| matches(name)).map(|(_, labels)| labels).peekable();
        found.peek()?;
        Some(found.fold(Some(BTreeSet::new()), both))
    }
}

/// The labels of one and of the other.
pub(crate) fn both(one: Labels, other: &Labels) -> Labels {
    Some(one?.union(other.as_ref()?).cloned().collect())
}
