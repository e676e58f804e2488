//! Relative strength index.

use std::num::NonZeroU32;

use rust_decimal::{Decimal, RoundingStrategy};
use rust_decimal_macros::dec;

/// Decimals an index is given with. More than anybody reads, fewer than a [`Decimal`] holds, so that the last digits
/// of a division cannot tip a comparison such as "70 or more".
const DECIMALS: u32 = 8;

/// Wilder's relative strength index (J. Welles Wilder, New Concepts in Technical Trading Systems, 1978), in constant
/// time a value.
///
/// The first average of gains and of losses is the plain one over `period` changes; each further change is smoothed in
/// with weight `1 / period`. So the first index needs `period + 1` values.
#[derive(Debug, Clone)]
pub struct Rsi {
    period: NonZeroU32,
    last: Option<Decimal>,
    changes: u32,
    average_gain: Decimal,
    average_loss: Decimal,
}

impl Rsi {
    /// One over this many changes; Wilder used 14.
    #[must_use]
    pub fn new(period: NonZeroU32) -> Self {
        Self { period, last: None, changes: 0, average_gain: Decimal::ZERO, average_loss: Decimal::ZERO }
    }

    /// Takes the next value.
    pub fn push(&mut self, value: Decimal) {
        let Some(last) = self.last.replace(value) else {
            return;
        };
        let change = value - last;
        let gain = change.max(Decimal::ZERO);
        let loss = (-change).max(Decimal::ZERO);
        let period = Decimal::from(self.period.get());
        if self.changes < self.period.get() {
            self.changes += 1;
            self.average_gain += gain / period;
            self.average_loss += loss / period;
        } else {
            let kept = period - Decimal::ONE;
            self.average_gain = (self.average_gain * kept + gain) / period;
            self.average_loss = (self.average_loss * kept + loss) / period;
        }
    }

    /// The index, 0 to 100, once `period` changes were taken. With no change at all it is 50: neither side is stronger.
    #[must_use]
    pub fn value(&self) -> Option<Decimal> {
        if self.changes < self.period.get() {
            return None;
        }
        let total = self.average_gain + self.average_loss;
        if total.is_zero() {
            return Some(dec!(50));
        }
        // 100 - 100 / (1 + gain / loss), in the form that has no division by zero when nothing was lost.
        let index = dec!(100) * (self.average_gain / total);
        Some(index.round_dp_with_strategy(DECIMALS, RoundingStrategy::MidpointAwayFromZero))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn indices(values: &[Decimal]) -> Vec<Decimal> {
        let mut rsi = Rsi::new(NonZeroU32::new(14).unwrap());
        values
            .iter()
            .filter_map(|value| {
                rsi.push(*value);
                rsi.value()
            })
            .collect()
    }

    /// Closes of a well-known worked example; the expected indices were computed from the definition
    /// (100 - 100 / (1 + average gain / average loss)) by a Python script with 40-digit decimals.
    #[test]
    fn agrees_with_an_independent_computation() {
        let closes = [
            dec!(44.34),
            dec!(44.09),
            dec!(44.15),
            dec!(43.61),
            dec!(44.33),
            dec!(44.83),
            dec!(45.10),
            dec!(45.42),
            dec!(45.84),
            dec!(46.08),
            dec!(45.89),
            dec!(46.03),
            dec!(45.61),
            dec!(46.28),
            dec!(46.28),
            dec!(46.00),
            dec!(46.03),
            dec!(46.41),
            dec!(46.22),
            dec!(45.64),
            dec!(46.21),
            dec!(46.25),
            dec!(45.71),
            dec!(46.45),
            dec!(45.78),
            dec!(45.35),
            dec!(44.03),
            dec!(44.18),
            dec!(44.22),
            dec!(44.57),
            dec!(43.42),
            dec!(42.66),
            dec!(43.13),
        ];
        let expected = [
            dec!(70.464135),
            dec!(66.249619),
            dec!(66.480942),
            dec!(69.346853),
            dec!(66.294713),
            dec!(57.915021),
            dec!(62.880718),
            dec!(63.208789),
            dec!(56.011585),
            dec!(62.339929),
            dec!(54.670971),
            dec!(50.386815),
            dec!(40.019424),
            dec!(41.492635),
            dec!(41.902430),
            dec!(45.499497),
            dec!(37.322778),
            dec!(33.090483),
            dec!(37.788772),
        ];
        let rounded: Vec<Decimal> = indices(&closes).into_iter().map(|index| index.round_dp(6)).collect();
        assert_eq!(rounded, expected);
    }

    #[test]
    fn extremes() {
        let rising: Vec<Decimal> = (1..40).map(Decimal::from).collect();
        let falling: Vec<Decimal> = rising.iter().rev().copied().collect();
        let flat = [dec!(7); 40];
        assert!(indices(&rising).iter().all(|index| *index == dec!(100)));
        assert!(indices(&falling).iter().all(|index| index.is_zero()));
        assert!(indices(&flat).iter().all(|index| *index == dec!(50)));
        assert_eq!(indices(&rising[..14]), []);
        assert_eq!(indices(&rising[..15]).len(), 1);
    }

    proptest! {
        #[test]
        fn stays_within_0_and_100(cents in prop::collection::vec(1_i64..1_000_000_000_000, 15..80)) {
            let values: Vec<Decimal> = cents.into_iter().map(|c| Decimal::new(c, 2)).collect();
            for index in indices(&values) {
                prop_assert!((Decimal::ZERO..=dec!(100)).contains(&index), "{}", index);
            }
        }

        #[test]
        fn mirrored_prices_give_the_mirrored_index(cents in prop::collection::vec(1_i64..1_000_000, 15..80)) {
            let values: Vec<Decimal> = cents.iter().map(|c| Decimal::new(*c, 2)).collect();
            let mirrored: Vec<Decimal> = values.iter().map(|value| dec!(20000) - value).collect();
            for (index, other) in indices(&values).into_iter().zip(indices(&mirrored)) {
                prop_assert!((index + other - dec!(100)).abs() <= dec!(0.00000002), "{} {}", index, other);
            }
        }
    }
}
