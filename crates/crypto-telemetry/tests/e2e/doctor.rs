//! `crypto-telemetry doctor`: all is well, or the hop that is broken.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::stack::Stack;

fn doctor(stack: &Stack) -> (bool, Value) {
    // Enough for this stack, which batches for 200 ms; what is deployed takes longer.
    let (ok, text) = stack.run(&["doctor", "--json", "--timeout-ms", "12000"]);
    let report = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (ok, report)
}

pub(crate) fn all_well(stack: &Stack) {
    let (ok, report) = doctor(stack);
    assert!(ok && report["ok"] == true && report["problems"] == Value::Array(Vec::new()), "{report:#}");
    let (ok, text) = stack.run(&["doctor"]);
    assert!(ok && text.contains("All is well"), "{text}");
}

/// Stops a process; doctor must blame exactly this hop for exactly these signals, and find the others whole.
fn blames(stack: &Stack, process: &str, hop: &str, signals: &[&str]) {
    stack.stop(process);
    let (ok, report) = doctor(stack);
    stack.start_again(process);
    assert!(!ok && report["ok"] == false, "doctor found nothing wrong without {process}: {report:#}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut lost: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for problem in report["problems"].as_array().unwrap() {
        for signal in problem["signals"].as_array().into_iter().flatten() {
            lost.entry(text(&problem["place"])).or_default().push(text(signal));
        }
        assert!(!text(&problem["next"]).is_empty(), "no command to run next: {problem:#}");
    }
    for signals in lost.values_mut() {
        signals.sort();
    }
    let expected: Vec<String> = signals.iter().map(|signal| (*signal).to_owned()).collect();
    assert_eq!(lost, BTreeMap::from([(hop.to_owned(), expected)]), "{report:#}");
}

pub(crate) fn tempo_stopped(stack: &Stack) {
    blames(stack, "tempo", "Collector → Tempo", &["traces"]);
}

pub(crate) fn loki_stopped(stack: &Stack) {
    blames(stack, "loki", "Collector → Loki", &["logs"]);
}

pub(crate) fn prometheus_stopped(stack: &Stack) {
    blames(stack, "prometheus", "Collector → Prometheus", &["metrics"]);
}

pub(crate) fn collector_stopped(stack: &Stack) {
    blames(stack, "otelcol", "doctor → Collector", &["logs", "metrics", "traces"]);
}
