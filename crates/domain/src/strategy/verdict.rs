//! What the readings of the technical strategy mean: action, confidence, and the sentence that says why.

use rust_decimal::Decimal;
use rust_decimal_macros::dec;

use super::figures::{fixed, percent, price};
use super::technical::{CROSS_WINDOW, FAST_WINDOW, SLOW_WINDOW};
use crate::Action;

/// Distance of the averages, in percent of the slow one, below which there is no trend.
///
/// Over the recorded month (BTC, one-minute candles, January 2022) the median distance is 0.25 %: this makes HOLD the
/// answer in two minutes of three.
const DEAD_BAND_PERCENT: Decimal = dec!(0.20);
/// Distance at which a trend is as strong as it gets: four dead bands, reached in one minute of eight.
const FULL_TREND_PERCENT: Decimal = dec!(0.80);
const OVERBOUGHT: Decimal = dec!(70);
const OVERSOLD: Decimal = dec!(30);
const NEUTRAL: Decimal = dec!(50);

/// Direction of a trend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Up,
    Down,
}

/// What is seen at one moment.
#[derive(Debug, Clone)]
pub(super) struct Readings {
    pub(super) price: Decimal,
    pub(super) fast: Decimal,
    pub(super) slow: Decimal,
    /// 0 to 100.
    pub(super) rsi: Decimal,
    /// Fast average over the slow one, in percent of it.
    pub(super) gap_percent: Decimal,
    /// Price over the fast average, in percent of it.
    pub(super) price_gap_percent: Decimal,
    /// Where the averages crossed to, if that was within the last candles.
    pub(super) recent_cross: Option<Side>,
}

/// What it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// No trend.
    Flat,
    /// A trend, but the price has left it.
    Pullback(Trend),
    /// A trend that has run too far: the RSI's veto.
    Exhausted(Trend),
    /// A trend to go with.
    Follow(Trend),
}

/// A trend, and whether it is only a fresh cross within the dead band.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trend {
    side: Side,
    early: bool,
}

impl Verdict {
    pub(super) fn action(self) -> Action {
        match self {
            Self::Follow(Trend { side: Side::Up, .. }) => Action::Buy,
            Self::Follow(Trend { side: Side::Down, .. }) => Action::Sell,
            Self::Flat | Self::Pullback(_) | Self::Exhausted(_) => Action::Hold,
        }
    }
}

impl Readings {
    pub(super) fn verdict(&self) -> Verdict {
        let Some(trend) = self.trend() else {
            return Verdict::Flat;
        };
        let (left, exhausted) = match trend.side {
            Side::Up => (self.price_gap_percent < Decimal::ZERO, self.rsi >= OVERBOUGHT),
            Side::Down => (self.price_gap_percent > Decimal::ZERO, self.rsi <= OVERSOLD),
        };
        match (left, exhausted) {
            (true, _) => Verdict::Pullback(trend),
            (false, true) => Verdict::Exhausted(trend),
            (false, false) => Verdict::Follow(trend),
        }
    }

    fn trend(&self) -> Option<Trend> {
        if self.gap_percent.abs() >= DEAD_BAND_PERCENT {
            let side = if self.gap_percent.is_sign_positive() { Side::Up } else { Side::Down };
            return Some(Trend { side, early: false });
        }
        self.recent_cross.map(|side| Trend { side, early: true })
    }

