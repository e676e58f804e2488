//! Simple moving average.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use rust_decimal::Decimal;

/// Simple moving average of the last `window` values, in constant time a value.
#[derive(Debug, Clone)]
pub struct Sma {
    window: NonZeroU32,
    values: VecDeque<Decimal>,
    sum: Decimal,
}

impl Sma {
    /// One of this many values.
    #[must_use]
    pub fn new(window: NonZeroU32) -> Self {
        Self { window, values: VecDeque::new(), sum: Decimal::ZERO }
    }

    /// Takes the next value.
    pub fn push(&mut self, value: Decimal) {
        if self.is_full()
            && let Some(oldest) = self.values.pop_front()
        {
            self.sum -= oldest;
        }
        self.values.push_back(value);
        self.sum += value;
    }

    /// The average, once `window` values were taken.
    #[must_use]
    pub fn value(&self) -> Option<Decimal> {
        self.sum().map(|sum| sum / self.divisor())
    }

    /// The sum over the window once it is full: two averages compare exactly by their sums, without a division.
    #[must_use]
    pub fn sum(&self) -> Option<Decimal> {
        self.is_full().then_some(self.sum)
    }

    /// The window as a divisor.
    #[must_use]
    pub fn divisor(&self) -> Decimal {
        self.window.get().into()
    }

    fn is_full(&self) -> bool {
        u32::try_from(self.values.len()).is_ok_and(|len| len >= self.window.get())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_the_average_taken_anew(
            cents in prop::collection::vec(1_i64..10_000_000_000, 0..120),
            window in 1_u32..40,
        ) {
            let values: Vec<Decimal> = cents.into_iter().map(|c| Decimal::new(c, 2)).collect();
            let mut sma = Sma::new(NonZeroU32::new(window).unwrap());
            for end in 0..=values.len() {
                let expected = end.checked_sub(window as usize).map(|start| {
                    values[start..end].iter().sum::<Decimal>() / Decimal::from(window)
                });
                prop_assert_eq!(sma.value(), expected);
                if let Some(next) = values.get(end) {
                    sma.push(*next);
                }
            }
        }
    }
}
