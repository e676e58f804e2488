//! Logs, metrics, exemplars, TraceQL.

use std::collections::BTreeSet;

use crate::stack::{SERVICES, Stack};
use crate::wait::until;

pub(crate) fn logs(stack: &Stack) {
    let (_, trace_id) = stack.ask_btc();
    until("each service has a log line of the trace in Loki", || {
        let found = stack.services_logging(&trace_id);
        SERVICES.iter().all(|service| found.contains(*service)).then_some(())
    });
}

pub(crate) fn metrics(stack: &Stack) {
    stack.ask_btc();
    // One mistake in front of each service: errors are counted where they are made.
    for (port, path) in
        [("MARKET_DATA_PORT", "/v1/decisions"), ("DECISION_PORT", "/v1/decisions"), ("NOTIFIER_PORT", "/v1/ask")]
    {
        let (status, problem) = stack.post(port, path, &serde_json::json!({"wrong": true}));
        assert!(matches!(status, 400 | 404 | 422), "{port}: {problem}");
    }
    for service in SERVICES {
        for query in [
            // Requests, latency, errors: spec A4.
            format!(
                r#"sum(http_server_request_duration_seconds_count{{service_name="{service}",status_code="200"}}) > 0"#
            ),
            format!(
                r#"histogram_quantile(0.95, sum by (le) (http_server_request_duration_seconds_bucket{{service_name="{service}"}})) > 0"#
            ),
            format!(r#"sum(http_server_errors_total{{service_name="{service}"}}) > 0"#),
            format!(r#"count(http_server_active_requests{{service_name="{service}"}}) > 0"#),
            format!(
                r#"process_resident_memory_bytes{{service_name="{service}",deployment_environment="development"}} > 0"#
            ),
        ] {
            until(&query, || (!stack.promql(&query).is_empty()).then_some(()));
        }
    }
}

pub(crate) fn exemplars(stack: &Stack) {
    stack.ask_btc();
    let url = stack.url("PROMETHEUS_PORT", "/api/v1/query_exemplars");
    // Of the Collector's span metrics and of those that Tempo makes: spec B1 and B3.
    for query in [
        r#"{__name__="traces_span_metrics_duration_seconds_bucket"}"#,
        r#"{__name__="traces_spanmetrics_latency_bucket"}"#,
    ] {
        let trace_id = exemplar(stack, &url, query);
        // An exemplar that leads nowhere is no exemplar.
        stack.trace(&trace_id, |spans| !spans.is_empty());
    }
}

fn exemplar(stack: &Stack, url: &str, query: &str) -> String {
    until(&format!("{query} has an exemplar"), || {
        let start = (chrono::Utc::now() - chrono::TimeDelta::minutes(10)).to_rfc3339();
        let end = chrono::Utc::now().to_rfc3339();
        let answer = stack.json(url, &[("query", query), ("start", &start), ("end", &end)])?;
        let series = answer["data"].as_array()?.clone();
        series.iter().flat_map(|series| series["exemplars"].as_array().cloned().unwrap_or_default()).find_map(
            |exemplar| {
                let labels = &exemplar["labels"];
                labels["trace_id"].as_str().or_else(|| labels["traceID"].as_str()).map(str::to_owned)
            },
        )
    })
}

pub(crate) fn traceql(stack: &Stack) {
    let (_, trace_id) = stack.ask_btc();
    for service in SERVICES {
        let query = format!(r#"{{resource.service.name="{service}"}}"#);
        until(&format!("{query} finds the ask"), || {
            let answer = stack.json(&stack.url("TEMPO_PORT", "/api/search"), &[("q", &query), ("limit", "1000")])?;
            let traces = answer["traces"].as_array()?;
            // Tempo leaves leading zeroes away.
            let wanted = trace_id.trim_start_matches('0');
            traces.iter().any(|trace| trace["traceID"].as_str() == Some(wanted)).then_some(())
        });
    }
}

pub(crate) fn targets(stack: &Stack) {
    let jobs = ["otel-collector", "tempo", "loki", "prometheus", "alertmanager"];
    until("every backend is a target that is up", || {
        let up = stack.promql("up == 1");
        let down = stack.promql(r#"up{job!~"grafana.*"} == 0"#);
        let all = jobs
            .iter()
            .all(|job| up.iter().any(|series| series["metric"]["job"].as_str().is_some_and(|name| name == *job)));
        (all && down.is_empty()).then_some(())
    });
}

/// A rule that fails to evaluate is an alert that never comes; tests of rules see only the series they invent.
pub(crate) fn rules(stack: &Stack) {
    until("every rule of Prometheus evaluates", || {
        let answer: serde_json::Value =
            stack.http.get(stack.url("PROMETHEUS_PORT", "/api/v1/rules")).send().ok()?.json().ok()?;
        let rules: Vec<&serde_json::Value> =
            answer["data"]["groups"].as_array()?.iter().flat_map(|group| group["rules"].as_array()).flatten().collect();
        if let Some(ill) = rules.iter().find(|rule| rule["health"] == "err") {
            panic!("{}: {}", ill["name"], ill["lastError"]);
        }
        (rules.len() > 10 && rules.iter().all(|rule| rule["health"] == "ok")).then_some(())
    });
}

/// The same names and labels natively and through the Collector: the promise behind "either way".
pub(crate) fn native_is_the_same(stack: &Stack) {
    stack.ask_btc();
    for (service, port) in SERVICES.into_iter().zip(["MARKET_DATA_PORT", "DECISION_PORT", "NOTIFIER_PORT"]) {
        let native = stack.http.get(stack.url(port, "/metrics")).send().unwrap().text().unwrap();
        let native = shapes(&native, service);
        assert!(native.len() > 10, "{native:?}");
        let collected_url = stack.url("OTELCOL_PROM_PORT", "/metrics");
        until(&format!("every native metric of {service} is also at the Collector, with the same labels"), || {
            let collected = shapes(&stack.http.get(&collected_url).send().ok()?.text().ok()?, service);
            native.is_subset(&collected).then_some(())
        });
    }
}

/// Name and label names of every series of a service, but for what a scrape adds.
fn shapes(text: &str, service: &str) -> BTreeSet<(String, BTreeSet<String>)> {
    let own = format!("service_name=\"{service}\"");
    text.lines()
        .filter(|line| !line.starts_with('#') && line.contains(&own))
        .filter_map(|line| {
            let (name, rest) = line.split_once('{')?;
            // A route has braces of its own.
            let labels = rest.rsplit_once('}')?.0;
            let names = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
            let scrape = ["job", "instance"];
            Some((name.to_owned(), names.filter(|name| !scrape.contains(&name.as_str())).collect()))
        })
        // What the SDK says of itself natively is no metric of the service.
        .filter(|(name, _): &(String, BTreeSet<String>)| name != "target_info")
        .collect()
}
