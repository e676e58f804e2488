//! The services behind the bot, each call in a `BackendClient` span and counted.
//!
//! Names of span and metrics are those of requirement 2.

mod trading;

use std::time::{Duration, Instant};

use domain::{CandleSeries, Decision, DecisionId, DecisionRequest, Interval, PriceQuote, Symbol, SymbolList};
use serde::Serialize;
use serde::de::DeserializeOwned;
use telemetry::metrics::notifier::{BACKEND_REQUEST_DURATION, BACKEND_REQUESTS};
use tracing::{Instrument, Span, field};
use url::Url;
use web::{Probe, Upstream, UpstreamError, UpstreamErrorKind, UpstreamRequest, UpstreamSettings};

pub use trading::Verdict;

/// `service.name` of the price source.
const MARKET_DATA: &str = "market-data-service";
/// `service.name` of the decider.
pub(crate) const DECISION: &str = "decision-service";

/// Candles a decision gets to see: enough for the slow average and for an RSI that has settled.
const CANDLES: u16 = 250;

/// `service.name` of the trader.
pub(crate) const ORDER: &str = "order-service";

/// market-data-service, decision-service and order-service.
#[derive(Debug, Clone)]
pub struct Backends {
    market_data: Upstream,
    decision: Upstream,
    order: Upstream,
    market_data_probe: Probe,
    decision_probe: Probe,
}

impl Backends {
    /// The services at these addresses.
    #[must_use]
    pub fn new(market_data_url: Url, decision_url: Url, order_url: Url) -> Self {
        let market_data = UpstreamSettings::new(MARKET_DATA, market_data_url).internal();
        let decision = UpstreamSettings {
            // A language model may think for long; decision-service gives it 20 s at most, and then decides without it.
            attempt_timeout: Duration::from_secs(25),
            total_timeout: Duration::from_secs(26),
            ..UpstreamSettings::new(DECISION, decision_url).internal()
        };
        let order = UpstreamSettings {
            // A confirmed order is handed to the exchange before the answer comes.
            attempt_timeout: Duration::from_secs(8),
            total_timeout: Duration::from_secs(10),
            ..UpstreamSettings::new(ORDER, order_url).internal()
        };
        let (market_data, decision) = (Upstream::new(market_data), Upstream::new(decision));
        Self {
            market_data_probe: Probe::new("market-data-service-probe", &market_data),
            decision_probe: Probe::new("decision-service-probe", &decision),
            market_data,
            decision,
            order: Upstream::new(order),
        }
    }

    /// The price now.
    ///
    /// # Errors
    /// When market-data-service fails, refuses, or answers for another symbol.
    pub async fn price(&self, symbol: &Symbol) -> Result<PriceQuote, UpstreamError> {
        let request = self.market_data.get("/v1/prices/{symbol}").path(format!("/v1/prices/{symbol}"));
        let quote: PriceQuote = call(&self.market_data, Told::about("price", symbol), request).await?;
        about(&self.market_data, symbol, &quote.symbol)?;
        Ok(quote)
    }

    /// The last candles that a decision gets to see.
    ///
    /// # Errors
    /// When market-data-service fails, refuses, or answers for another symbol.
    pub async fn candles(&self, symbol: &Symbol) -> Result<CandleSeries, UpstreamError> {
        self.candles_of(symbol, Interval::OneMinute, CANDLES).await
    }

    /// The last candles for a chart: with those that its averages begin with.
    ///
    /// # Errors
    /// When market-data-service fails, refuses, or answers for another symbol.
    pub async fn chart_candles(&self, symbol: &Symbol, interval: Interval) -> Result<CandleSeries, UpstreamError> {
        let before = u16::try_from(domain::strategy::technical::CANDLES_NEEDED).unwrap_or(CANDLES);
        self.candles_of(symbol, interval, chart::MAX_DRAWN + before).await
    }

