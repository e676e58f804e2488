//! What the service knows: the newest price and the candles of each symbol it serves.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use binance::rest::{ExchangeInfo, Kline};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Candle, PriceQuote, Symbol, SymbolInfo};
use telemetry::metrics::market_data::CANDLES_RECEIVED;
use tokio::sync::{Notify, watch};

use crate::price::{NoPrice, StatedPrice, is_plausible, quote};
use crate::series::{Applied, Merged, Series};

/// One for the whole process; every method is quick and none waits for anything outside.
#[derive(Debug)]
pub(crate) struct Store {
    symbols: BTreeMap<Symbol, Entry>,
    max_price_age: Duration,
    /// The exchange's clock minus ours.
    clock_offset: Mutex<Option<TimeDelta>>,
    /// Rings when what was measured of the exchange's clock seems to be true no more.
    clock_doubted: Notify,
}

#[derive(Debug)]
struct Entry {
    series: Mutex<Series>,
    /// A channel of one place: whoever listens finds the newest price there, and never a queue of old ones.
    price: watch::Sender<Option<StatedPrice>>,
    listed: Mutex<Option<SymbolInfo>>,
}

impl Store {
    pub(crate) fn new(symbols: impl IntoIterator<Item = Symbol>, max_price_age: Duration) -> Self {
        let entry = || Entry { series: Mutex::default(), price: watch::Sender::new(None), listed: Mutex::default() };
        Self {
            symbols: symbols.into_iter().map(|symbol| (symbol, entry())).collect(),
            max_price_age,
            clock_offset: Mutex::default(),
            clock_doubted: Notify::new(),
        }
    }

    /// Every symbol that is served, in alphabetical order.
    pub(crate) fn symbols(&self) -> impl Iterator<Item = &Symbol> {
        self.symbols.keys()
    }

    /// The symbol as it is kept, if it is served.
    pub(crate) fn served(&self, symbol: &str) -> Option<&Symbol> {
        // By text: the stream's symbols come as text, a hundred times a second.
        self.symbols.keys().find(|served| served.as_str() == symbol)
    }

    /// Takes a price unless a newer one is known; `false` when its time cannot be true.
    pub(crate) fn offer_price(&self, symbol: &Symbol, price: StatedPrice, now: DateTime<Utc>) -> bool {
        let exchange_now = self.exchange_time(now);
        let plausible = is_plausible(price.observed_at, exchange_now);
        if !plausible || price.age(exchange_now) > self.max_price_age {
            // What just came is from the future or old already: perhaps somebody has set our clock.
            self.clock_doubted.notify_one();
        }
        if !plausible {
            return false;
        }
        if let Some(entry) = self.symbols.get(symbol) {
            entry.price.send_if_modified(|known| {
                let newer = price.supersedes(known.as_ref());
                if newer {
                    *known = Some(price);
                }
                newer
            });
        }
        true
    }

    /// The price to answer with.
    pub(crate) fn quote(&self, symbol: &Symbol, now: DateTime<Utc>) -> Result<PriceQuote, NoPrice> {
        let entry = self.symbols.get(symbol).ok_or(NoPrice::Never)?;
        quote(symbol, entry.price.borrow().as_ref(), self.exchange_time(now), self.max_price_age)
    }

    /// The newest price, whatever its age.
    pub(crate) fn newest_price(&self, symbol: &Symbol) -> Option<StatedPrice> {
        self.symbols.get(symbol)?.price.borrow().clone()
    }

    /// Tells of every newer price; what is not fetched in time is replaced by what is newer still.
    pub(crate) fn listen(&self, symbol: &Symbol) -> Option<watch::Receiver<Option<StatedPrice>>> {
        self.symbols.get(symbol).map(|entry| entry.price.subscribe())
    }

