//! The simulated outside world. `target` is binance_rest, binance_ws, telegram, llm or bingx.

use super::{Counter, Gauge, Metric, Spec, UpDownCounter};

/// Calls from the services.
pub static REQUESTS: Counter = Counter::new(Spec {
    name: "simulator_requests_total",
    unit: "{request}",
    labels: &["target", "outcome"],
    help: "Calls of the simulated outside systems; outcome is ok, client_error, rate_limited, server_error, malformed or dropped",
});

/// Faults that hit a call.
pub static FAULTS_INJECTED: Counter = Counter::new(Spec {
    name: "simulator_faults_injected_total",
    unit: "{fault}",
    labels: &["target", "kind"],
    help: "Times an injected fault hit a call, a socket or an event, by kind",
});

/// Faults that are switched on.
pub static FAULTS_ACTIVE: Gauge = Gauge::new(Spec {
    name: "simulator_faults_active",
    unit: "{fault}",
    labels: &[],
    help: "Injected faults whose time is not over",
});

/// Sockets of the simulated exchange.
pub static SOCKETS: UpDownCounter = UpDownCounter::new(Spec {
    name: "simulator_binance_sockets",
    unit: "{socket}",
    labels: &[],
    help: "WebSocket connections of the simulated exchange that are open",
});

/// Events sent over these sockets.
pub static EVENTS_SENT: Counter = Counter::new(Spec {
    name: "simulator_binance_events_total",
    unit: "{event}",
    labels: &["kind"],
    help: "Events the simulated exchange sent over WebSocket; kind is kline, ticker, mini_ticker, trade, book_ticker or server_shutdown",
});

/// Why sockets ended.
pub static SOCKETS_CLOSED: Counter = Counter::new(Spec {
    name: "simulator_binance_sockets_closed_total",
    unit: "{socket}",
    labels: &["reason"],
    help: "WebSocket connections that ended; reason is client, no_pong, too_many_messages, protocol, lifetime, shutdown, dropped or slow",
});

/// Updates the bot has not taken.
pub static TELEGRAM_PENDING: Gauge = Gauge::new(Spec {
    name: "simulator_telegram_pending_updates",
    unit: "{update}",
    labels: &[],
    help: "Updates of the simulated Telegram that no bot has taken yet",
});

/// Deliveries to the bot's webhook.
pub static WEBHOOK_DELIVERIES: Counter = Counter::new(Spec {
    name: "simulator_telegram_webhook_deliveries_total",
    unit: "{delivery}",
    labels: &["outcome"],
    help: "Attempts to deliver an update to the bot's webhook; outcome is ok, refused (no 2xx) or unreachable",
});

/// All of them.
pub static ALL: &[&dyn Metric] = &[
    &REQUESTS,
    &FAULTS_INJECTED,
    &FAULTS_ACTIVE,
    &SOCKETS,
    &EVENTS_SENT,
    &SOCKETS_CLOSED,
    &TELEGRAM_PENDING,
    &WEBHOOK_DELIVERIES,
];
