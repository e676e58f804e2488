//! Dashboards and rules against the registry of metrics: every metric they ask for is one that somebody makes, with labels
//! that it has.
//!
//! A query for a name that nobody makes is no error to Prometheus: the panel stays empty, and the alert never fires.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod grafana;
mod known;
mod promql;
mod rules;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use known::Known;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The files of a folder whose names end so, in order.
fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.to_str().unwrap().ends_with(end)).collect();
    files.sort();
    files
}

/// The registry, what others make, and what the rules record.
fn known() -> Known {
    let mut known = Known::new();
    for file in files("prometheus/rules", ".rules.yml") {
        // What is wrong with them is told by the test of the rules.
        for rule in rules::of(&std::fs::read_to_string(file).unwrap()) {
            rules::record(&rule, &mut known);
        }
    }
    known
}

#[test]
fn dashboards_ask_for_what_is_there() {
    let known = known();
    let sources = grafana::provisioned(
        &std::fs::read_to_string(root().join("grafana/provisioning/datasources/datasources.yaml")).unwrap(),
    );
    let dashboards = files("grafana/dashboards", ".json");
    assert!(!dashboards.is_empty(), "there is no dashboard");
    let mut uids = BTreeSet::new();
    let mut wrong = Vec::new();
    for file in dashboards {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let dashboard: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        if !uids.insert(dashboard["uid"].as_str().unwrap_or_default().to_owned()) {
            wrong.push(format!("{name}: another dashboard has its uid"));
        }
        wrong.extend(grafana::check(&dashboard, &sources, &known).into_iter().map(|what| format!("{name}: {what}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rules_ask_for_what_is_there() {
    let known = known();
    let mut wrong = Vec::new();
    let mut alerts = 0;
    for file in files("prometheus/rules", ".rules.yml") {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        for rule in rules::of(&std::fs::read_to_string(file).unwrap()) {
            alerts += usize::from(rule.alert);
            wrong.extend(rules::check(&rule, &known).into_iter().map(|what| format!("{name}: {}: {what}", rule.name)));
        }
    }
    assert!(alerts >= 20, "only {alerts} alerts were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_overview_shows_every_metric_that_the_requirement_names() {
    let text = std::fs::read_to_string(root().join("grafana/dashboards/tvtelegrambingx-overview.json")).unwrap();
    for metric in [
        "tradingview_signals_ingested_total",
        "tradingview_signal_ingest_duration_seconds_bucket",
        "tvtelegrambingx_signal_queue_depth",
        "tvtelegrambingx_order_transitions_total",
        "tvtelegrambingx_order_notional_usd_total",
        "tvtelegrambingx_realised_pnl_usd",
        "tvtelegrambingx_realised_pnl_total_usd",
        "tvtelegrambingx_bot_backend_requests_total",
        "tvtelegrambingx_bot_backend_request_duration_seconds_bucket",
        "tvtelegrambingx_bot_updates_total",
    ] {
        assert!(text.contains(metric), "{metric} is on no panel");
    }
}

/// What the tests above would miss if the checks did not see it.
#[test]
fn what_is_wrong_is_seen() {
    let known = known();
    for (query, said) in [
        ("sum(rate(asks_totall[5m]))", "no metric asks_totall"),
        ("ask_duration_seconds", "no metric ask_duration_seconds"),
        ("asks_total_bucket", "no metric asks_total_bucket"),
        (r#"asks_total{outcom="buy"}"#, "asks_total has no label outcom"),
        (r#"asks_total{le="1"}"#, "asks_total has no label le"),
        ("sum by (channel, symbol) (asks_total)", "by (symbol): it is not there"),
        ("asks_total and on (symbol) telegram_up", "on (symbol): it is not there"),
        (r#"sum({__name__=~"asked_.+"})"#, "no metric matches"),
        ("sum(asks_total", "cannot be read"),
        (r#"sum by (alertname) (ALERTS{alertstate="firing"}) / sum by (le) (asks_total)"#, "by (le): it is not there"),
    ] {
        let wrong = promql::check(query, &known).err().unwrap_or_default().join("\n");
        assert!(wrong.contains(said), "{query}: wanted {said}, got {wrong:?}");
    }
    for (query, labels) in [
        ("histogram_quantile(0.9, sum by (le, channel) (rate(ask_duration_seconds_bucket[5m])))", vec!["channel"]),
        (r#"label_replace(sum(asks_total), "who", "me", "", "")"#, vec!["who"]),
        ("sum without (channel, service_name, job, instance) (asks_total)", vec!["deployment_environment", "outcome"]),
        ("sum by (outcome) (asks_total) * on () group_left (mode) telegram_up", vec!["mode", "outcome"]),
    ] {
        let got = promql::check(query, &known).unwrap().unwrap();
        assert_eq!(got, labels.into_iter().map(str::to_owned).collect(), "{query}");
    }
}
