//! Candles, trades and a day's statistics as integers; the wire formats make text of them.

use super::bar::Bar;
use super::path::Path;

/// A candle of any interval, complete or forming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candle {
    /// First instant, milliseconds since 1970.
    pub(crate) open_ms: i64,
    /// Last instant: a millisecond before the next candle's first.
    pub(crate) close_ms: i64,
    /// Cents.
    pub(crate) open: i64,
    /// Cents.
    pub(crate) high: i64,
    /// Cents.
    pub(crate) low: i64,
    /// Cents; the newest price while forming.
    pub(crate) close: i64,
    /// 1e-8 of the base currency.
    pub(crate) base_volume: i64,
    /// Cents of the quote currency.
    pub(crate) quote_volume: i64,
    /// Of it what buyers took, 1e-8 of the base currency.
    pub(crate) taker_base: i64,
    /// Of it what buyers took, cents of the quote currency.
    pub(crate) taker_quote: i64,
    /// Id of the first trade; ids are consecutive.
    pub(crate) first_trade: i64,
    /// Number of trades.
    pub(crate) trades: i64,
    /// Whether it is final.
    pub(crate) closed: bool,
}

impl Candle {
    /// Id of the last trade.
    pub(crate) const fn last_trade(&self) -> i64 {
        self.first_trade + self.trades - 1
    }

    /// A base candle of `ticks` ticks after its tick `tick`.
    pub(super) fn forming(bar: &Bar, open_ms: i64, candle_ms: i64, first_trade: i64, ticks: i64, tick: i64) -> Self {
        let path = Path::of(bar, ticks);
        let (low, high) = path.extremes(tick);
        let trades = tick + 1;
        let share = |whole: i64| part(whole, trades, ticks);
        let buys = path.buys(tick);
        let (base_volume, quote_volume) = (share(bar.base()), share(bar.quote()));
        Self {
            open_ms,
            close_ms: open_ms + candle_ms - 1,
            open: bar.open(),
            high,
            low,
            close: path.price(tick),
            base_volume,
            quote_volume,
            taker_base: part(base_volume, buys, trades),
            taker_quote: part(quote_volume, buys, trades),
            first_trade,
            trades,
            closed: false,
        }
    }

    /// Takes the candle after this one in.
    pub(super) fn extend(&mut self, next: &Self) {
        self.high = self.high.max(next.high);
        self.low = self.low.min(next.low);
        self.close = next.close;
        self.close_ms = next.close_ms;
        self.base_volume += next.base_volume;
        self.quote_volume += next.quote_volume;
        self.taker_base += next.taker_base;
        self.taker_quote += next.taker_quote;
        self.trades += next.trades;
    }
}

/// `whole * numerator / denominator` without overflow; `numerator` is at most `denominator`.
pub(super) fn part(whole: i64, numerator: i64, denominator: i64) -> i64 {
    let result = i128::from(whole) * i128::from(numerator) / i128::from(denominator.max(1));
    i64::try_from(result).unwrap_or(i64::MAX)
}

/// The trade of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trade {
    /// Its id, one more than that of the trade before.
    pub(crate) id: i64,
    /// When, milliseconds since 1970.
    pub(crate) time_ms: i64,
    /// Cents.
    pub(crate) price: i64,
    /// 1e-8 of the base currency.
    pub(crate) quantity: i64,
    /// Whether a seller took a buyer's offer.
    pub(crate) buyer_is_maker: bool,
}

/// The last 24 hours of simulated time: 1440 base candles, the forming one included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Day {
    /// All of it as one candle.
    pub(crate) candle: Candle,
    /// Price before it, cents.
    pub(crate) previous_close: i64,
    /// The newest trade.
    pub(crate) last: Trade,
}

impl Day {
    /// Best bid, cents: one tick size below the last price.
    pub(crate) fn bid(&self) -> i64 {
        (self.candle.close - 1).max(1)
    }

    /// Best ask, cents: one tick size above the last price.
    pub(crate) const fn ask(&self) -> i64 {
        self.candle.close + 1
    }

    /// Volume-weighted average price in cents.
    pub(crate) fn average(&self) -> i64 {
        if self.candle.base_volume == 0 {
            return self.candle.close;
        }
        let cents = i128::from(self.candle.quote_volume) * i128::from(super::bar::BASE_UNITS)
            / i128::from(self.candle.base_volume);
        i64::try_from(cents).unwrap_or(i64::MAX)
    }
}
