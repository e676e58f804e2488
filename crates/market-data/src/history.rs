//! Candles to answer with: from the store when it has them, else from the exchange.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::{Duration, Instant};

use binance::rest::{KlinesQuery, RestError};
use chrono::Utc;
use domain::{Candle, Interval, Symbol};
use tokio::sync::Mutex;

use crate::Market;
use crate::error::ApiError;
use crate::series::FULL_DEPTH;
use crate::shared::SharedCandles;

#[derive(Debug)]
struct Cached {
    read_at: Instant,
    limit: u16,
    candles: Vec<Candle>,
}

type Slot = Arc<Mutex<Option<Cached>>>;

/// Candles read over REST, one place a symbol and interval: bounded by the settings. Who asks while the exchange is
/// being asked waits for that answer instead of asking again.
#[derive(Debug)]
pub(crate) struct History {
    slots: StdMutex<BTreeMap<(Symbol, Interval), Slot>>,
    keep: Duration,
}

impl History {
    pub(crate) fn new(keep: Duration) -> Self {
        Self { slots: StdMutex::default(), keep }
    }

    fn slot(&self, symbol: &Symbol, interval: Interval) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry((symbol.clone(), interval)).or_default())
    }
}

fn newest(candles: &[Candle], limit: u16) -> Vec<Candle> {
    candles.iter().skip(candles.len().saturating_sub(usize::from(limit))).cloned().collect()
}

impl Market {
    /// The newest `limit` candles, oldest first; fewer only when the exchange has no more that join.
    pub(crate) async fn candles(
        &self,
        symbol: &Symbol,
        interval: Interval,
        limit: u16,
    ) -> Result<Vec<Candle>, ApiError> {
        if interval == Interval::OneMinute {
            self.one_minute_candles(symbol, limit).await
        } else {
            Ok(self.other_candles(symbol, interval, limit).await?)
        }
    }

    async fn one_minute_candles(&self, symbol: &Symbol, limit: u16) -> Result<Vec<Candle>, ApiError> {
        if let Some(candles) = self.stored(symbol, limit) {
            return Ok(candles);
        }
        let slot = self.history.slot(symbol, Interval::OneMinute);
        let _turn = slot.lock().await;
        // Somebody else's turn may have brought them.
        if let Some(candles) = self.stored(symbol, limit) {
            return Ok(candles);
        }
        // All of them at once: what is missing for this caller is missing for the next one too.
        self.read_candles(symbol, FULL_DEPTH).await.map_err(|error| self.no_candles(symbol, error))?;
        Ok(self.newest_stored(symbol, limit))
    }

    /// The store's candles, if it has enough and they are fresh.
    fn stored(&self, symbol: &Symbol, limit: u16) -> Option<Vec<Candle>> {
        let oldest_allowed = self.store.exchange_time(Utc::now()) - self.store.max_price_age();
        self.store
            .with_series(symbol, |series| {
                let fresh = series.confirmed_at().is_some_and(|confirmed| confirmed >= oldest_allowed);
                if fresh { series.enough(usize::from(limit)) } else { None }
            })
            .flatten()
    }

    fn newest_stored(&self, symbol: &Symbol, limit: u16) -> Vec<Candle> {
        self.store.with_series(symbol, |series| series.newest(usize::from(limit))).unwrap_or_default()
    }

    fn no_candles(&self, symbol: &Symbol, source: RestError) -> ApiError {
        let confirmed = self.store.with_series(symbol, |series| series.confirmed_at()).flatten();
        let limit = self.store.max_price_age();
        match confirmed.and_then(|confirmed| (self.store.exchange_time(Utc::now()) - confirmed).to_std().ok()) {
            Some(age) if age > limit => {
                ApiError::StaleCandles { symbol: symbol.clone(), age, limit, source: Box::new(source) }
            }
            _ => ApiError::Exchange(source),
        }
    }

    async fn other_candles(&self, symbol: &Symbol, interval: Interval, limit: u16) -> Result<Vec<Candle>, RestError> {
        let slot = self.history.slot(symbol, interval);
        let mut cached = slot.lock().await;
        if let Some(cached) = &*cached
            && cached.limit >= limit
            && cached.read_at.elapsed() < self.history.keep
        {
            return Ok(newest(&cached.candles, limit));
        }
        let keep = self.history.keep;
        if let Some((shared, age)) = Box::pin(self.shared_candles(symbol, interval, limit, keep)).await {
            let answer = newest(&shared.candles, limit);
            let SharedCandles { limit, candles, .. } = shared;
            // A clock that has run for less than that cannot say so: then it is asked for again.
            *cached = Instant::now().checked_sub(age).map(|read_at| Cached { read_at, limit, candles });
            return Ok(answer);
        }
        let query = KlinesQuery { symbol: symbol.clone(), interval, limit };
        let read_at = self.store.exchange_time(Utc::now());
        let outcome = self.rest.klines(&query).await;
        self.link.note_rest(&outcome);
        let klines = outcome?;
        // REST does not say which candle is final; one that has a successor is.
        let last = klines.len().saturating_sub(1);
        let candles: Vec<Candle> = klines.iter().enumerate().map(|(index, kline)| kline.candle(index < last)).collect();
        let (read, came_at) = (SharedCandles { read_at, limit, candles }, Instant::now());
        Box::pin(self.share_candles(symbol, interval, &read, keep)).await;
        let answer = read.candles.clone();
        *cached = Some(Cached { read_at: came_at, limit, candles: read.candles });
        Ok(answer)
    }
}
