//! With the simulator, whose market moves by itself: a candle a second.

use std::collections::BTreeSet;

use domain::{Candle, PriceSource};
use market_data::Config;
use serde_json::{Value, json};
use web::RunningServer;

use crate::support::{Service, assert_contiguous, wait_for};

struct Simulated {
    exchange: RunningServer,
    service: Service,
}

impl Simulated {
    async fn start(adjust: impl FnOnce(&mut Config)) -> Self {
        telemetry::testing::init();
        let exchange = simulator::start(simulator::Config::ephemeral()).await.unwrap();
        let rest = exchange.base_url();
        let mut ws = rest.clone();
        ws.set_scheme("ws").unwrap();
        let mut config = Config::ephemeral(rest.as_str(), ws.as_str()).unwrap();
        config.poll_interval_ms = 100;
        config.binance_stream_backoff_ms = 50;
        config.binance_stream_backoff_max_ms = 200;
        adjust(&mut config);
        let service = Service::start(config).await;
        wait_for("the service is ready", async || service.get("/health/ready").await.status == 200).await;
        Self { exchange, service }
    }

    async fn fault(&self, fault: Value) {
        let url = self.exchange.base_url().join("control/faults").unwrap();
        let reply = awc::Client::default().post(url.as_str()).send_json(&fault).await.unwrap();
        assert_eq!(reply.status().as_u16(), 201, "{fault}");
    }

    async fn well_again(&self) {
        let url = self.exchange.base_url().join("control/faults").unwrap();
        let reply = awc::Client::default().delete(url.as_str()).send().await.unwrap();
        assert_eq!(reply.status().as_u16(), 200);
    }

    /// What the exchange itself says of a candle: open, high, low, close.
    async fn truth(&self, candle: &Candle) -> Vec<String> {
        let mut url = self.exchange.base_url().join("api/v3/klines").unwrap();
        let at = candle.open_time.timestamp_millis();
        url.set_query(Some(&format!("symbol=BTCUSDT&interval=1m&startTime={at}&limit=1")));
        let rows: Value = awc::Client::default().get(url.as_str()).send().await.unwrap().json().await.unwrap();
        assert_eq!(rows[0][0], at);
        (1..=4).map(|field| rows[0][field].as_str().unwrap().to_owned()).collect()
    }

    /// Checks that no candle is missing and that every final one is what the exchange says.
    async fn assert_true(&self, candles: &[Candle]) {
        assert_contiguous(candles);
        for candle in candles.iter().filter(|candle| candle.closed) {
            let ours = [candle.open, candle.high, candle.low, candle.close].map(|price| price.normalize().to_string());
            let truth: Vec<String> = self
                .truth(candle)
                .await
                .iter()
                .map(|price| price.parse::<rust_decimal::Decimal>().unwrap().normalize().to_string())
                .collect();
            assert_eq!(ours.as_slice(), truth.as_slice(), "{candle:?}");
        }
    }

    async fn stop(self) {
        self.service.stop().await;
        self.exchange.stop().await;
    }
}

#[actix_web::test]
async fn prices_move_and_candles_grow_without_a_hole() {
    let simulated = Simulated::start(|_| {}).await;
    let service = &simulated.service;
    for symbol in ["BTCUSDT", "ETHUSDT", "SOLUSDT"] {
        let mut seen = BTreeSet::new();
        while seen.len() < 3 {
            let reply = service.get(&format!("/v1/prices/{symbol}")).await;
            assert_eq!(reply.status, 200, "{}", reply.body);
            assert!(reply.body["age_ms"].as_u64().unwrap() <= 15_000);
            seen.insert(reply.body["price"].as_str().unwrap().to_owned());
        }
    }
    let newest = service.candles(1).await[0].open_time;
    wait_for("three candles have ended", async || {
        service.candles(50).await.iter().filter(|candle| candle.closed && candle.open_time >= newest).count() >= 3
    })
    .await;
    let candles = service.candles(50).await;
    assert_eq!(candles.len(), 50);
    simulated.assert_true(&candles).await;
    simulated.stop().await;
}

