//! Where two moving averages cross: the golden cross and the death cross.

use std::num::NonZeroU32;

use rust_decimal::Decimal;
use rust_decimal_macros::dec;

use super::{Sma, confidence};
use crate::Candle;

/// Distance of the averages, as a share of the slow one, from which a crossing counts as sure: 0.1 percent.
const SURE_DISTANCE: Decimal = dec!(0.001);

/// Which average went above the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CrossKind {
    /// The fast average went above the slow one.
    Golden,
    /// The fast average went below the slow one.
    Death,
}

/// A crossing, and the candle at whose close it was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    /// Which way.
    pub kind: CrossKind,
    /// Place of the candle among those that were looked at.
    pub candle: usize,
    /// Average of the closes of the fast window.
    pub fast: Decimal,
    /// Average of the closes of the slow window.
    pub slow: Decimal,
    /// How sure: 0.50 where the averages have barely crossed, 1.00 where they are a thousandth of the slow one apart.
    pub confidence: Decimal,
}

/// Windows that make no crossing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the fast window is shorter than the slow one: {fast} and {slow} candles")]
pub struct CrossWindowsError {
    fast: u32,
    slow: u32,
}

/// Finds crossings of two simple moving averages of closes.
#[derive(Debug, Clone)]
pub struct CrossFinder {
    fast: NonZeroU32,
    slow: NonZeroU32,
}

impl CrossFinder {
    /// With windows of this many candles.
    ///
    /// # Errors
    /// When the fast one is not the shorter.
    pub fn new(fast: NonZeroU32, slow: NonZeroU32) -> Result<Self, CrossWindowsError> {
        if fast >= slow {
            return Err(CrossWindowsError { fast: fast.get(), slow: slow.get() });
        }
        Ok(Self { fast, slow })
    }

    /// Fewest candles in which a crossing can be found: a slow window, and one candle more.
    #[must_use]
    pub const fn fewest_candles(&self) -> u32 {
        self.slow.get().saturating_add(1)
    }

    /// Every crossing among closed candles, oldest first. Averages that touch have not crossed; those that touch and part
    /// again have crossed when they end on the other side than they came from. The first side that is known is no crossing.
    ///
    /// What is found at a candle depends on the candles before it only through the side that the averages were on last, so
    /// whoever looks at fewer candles finds the same at the later ones, but for touches that reach back to the first.
    #[must_use]
    pub fn find(&self, candles: &[Candle]) -> Vec<Crossing> {
        let (mut fast, mut slow) = (Sma::new(self.fast), Sma::new(self.slow));
        let mut above: Option<bool> = None;
        let mut found = Vec::new();
        for (place, candle) in candles.iter().enumerate().filter(|(_, candle)| candle.closed) {
            fast.push(candle.close);
            slow.push(candle.close);
            let (Some(fast_sum), Some(slow_sum)) = (fast.sum(), slow.sum()) else { continue };
            // Sums times the other's window: exact, where quotients are rounded.
            let (left, right) = (fast_sum * slow.divisor(), slow_sum * fast.divisor());
            if left == right {
                continue;
            }
            let is_above = left > right;
            if above.is_some_and(|was| was != is_above)
                && let (Some(fast), Some(slow)) = (fast.value(), slow.value())
            {
                let kind = if is_above { CrossKind::Golden } else { CrossKind::Death };
                let apart = if slow.is_zero() { Decimal::ONE } else { ((fast - slow) / slow).abs() };
                let confidence = confidence(dec!(0.5) + dec!(0.5) * (apart / SURE_DISTANCE).min(Decimal::ONE));
                found.push(Crossing { kind, candle: place, fast, slow, confidence });
            }
            above = Some(is_above);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use proptest::prelude::*;

    use super::*;

    fn candles(closes: &[i64]) -> Vec<Candle> {
        let candle = |(minute, close): (usize, &i64)| {
            let opened_at = DateTime::UNIX_EPOCH + TimeDelta::minutes(i64::try_from(minute).unwrap());
            let price = Decimal::from(*close);
            Candle {
                open_time: opened_at,
                close_time: opened_at + TimeDelta::milliseconds(59_999),
                open: price,
                high: price,
                low: price,
                close: price,
                volume: Decimal::ONE,
                closed: true,
            }
        };
        closes.iter().enumerate().map(candle).collect()
    }

    fn finder(fast: u32, slow: u32) -> CrossFinder {
        CrossFinder::new(NonZeroU32::new(fast).unwrap(), NonZeroU32::new(slow).unwrap()).unwrap()
    }

    fn kinds(closes: &[i64]) -> Vec<(usize, CrossKind)> {
        finder(1, 2).find(&candles(closes)).iter().map(|crossing| (crossing.candle, crossing.kind)).collect()
    }

    #[test]
    fn a_crossing_is_a_change_of_sides() {
        use CrossKind::{Death, Golden};
        assert_eq!(kinds(&[10, 9, 8, 9, 10, 9]), [(3, Golden), (5, Death)]);
        assert_eq!(kinds(&[10, 11, 12, 13]), []);
        // They touch, and part to the side that they came from; then to the other one.
        assert_eq!(kinds(&[10, 9, 9, 8]), []);
        assert_eq!(kinds(&[10, 9, 9, 10]), [(3, Golden)]);
        assert_eq!(kinds(&[10]), []);
    }

    #[test]
    fn an_open_candle_is_not_looked_at() {
        let mut candles = candles(&[10, 9, 8, 9]);
        candles[3].closed = false;
        assert_eq!(finder(1, 2).find(&candles), []);
    }

    #[test]
    fn confidence_is_the_distance() {
        let of = |last: i64| finder(1, 2).find(&candles(&[1_000_000, 999_999, last]))[0].confidence.to_string();
        assert_eq!(of(1_000_000), "0.50");
        assert_eq!(of(1_001_000), "0.75");
        assert_eq!(of(1_100_000), "1.00");
    }

    #[test]
    fn windows_have_to_differ() {
        let window = |candles| NonZeroU32::new(candles).unwrap();
        assert!(CrossFinder::new(window(5), window(5)).is_err());
        assert_eq!(finder(5, 20).fewest_candles(), 21);
    }

    proptest! {
        /// By the definition, with quotients of whole numbers that cannot be rounded wrongly.
        #[test]
        fn it_is_what_the_definition_says(
            closes in proptest::collection::vec(1i64..50, 0..60), fast in 1u32..5, longer in 1u32..6,
        ) {
            let slow = fast + longer;
            let side = |at: usize| {
                let sum = |window: u32| closes[at + 1 - window as usize..=at].iter().sum::<i64>();
                (sum(fast) * i64::from(slow) - sum(slow) * i64::from(fast)).signum()
            };
            let mut expected = Vec::new();
            let mut last = 0;
            for at in slow as usize - 1..closes.len() {
                let now = side(at);
                if now != 0 {
                    if last == -now {
                        expected.push((at, if now > 0 { CrossKind::Golden } else { CrossKind::Death }));
                    }
                    last = now;
                }
            }
            let found: Vec<_> =
                finder(fast, slow).find(&candles(&closes)).iter().map(|crossing| (crossing.candle, crossing.kind)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
