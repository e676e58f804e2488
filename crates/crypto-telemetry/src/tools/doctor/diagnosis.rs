//! From what was seen to the hop that loses the probe. Pure: the tests feed it every way a stack can be broken.

use std::time::Duration;

use super::hop::{Hop, Next, Verdict, Way, in_ms};
use super::parse::{Counters, Target};
use super::probe::Sent;
use crate::tools::terminal::millis;

/// What became of looking for the probe somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lookup {
    /// There, so long after it was sent.
    Found(Duration),
    /// Not there within this time.
    Missing(Duration),
    /// Nobody answers there.
    Unreachable(String),
    /// Somebody answers with an error.
    Failed(String),
    /// Not looked for, because it was never accepted.
    NotSent,
}

/// What the Collector counted about one signal while the probe went through.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Counted {
    /// Before and after.
    Both {
        /// Before the probe was sent.
        before: Counters,
        /// After it was found, or the wait was over.
        after: Counters,
    },
    /// Its own metrics cannot be read.
    Unknown(String),
}

/// What was seen of a signal that is stored and looked up: traces, logs.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) sent: Sent,
    pub(super) counted: Counted,
    /// When the receiver, and the exporter, were seen to count it.
    pub(super) received_after: Option<Duration>,
    pub(super) exported_after: Option<Duration>,
    /// A name and an outcome each.
    pub(super) lookups: Vec<(&'static str, Lookup)>,
}

/// What was seen of the metric.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    pub(super) sent: Sent,
    pub(super) counted: Counted,
    pub(super) received_after: Option<Duration>,
    /// On the Collector's port for Prometheus.
    pub(super) offered: Lookup,
    /// In Prometheus.
    pub(super) scraped: Lookup,
    /// What Prometheus says of its targets.
    pub(super) targets: Vec<Target>,
    /// Span metrics of the probe's span on the same port.
    pub(super) span_metrics: Lookup,
}

/// Names and addresses for the sentences.
#[derive(Debug, Clone, Copy)]
pub(super) struct Store<'a> {
    /// "Tempo".
    pub(super) name: &'static str,
    /// Its process.
    pub(super) process: &'static str,
    /// Where it was asked.
    pub(super) url: &'a str,
    /// Which variable says where the Collector sends.
    pub(super) receives_on: &'static str,
    /// What is counted: "span".
    pub(super) item: &'static str,
}

/// doctor → Collector.
fn sending(sent: &Sent, otlp: &str) -> Verdict {
    match sent {
        Sent::Accepted(took) => Verdict::Well(Some(*took), String::new()),
        Sent::Unreachable(reason) => {
            Verdict::Broken(format!("the Collector does not listen at {otlp}: {reason}"), Next::Log("otelcol"))
        }
        Sent::Rejected(reason) => {
            Verdict::Broken(format!("the Collector at {otlp} refused the probe: {reason}"), Next::Log("otelcol"))
        }
    }
}

/// The Collector's receiver, by its own counters. `arrived`: the probe was seen further on.
fn receiving(counted: &Counted, after: Option<Duration>, arrived: bool, collector_self: &str) -> Verdict {
    match counted {
        Counted::Both { before, after: later } => {
            let accepted = later.accepted - before.accepted;
            let refused = later.refused - before.refused;
            if accepted > 0.0 || arrived {
                Verdict::Well(after, String::new())
            } else if refused > 0.0 {
                Verdict::Broken(
                    format!(
                        "its receiver refused {refused} items: it is short of memory (memory_limiter) or a pipeline failed"
                    ),
                    Next::Log("otelcol"),
                )
            } else {
                Verdict::Broken(
                    format!(
                        "the probe was answered with 200, but the Collector whose metrics are at {collector_self} counted nothing: two different programs answer at the two ports"
                    ),
                    Next::Command("crypto-telemetry preflight".to_owned()),
                )
            }
        }
        Counted::Unknown(reason) => Verdict::Well(
            None,
            format!("by its answer only: its own metrics at {collector_self} cannot be read ({reason})"),
        ),
    }
}

