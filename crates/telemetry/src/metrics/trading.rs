//! Metrics of order-service's trading. The names that begin with `tvtelegrambingx_` are given by requirement 2.
//!
//! `symbol` is one of those that may be traded, else `other`.

use super::{Counter, CounterF64, Gauge, Histogram, Metric, Spec};

/// Moves of orders; `status` is where they went.
pub static TRANSITIONS: Counter = Counter::new(Spec {
    name: "tvtelegrambingx_order_transitions_total",
    unit: "{transition}",
    labels: &["symbol", "status"],
    help: "Order lifecycle transitions by symbol and by the status that was reached: new, submitted, partially_filled, filled, rejected, cancelled, expired or unknown.",
});

/// Money that was traded, as a figure for charts; `action` is `buy` or `sell`.
pub static NOTIONAL_USD: CounterF64 = CounterF64::new(Spec {
    name: "tvtelegrambingx_order_notional_usd_total",
    unit: "{USD}",
    labels: &["action"],
    help: "Notional of what was filled, in US dollars, by action (buy, sell).",
});

/// Realised profit of a symbol, as a figure for charts.
pub static REALISED_PNL_USD: Gauge = Gauge::new(Spec {
    name: "tvtelegrambingx_realised_pnl_usd",
    unit: "{USD}",
    labels: &["symbol"],
    help: "Realised profit of a symbol since the beginning by average cost, fees not taken off, in US dollars.",
});

/// Realised profit of all symbols, as a figure for charts.
pub static REALISED_PNL_TOTAL_USD: Gauge = Gauge::new(Spec {
    // No counter, although requirement 2's name ends like one's: it falls, too.
    name: "tvtelegrambingx_realised_pnl_total_usd",
    unit: "{USD}",
    labels: &[],
    help: "Realised profit of all symbols since the beginning by average cost, fees not taken off, in US dollars.",
});

/// Fees, as a figure for charts.
pub static FEES_USD: CounterF64 = CounterF64::new(Spec {
    name: "trading_fees_usd_total",
    unit: "{USD}",
    labels: &["symbol"],
    help: "Fees that the exchange took, in US dollars.",
});

/// Signals and orders that a limit or the trading state refused; `reason` is the bounded code.
pub static REFUSALS: Counter = Counter::new(Spec {
    name: "trading_order_refusals_total",
    unit: "{refusal}",
    labels: &["symbol", "reason"],
    help: "Signals and orders refused by a limit or by the trading state, by the reason's code.",
});

/// The trading state: 1 for the one that is, 0 for the others.
pub static STATE: Gauge = Gauge::new(Spec {
    name: "trading_state",
    unit: "{state}",
    labels: &["state"],
    help: "Trading state: 1 for the one that is (running, reducing or halted), 0 for the others.",
});

/// From the signal's arrival to the exchange's answer that it has the order.
pub static SIGNAL_TO_SUBMIT: Histogram = Histogram::new(Spec {
    name: "trading_signal_to_submit_seconds",
    unit: "s",
    labels: &[],
    help: "Time from a signal's arrival at the platform to the exchange's word that it has the order; orders that somebody had to confirm are left out.",
});

/// Calls of the exchange; `operation` is `place`, `query`, `cancel`, `balance` or `positions`.
pub static EXCHANGE_REQUESTS: Counter = Counter::new(Spec {
    name: "trading_exchange_requests_total",
    unit: "{request}",
    labels: &["operation", "outcome"],
    help: "Calls of the exchange, by operation (place, query, cancel, balance, positions) and by outcome: ok, refused, not_sent, unknown, no_such_order or unavailable.",
});

/// How long the exchange takes.
pub static EXCHANGE_REQUEST_DURATION: Histogram = Histogram::new(Spec {
    name: "trading_exchange_request_duration_seconds",
    unit: "s",
    labels: &["operation"],
    help: "How long calls of the exchange take, by operation.",
});

/// Orders that are not at their end; `status` is `new`, `submitted`, `partially_filled` or `unknown`.
pub static OPEN_ORDERS: Gauge = Gauge::new(Spec {
    name: "trading_open_orders",
    unit: "{order}",
    labels: &["status"],
    help: "Orders that are not at their end, by status.",
});

/// What is held, as a figure for charts.
pub static POSITION_QUANTITY: Gauge = Gauge::new(Spec {
    name: "trading_position_quantity",
    unit: "{coin}",
    labels: &["symbol"],
    help: "What is held of a symbol, in its base currency; below 0 is short.",
});

/// What the exchange holds beyond what is counted here, as a figure for charts and alerts.
pub static POSITION_DIFFERENCE: Gauge = Gauge::new(Spec {
    name: "trading_position_difference",
    unit: "{coin}",
    labels: &["symbol"],
    help: "What the exchange holds of a symbol less what is counted here, in its base currency, when they were last compared; 0 is as it should be.",
});

/// Ways through the open orders; `outcome` is `ok` or `failed`.
pub static RECONCILIATIONS: Counter = Counter::new(Spec {
    name: "trading_reconciliations_total",
    unit: "{reconciliation}",
    labels: &["outcome"],
    help: "Times that the open orders were compared with the exchange, by outcome.",
});

/// All of them.
pub static ALL: &[&dyn Metric] = &[
    &TRANSITIONS,
    &NOTIONAL_USD,
    &REALISED_PNL_USD,
    &REALISED_PNL_TOTAL_USD,
    &FEES_USD,
    &REFUSALS,
    &STATE,
    &SIGNAL_TO_SUBMIT,
    &EXCHANGE_REQUESTS,
    &EXCHANGE_REQUEST_DURATION,
    &OPEN_ORDERS,
    &POSITION_QUANTITY,
    &POSITION_DIFFERENCE,
    &RECONCILIATIONS,
];
