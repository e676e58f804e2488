//! The REST client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::{Interval, Symbol};
use serde::Serialize;
use serde::de::DeserializeOwned;
use telemetry::metrics::market_data::{REQUEST_WEIGHT_USED, REQUESTS_WITHHELD};
use url::Url;
use web::{Upstream, UpstreamError, UpstreamErrorKind, UpstreamSettings};

use super::error::RestError;
use super::guard::{Guard, Withheld};
use super::kline::{Kline, check_order};
use super::types::{ErrorBody, ExchangeInfo, ServerTime, Ticker24h, TickerPrice};

/// Most klines a call returns.
const MAX_KLINES: u16 = 1000;

/// Longest pause before another attempt.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Settings of [`RestClient`].
#[derive(Debug, Clone)]
pub struct RestSettings {
    /// `https://data-api.binance.vision`, or a simulator.
    pub base_url: Url,
    /// Share of Binance's 6000 a minute that this client may use, in percent. The limit is the address's, and others
    /// may share it.
    pub weight_share_percent: u8,
    /// Time limit of one attempt.
    pub attempt_timeout: Duration,
    /// Attempts of a call whose failure may pass (connection, time limit, 5xx). A 429 is never tried again.
    pub max_attempts: u32,
    /// Largest body; 1000 klines have some 180 KiB.
    pub max_response_bytes: usize,
}

impl RestSettings {
    /// Sane values for the real exchange.
    #[must_use]
    pub fn new(base_url: Url) -> Self {
        Self {
            base_url,
            weight_share_percent: 50,
            attempt_timeout: Duration::from_secs(3),
            max_attempts: 2,
            max_response_bytes: 2 * 1024 * 1024,
        }
    }
}

/// What to ask `GET /api/v3/klines` for.
#[derive(Debug, Clone)]
pub struct KlinesQuery {
    /// Of what.
    pub symbol: Symbol,
    /// Length of a candle.
    pub interval: Interval,
    /// How many, the newest; at most 1000.
    pub limit: u16,
}

/// Binance's public REST API. Clones share limits.
#[derive(Clone)]
pub struct RestClient {
    upstream: Upstream,
    guard: Arc<Guard>,
    max_attempts: u32,
}

impl RestClient {
    /// Makes the client; connects nothing yet.
    #[must_use]
    pub fn new(settings: RestSettings) -> Self {
        let upstream = Upstream::new(UpstreamSettings {
            attempt_timeout: settings.attempt_timeout,
            total_timeout: settings.attempt_timeout,
            // Tried again here instead: Upstream would try a 429 again, and Binance bans who does.
            max_attempts: 1,
            max_response_bytes: settings.max_response_bytes,
            ..UpstreamSettings::new("binance", settings.base_url)
        });
        Self {
            upstream,
            guard: Arc::new(Guard::new(settings.weight_share_percent)),
            max_attempts: settings.max_attempts.max(1),
        }
    }

