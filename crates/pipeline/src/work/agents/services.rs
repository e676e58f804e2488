//! The services that steps ask.

use std::time::Duration;

use domain::trading::{Signal, SignalOutcome, TradeNotice};
use domain::{CandleSeries, Decision, DecisionRequest, Interval, PriceQuote, Symbol};
use serde::{Deserialize, Serialize};
use web::{Probe, Readiness, Upstream, UpstreamError, UpstreamErrorKind, UpstreamSettings};

use crate::work::config::WorkerSettings;

pub(in crate::work) const MARKET_DATA: &str = "market-data-service";
pub(in crate::work) const DECISION: &str = "decision-service";
pub(in crate::work) const ORDER: &str = "order-service";
pub(in crate::work) const NOTIFIER: &str = "notifier-service";

/// market-data-service, decision-service, order-service and notifier-service.
#[derive(Debug, Clone)]
pub(in crate::work) struct Services {
    market_data: Upstream,
    decision: Upstream,
    order: Upstream,
    notifier: Upstream,
}

#[derive(Serialize)]
struct CandlesQuery {
    interval: Interval,
    limit: u16,
}

/// What notifier-service says it does with a notice.
#[derive(Debug, Deserialize)]
pub(in crate::work) struct Receipt {
    /// `queued`, `repeated`, `no_recipients` or `bot_off`.
    pub(in crate::work) outcome: String,
    /// Chats that are told.
    #[serde(default)]
    pub(in crate::work) chats: u32,
}

impl Services {
    pub(in crate::work) fn new(settings: &WorkerSettings) -> Self {
        let of = |name, url: &url::Url, attempt_timeout, total_timeout| {
            let settings = UpstreamSettings::new(name, url.clone()).internal();
            Upstream::new(UpstreamSettings { attempt_timeout, total_timeout, ..settings })
        };
        let seconds = Duration::from_secs;
        Self {
            market_data: of(MARKET_DATA, &settings.market_data_url, seconds(2), seconds(5)),
            // A language model may think for long; decision-service gives it 20 s at most, and then decides without it.
            decision: of(DECISION, &settings.decision_url, seconds(25), seconds(26)),
            // An order is handed to the exchange before the answer comes.
            order: of(ORDER, &settings.order_url, seconds(8), seconds(10)),
            notifier: of(NOTIFIER, &settings.notifier_url, seconds(5), seconds(10)),
        }
    }

    /// They may be away: executions are tried again then.
    pub(in crate::work) fn checked_in(&self, readiness: Readiness) -> Readiness {
        readiness
            .noted(MARKET_DATA, Probe::new("market-data-service-probe", &self.market_data))
            .noted(DECISION, Probe::new("decision-service-probe", &self.decision))
            .noted(ORDER, Probe::new("order-service-probe", &self.order))
            .noted(NOTIFIER, Probe::new("notifier-service-probe", &self.notifier))
    }

    pub(in crate::work) async fn price(&self, symbol: &Symbol) -> Result<PriceQuote, UpstreamError> {
        let call = self.market_data.get("/v1/prices/{symbol}").path(format!("/v1/prices/{symbol}"));
        let quote: PriceQuote = call.send().await?.json()?;
        about(&self.market_data, symbol, &quote.symbol)?;
        Ok(quote)
    }

    pub(in crate::work) async fn candles(
        &self,
        symbol: &Symbol,
        interval: Interval,
        limit: u16,
    ) -> Result<CandleSeries, UpstreamError> {
        let call = self.market_data.get("/v1/candles/{symbol}").path(format!("/v1/candles/{symbol}"));
        let series: CandleSeries = call.query(&CandlesQuery { interval, limit }).send().await?.json()?;
        about(&self.market_data, symbol, &series.symbol)?;
        Ok(series)
    }

    /// Asked once: a decision whose answer is late or lost may have been paid for.
    pub(in crate::work) async fn decide(&self, request: &DecisionRequest) -> Result<Decision, UpstreamError> {
        let decision: Decision = self.decision.post("/v1/decisions").json(request).send().await?.json()?;
        about(&self.decision, &request.price.symbol, &decision.symbol)?;
        Ok(decision)
    }

    /// The same signal has the same outcome, however often it comes.
    pub(in crate::work) async fn order(&self, signal: &Signal) -> Result<SignalOutcome, UpstreamError> {
        let outcome: SignalOutcome = self.order.post("/v1/signals").json(signal).send().await?.json()?;
        if outcome.signal_id != signal.signal_id {
            return Err(malformed(&self.order, format!("an outcome of another signal, {}", outcome.signal_id)));
        }
        Ok(outcome)
    }

    /// The same notice is told once.
    pub(in crate::work) async fn tell(&self, notice: &TradeNotice) -> Result<Receipt, UpstreamError> {
        self.notifier.post("/v1/notices").json(notice).retryable().send().await?.json()
    }
}

/// An answer about something else is worse than none.
fn about(upstream: &Upstream, asked: &Symbol, answered: &Symbol) -> Result<(), UpstreamError> {
    if asked == answered {
        return Ok(());
    }
    Err(malformed(upstream, format!("asked about {asked}, answered about {answered}")))
}

fn malformed(upstream: &Upstream, reason: String) -> UpstreamError {
    UpstreamError { upstream: upstream.name(), kind: UpstreamErrorKind::Malformed(reason), attempts: 1 }
}
