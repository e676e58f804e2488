//! Starting the service, asking it, and waiting for what must come.

use std::future::Future;
use std::time::Duration;

use domain::{Candle, CandleSeries, PriceQuote};
use market_data::Config;
use rust_decimal::Decimal;
use serde_json::Value;
use url::Url;
use web::RunningServer;

use crate::exchange::Exchange;

/// What must come, comes in less; a test that waits as long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Settings for an exchange of tests: one symbol, and everything that waits waits shorter than in life.
pub(crate) fn config(exchange: &Exchange) -> Config {
    telemetry::testing::init();
    let mut config = Config::ephemeral(&exchange.rest_url, &exchange.ws_url).unwrap();
    config.symbols = vec!["BTCUSDT".parse().unwrap()];
    config.poll_interval_ms = 50;
    config.binance_stream_backoff_ms = 20;
    config.binance_stream_backoff_max_ms = 100;
    config
}

pub(crate) struct Service {
    server: RunningServer,
    base: Url,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap_or_default()
    }
}

impl Service {
    pub(crate) async fn start(config: Config) -> Self {
        let server = market_data::start(config).await.unwrap();
        let base = server.base_url();
        Self { server, base }
    }

    /// Starts it and waits until it is ready and its stream is connected.
    pub(crate) async fn ready(config: Config, exchange: &Exchange) -> Self {
        let sockets = exchange.state().sockets;
        let service = Self::start(config).await;
        wait_for("the service is ready", async || service.get("/health/ready").await.status == 200).await;
        wait_for("its stream is connected", async || exchange.state().sockets > sockets).await;
        wait_for("the store is filled", async || service.candles(1000).await.len() == 1000).await;
        service
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.base.join(path).unwrap().to_string()
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        let mut response = awc::Client::default().get(self.url(path)).send().await.unwrap();
        let body = response.body().limit(4 << 20).await.unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let content_type = header("content-type").unwrap_or_default();
        let body = if content_type.contains("json") {
            serde_json::from_slice(&body).unwrap()
        } else {
            Value::String(String::from_utf8_lossy(&body).into_owned())
        };
        Reply { status: response.status().as_u16(), content_type, retry_after: header("retry-after"), body }
    }

    pub(crate) async fn price(&self) -> PriceQuote {
        let reply = self.get("/v1/prices/BTCUSDT").await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        serde_json::from_value(reply.body).unwrap()
    }

    pub(crate) async fn candles(&self, limit: usize) -> Vec<Candle> {
        let reply = self.get(&format!("/v1/candles/BTCUSDT?limit={limit}")).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let series: CandleSeries = serde_json::from_value(reply.body).unwrap();
        assert_contiguous(&series.candles);
        series.candles
    }

    /// The sum of a metric's series that carry `label`. Other tests of this process count too.
    pub(crate) async fn metric(&self, name: &str, label: &str) -> Option<f64> {
        let metrics = self.get("/metrics").await;
        let series = metrics.body.as_str().unwrap().lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, labels) = series.split_once('{').unwrap_or((series, ""));
            (found == name && labels.contains(label)).then(|| value.parse::<f64>().unwrap())
        });
        series.reduce(|sum, value| sum + value)
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

/// No hole, whatever the length of a candle; all but the last are final.
pub(crate) fn assert_contiguous(candles: &[Candle]) {
    for pair in candles.windows(2) {
        let gap = pair[1].open_time - pair[0].close_time;
        assert_eq!(gap.num_milliseconds(), 1, "hole between {:?} and {:?}", pair[0], pair[1]);
        assert!(pair[0].closed, "{:?} has a successor and is not final", pair[0]);
    }
}

/// An amount, however many zeros it is written with.
pub(crate) fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// Waits until `holds`.
pub(crate) async fn wait_for<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain until {what}");
}
