//! The one list of metrics, and docs/METRICS.md made from it.

use std::fmt::Write as _;

use super::{
    Metric, bus, decision, dispatcher, doctor, export, gateway, generator, http, market_data, notifier, pipeline,
    process, redis, signal, simulator, storage, trading,
};

/// The groups, with the title each has in docs/METRICS.md.
fn groups() -> [(&'static str, &'static [&'static dyn Metric]); 17] {
    [
        ("HTTP, every service", http::ALL),
        ("Process, every service", process::ALL),
        ("Export of telemetry, every service", export::ALL),
        ("api-gateway", gateway::ALL),
        ("market-data-service", market_data::ALL),
        ("decision-service", decision::ALL),
        ("notifier-service", notifier::ALL),
        ("signal-service", signal::ALL),
        ("order-service: trading", trading::ALL),
        ("signal-generator", generator::ALL),
        ("Pipelines", pipeline::ALL),
        ("trigger-dispatcher", dispatcher::ALL),
        ("Databases, every service that has one", storage::ALL),
        ("Signal bus, every service that publishes or consumes", bus::ALL),
        ("Shared cache, every service that is given one", redis::ALL),
        ("simulator", simulator::ALL),
        ("crypto-telemetry doctor", doctor::ALL),
    ]
}

/// Every metric there is.
pub fn all() -> impl Iterator<Item = &'static dyn Metric> {
    groups().into_iter().flat_map(|(_, metrics)| metrics.iter().copied())
}

/// The text of docs/METRICS.md.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "# Metrics\n\n\
         Generated from the registry in `crates/telemetry/src/metrics` by `crypto-telemetry metrics-doc`; a test fails \
         when the two differ.\n\n\
         Names, labels and meaning are the same on a service's own `/metrics` and through the Collector. Every series also \
         carries `service_name` and `deployment_environment`. Histograms have `_bucket`, `_sum` and `_count`.\n",
    );
    for (title, metrics) in groups() {
        let _ = writeln!(text, "\n## {title}\n\n| metric | kind | unit | labels | meaning |\n|---|---|---|---|---|");
        for metric in metrics {
            let spec = metric.spec();
            let labels = spec.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} | {} |",
                spec.name,
                metric.kind().as_str(),
                spec.unit,
                if labels.is_empty() { "none" } else { &labels },
                spec.help
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::metrics::Kind;

    #[test]
    fn every_declaration_is_well_formed() {
        let mut seen = HashSet::new();
        for metric in all() {
            let spec = metric.spec();
            assert!(seen.insert(spec.name), "{} is declared twice", spec.name);
            assert!(
                spec.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{} is no Prometheus name in snake case",
                spec.name
            );
            assert_eq!(
                metric.kind() == Kind::Counter,
                spec.name.ends_with("_total"),
                "{}: counters end in _total",
                spec.name
            );
            assert_eq!(
                spec.unit == "s",
                spec.name.contains("_seconds"),
                "{}: seconds are in the name and the unit",
                spec.name
            );
            assert!(
                matches!(spec.unit, "s" | "By") || (spec.unit.starts_with('{') && spec.unit.ends_with('}')),
                "{}: unit {:?} would change the name in an exporter",
                spec.name,
                spec.unit
            );
            assert!(spec.help.len() > 10 && !spec.help.contains('|'), "{}: say what one learns from it", spec.name);
        }
    }
}