#[actix_web::test]
async fn a_socket_that_is_dropped_for_a_while_costs_no_candle_and_no_answer() {
    let simulated = Simulated::start(|_| {}).await;
    let service = &simulated.service;
    let newest = service.candles(1).await[0].open_time;
    simulated.fault(json!({"target": "binance_ws", "kind": "drop", "duration_ms": 60_000})).await;
    wait_for("REST stands in", async || service.price().await.source == PriceSource::Rest).await;
    wait_for("two candles have passed", async || {
        service.candles(50).await.iter().filter(|candle| candle.open_time > newest).count() >= 2
    })
    .await;
    simulated.well_again().await;
    wait_for("the stream is back", async || service.price().await.source == PriceSource::Stream).await;
    wait_for("candles have ended since", async || {
        service.candles(50).await.iter().filter(|candle| candle.closed && candle.open_time > newest).count() >= 4
    })
    .await;
    simulated.assert_true(&service.candles(50).await).await;
    simulated.stop().await;
}

#[actix_web::test]
async fn a_frozen_exchange_makes_prices_stale_and_they_recover() {
    let simulated = Simulated::start(|config| config.max_price_age_ms = 1_500).await;
    let service = &simulated.service;
    for target in ["binance_ws", "binance_rest"] {
        simulated.fault(json!({"target": target, "kind": "freeze", "duration_ms": 60_000})).await;
    }
    wait_for("prices are refused", async || service.get("/v1/prices/ETHUSDT").await.status == 503).await;
    let reply = service.get("/v1/prices/ETHUSDT").await;
    assert_eq!((reply.code(), reply.body["upstream"].as_str()), ("stale_price", Some("binance")), "{}", reply.body);
    simulated.well_again().await;
    wait_for("prices are back", async || service.get("/v1/prices/ETHUSDT").await.status == 200).await;
    wait_for("the service is ready", async || service.get("/health/ready").await.status == 200).await;
    simulated.stop().await;
}

#[actix_web::test]
async fn rest_refuses_fails_and_talks_nonsense() {
    let simulated = Simulated::start(|config| config.candle_cache_ms = 0).await;
    let service = &simulated.service;
    let path = "/v1/candles/BTCUSDT?interval=1h&limit=5";
    for (fault, status, code) in [
        (json!({"target": "binance_rest", "kind": "server_error", "duration_ms": 60_000}), 502, "exchange_error"),
        (json!({"target": "binance_rest", "kind": "malformed", "duration_ms": 60_000}), 502, "exchange_malformed"),
        (json!({"target": "binance_rest", "kind": "drop", "duration_ms": 60_000}), 503, "upstream_unreachable"),
        (
            json!({"target": "binance_rest", "kind": "too_many_requests", "duration_ms": 60_000, "retry_after_s": 1}),
            503,
            "exchange_rate_limited",
        ),
    ] {
        simulated.fault(fault.clone()).await;
        let reply = service.get(path).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{fault}: {}", reply.body);
        assert_eq!(reply.body["upstream"], "binance", "{fault}");
        // The stream keeps prices and candles coming all the while; at first it may not have begun.
        wait_for("the stream gives the price", async || service.price().await.source == PriceSource::Stream).await;
        simulated.well_again().await;
        wait_for("it recovers", async || service.get(path).await.status == 200).await;
    }
    simulated.stop().await;
}

#[actix_web::test]
async fn broken_events_are_passed_over() {
    let simulated = Simulated::start(|_| {}).await;
    let service = &simulated.service;
    simulated.fault(json!({"target": "binance_ws", "kind": "malformed", "duration_ms": 1_500})).await;
    let newest = service.candles(1).await[0].open_time;
    wait_for("candles go on", async || {
        service.candles(50).await.iter().filter(|candle| candle.closed && candle.open_time > newest).count() >= 4
    })
    .await;
    simulated.assert_true(&service.candles(50).await).await;
    simulated.stop().await;
}
