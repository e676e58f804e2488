//! Prices over REST while the stream gives none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use binance::rest::RestError;
use chrono::Utc;
use domain::{PriceSource, Symbol};
use futures_util::future::join_all;
use rust_decimal::prelude::ToPrimitive as _;
use telemetry::metrics::market_data::{PRICE, PRICE_AGE, PRICE_POLLS};
use tokio::time::{MissedTickBehavior, interval};
use tracing::Instrument as _;
use web::CancellationToken;

use crate::Market;
use crate::fill::{FillReason, UNLISTED_PAUSE};
use crate::price::StatedPrice;

/// Gauges are read every 15 s or so; ages are set often enough to look continuous.
const OBSERVE_EVERY: Duration = Duration::from_secs(1);

/// Polls until cancelled: at once when the stream is lost, then at every interval for as long as it is needed.
pub(crate) async fn run(market: Arc<Market>, every: Duration, cancel: CancellationToken) {
    let mut unlisted = BTreeMap::new();
    tokio::select! {
        () = cancel.cancelled() => return,
        // The first poll is the one that others are most likely to have made.
        () = market.shared.cache().looked_for() => {}
    }
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = ticks.tick() => {}
            () = market.link.stream_lost() => {}
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = market.poll(every, &mut unlisted) => {}
        }
    }
}

/// Publishes prices and their ages as metrics until cancelled.
pub(crate) async fn observe(market: Arc<Market>, cancel: CancellationToken) {
    let mut ticks = interval(OBSERVE_EVERY);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = market.store.exchange_time(Utc::now());
        for symbol in market.store.symbols() {
            let Some(stated) = market.store.newest_price(symbol) else { continue };
            let labels = [("symbol", symbol.as_str())];
            PRICE_AGE.set(stated.age(now).as_secs_f64(), &labels);
            if let Some(price) = stated.price.to_f64() {
                PRICE.set(price, &labels);
            }
        }
    }
}

impl Market {
    /// One round: every symbol whose price or candles the stream does not keep fresh. What another instance has polled less
    /// than half of `every` ago is taken from it: so one of them polls, and the others follow.
    async fn poll(&self, every: Duration, unlisted: &mut BTreeMap<Symbol, Instant>) {
        let now = self.store.exchange_time(Utc::now());
        unlisted.retain(|_, since| since.elapsed() < UNLISTED_PAUSE);
        let stream_up = self.link.stream_is_up();
        // Well before a price would be refused, so that a first poll may fail.
        let old = self.store.max_price_age() / 3;
        let mut due: Vec<&Symbol> = Vec::new();
        for symbol in self.store.symbols().filter(|symbol| !unlisted.contains_key(*symbol)) {
            if !stream_up || self.store.newest_price(symbol).is_none_or(|stated| stated.age(now) > old) {
                due.push(symbol);
            }
            let confirmed = self.store.with_series(symbol, |series| series.confirmed_at()).flatten();
            if confirmed.is_some_and(|confirmed| (now - confirmed).to_std().unwrap_or_default() > old) {
                self.fills.request(symbol, FillReason::Quiet);
            }
        }
        if !due.is_empty() && self.shared.cache().is_on() {
            self.take_shared_prices(&self.shared.cache().quietly(), &due).await;
            let fresh = if stream_up { old } else { every / 2 };
            let now = self.store.exchange_time(Utc::now());
            due.retain(|symbol| self.store.newest_price(symbol).is_none_or(|stated| stated.age(now) > fresh));
        }
        if due.is_empty() {
            return;
        }
        let span = tracing::info_span!(
            parent: None,
            "market_data.price_poll",
            // Signed: an unsigned number would reach the trace as text.
            poll.symbols = i64::try_from(due.len()).unwrap_or(i64::MAX),
            poll.reason = if stream_up { "price_old" } else { "stream_down" },
        );
        let polls = due.into_iter().map(|symbol| async move { (symbol, self.read_price(symbol).await) });
        for (symbol, outcome) in join_all(polls).instrument(span).await {
            self.link.note_rest(&outcome);
            PRICE_POLLS.add(1, &[("outcome", outcome.as_ref().map_or_else(RestError::label, |()| "ok"))]);
            if matches!(outcome, Err(RestError::InvalidSymbol { .. })) {
                tracing::error!(
                    symbol = symbol.as_str(),
                    "the exchange does not list this symbol; asking again in ten minutes"
                );
                unlisted.insert(symbol.clone(), Instant::now());
            }
        }
        // At once: others are about to poll.
        self.share_prices().await;
    }

    async fn read_price(&self, symbol: &Symbol) -> Result<(), RestError> {
        // Not `ticker/price`: that has no time, so that a frozen exchange would look alive for ever.
        let ticker = self.rest.ticker_24h(symbol).await?;
        let stated =
            StatedPrice { price: ticker.last_price, observed_at: ticker.close_time, source: PriceSource::Rest };
        if self.store.offer_price(symbol, stated, Utc::now()) {
            return Ok(());
        }
        Err(RestError::Malformed {
            route: "/api/v3/ticker/24hr",
            what: format!("its time {} is in the future", ticker.close_time),
        })
    }
}
