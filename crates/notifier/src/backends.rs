//! The services behind the ask, each call in a `BackendClient` span and counted.
//!
//! Names of span and metrics are those of requirement 2.

use std::time::{Duration, Instant};

use domain::{CandleSeries, Decision, DecisionRequest, Interval, PriceQuote, Symbol, SymbolList};
use serde::Serialize;
use serde::de::DeserializeOwned;
use telemetry::metrics::notifier::{BACKEND_REQUEST_DURATION, BACKEND_REQUESTS};
use tracing::{Instrument, Span, field};
use url::Url;
use web::{Probe, Upstream, UpstreamError, UpstreamErrorKind, UpstreamRequest, UpstreamSettings};

/// `service.name` of the price source.
const MARKET_DATA: &str = "market-data-service";
/// `service.name` of the decider.
pub(crate) const DECISION: &str = "decision-service";

/// Candles a decision gets to see: enough for the slow average and for an RSI that has settled.
const CANDLES: u16 = 250;

/// market-data-service and decision-service.
#[derive(Debug, Clone)]
pub struct Backends {
    market_data: Upstream,
    decision: Upstream,
    market_data_probe: Probe,
    decision_probe: Probe,
}

impl Backends {
    /// The services at these addresses.
    #[must_use]
    pub fn new(market_data_url: Url, decision_url: Url) -> Self {
        let market_data = UpstreamSettings::new(MARKET_DATA, market_data_url).internal();
        let decision = UpstreamSettings {
            // A language model may think for long; decision-service gives it 20 s at most, and then decides without it.
            attempt_timeout: Duration::from_secs(25),
            total_timeout: Duration::from_secs(26),
            ..UpstreamSettings::new(DECISION, decision_url).internal()
        };
        let (market_data, decision) = (Upstream::new(market_data), Upstream::new(decision));
        Self {
            market_data_probe: Probe::new("market-data-service-probe", &market_data),
            decision_probe: Probe::new("decision-service-probe", &decision),
            market_data,
            decision,
        }
    }

    /// The price now.
    ///
    /// # Errors
    /// When market-data-service fails, refuses, or answers for another symbol.
    pub async fn price(&self, symbol: &Symbol) -> Result<PriceQuote, UpstreamError> {
        let request = self.market_data.get("/v1/prices/{symbol}").path(format!("/v1/prices/{symbol}"));
        let quote: PriceQuote = call(&self.market_data, "price", Some(symbol), request).await?;
        about(&self.market_data, symbol, &quote.symbol)?;
        Ok(quote)
    }

    /// The last candles.
    ///
    /// # Errors
    /// When market-data-service fails, refuses, or answers for another symbol.
    pub async fn candles(&self, symbol: &Symbol) -> Result<CandleSeries, UpstreamError> {
        #[derive(Serialize)]
        struct Query {
            interval: Interval,
            limit: u16,
        }
        let request = self
            .market_data
            .get("/v1/candles/{symbol}")
            .path(format!("/v1/candles/{symbol}"))
            .query(&Query { interval: Interval::OneMinute, limit: CANDLES });
        let series: CandleSeries = call(&self.market_data, "candles", Some(symbol), request).await?;
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
        let decision: Decision = call(&self.decision, "decide", Some(symbol), post).await?;
        about(&self.decision, symbol, &decision.symbol)?;
        Ok(decision)
    }

    /// Every symbol that is served.
    ///
    /// # Errors
    /// When market-data-service fails.
    pub async fn symbols(&self) -> Result<SymbolList, UpstreamError> {
        call(&self.market_data, "symbols", None, self.market_data.get("/v1/symbols")).await
    }

    /// Whether market-data-service answers, for readiness.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub async fn market_data_alive(&self) -> Result<(), String> {
        self.market_data_probe.alive().await
    }

    /// Whether decision-service answers, for readiness.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub async fn decision_alive(&self) -> Result<(), String> {
        self.decision_probe.alive().await
    }
}

async fn call<T: DeserializeOwned>(
    upstream: &Upstream,
    operation: &'static str,
    symbol: Option<&Symbol>,
    request: UpstreamRequest,
) -> Result<T, UpstreamError> {
    let backend = upstream.name();
    let span = tracing::info_span!(
        "BackendClient",
        peer.service = backend,
        backend.operation = operation,
        crypto.symbol = symbol.map(Symbol::as_str),
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
