//! Logs, metrics, exemplars, TraceQL.

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
    let (status, _) = stack.ask(&serde_json::json!({"symbols": ["NOPEUSDT"]}));
    assert_eq!(status, 404);
    for service in SERVICES {
        for query in [
            // Requests, latency, errors: spec A4.
            format!(
                r#"sum(http_server_request_duration_seconds_count{{service_name="{service}",status_code="200"}}) > 0"#
            ),
            format!(
                r#"histogram_quantile(0.95, sum by (le) (http_server_request_duration_seconds_bucket{{service_name="{service}"}})) > 0"#
            ),
            format!(r#"count(http_server_active_requests{{service_name="{service}"}}) > 0"#),
            format!(
                r#"process_resident_memory_bytes{{service_name="{service}",deployment_environment="development"}} > 0"#
            ),
        ] {
            until(&query, || (!stack.promql(&query).is_empty()).then_some(()));
        }
    }
    let errors = r#"sum(http_server_errors_total{code="unknown_symbol",service_name=~"notifier-service|market-data-service"}) > 0"#;
    until(errors, || (!stack.promql(errors).is_empty()).then_some(()));
}

pub(crate) fn exemplars(stack: &Stack) {
    stack.ask_btc();
    let url = stack.url("PROMETHEUS_PORT", "/api/v1/query_exemplars");
    let trace_id = until("a span metric has an exemplar of notifier-service", || {
        let start = (chrono::Utc::now() - chrono::TimeDelta::minutes(10)).to_rfc3339();
        let end = chrono::Utc::now().to_rfc3339();
        let answer = stack
            .json(&url, &[("query", r#"{__name__=~"traces_span.*_bucket"}"#), ("start", &start), ("end", &end)])?;
        let series = answer["data"].as_array()?.clone();
        series.iter().flat_map(|series| series["exemplars"].as_array().cloned().unwrap_or_default()).find_map(
            |exemplar| {
                let labels = &exemplar["labels"];
                labels["trace_id"].as_str().or_else(|| labels["traceID"].as_str()).map(str::to_owned)
            },
        )
    });
    // An exemplar that leads nowhere is no exemplar.
    stack.trace(&trace_id, |spans| !spans.is_empty());
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
    let jobs = ["otel-collector", "tempo", "loki", "prometheus"];
    until("every backend is a target that is up", || {
        let up = stack.promql("up == 1");
        let down = stack.promql(r#"up{job!~"grafana.*"} == 0"#);
        let all = jobs
            .iter()
            .all(|job| up.iter().any(|series| series["metric"]["job"].as_str().is_some_and(|name| name == *job)));
        (all && down.is_empty()).then_some(())
    });
}
