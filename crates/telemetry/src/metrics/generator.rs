//! Metrics of signal-generator. The first two names are given by requirement 3.

use super::{Counter, Gauge, Histogram, Metric, Spec};

/// Signals that were made and committed.
///
/// `signal_type` is `mock`, `golden_cross`, `death_cross`, `tradingview` or `other`; `source` is `mock_generator`,
/// `golden_cross_generator` or `by_hand`.
pub static GENERATED: Counter = Counter::new(Spec {
    name: "signals_generated_total",
    unit: "{signal}",
    labels: &["signal_type", "source"],
    help: "Signals made and written down for the bus, by what kind they are and who made them.",
});

/// Time to make a signal.
pub static DURATION: Histogram = Histogram::new(Spec {
    name: "signal_generation_duration_seconds",
    unit: "s",
    labels: &["signal_type"],
    help: "Time to make a signal: from the beginning of the look at the candles, or of the draw, until it is committed.",
});

/// Signals that were not made, or not yet, because too many wait for the bus.
pub static HELD_BACK: Counter = Counter::new(Spec {
    name: "signals_held_back_total",
    unit: "{signal}",
    labels: &["signal_type"],
    help: "Signals held back because too many of them wait for the bus: a crossing is made later, a random one is left out, an alert of TradingView sets off no pipeline.",
});

/// Candles that were never looked at.
pub static CANDLES_MISSED: Counter = Counter::new(Spec {
    name: "signal_candles_missed_total",
    unit: "{candle}",
    labels: &[],
    help: "Candles that were never looked at, because more had closed since the last look than market-data-service gives at once.",
});

/// Signals that wait for the bus.
pub static UNPUBLISHED: Gauge = Gauge::new(Spec {
    name: "signals_unpublished",
    unit: "{signal}",
    labels: &[],
    help: "Signals that are made and not on the bus yet.",
});

/// All of them.
pub static ALL: &[&dyn Metric] = &[&GENERATED, &DURATION, &HELD_BACK, &CANDLES_MISSED, &UNPUBLISHED];
