//! `crypto-telemetry doctor`: all is well, or the hop that is broken.

use crate::stack::Stack;

pub(crate) fn all_well(stack: &Stack) {
    let (ok, text) = stack.run(&["doctor"]);
    assert!(ok, "{text}");
}

fn names(stack: &Stack, process: &str, words: &[&str]) {
    stack.stop(process);
    let (ok, text) = stack.run(&["doctor"]);
    stack.start_again(process);
    assert!(!ok, "doctor found nothing wrong without {process}:\n{text}");
    // The verdict, not just any line: the broken hop is named after the last cross.
    let broken: Vec<&str> = text.lines().filter(|line| line.contains('✘')).collect();
    for word in words {
        assert!(broken.iter().any(|line| line.contains(word)), "{word:?} is in no broken hop:\n{text}");
    }
}

pub(crate) fn tempo_stopped(stack: &Stack) {
    names(stack, "tempo", &["Tempo"]);
}

pub(crate) fn loki_stopped(stack: &Stack) {
    names(stack, "loki", &["Loki"]);
}

pub(crate) fn prometheus_stopped(stack: &Stack) {
    names(stack, "prometheus", &["Prometheus"]);
}

pub(crate) fn collector_stopped(stack: &Stack) {
    names(stack, "otelcol", &["Collector"]);
}