    /// Takes a candle of the stream; nothing when its time cannot be true.
    pub(crate) fn apply_candle(
        &self,
        symbol: &Symbol,
        candle: Candle,
        event_time: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Option<Applied> {
        let exchange_now = self.exchange_time(now);
        // The candle opens before it is spoken of: both times must be plausible.
        if !is_plausible(event_time, exchange_now) || !is_plausible(candle.open_time, exchange_now) {
            return None;
        }
        let applied = self.series(symbol)?.apply(candle, event_time);
        if applied.became_final {
            CANDLES_RECEIVED.add(1, &[("symbol", symbol.as_str()), ("source", "stream")]);
        }
        Some(applied)
    }

    /// Takes the newest candles as REST gives them; see [`Series::merge`].
    pub(crate) fn merge_candles(
        &self,
        symbol: &Symbol,
        klines: &[Kline],
        asked_at: DateTime<Utc>,
        exhaustive: bool,
    ) -> Merged {
        let Some(mut series) = self.series(symbol) else { return Merged { newly_final: 0, contiguous: true } };
        let merged = series.merge(klines, asked_at, exhaustive);
        drop(series);
        let added = u64::try_from(merged.newly_final).unwrap_or(u64::MAX);
        if added > 0 {
            CANDLES_RECEIVED.add(added, &[("symbol", symbol.as_str()), ("source", "rest")]);
        }
        merged
    }

    /// Looks at a symbol's candles.
    pub(crate) fn with_series<T>(&self, symbol: &Symbol, look: impl FnOnce(&Series) -> T) -> Option<T> {
        self.series(symbol).map(|series| look(&series))
    }

    /// Takes over what the exchange says of its symbols.
    pub(crate) fn listed(&self, info: &ExchangeInfo) {
        for listed in &info.symbols {
            let Some(symbol) = self.served(&listed.symbol) else { continue };
            if let Some(entry) = self.symbols.get(symbol) {
                *lock(&entry.listed) = Some(SymbolInfo {
                    symbol: symbol.clone(),
                    base: listed.base_asset.clone(),
                    quote: listed.quote_asset.clone(),
                });
            }
        }
    }

    /// Every symbol with its currencies: as the exchange says, else by its spelling; nothing when neither is known.
    pub(crate) fn infos(&self) -> Vec<SymbolInfo> {
        self.symbols
            .iter()
            .filter_map(|(symbol, entry)| {
                lock(&entry.listed).clone().or_else(|| {
                    let (base, quote) = symbol.split()?;
                    Some(SymbolInfo { symbol: symbol.clone(), base: base.to_owned(), quote: quote.to_owned() })
                })
            })
            .collect()
    }

    /// How old a price may be.
    pub(crate) const fn max_price_age(&self) -> Duration {
        self.max_price_age
    }

    /// Sets the exchange's clock minus ours.
    pub(crate) fn set_clock_offset(&self, offset: TimeDelta) {
        *lock(&self.clock_offset) = Some(offset);
    }

    /// Waits until the measured clock is doubted.
    pub(crate) async fn clock_doubted(&self) {
        self.clock_doubted.notified().await;
    }

    /// The exchange's clock minus ours, once it was measured.
    pub(crate) fn clock_offset(&self) -> Option<TimeDelta> {
        *lock(&self.clock_offset)
    }

    /// What the exchange's clock shows, as far as it was measured, when ours shows `now`. Ages are counted by it: a clock
    /// of ours that runs behind would make old prices look fresh.
    pub(crate) fn exchange_time(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.clock_offset().and_then(|offset| now.checked_add_signed(offset)).unwrap_or(now)
    }

    fn series(&self, symbol: &Symbol) -> Option<MutexGuard<'_, Series>> {
        self.symbols.get(symbol).map(|entry| lock(&entry.series))
    }
}

