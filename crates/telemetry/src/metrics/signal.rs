//! Metrics of signal-service. The names that begin with `tradingview_` and `tvtelegrambingx_` are given by requirement 2.

use super::{Counter, Gauge, Histogram, Metric, Spec};

/// Signals that were persisted and queued.
///
/// `symbol` is one of those configured, else `other`; `action` is `buy`, `sell` or `close`.
pub static INGESTED: Counter = Counter::new(Spec {
    name: "tradingview_signals_ingested_total",
    unit: "{signal}",
    labels: &["symbol", "action"],
    help: "TradingView signals persisted and queued.",
});

/// Alerts that were refused; `reason` is the bounded code of the problem.
pub static REJECTED: Counter = Counter::new(Spec {
    name: "tradingview_signals_rejected_total",
    unit: "{signal}",
    labels: &["reason"],
    help: "TradingView alerts that were refused, by the code of the answer.",
});

/// Alerts that had come before.
pub static DUPLICATES: Counter = Counter::new(Spec {
    name: "tradingview_signals_duplicate_total",
    unit: "{signal}",
    labels: &[],
    help: "TradingView alerts that had come before (TradingView sends again what it has no answer to); each was answered with the first one's id.",
});

/// Time to validate, persist and queue; `outcome` is `accepted`, `duplicate`, `rejected` or `failed`.
pub static INGEST_DURATION: Histogram = Histogram::new(Spec {
    name: "tradingview_signal_ingest_duration_seconds",
    unit: "s",
    labels: &["outcome"],
    help: "Time to validate, persist and queue a TradingView signal, by how it ended: accepted, duplicate, rejected or failed.",
});

/// Signals that were persisted and not executed yet.
pub static QUEUE_DEPTH: Gauge = Gauge::new(Spec {
    name: "tvtelegrambingx_signal_queue_depth",
    unit: "{signal}",
    labels: &[],
    help: "Signals that are persisted and not executed yet: order-service has not said what became of them.",
});

/// How long the oldest of them waits.
pub static OLDEST_AGE: Gauge = Gauge::new(Spec {
    name: "tvtelegrambingx_signal_oldest_age_seconds",
    unit: "s",
    labels: &[],
    help: "Age of the oldest signal that is not executed yet; 0 when there is none.",
});

/// Signals whose outcome is known; `result` is `ordered`, `awaiting_confirmation`, `refused` or `failed`.
pub static EXECUTED: Counter = Counter::new(Spec {
    name: "tvtelegrambingx_signals_executed_total",
    unit: "{signal}",
    labels: &["result"],
    help: "Signals that order-service has handled, by what became of them; failed: order-service refuses the signal itself.",
});

/// All of them.
pub static ALL: &[&dyn Metric] =
    &[&INGESTED, &REJECTED, &DUPLICATES, &INGEST_DURATION, &QUEUE_DEPTH, &OLDEST_AGE, &EXECUTED];
