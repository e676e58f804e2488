//! Prices and candles that instances share: what one of them has from the exchange, others need not fetch again. Their age is
//! counted from when the exchange stated them, whoever fetched them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache::{Cache, Shelf};
use chrono::{DateTime, Utc};
use domain::{Candle, Interval, PriceQuote, PriceSource, Symbol};
use futures_util::future::join_all;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tokio::time::interval;
use web::CancellationToken;

use crate::Market;
use crate::price::{NoPrice, StatedPrice, is_plausible};

const PRICES: Shelf = Shelf::new("market-prices");
const CANDLES: Shelf = Shelf::new("market-candles");

/// How often prices of the stream are shared: others need them only when they have none.
const SHARE_EVERY: Duration = Duration::from_secs(1);

/// What instances share.
pub(crate) struct Shared {
    cache: Cache,
    /// Part of every key: a simulated exchange has other prices.
    exchange: String,
    /// When the exchange stated what of each symbol is known to be shared.
    prices: Mutex<BTreeMap<Symbol, DateTime<Utc>>>,
}

#[derive(Serialize, Deserialize)]
struct SharedPrice {
    price: Decimal,
    observed_at: DateTime<Utc>,
    source: PriceSource,
}

/// Candles as REST gave them.
#[derive(Serialize, Deserialize)]
pub(crate) struct SharedCandles {
    /// By the exchange's clock.
    pub(crate) read_at: DateTime<Utc>,
    /// How many were asked for.
    pub(crate) limit: u16,
    pub(crate) candles: Vec<Candle>,
}

impl Shared {
    pub(crate) fn new(cache: Cache, exchange: String) -> Self {
        Self { cache, exchange, prices: Mutex::default() }
    }

    pub(crate) const fn cache(&self) -> &Cache {
        &self.cache
    }

    fn price_key(&self, symbol: &Symbol) -> String {
        format!("{}|{symbol}", self.exchange)
    }

    fn candles_key(&self, symbol: &Symbol, interval: Interval) -> String {
        format!("{}|{symbol}|{interval}", self.exchange)
    }

    fn prices(&self) -> MutexGuard<'_, BTreeMap<Symbol, DateTime<Utc>>> {
        self.prices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a price is shared; false when that, or a newer one, was known to be.
    fn is_news(&self, symbol: &Symbol, observed_at: DateTime<Utc>) -> bool {
        let mut prices = self.prices();
        let news = prices.get(symbol).is_none_or(|shared| *shared < observed_at);
        if news {
            prices.insert(symbol.clone(), observed_at);
        }
        news
    }
}

/// Shares prices until cancelled.
pub(crate) async fn run(market: Arc<Market>, cancel: CancellationToken) {
    if !market.shared.cache.is_on() {
        return;
    }
    let mut ticks = interval(SHARE_EVERY);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = ticks.tick() => {}
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = market.share_prices() => {}
        }
    }
}

impl Market {
    /// Shares the prices that others do not have from us yet and may still tell.
    pub(crate) async fn share_prices(&self) {
        if !self.shared.cache.is_on() {
            return;
        }
        let cache = self.shared.cache.quietly();
        let now = self.store.exchange_time(Utc::now());
        let news = self.store.symbols().filter_map(|symbol| {
            let StatedPrice { price, observed_at, source } = self.store.newest_price(symbol)?;
            let left = self.store.max_price_age().checked_sub((now - observed_at).to_std().unwrap_or_default())?;
            self.shared.is_news(symbol, observed_at).then_some((
                symbol,
                SharedPrice { price, observed_at, source },
                left,
            ))
        });
        join_all(news.map(|(symbol, price, left)| {
            let (cache, key) = (&cache, self.shared.price_key(symbol));
            async move { cache.set(PRICES, &key, &price, Utc::now() + left).await }
        }))
        .await;
    }

    /// Takes over the prices that others have shared, as far as they may be told and are newer than ours.
    pub(crate) async fn take_shared_prices(&self, cache: &Cache, symbols: &[&Symbol]) {
        if !cache.is_on() {
            return;
        }
        let keys: Vec<String> = symbols.iter().map(|symbol| self.shared.price_key(symbol)).collect();
        let found = cache.get_many::<SharedPrice>(PRICES, &keys).await;
        for (symbol, found) in symbols.iter().zip(found) {
            let Some(SharedPrice { price, observed_at, source }) = found else { continue };
            let (now, stated) = (Utc::now(), StatedPrice { price, observed_at, source });
            let exchange_now = self.store.exchange_time(now);
            let may_be_told = price > Decimal::ZERO
                && is_plausible(observed_at, exchange_now)
                && stated.age(exchange_now) <= self.store.max_price_age();
            if may_be_told {
                self.shared.is_news(symbol, observed_at);
                self.store.offer_price(symbol, stated, now);
            }
        }
    }

    /// The price to answer with: ours, or where there is none that may be told, one that others have shared.
    pub(crate) async fn quote(&self, symbol: &Symbol) -> Result<PriceQuote, NoPrice> {
        match self.store.quote(symbol, Utc::now()) {
            Err(_) if self.shared.cache.is_on() => {
                self.take_shared_prices(&self.shared.cache, &[symbol]).await;
                self.store.quote(symbol, Utc::now())
            }
            quote => quote,
        }
    }

    /// Candles that others have read, enough of them and no longer ago than `keep`; and how long ago.
    pub(crate) async fn shared_candles(
        &self,
        symbol: &Symbol,
        interval: Interval,
        limit: u16,
        keep: Duration,
    ) -> Option<(SharedCandles, Duration)> {
        if keep.is_zero() {
            return None;
        }
        let key = self.shared.candles_key(symbol, interval);
        let found: SharedCandles = self.shared.cache.get(CANDLES, &key).await?;
        let now = self.store.exchange_time(Utc::now());
        let age = (now - found.read_at).to_std().unwrap_or_default();
        let in_order = found.candles.is_sorted_by(|before, after| before.close_time < after.open_time);
        let usable = found.limit >= limit
            && found.candles.len() <= usize::from(found.limit)
            && in_order
            && is_plausible(found.read_at, now)
            && age < keep;
        usable.then_some((found, age))
    }

    /// Shares candles that were just read.
    pub(crate) async fn share_candles(
        &self,
        symbol: &Symbol,
        interval: Interval,
        read: &SharedCandles,
        keep: Duration,
    ) {
        let key = self.shared.candles_key(symbol, interval);
        self.shared.cache.set(CANDLES, &key, read, Utc::now() + keep).await;
    }
}