/// What these locks guard is whole between any two steps; a panic elsewhere leaves nothing half-written.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use domain::PriceSource;
    use rust_decimal::Decimal;

    use super::*;

    fn store() -> (Store, Symbol) {
        let symbol: Symbol = "BTCUSDT".parse().unwrap();
        (Store::new([symbol.clone(), "ETHUSDT".parse().unwrap()], Duration::from_secs(15)), symbol)
    }

    fn price(number: i64, observed_at: DateTime<Utc>) -> StatedPrice {
        StatedPrice { price: Decimal::from(number), observed_at, source: PriceSource::Stream }
    }

    #[test]
    fn listeners_find_the_newest_price_only() {
        let (store, symbol) = store();
        let mut listener = store.listen(&symbol).unwrap();
        let now = Utc::now();
        assert!(store.offer_price(&symbol, price(1, now), now));
        assert!(store.offer_price(&symbol, price(3, now + TimeDelta::milliseconds(2)), now));
        assert!(store.offer_price(&symbol, price(2, now + TimeDelta::milliseconds(1)), now), "late, but no fault");
        assert_eq!(listener.borrow_and_update().as_ref().unwrap().price, Decimal::from(3));
        assert!(!listener.has_changed().unwrap());
        assert!(store.offer_price(&symbol, price(3, now), now));
        assert!(!listener.has_changed().unwrap(), "an older one wakes nobody");
    }

    #[test]
    fn the_far_future_is_refused_unless_our_clock_is_behind() {
        let (store, symbol) = store();
        let now = Utc::now();
        let ahead = now + TimeDelta::minutes(10);
        assert!(!store.offer_price(&symbol, price(1, ahead), now));
        assert_eq!(store.quote(&symbol, now), Err(NoPrice::Never));
        store.set_clock_offset(TimeDelta::minutes(10));
        assert!(store.offer_price(&symbol, price(1, ahead), now));
        assert_eq!(store.quote(&symbol, now).unwrap().age_ms, 0);
    }

    #[test]
    fn ages_are_counted_by_the_exchange_s_clock() {
        let (store, symbol) = store();
        let exchange_now = Utc::now();
        let stated = exchange_now - TimeDelta::seconds(30);
        assert!(store.offer_price(&symbol, price(1, stated), exchange_now));
        for offset in [60, -60] {
            let offset = TimeDelta::seconds(offset);
            store.set_clock_offset(offset);
            let ours = exchange_now - offset;
            let stale = NoPrice::Stale { age: Duration::from_secs(30), limit: Duration::from_secs(15) };
            assert_eq!(store.quote(&symbol, ours), Err(stale), "our clock is {offset} off");
            assert_eq!(store.quote(&symbol, ours - TimeDelta::seconds(20)).unwrap().age_ms, 10_000);
        }
    }

    #[test]
    fn a_clock_that_was_set_since_is_measured_again() {
        use futures_util::FutureExt as _;
        let (store, symbol) = store();
        let now = Utc::now();
        let doubted = |store: &Store| store.clock_doubted().now_or_never().is_some();
        assert!(store.offer_price(&symbol, price(1, now), now));
        assert!(!doubted(&store));
        assert!(!store.offer_price(&symbol, price(2, now + TimeDelta::seconds(10)), now), "ours went back");
        assert!(doubted(&store));
        assert!(store.offer_price(&symbol, price(3, now - TimeDelta::seconds(20)), now), "ours went ahead");
        assert!(doubted(&store));
        assert!(!doubted(&store));
    }

    #[test]
    fn currencies_come_from_the_exchange_or_from_the_spelling() {
        let store = Store::new(["BTCUSDT".parse().unwrap(), "BTCTRY".parse().unwrap()], Duration::from_secs(1));
        assert_eq!(store.infos().len(), 1, "TRY is no quote currency that is known");
        let info: ExchangeInfo = serde_json::from_str(
            r#"{"symbols":[{"symbol":"BTCTRY","status":"TRADING","baseAsset":"BTC","quoteAsset":"TRY"},
                {"symbol":"DOGEUSDT","status":"TRADING","baseAsset":"DOGE","quoteAsset":"USDT"}]}"#,
        )
        .unwrap();
        store.listed(&info);
        let infos = store.infos();
        assert_eq!(infos.len(), 2);
        assert_eq!((infos[0].base.as_str(), infos[0].quote.as_str()), ("BTC", "TRY"));
    }
}
