//! The simulated market: what every symbol costs at any moment, computed from the wall clock alone.
//!
//! Nothing is stored while it runs. REST and WebSocket ask the same functions for the same tick and so agree.

mod bar;
mod candle;
mod path;
mod recording;
mod start;
mod timeline;
mod walk;

use std::num::NonZeroU16;
use std::sync::Arc;

pub(crate) use candle::{Candle, Day, Trade};
pub use recording::RecordingError;
pub use start::{StartAt, StartAtError};

use bar::Bar;
use candle::part;
use path::Path;
use timeline::Timeline;
use walk::Walk;

/// Base candles of a day.
const DAY: i64 = 24 * 60;

/// Where a symbol's prices come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PriceOrigin {
    /// The recorded month of a BTC perpetual future.
    RecordedMonth,
    /// A seeded random walk: no market ever had these prices.
    SeededRandomWalk,
}

/// A symbol that is traded here.
#[derive(Debug)]
pub(crate) struct Instrument {
    /// In Binance's spelling, `BTCUSDT`.
    pub(crate) symbol: &'static str,
    /// Base currency.
    pub(crate) base: &'static str,
    /// Quote currency.
    pub(crate) quote: &'static str,
    /// Where its prices come from.
    pub(crate) origin: PriceOrigin,
    bars: Arc<Vec<Bar>>,
}

/// A candle interval in Binance's spelling, and how many base candles it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interval {
    /// `1m`, `5m`, …
    pub(crate) name: &'static str,
    /// Base candles in it.
    minutes: i64,
}

/// Binance's intervals from a minute to a day.
const INTERVALS: [Interval; 12] = [
    Interval { name: "1m", minutes: 1 },
    Interval { name: "3m", minutes: 3 },
    Interval { name: "5m", minutes: 5 },
    Interval { name: "15m", minutes: 15 },
    Interval { name: "30m", minutes: 30 },
    Interval { name: "1h", minutes: 60 },
    Interval { name: "2h", minutes: 120 },
    Interval { name: "4h", minutes: 240 },
    Interval { name: "6h", minutes: 360 },
    Interval { name: "8h", minutes: 480 },
    Interval { name: "12h", minutes: 720 },
    Interval { name: "1d", minutes: DAY },
];

impl Interval {
    /// The interval of a name; case matters, as on the exchange.
    pub(crate) fn named(name: &str) -> Option<Self> {
        INTERVALS.into_iter().find(|interval| interval.name == name)
    }
}

/// Which candles of a series are wanted, as in `GET /api/v3/klines`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    /// Earliest open time, milliseconds.
    pub(crate) start_ms: Option<i64>,
    /// Latest open time, milliseconds.
    pub(crate) end_ms: Option<i64>,
    /// Most candles.
    pub(crate) limit: i64,
}

/// Every symbol and the clock they share.
#[derive(Debug)]
pub(crate) struct Market {
    instruments: Vec<Instrument>,
    timeline: Timeline,
}

impl Market {
    /// Reads the recording and computes the walks.
    pub(crate) fn new(
        seconds_per_candle: NonZeroU16,
        start: StartAt,
        seed: u64,
        now_ms: i64,
    ) -> Result<Self, RecordingError> {
        let recorded = recording::month()?;
        let walk = |symbol, base, stream, walk: Walk| Instrument {
            symbol,
            base,
            quote: "USDT",
            origin: PriceOrigin::SeededRandomWalk,
            bars: walk.month(seed, stream),
        };
        let ether = walk("ETHUSDT", "ETH", 1, Walk { start_cents: 370_000, step_ppm: 500, volume_cents: 60_000_000 });
        let solana = walk("SOLUSDT", "SOL", 2, Walk { start_cents: 17_000, step_ppm: 700, volume_cents: 15_000_000 });
        let timeline = Timeline::new(seconds_per_candle, start.index(), recorded.len(), now_ms);
        let bitcoin = Instrument {
            symbol: "BTCUSDT",
            base: "BTC",
            quote: "USDT",
            origin: PriceOrigin::RecordedMonth,
            bars: recorded,
        };
        Ok(Self { instruments: vec![bitcoin, ether, solana], timeline })
    }

    /// Every symbol.
    pub(crate) fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    /// The symbol of a name, upper case.
    pub(crate) fn find(&self, symbol: &str) -> Option<&Instrument> {
        self.instruments.iter().find(|instrument| instrument.symbol == symbol)
    }

