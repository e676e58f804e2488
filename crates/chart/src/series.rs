//! What of the candles is drawn, and where in time: slots of one interval each, counted from the left.

use std::num::NonZeroU32;

use chrono::{DateTime, TimeDelta, Utc};
use domain::strategy::Sma;
use domain::strategy::technical::{FAST_WINDOW, SLOW_WINDOW};
use domain::{Candle, Interval};
use rust_decimal::Decimal;
use rust_decimal_macros::dec;

use crate::ChartError;

/// Most candles that are drawn: more would be too thin to be told apart on a phone.
pub const MAX_DRAWN: u16 = 144;

/// Fewest slots of a chart: a few candles are not drawn as wide as the picture.
const MIN_SLOTS: u16 = 40;
/// Slots that stay free to the right of the last candle; a mark just after it finds room there.
const FREE_SLOTS: u16 = 7;

/// What counts as a price, as for `domain::strategy::MarketView`: within these no average can overflow.
const PRICE_RANGE: std::ops::RangeInclusive<Decimal> = dec!(0.000000000001)..=dec!(1_000_000_000_000);

/// A candle in its slot.
#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) slot: u16,
    pub(crate) open: Decimal,
    pub(crate) close: Decimal,
    /// Highest and lowest of its four prices, whatever they are called.
    pub(crate) high: Decimal,
    pub(crate) low: Decimal,
}

/// An average as far as it is drawn: slot and value, left to right.
pub(crate) type Line = Vec<(u16, Decimal)>;

/// What is drawn.
#[derive(Debug)]
pub(crate) struct Drawn {
    /// Left to right; never empty.
    pub(crate) bars: Vec<Bar>,
    pub(crate) fast: Line,
    pub(crate) slow: Line,
    /// Last price: the last candle's close.
    pub(crate) last: Decimal,
    /// How many slots there are, the free ones to the right included.
    pub(crate) slots: u16,
    /// When the last candle opens, and in which slot.
    last_open: DateTime<Utc>,
    last_slot: u16,
    first_open: DateTime<Utc>,
    interval: TimeDelta,
}

/// Where a moment is on the chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Before,
    At(u16),
    After,
}

impl Drawn {
    /// Takes the last candles and the averages over them. Closed candles only count in an average, as in the strategy.
    pub(crate) fn read(candles: &[Candle], interval: Interval) -> Result<Self, ChartError> {
        let window = usize::from(MAX_DRAWN) + usize::try_from(SLOW_WINDOW.get()).unwrap_or_default();
        let candles = candles.get(candles.len().saturating_sub(window)..).unwrap_or(candles);
        check(candles)?;
        let last = candles.last().ok_or(ChartError::NoCandles)?;
        let length = TimeDelta::minutes(interval.minutes().into());
        let slots_back = |candle: &Candle| {
            u16::try_from(whole_intervals(candle.open_time, last.open_time, length))
                .ok()
                .filter(|back| *back < MAX_DRAWN)
        };
        let furthest = candles.iter().filter_map(slots_back).max().unwrap_or(0);
        let last_slot = furthest.max(MIN_SLOTS - 1);

        let (mut fast, mut slow) = (Average::new(FAST_WINDOW), Average::new(SLOW_WINDOW));
        let (mut bars, mut first_open) = (Vec::new(), last.open_time);
        for candle in candles {
            let slot = slots_back(candle).map(|back| last_slot - back);
            if candle.closed {
                fast.push(candle.close, slot);
                slow.push(candle.close, slot);
            }
            if let Some(slot) = slot {
                first_open = first_open.min(candle.open_time);
                bars.push(Bar::new(candle, slot));
            }
        }
        Ok(Self {
            bars,
            fast: fast.line,
            slow: slow.line,
            last: last.close,
            slots: last_slot + 1 + FREE_SLOTS,
            last_open: last.open_time,
            last_slot,
            first_open,
            interval: length,
        })
    }

    /// From the opening of the first candle that is drawn to the end of the last.
    pub(crate) fn time_range(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        (self.first_open, self.last_open.checked_add_signed(self.interval).unwrap_or(self.last_open))
    }

    /// When a slot begins; `None` before or after all time.
    pub(crate) fn opening(&self, slot: u16) -> Option<DateTime<Utc>> {
        self.last_open.checked_add_signed(self.interval * (i32::from(slot) - i32::from(self.last_slot)))
    }

    /// The slot that a moment belongs to.
    pub(crate) fn place(&self, at: DateTime<Utc>) -> Place {
        let later = whole_intervals(self.last_open, at, self.interval);
        match later.checked_add(self.last_slot.into()).map(u16::try_from) {
            Some(Ok(slot)) if slot < self.slots => Place::At(slot),
            _ if later < 0 => Place::Before,
            _ => Place::After,
        }
    }

    /// The candle of a slot.
    pub(crate) fn bar(&self, slot: u16) -> Option<&Bar> {
        self.bars.iter().rev().find(|bar| bar.slot == slot)
    }

    /// Lowest and highest price of candles and averages.
    pub(crate) fn extent(&self) -> (Decimal, Decimal) {
        let averages = self.fast.iter().chain(&self.slow).map(|(_, value)| (*value, *value));
        let bars = self.bars.iter().map(|bar| (bar.low, bar.high));
        bars.chain(averages)
            .fold((self.last, self.last), |(low, high), (lower, higher)| (low.min(lower), high.max(higher)))
    }
}

impl Bar {
    fn new(candle: &Candle, slot: u16) -> Self {
        let prices = [candle.open, candle.high, candle.low, candle.close];
        Self {
            slot,
            open: candle.open,
            close: candle.close,
            high: prices.into_iter().fold(candle.close, Decimal::max),
            low: prices.into_iter().fold(candle.close, Decimal::min),
        }
    }
}

/// An average while it is taken.
struct Average {
    sma: Sma,
    line: Line,
}

impl Average {
    fn new(window: NonZeroU32) -> Self {
        Self { sma: Sma::new(window), line: Vec::new() }
    }

    fn push(&mut self, close: Decimal, slot: Option<u16>) {
        self.sma.push(close);
        self.line.extend(slot.zip(self.sma.value()));
    }
}

/// How many whole intervals later `to` is than `from`, rounded down; below zero when it is earlier.
fn whole_intervals(from: DateTime<Utc>, to: DateTime<Utc>, interval: TimeDelta) -> i64 {
    // An interval is never zero.
    (to - from).num_milliseconds().div_euclid(interval.num_milliseconds().max(1))
}

fn check(candles: &[Candle]) -> Result<(), ChartError> {
    for candle in candles {
        let prices = [("open", candle.open), ("high", candle.high), ("low", candle.low), ("close", candle.close)];
        if let Some((field, price)) = prices.into_iter().find(|(_, price)| !PRICE_RANGE.contains(price)) {
            return Err(ChartError::BadPrice { opens: candle.open_time, field, price });
        }
    }
    for pair in candles.windows(2) {
        if let [previous, next] = pair
            && next.open_time <= previous.open_time
        {
            return Err(ChartError::Unordered { opens: next.open_time, previous: previous.open_time });
        }
    }
    Ok(())
}
