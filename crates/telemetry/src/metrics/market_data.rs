//! Prices and candles, and the exchange they come from. `symbol` is bounded by the service's settings.

use super::{Counter, Gauge, Metric, Spec, UpDownCounter};

/// Age of the newest price.
pub static PRICE_AGE: Gauge = Gauge::new(Spec {
    name: "market_data_price_age_seconds",
    unit: "s",
    labels: &["symbol"],
    help: "Time since the exchange stated the newest price that is held; above the limit, prices are refused as stale",
});

/// The newest price.
pub static PRICE: Gauge = Gauge::new(Spec {
    name: "market_data_price",
    unit: "{quote}",
    labels: &["symbol"],
    help: "Newest price that is held, in the quote currency; a figure for charts, services read the decimal over HTTP",
});

/// Whether the stream is up.
pub static STREAM_CONNECTED: Gauge = Gauge::new(Spec {
    name: "market_data_stream_connected",
    unit: "{connection}",
    labels: &[],
    help: "1 while the exchange's WebSocket stream is connected, else 0: then prices are polled over REST",
});

/// Connections of the stream after the first.
pub static STREAM_RECONNECTS: Counter = Counter::new(Spec {
    name: "market_data_stream_reconnects_total",
    unit: "{connection}",
    labels: &["reason"],
    help: "Times the stream was given up for a new connection, by why",
});

/// Failed attempts to connect the stream.
pub static STREAM_CONNECT_FAILURES: Counter = Counter::new(Spec {
    name: "market_data_stream_connect_failures_total",
    unit: "{attempt}",
    labels: &["reason"],
    help: "Attempts to connect the stream that failed, by why",
});

/// Events of the stream.
pub static STREAM_EVENTS: Counter = Counter::new(Spec {
    name: "market_data_stream_events_total",
    unit: "{event}",
    labels: &["kind"],
    help: "Messages of the stream; kind is kline, ticker, server_shutdown, unknown, malformed or not_served (a symbol nobody asked for)",
});

/// Candles that became final or were filled in.
pub static CANDLES_RECEIVED: Counter = Counter::new(Spec {
    name: "market_data_candles_received_total",
    unit: "{candle}",
    labels: &["symbol", "source"],
    help: "Final one-minute candles taken into the store, by where they came from: stream or rest",
});

/// Holes that were mended.
pub static GAPS_FILLED: Counter = Counter::new(Spec {
    name: "market_data_gaps_filled_total",
    unit: "{gap}",
    labels: &["symbol"],
    help: "Times candles that the stream missed were read over REST and the series had no hole any more",
});

/// Attempts to mend that failed.
pub static GAP_FILL_FAILURES: Counter = Counter::new(Spec {
    name: "market_data_gap_fill_failures_total",
    unit: "{attempt}",
    labels: &["reason"],
    help: "Attempts to read missing candles over REST that failed, by why; they are tried again",
});

/// Polls of the price.
pub static PRICE_POLLS: Counter = Counter::new(Spec {
    name: "market_data_price_polls_total",
    unit: "{poll}",
    labels: &["outcome"],
    help: "Prices read over REST because the stream gave none; outcome is ok or the kind of failure",
});

/// Listeners of the service's own stream.
pub static STREAM_CLIENTS: UpDownCounter = UpDownCounter::new(Spec {
    name: "market_data_stream_clients",
    unit: "{client}",
    labels: &[],
    help: "Clients that listen to /v1/stream now",
});

/// Difference of clocks.
pub static EXCHANGE_CLOCK_SKEW: Gauge = Gauge::new(Spec {
    name: "market_data_exchange_clock_skew_seconds",
    unit: "s",
    labels: &[],
    help: "The exchange's clock minus this machine's, as measured over REST; price ages are wrong by as much",
});

/// Weight used up.
pub static REQUEST_WEIGHT_USED: Gauge = Gauge::new(Spec {
    name: "binance_request_weight_used",
    unit: "{weight}",
    labels: &[],
    help: "Request weight that Binance says this address used in the running minute; it allows 6000",
});

/// Calls that were not made.
pub static REQUESTS_WITHHELD: Counter = Counter::new(Spec {
    name: "binance_requests_withheld_total",
    unit: "{request}",
    labels: &["reason"],
    help: "REST calls refused locally to stay within Binance's limits; reason is rate_limited, banned or weight",
});

/// All of them.
pub static ALL: &[&dyn Metric] = &[
    &PRICE_AGE,
    &PRICE,
    &STREAM_CONNECTED,
    &STREAM_RECONNECTS,
    &STREAM_CONNECT_FAILURES,
    &STREAM_EVENTS,
    &CANDLES_RECEIVED,
    &GAPS_FILLED,
    &GAP_FILL_FAILURES,
    &PRICE_POLLS,
    &STREAM_CLIENTS,
    &EXCHANGE_CLOCK_SKEW,
    &REQUEST_WEIGHT_USED,
    &REQUESTS_WITHHELD,
];