    /// `GET /api/v3/ping`: whether there is anybody.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn ping(&self) -> Result<(), RestError> {
        self.get::<serde::de::IgnoredAny>("/api/v3/ping", 1, &()).await.map(drop)
    }

    /// `GET /api/v3/time`: the exchange's clock.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn server_time(&self) -> Result<DateTime<Utc>, RestError> {
        self.get::<ServerTime>("/api/v3/time", 1, &()).await.map(|time| time.server_time)
    }

    /// `GET /api/v3/ticker/price` of one symbol: the last price, with no time.
    ///
    /// # Errors
    /// See [`RestError`]; [`RestError::Malformed`] too when it is another symbol's.
    pub async fn ticker_price(&self, symbol: &Symbol) -> Result<TickerPrice, RestError> {
        const ROUTE: &str = "/api/v3/ticker/price";
        let ticker: TickerPrice = self.get(ROUTE, 2, &[("symbol", symbol.as_str())]).await?;
        same_symbol(ROUTE, symbol, &ticker.symbol)?;
        Ok(ticker)
    }

    /// `GET /api/v3/ticker/24hr` of one symbol: the last price, with the exchange's time.
    ///
    /// # Errors
    /// See [`RestError`]; [`RestError::Malformed`] too when it is another symbol's.
    pub async fn ticker_24h(&self, symbol: &Symbol) -> Result<Ticker24h, RestError> {
        const ROUTE: &str = "/api/v3/ticker/24hr";
        let ticker: Ticker24h = self.get(ROUTE, 2, &[("symbol", symbol.as_str())]).await?;
        same_symbol(ROUTE, symbol, &ticker.symbol)?;
        Ok(ticker)
    }

    /// `GET /api/v3/klines`: the newest candles, oldest first; the last one is usually not final.
    ///
    /// # Errors
    /// See [`RestError`]; [`RestError::Malformed`] too when candles are out of order, overlap or are too many.
    pub async fn klines(&self, query: &KlinesQuery) -> Result<Vec<Kline>, RestError> {
        const ROUTE: &str = "/api/v3/klines";
        let limit = query.limit.clamp(1, MAX_KLINES);
        let parameters =
            [("symbol", query.symbol.as_str()), ("interval", query.interval.as_str()), ("limit", &limit.to_string())];
        let klines: Vec<Kline> = self.get(ROUTE, 2, &parameters).await?;
        if klines.len() > usize::from(limit) {
            return Err(RestError::Malformed {
                route: ROUTE,
                what: format!("{} klines for a limit of {limit}", klines.len()),
            });
        }
        check_order(&klines).map_err(|what| RestError::Malformed { route: ROUTE, what })?;
        Ok(klines)
    }

    /// `GET /api/v3/exchangeInfo` of some symbols; one that is not listed fails them all.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn exchange_info(&self, symbols: &[Symbol]) -> Result<ExchangeInfo, RestError> {
        let quoted: Vec<String> = symbols.iter().map(|symbol| format!("\"{symbol}\"")).collect();
        self.get("/api/v3/exchangeInfo", 20, &[("symbols", format!("[{}]", quoted.join(",")))]).await
    }

    async fn get<T: DeserializeOwned>(
        &self,
        route: &'static str,
        weight: u32,
        query: &impl Serialize,
    ) -> Result<T, RestError> {
        let mut attempt = 1;
        let response = loop {
            // Asked before every attempt: silence may have been ordered meanwhile.
            self.guard.admit(Instant::now(), Utc::now(), weight).map_err(|(why, retry_after)| {
                REQUESTS_WITHHELD.add(1, &[("reason", why.as_str())]);
                RestError::Withheld { why, retry_after }
            })?;
            let error = match self.upstream.get(route).query(query).send().await {
                Ok(response) => break response,
                Err(error) => self.failed(error),
            };
            if attempt >= self.max_attempts || !error.may_pass() {
                return Err(error);
            }
            attempt += 1;
            tracing::info!(attempt, reason = error.label(), "asking binance again");
            tokio::time::sleep(RETRY_PAUSE.mul_f64(rand::random())).await;
        };
        if let Some(used) = response.header("X-MBX-USED-WEIGHT-1M").and_then(|used| used.parse().ok()) {
            self.guard.used(Utc::now(), used);
            REQUEST_WEIGHT_USED.set(f64::from(used), &[]);
        }
        serde_json::from_slice(&response.body).map_err(|error| RestError::Malformed { route, what: error.to_string() })
    }

    /// Reads what Binance says about a failure, and keeps silent from now on if it asks for that.
    fn failed(&self, error: UpstreamError) -> RestError {
        let UpstreamErrorKind::Status { status, body, retry_after, .. } = &error.kind else {
            return RestError::Transport(error);
        };
        let status = *status;
        let said: Option<ErrorBody> = serde_json::from_slice(body).ok();
        let code = said.as_ref().map_or(0, |said| said.code);
        if status == 429 || status == 418 || code == -1003 {
            let why = if status == 418 { Withheld::Banned } else { Withheld::RateLimited };
            let retry_after = self.guard.silence(Instant::now(), why, *retry_after);
            return RestError::TooManyRequests { why, retry_after };
        }
        if status == 403 {
            return RestError::Firewall;
        }
        let Some(ErrorBody { code, msg }) = said else {
            return RestError::Transport(error);
        };
        // Binance's words end up in a log: bounded.
        let message: String = msg.chars().take(200).collect();
        match code {
            -1121 => RestError::InvalidSymbol { message },
            -1199..=-1100 => RestError::BadParameter { code, message },
            _ => RestError::Exchange { status, code, message },
        }
    }
}

fn same_symbol(route: &'static str, asked: &Symbol, answered: &str) -> Result<(), RestError> {
    if asked.as_str() == answered {
        return Ok(());
    }
    let answered: String = answered.chars().take(Symbol::MAX_LEN).collect();
    Err(RestError::Malformed { route, what: format!("asked about {asked}, got {answered:?}") })
}