    /// The clock.
    pub(crate) const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The trade of a tick; `None` before the recording begins (only when the machine's clock was set back).
    pub(crate) fn trade(&self, instrument: &Instrument, tick: i64) -> Option<Trade> {
        let (number, within) = self.timeline.candle_of(tick);
        let bar = self.bar(instrument, number)?;
        let path = Path::of(bar, self.timeline.ticks_per_candle());
        Some(Trade {
            id: tick,
            time_ms: self.timeline.tick_begin_ms(tick),
            price: path.price(within),
            quantity: part(bar.base(), 1, self.timeline.ticks_per_candle()),
            buyer_is_maker: path.buys(within) == if within == 0 { 0 } else { path.buys(within - 1) },
        })
    }

    /// The candle of `interval` that a tick belongs to, as it stands after that tick.
    pub(crate) fn current(&self, instrument: &Instrument, interval: Interval, tick: i64) -> Option<Candle> {
        let (number, _) = self.timeline.candle_of(tick);
        self.candle(instrument, interval, number.div_euclid(interval.minutes), tick)
    }

    /// Candles of a range, oldest first, as they stand after a tick.
    pub(crate) fn candles(&self, instrument: &Instrument, interval: Interval, range: Range, tick: i64) -> Vec<Candle> {
        let width = self.timeline.candle_ms() * interval.minutes;
        let (now, _) = self.timeline.candle_of(tick);
        let newest = now.div_euclid(interval.minutes);
        let oldest = self.timeline.first_number().div_euclid(interval.minutes);
        // Open times lie within the range, both ends included.
        let first =
            range.start_ms.map_or(oldest, |ms| ms.div_euclid(width) + i64::from(ms.rem_euclid(width) > 0)).max(oldest);
        let last = range.end_ms.map_or(newest, |ms| ms.div_euclid(width)).min(newest);
        let (first, last) = if range.start_ms.is_some() {
            (first, last.min(first.saturating_add(range.limit - 1)))
        } else {
            (first.max(last.saturating_sub(range.limit - 1)), last)
        };
        (first..=last).filter_map(|group| self.candle(instrument, interval, group, tick)).collect()
    }

    /// The last 24 hours before and including a tick.
    pub(crate) fn day(&self, instrument: &Instrument, tick: i64) -> Option<Day> {
        let (now, _) = self.timeline.candle_of(tick);
        let first = (now - DAY + 1).max(self.timeline.first_number());
        let candle = self.join(instrument, first, now, tick)?;
        let previous_close = self.bar(instrument, first - 1).map_or(candle.open, Bar::close);
        Some(Day { candle, previous_close, last: self.trade(instrument, tick)? })
    }

    fn candle(&self, instrument: &Instrument, interval: Interval, group: i64, tick: i64) -> Option<Candle> {
        let (now, _) = self.timeline.candle_of(tick);
        let begin = group * interval.minutes;
        let end = begin + interval.minutes;
        let mut candle = self.join(instrument, begin.max(self.timeline.first_number()), (end - 1).min(now), tick)?;
        candle.open_ms = self.timeline.open_ms(begin);
        candle.close_ms = self.timeline.open_ms(end) - 1;
        candle.closed = now >= end;
        Some(candle)
    }

    /// Base candles `first..=last` as one, as they stand after a tick.
    fn join(&self, instrument: &Instrument, first: i64, last: i64, tick: i64) -> Option<Candle> {
        let mut joined = self.base_candle(instrument, first, tick)?;
        for number in first + 1..=last {
            joined.extend(&self.base_candle(instrument, number, tick)?);
        }
        (first <= last).then_some(joined)
    }

    fn base_candle(&self, instrument: &Instrument, number: i64, tick: i64) -> Option<Candle> {
        let bar = self.bar(instrument, number)?;
        let ticks = self.timeline.ticks_per_candle();
        let (now, within) = self.timeline.candle_of(tick);
        let within = if number < now { ticks - 1 } else { within };
        Some(Candle::forming(
            bar,
            self.timeline.open_ms(number),
            self.timeline.candle_ms(),
            number * ticks,
            ticks,
            within,
        ))
    }

    fn bar<'a>(&self, instrument: &'a Instrument, number: i64) -> Option<&'a Bar> {
        instrument.bars.get(self.timeline.index_of(number)?)
    }
}

#[cfg(test)]
mod tests;