/// The hops of traces or logs.
pub(super) fn stored(
    signal: &'static str,
    seen: &Stored,
    store: Store<'_>,
    otlp: &str,
    collector_self: &str,
) -> Vec<Hop> {
    let mut way = Way::new(signal);
    let found = seen
        .lookups
        .iter()
        .filter_map(|(_, lookup)| if let Lookup::Found(after) = lookup { Some(*after) } else { None })
        .min();
    way.gate("doctor → Collector", sending(&seen.sent, otlp));
    way.gate("Collector receiver", receiving(&seen.counted, seen.received_after, found.is_some(), collector_self));
    way.gate(format!("Collector → {}", store.name), exporting(seen, found, store, collector_self));
    for (name, lookup) in &seen.lookups {
        way.hop(*name, looking(lookup, store));
    }
    way.hops
}

/// Collector → store: by the store itself, else by the Collector's counters.
fn exporting(seen: &Stored, found: Option<Duration>, store: Store<'_>, collector_self: &str) -> Verdict {
    let Store { name, process, url, receives_on, item } = store;
    if found.is_some() {
        return Verdict::Well(seen.exported_after.or(found), String::new());
    }
    let unreachable = seen
        .lookups
        .iter()
        .find_map(|(_, lookup)| if let Lookup::Unreachable(reason) = lookup { Some(reason) } else { None });
    let (before, after) = match (&seen.counted, unreachable) {
        (Counted::Both { before, after }, _) => (before, after),
        (Counted::Unknown(_), Some(reason)) => {
            return Verdict::Broken(format!("{name} does not answer at {url}: {reason}"), Next::Log(process));
        }
        (Counted::Unknown(reason), None) => {
            return Verdict::Broken(
                format!(
                    "{name} has no {item} of the probe, and whether the Collector sent it cannot be told: its own metrics at {collector_self} cannot be read ({reason})"
                ),
                Next::Log("otelcol"),
            );
        }
    };
    let sent = after.sent - before.sent;
    let failed = after.failed - before.failed;
    let queue = waiting(after.queued, item);
    if sent > 0.0 && failed <= 0.0 {
        return Verdict::Well(seen.exported_after, String::new());
    }
    match unreachable {
        Some(reason) => {
            Verdict::Broken(format!("{name} does not answer at {url}: {reason}; {queue}"), Next::Log(process))
        }
        None if failed > 0.0 => Verdict::Broken(
            format!("the Collector failed to send {failed} {item}s to {name} and gave them up"),
            Next::Log("otelcol"),
        ),
        None if after.queued > 0.0 => Verdict::Broken(
            format!("{name} answers at {url}, but the Collector cannot hand the probe over ({receives_on}); {queue}"),
            Next::Log("otelcol"),
        ),
        None => Verdict::Broken(
            format!(
                "the Collector accepted the probe, then neither sent nor queued it: no pipeline leads to {name}, or a processor dropped it"
            ),
            Next::Command("otelcol validate --config otel-collector/config.yaml".to_owned()),
        ),
    }
}

fn waiting(queued: f64, item: &str) -> String {
    if queued > 0.0 {
        let plural = if queued > 1.0 { "s wait" } else { " waits" };
        format!("{queued} {item}{plural} in the Collector's queue on disk and will be sent when it is back")
    } else {
        "nothing waits in the Collector's queue".to_owned()
    }
}

fn looking(lookup: &Lookup, store: Store<'_>) -> Verdict {
    let Store { name, process, url, item, .. } = store;
    match lookup {
        Lookup::Found(after) => Verdict::Well(Some(*after), String::new()),
        Lookup::Missing(waited) => Verdict::Broken(
            format!(
                "the Collector sends to {name}, but {name} does not find the probe's {item} within {}",
                millis(in_ms(*waited))
            ),
            Next::Log(process),
        ),
        Lookup::Unreachable(reason) => {
            Verdict::Broken(format!("{name} does not answer at {url}: {reason}"), Next::Log(process))
        }
        Lookup::Failed(reason) => Verdict::Broken(format!("{name} fails at {url}: {reason}"), Next::Log(process)),
        Lookup::NotSent => Verdict::Note("not looked for".to_owned()),
    }
}