    /// How sure, before rounding. Every summand comes from a distance or from the RSI; half is the starting point of each.
    ///
    /// | verdict | 0.50 plus | |
    /// |---|---|---|
    /// | follow | 0.35 × strength of the trend | + 0.10 × RSI's agreement (−1 to 1), + 0.05 when the cross is recent |
    /// | flat | 0.40 × closeness of the averages | + 0.10 × calm of the RSI |
    /// | pullback | 0.40 × how far the price has left the fast average | + 0.10 × calm of the RSI |
    /// | exhausted | 0.50 × how far the RSI is beyond its line | |
    pub(super) fn confidence(&self, verdict: Verdict) -> Decimal {
        let gap = self.gap_percent.abs();
        let calm = Decimal::ONE - (self.rsi - NEUTRAL).abs() / NEUTRAL;
        dec!(0.50)
            + match verdict {
                Verdict::Flat => dec!(0.40) * (Decimal::ONE - gap / DEAD_BAND_PERCENT) + dec!(0.10) * calm,
                Verdict::Pullback(_) => {
                    dec!(0.40) * (self.price_gap_percent.abs() / DEAD_BAND_PERCENT).min(Decimal::ONE)
                        + dec!(0.10) * calm
                }
                Verdict::Exhausted(Trend { side: Side::Up, .. }) => {
                    dec!(0.50) * (self.rsi - OVERBOUGHT) / (dec!(100) - OVERBOUGHT)
                }
                Verdict::Exhausted(Trend { side: Side::Down, .. }) => dec!(0.50) * (OVERSOLD - self.rsi) / OVERSOLD,
                Verdict::Follow(trend) => {
                    let lead = match trend.side {
                        Side::Up => self.rsi - NEUTRAL,
                        Side::Down => NEUTRAL - self.rsi,
                    };
                    let agreement = (lead / (OVERBOUGHT - NEUTRAL)).clamp(-Decimal::ONE, Decimal::ONE);
                    let cross = if self.recent_cross.is_some() { dec!(0.05) } else { Decimal::ZERO };
                    dec!(0.35) * (gap / FULL_TREND_PERCENT).min(Decimal::ONE) + dec!(0.10) * agreement + cross
                }
            }
    }

    pub(super) fn reason(&self, verdict: Verdict) -> String {
        let now = price(self.price);
        let fast = format!("{FAST_WINDOW}-candle average {}", price(self.fast));
        let slow = format!("{SLOW_WINDOW}-candle average {}", price(self.slow));
        let gap = percent(self.gap_percent);
        let rsi = fixed(self.rsi, 1);
        let over = if self.gap_percent.is_sign_negative() { "below" } else { "above" };
        match verdict {
            Verdict::Flat => format!(
                "No trend: the {fast} is {gap} {over} the {slow}, within the {DEAD_BAND_PERCENT}% that count as noise, and \
                 the two have not crossed in the last {CROSS_WINDOW} candles. RSI is {rsi}."
            ),
            Verdict::Pullback(trend) => {
                let (left, act) = match trend.side {
                    Side::Up => ("below", "buy"),
                    Side::Down => ("above", "sell"),
                };
                format!(
                    "{}, but the price {now} is {} {left} the {fast}, so it is not the moment to {act}. That average is \
                     {gap} {over} the {slow}, RSI is {rsi}.",
                    trend.name(),
                    percent(self.price_gap_percent)
                )
            }
            Verdict::Exhausted(trend) => {
                let (word, line, act) = match trend.side {
                    Side::Up => ("overbought", format!("{OVERBOUGHT} or more"), "buy"),
                    Side::Down => ("oversold", format!("{OVERSOLD} or less"), "sell"),
                };
                format!(
                    "{}, but RSI {rsi} is {word} ({line}), so it is late to {act} at {now}. The {fast} is {gap} {over} the \
                     {slow}.",
                    trend.name()
                )
            }
            Verdict::Follow(trend) => {
                let room = match trend.side {
                    Side::Up => format!("not overbought (below {OVERBOUGHT})"),
                    Side::Down => format!("not oversold (above {OVERSOLD})"),
                };
                let place = match (trend.side, self.price_gap_percent.is_zero()) {
                    (_, true) => "at",
                    (Side::Up, false) => "above",
                    (Side::Down, false) => "below",
                };
                format!(
                    "{}: the {fast} is {gap} {over} the {slow}, and the price {now} is {place} the fast one. RSI {rsi} is {room}.",
                    trend.name()
                )
            }
        }
    }
}

impl Trend {
    fn name(self) -> &'static str {
        match (self.side, self.early) {
            (Side::Up, false) => "Uptrend",
            (Side::Down, false) => "Downtrend",
            (Side::Up, true) => "Fresh upward cross",
            (Side::Down, true) => "Fresh downward cross",
        }
    }
}
