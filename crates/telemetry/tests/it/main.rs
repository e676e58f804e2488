//! Telemetry in processes of its own, against collectors that take, refuse and hang.
//!
//! Telemetry is set up once a process, so every scenario is a child: this test program again, told by a variable
//! which scenario to play. The child prints what it saw as JSON on its last line.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking and a child answers by printing")]

mod child;
mod collector;

use std::collections::HashMap;

use child::{Report, play};
use collector::{Collector, Received};

#[test]
fn off_means_no_span_no_metric_no_header() {
    let report = play("off", &[]);
    assert_eq!(report.trace_id, None);
    assert_eq!(report.headers, HashMap::new());
    assert_eq!(report.metrics, None);
    assert!(report.span_disabled, "a span was made although nobody wants it");
}

#[test]
fn native_metrics_alone_need_no_collector() {
    let report = play("off", &[("METRICS_ENABLED", "true")]);
    assert_eq!(report.trace_id, None);
    let metrics = report.metrics.unwrap();
    assert!(metrics.contains("process_start_time_seconds{"), "{metrics}");
    assert!(metrics.contains(r#"service_name="child""#), "{metrics}");
}

#[test]
fn the_standard_switch_has_the_last_word() {
    let report = play("off", &[("TELEMETRY_ENABLED", "true"), ("OTEL_SDK_DISABLED", "true")]);
    assert_eq!((report.trace_id, report.metrics), (None, None));
}

#[test]
fn all_three_signals_arrive_with_headers_and_resource_attributes() {
    let collector = Collector::start();
    let report = play(
        "work",
        &[
            ("TELEMETRY_ENABLED", "true"),
            ("TELEMETRY_OTLP_ENDPOINT", &collector.url()),
            ("TELEMETRY_OTLP_HEADERS", r#"{"Authorization": "Bearer secret-of-test"}"#),
            ("TELEMETRY_SERVICE_NAME", "renamed"),
            ("ENVIRONMENT", "staging"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=blue"),
        ],
    );
    let Received { spans, logs, metrics, resources, authorizations } = collector.stop();
    let trace_id = report.trace_id.unwrap();
    assert!(spans.iter().any(|(trace, name)| *trace == trace_id && name == "work"), "{spans:?}");
    assert!(logs.iter().any(|(trace, body)| *trace == trace_id && body == "at work"), "{logs:?}");
    assert!(metrics.iter().any(|name| name == "http.server.active_requests"), "{metrics:?}");
    for resource in resources {
        assert_eq!(resource["service.name"], "renamed");
        assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(resource["deployment.environment"], "staging");
        assert_eq!(resource["deployment.environment.name"], "staging");
        assert_eq!(resource["team"], "blue");
        assert!(!resource["service.instance.id"].is_empty());
    }
    assert!(authorizations.iter().all(|value| value == "Bearer secret-of-test"), "{authorizations:?}");
    assert!(!report.output.contains("secret-of-test"), "a secret was logged");
    assert!(report.headers["traceparent"].contains(&trace_id), "{:?}", report.headers);
}

#[test]
fn the_ratio_sampler_respects_the_parent() {
    let collector = Collector::start();
    let report = play(
        "sampling",
        &[
            ("TELEMETRY_ENABLED", "true"),
            ("TELEMETRY_OTLP_ENDPOINT", &collector.url()),
            ("TELEMETRY_SAMPLE_RATIO", "0"),
        ],
    );
    let received = collector.stop();
    let names: Vec<&str> = received.spans.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["child of a sampled parent"], "a root at ratio 0 is dropped, a sampled caller's span is kept");
    assert!(report.trace_id.is_some());
}

#[test]
fn signals_can_be_switched_off_one_by_one() {
    let collector = Collector::start();
    play(
        "work",
        &[
            ("TELEMETRY_ENABLED", "true"),
            ("TELEMETRY_OTLP_ENDPOINT", &collector.url()),
            ("OTEL_LOGS_EXPORTER", "none"),
            ("OTEL_METRICS_EXPORTER", "prometheus"),
        ],
    );
    let received = collector.stop();
    assert_eq!((received.spans.len(), received.logs.len(), received.metrics.len()), (1, 0, 0));
}

#[test]
fn a_collector_that_is_gone_costs_counted_drops_and_one_log_line() {
    // A port that was free a moment ago and refuses connections now.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let report = play(
        "flood",
        &[
            ("TELEMETRY_ENABLED", "true"),
            ("TELEMETRY_OTLP_ENDPOINT", &format!("http://127.0.0.1:{port}")),
            ("TELEMETRY_BATCH_DELAY_MS", "10"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
            ("TELEMETRY_QUEUE_SIZE", "600"),
        ],
    );
    let dropped = counted(&report, "telemetry_items_dropped_total", "traces");
    assert!(dropped > 0, "nothing was counted as dropped");
    assert_eq!(counted(&report, "telemetry_items_exported_total", "traces"), 0);
    // One line an outage and signal, and nothing of the SDK's own a failed batch.
    let about = |word: &str| {
        let says = format!(r#""signal":"{word}""#);
        report.output.lines().filter(|line| line.contains("does not take telemetry") && line.contains(&says)).count()
    };
    assert_eq!(about("traces"), 1, "{}", report.output);
    // None where the process ended before its metrics were due.
    assert!(about("metrics") <= 1, "{}", report.output);
    let lines = report.output.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).count();
    assert!(
        lines <= 4,
        "one a signal, and one that shut-down could not send everything:
{}",
        report.output
    );
}

#[test]
fn a_collector_that_hangs_fills_the_queue_and_no_more() {
    let hanging = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let report = play(
        "flood",
        &[
            ("TELEMETRY_ENABLED", "true"),
            ("TELEMETRY_OTLP_ENDPOINT", &format!("http://{}", hanging.local_addr().unwrap())),
            ("TELEMETRY_QUEUE_SIZE", "600"),
            ("TELEMETRY_SHUTDOWN_TIMEOUT_MS", "300"),
        ],
    );
    // 5,000 spans were made, 600 wait; the rest was dropped at once and counted. That the child ended at all,
    // although the collector never answers, is the bound on shut-down.
    assert_eq!(counted(&report, "telemetry_items_dropped_total", "traces"), 5_000 - 600);
    assert!(report.output.contains("not everything could be sent before shut-down"), "{}", report.output);
}

#[test]
fn over_grpc_a_collector_that_is_gone_costs_no_more() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let report = play(
        "flood",
        &[
            ("TELEMETRY_ENABLED", "true"),
            ("TELEMETRY_OTLP_ENDPOINT", &format!("http://127.0.0.1:{port}")),
            ("TELEMETRY_OTLP_PROTOCOL", "grpc"),
            ("TELEMETRY_QUEUE_SIZE", "600"),
            ("TELEMETRY_SHUTDOWN_TIMEOUT_MS", "300"),
        ],
    );
    assert!(counted(&report, "telemetry_items_dropped_total", "traces") >= 5_000 - 600);
}

#[test]
fn json_log_lines_carry_the_ids() {
    let collector = Collector::start();
    let report = play(
        "work",
        &[("TELEMETRY_ENABLED", "true"), ("TELEMETRY_OTLP_ENDPOINT", &collector.url()), ("LOG_FORMAT", "json")],
    );
    collector.stop();
    let line = report.output.lines().find(|line| line.contains("at work")).unwrap();
    // The test runner may have begun the line.
    let line: serde_json::Value = serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap();
    assert_eq!(line["trace_id"].as_str(), report.trace_id.as_deref());
    assert_eq!(line["span_id"].as_str().unwrap().len(), 16);
    assert_eq!((line["level"].as_str(), line["service"].as_str()), (Some("INFO"), Some("child")));
    assert_eq!(line["answer"], 42);
}

#[test]
fn a_warning_is_not_lost_with_its_process_nor_are_the_lines_before_it() {
    let report = play("exit", &[("LOG_FORMAT", "json")]);
    let messages: Vec<&str> = ["first", "second"]
        .into_iter()
        .filter(|word| report.output.contains(&format!(r#""message":"{word}""#)))
        .collect();
    assert_eq!(messages, ["first", "second"], "{}", report.output);
    assert!(report.output.find("first") < report.output.find("second"), "{}", report.output);
}

#[test]
fn the_metrics_document_is_the_registry() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/METRICS.md");
    let document = std::fs::read_to_string(path).unwrap();
    assert!(document == telemetry::metrics::markdown(), "run: crypto-telemetry metrics-doc > docs/METRICS.md");
}

fn counted(report: &Report, name: &str, signal: &str) -> u64 {
    let metrics = report.metrics.as_ref().unwrap();
    metrics
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(&format!(r#"signal="{signal}""#)))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

/// Two copies of one of these have globals of their own, and spans vanish in silence: docs/adr/0002.
#[test]
fn there_is_one_copy_of_each_opentelemetry_crate() {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
    let mut seen: HashMap<&str, u32> = HashMap::new();
    for name in lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')) {
        if name.contains("opentelemetry") || name == "tracing-subscriber" || name == "tracing-actix-web" {
            *seen.entry(name).or_default() += 1;
        }
    }
    assert!(seen.contains_key("opentelemetry_sdk") && seen.contains_key("tracing-opentelemetry"), "{seen:?}");
    let twice: Vec<_> = seen.into_iter().filter(|(_, copies)| *copies > 1).collect();
    assert_eq!(twice, []);
}