/// The hops of the metric.
pub(super) fn measured(seen: &Measured, addresses: &MetricAddresses<'_>) -> Vec<Hop> {
    let MetricAddresses { otlp, collector_self, offered_at, prometheus } = *addresses;
    let mut way = Way::new("metrics");
    let arrived = matches!(seen.offered, Lookup::Found(_)) || matches!(seen.scraped, Lookup::Found(_));
    way.gate("doctor → Collector", sending(&seen.sent, otlp));
    way.gate("Collector receiver", receiving(&seen.counted, seen.received_after, arrived, collector_self));
    way.gate("Collector for Prometheus", match &seen.offered {
        Lookup::Found(after) => Verdict::Well(Some(*after), String::new()),
        Lookup::Missing(waited) => Verdict::Broken(
            format!("the Collector accepted the metric, but does not offer it at {offered_at} within {}: no pipeline leads to its exporter, or a processor dropped it", millis(in_ms(*waited))),
            Next::Command(format!("curl -s {offered_at}/metrics | grep doctor_")),
        ),
        Lookup::Unreachable(reason) => {
            Verdict::Broken(format!("the Collector does not offer metrics at {offered_at}: {reason}"), Next::Log("otelcol"))
        }
        Lookup::Failed(reason) => Verdict::Broken(format!("the Collector fails at {offered_at}: {reason}"), Next::Log("otelcol")),
        Lookup::NotSent => Verdict::Note("not looked for".to_owned()),
    });
    way.hop("Collector → Prometheus", scraping(seen, offered_at, prometheus));
    way.hop(
        "span metrics (optional)",
        match &seen.span_metrics {
            Lookup::Found(after) => Verdict::Well(Some(*after), String::new()),
            _ => Verdict::Note(
                "not there yet: the Collector makes them of spans every OTELCOL_SPANMETRICS_INTERVAL".to_owned(),
            ),
        },
    );
    way.hops
}

/// Where the metric passes.
#[derive(Debug, Clone, Copy)]
pub(super) struct MetricAddresses<'a> {
    pub(super) otlp: &'a str,
    pub(super) collector_self: &'a str,
    pub(super) offered_at: &'a str,
    pub(super) prometheus: &'a str,
}

/// Collector → Prometheus. Prometheus itself says why it does not scrape.
fn scraping(seen: &Measured, offered_at: &str, prometheus: &str) -> Verdict {
    let waited = match &seen.scraped {
        Lookup::Found(after) => return Verdict::Well(Some(*after), String::new()),
        Lookup::Unreachable(reason) => {
            return Verdict::Broken(
                format!("Prometheus does not answer at {prometheus}: {reason}"),
                Next::Log("prometheus"),
            );
        }
        Lookup::Failed(reason) => {
            return Verdict::Broken(format!("Prometheus fails at {prometheus}: {reason}"), Next::Log("prometheus"));
        }
        Lookup::NotSent => return Verdict::Note("not looked for".to_owned()),
        Lookup::Missing(waited) => millis(in_ms(*waited)),
    };
    let port = offered_at.rsplit(':').next().unwrap_or_default();
    let target = seen.targets.iter().find(|target| target.scrape_url.contains(&format!(":{port}/")));
    let curl = Next::Command(format!("curl -s {prometheus}/api/v1/targets?state=active"));
    match target {
        None => Verdict::Broken(
            format!("Prometheus scrapes no target at port {port}, where the Collector offers the metrics"),
            curl,
        ),
        Some(target) if target.health == "down" => {
            Verdict::Broken(format!("Prometheus cannot scrape {}: {}", target.scrape_url, target.last_error), curl)
        }
        Some(target) => Verdict::Broken(
            format!(
                "Prometheus has not stored the metric within {waited}, though its target {} is {}",
                target.scrape_url, target.health
            ),
            Next::Log("prometheus"),
        ),
    }
}
