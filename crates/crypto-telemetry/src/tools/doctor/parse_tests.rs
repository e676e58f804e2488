//! The parsers on what the real components answered (Collector 0.155, Tempo 2.9, Loki 3.7, Prometheus 3.15), shortened.

use super::parse::*;

const OWN: &str = r#"# HELP otelcol_exporter_queue_size Current size of the retry queue (in batches). [Alpha]
# TYPE otelcol_exporter_queue_size gauge
otelcol_exporter_queue_capacity{data_type="traces",exporter="otlp_grpc/tempo"} 200000
otelcol_exporter_queue_size{data_type="logs",exporter="otlp_http/loki"} 0
otelcol_exporter_queue_size{data_type="traces",exporter="otlp_grpc/tempo"} 3
otelcol_exporter_sent_log_records{exporter="otlp_http/loki",server_address="127.0.0.1",server_port="18100",url_path="/otlp/v1/logs"} 1
otelcol_exporter_sent_metric_points{exporter="prometheus"} 7
otelcol_exporter_sent_spans_total{exporter="otlp_grpc/tempo",server_address="127.0.0.1",server_port="29317"} 2
otelcol_exporter_queue_batch_send_size_sum{exporter="otlp_grpc/tempo"} 1
otelcol_receiver_accepted_spans{receiver="otlp",transport="http"} 2
otelcol_receiver_accepted_spans{receiver="otlp",transport="grpc"} 40
otelcol_receiver_refused_spans{receiver="otlp",transport="http"} 0
otelcol_receiver_failed_log_records{receiver="otlp",transport="http"} 4
"#;

#[test]
fn the_collectors_own_counters() {
    let own = own_metrics(OWN);
    assert_eq!(own.traces, Counters { accepted: 42.0, refused: 0.0, sent: 2.0, failed: 0.0, queued: 3.0 });
    assert_eq!(own.logs, Counters { accepted: 0.0, refused: 4.0, sent: 1.0, failed: 0.0, queued: 0.0 });
    assert_eq!(own.metrics.sent, 7.0);
}

#[test]
fn the_probe_among_the_exported_metrics() {
    let text = r#"# TYPE doctor_probe_sent_timestamp_seconds gauge
doctor_probe_sent_timestamp_seconds{deployment_environment="development",instance="doctor",job="doctor",service_name="doctor"} 1.795246867356e+09
traces_span_metrics_duration_seconds_count{deployment_environment="development",job="doctor",service_name="doctor",span_kind="SPAN_KIND_INTERNAL",span_name="doctor \"probe\" {x} y",status_code="STATUS_CODE_UNSET"} 1 # {trace_id="34ae"} 0.001 1795246867.3
plain_metric 5
"#;
    assert_eq!(of_service(text, "doctor_probe_sent_timestamp_seconds", "doctor"), Some(1_795_246_867.356));
    assert_eq!(of_service(text, "doctor_probe_sent_timestamp_seconds", "doc"), None);
    assert_eq!(of_service(text, "traces_span_metrics_duration_seconds_count", "doctor"), Some(1.0));
    assert_eq!(samples(text).last().map(|sample| sample.value), Some(5.0));
}

#[test]
fn otlp_answers() {
    assert_eq!(otlp_rejection(br#"{"partialSuccess":{}}"#), None);
    assert_eq!(otlp_rejection(br#"{}"#), None);
    assert_eq!(otlp_rejection(br#"{"partialSuccess":{"rejectedSpans":"0"}}"#), None);
    assert_eq!(
        otlp_rejection(br#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"no"}}"#).as_deref(),
        Some("no")
    );
    assert!(otlp_rejection(br#"{"partialSuccess":{"rejectedDataPoints":1}}"#).is_some());
}

#[test]
fn tempos_answers() {
    let found = br#"{"traces":[{"traceID":"4aee4f9250f6d38cfa26342d4d2e151","rootServiceName":"doctor"}],"metrics":{"completedJobs":1}}"#;
    assert_eq!(tempo_found(found, "04aee4f9250f6d38cfa26342d4d2e151"), Ok(true));
    assert_eq!(tempo_found(found, "14aee4f9250f6d38cfa26342d4d2e151"), Ok(false));
    assert_eq!(tempo_found(br#"{"traces":[],"metrics":{"completedJobs":1,"totalJobs":1}}"#, "1"), Ok(false));
}

#[test]
fn prometheus_answers() {
    let vector = br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"job":"doctor"},"value":[1795246875.006,"1795246867.356"]},{"metric":{"job":"doctor"},"value":[1795246875.006,"3"]}]}}"#;
    assert_eq!(prometheus_value(vector), Ok(Some(1_795_246_867.356)));
    assert_eq!(prometheus_value(br#"{"status":"success","data":{"resultType":"vector","result":[]}}"#), Ok(None));
    let targets = br#"{"status":"success","data":{"activeTargets":[{"discoveredLabels":{"job":"grafana"},"labels":{"job":"grafana"},"scrapePool":"grafana","scrapeUrl":"http://127.0.0.1:18300/metrics","lastError":"connection refused","health":"down"}],"droppedTargets":[]}}"#;
    let targets = prometheus_targets(targets).unwrap();
    assert_eq!(
        (targets[0].scrape_pool.as_str(), targets[0].health.as_str(), targets[0].last_error.as_str()),
        ("grafana", "down", "connection refused")
    );
}

#[test]
fn health_reports() {
    let report = br#"{"status":"unavailable","service":"market-data-service","version":"0.1.0","checks":[{"name":"binance-rest","status":"ok"},{"name":"binance-stream","status":"failing","detail":"no event for 20 s"}]}"#;
    assert_eq!(failing_checks(report).unwrap(), ["binance-stream: no event for 20 s"]);
    assert_eq!(failing_checks(b"<html>"), None);
}