    async fn candles_of(&self, symbol: &Symbol, interval: Interval, limit: u16) -> Result<CandleSeries, UpstreamError> {
        #[derive(Serialize)]
        struct Query {
            interval: Interval,
            limit: u16,
        }
        let request = self
            .market_data
            .get("/v1/candles/{symbol}")
            .path(format!("/v1/candles/{symbol}"))
            .query(&Query { interval, limit });
        let series: CandleSeries = call(&self.market_data, Told::about("candles", symbol), request).await?;
        about(&self.market_data, symbol, &series.symbol)?;
        Ok(series)
    }

    /// What to do.
    ///
    /// # Errors
    /// When decision-service fails, refuses, or answers for another symbol.
    pub async fn decide(&self, request: &DecisionRequest) -> Result<Decision, UpstreamError> {
        let symbol = &request.price.symbol;
        // Made once: a decision whose answer is late or lost may have been paid for, and another one costs again.
        let post = self.decision.post("/v1/decisions").json(request);
        let decision: Decision = call(&self.decision, Told::about("decide", symbol), post).await?;
        about(&self.decision, symbol, &decision.symbol)?;
        Ok(decision)
    }

    /// Every symbol that is served.
    ///
    /// # Errors
    /// When market-data-service fails.
    pub async fn symbols(&self) -> Result<SymbolList, UpstreamError> {
        call(&self.market_data, Told::of("symbols"), self.market_data.get("/v1/symbols")).await
    }

    /// Whether market-data-service answers, for readiness.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub async fn market_data_alive(&self) -> Result<(), String> {
        self.market_data_probe.alive().await
    }

    /// A probe of order-service, which is named in readiness and needed for nothing in it.
    #[must_use]
    pub fn order_probe(&self) -> Probe {
        Probe::new("order-service-probe", &self.order)
    }

    /// Whether decision-service answers, for readiness.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub async fn decision_alive(&self) -> Result<(), String> {
        self.decision_probe.alive().await
    }
}

/// What a call is about, for its span.
#[derive(Debug, Clone, Copy)]
struct Told<'a> {
    operation: &'static str,
    symbol: Option<&'a Symbol>,
    /// What somebody wants done: `confirm`, `halted`.
    action: Option<&'static str>,
    order_id: Option<&'a DecisionId>,
}

impl<'a> Told<'a> {
    const fn of(operation: &'static str) -> Self {
        Self { operation, symbol: None, action: None, order_id: None }
    }

    const fn about(operation: &'static str, symbol: &'a Symbol) -> Self {
        Self { symbol: Some(symbol), ..Self::of(operation) }
    }
}

async fn call<T: DeserializeOwned>(
    upstream: &Upstream,
    told: Told<'_>,
    request: UpstreamRequest,
) -> Result<T, UpstreamError> {
    let backend = upstream.name();
    let span = tracing::info_span!(
        "BackendClient",
        peer.service = backend,
        backend.operation = told.operation,
        crypto.symbol = told.symbol.map(Symbol::as_str),
        order.action = told.action,
        order.id = told.order_id.map(DecisionId::as_str),
        http.response.status_code = field::Empty,
        otel.status_code = field::Empty,
        error.type = field::Empty,
    );
    let started = Instant::now();
    let result = async {
        let result = match request.send().await {
            Ok(response) => {
                Span::current().record("http.response.status_code", i64::from(response.status));
                response.json()
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &result {
            let span = Span::current();
            if let UpstreamErrorKind::Status { status, .. } = error.kind {
                span.record("http.response.status_code", i64::from(status));
            }
            span.record("otel.status_code", "ERROR");
            span.record("error.type", error.label());
        }
        result
    }
    .instrument(span)
    .await;
    let outcome = result.as_ref().err().map_or("ok", UpstreamError::label);
    BACKEND_REQUESTS.add(1, &[("backend", backend), ("outcome", outcome)]);
    BACKEND_REQUEST_DURATION.record(started.elapsed().as_secs_f64(), &[("backend", backend)]);
    result
}

/// An answer about something else is worse than none.
fn about(upstream: &Upstream, asked: &Symbol, answered: &Symbol) -> Result<(), UpstreamError> {
    if asked == answered {
        return Ok(());
    }
    let reason = format!("asked about {asked}, answered about {answered}");
    Err(UpstreamError { upstream: upstream.name(), kind: UpstreamErrorKind::Malformed(reason), attempts: 1 })
}
