//! The scale of prices: from a price to a height in the picture, and round prices to write beside it.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use rust_decimal_macros::dec;

use crate::figures;

/// Steps of the grid at most, from the lower to the upper edge.
const MOST_TICKS: Decimal = dec!(9);
/// The scale covers at least this share of the price: what did not move is not blown up.
const MIN_SHARE: Decimal = dec!(0.0005);
/// Prices below this have at least two decimals: 46,224.00.
const WITH_DECIMALS_BELOW: Decimal = dec!(1_000_000);

/// A round price beside the scale.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tick {
    pub(crate) price: Decimal,
    pub(crate) label: String,
}

/// The prices from the lower to the upper edge of the plot.
#[derive(Debug)]
pub(crate) struct PriceScale {
    low: Decimal,
    high: Decimal,
}

impl PriceScale {
    /// A scale over these prices, with shares of their span left free below and above.
    pub(crate) fn new((lowest, highest): (Decimal, Decimal), (below, above): (Decimal, Decimal)) -> Self {
        let span = (highest - lowest).max(highest * MIN_SHARE);
        // What does not move is in the middle.
        let slack = (span - (highest - lowest)) / dec!(2);
        Self { low: (lowest - slack - span * below).max(Decimal::ZERO), high: highest + slack + span * above }
    }

    /// Where a price is: 0 at the lower edge, 1 at the upper; what is beyond stays at the edge.
    pub(crate) fn share(&self, price: Decimal) -> f32 {
        let share = (price.clamp(self.low, self.high) - self.low).checked_div(self.high - self.low);
        share.and_then(|share| share.to_f32()).unwrap_or_default()
    }

    /// Round prices, upwards.
    pub(crate) fn ticks(&self) -> Vec<Tick> {
        let step = round_step((self.high - self.low) / MOST_TICKS);
        let wished = if self.high < WITH_DECIMALS_BELOW { 2 } else { 0 };
        let decimals = step.normalize().scale().max(wished);
        let first = (self.low / step).ceil() * step;
        std::iter::successors(Some(first), |price| price.checked_add(step))
            .take_while(|price| *price <= self.high)
            .map(|price| Tick { price, label: figures::fixed(price, decimals) })
            .collect()
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that is not below `step`.
fn round_step(step: Decimal) -> Decimal {
    const SMALLEST: Decimal = Decimal::from_parts(1, 0, 0, false, 24);
    let powers = std::iter::successors(Some(SMALLEST), |power| power.checked_mul(Decimal::TEN));
    powers
        .flat_map(|power| [dec!(1), dec!(2), dec!(5)].map(|digit| power.checked_mul(digit)))
        .flatten()
        .find(|round| *round >= step)
        .unwrap_or(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARGINS: (Decimal, Decimal) = (dec!(0.05), dec!(0.05));

    fn labels(lowest: Decimal, highest: Decimal) -> Vec<String> {
        PriceScale::new((lowest, highest), MARGINS).ticks().into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_round_and_of_one_width_of_decimals() {
        assert_eq!(
            labels(dec!(46000), dec!(46500)),
            ["46,000.00", "46,100.00", "46,200.00", "46,300.00", "46,400.00", "46,500.00"]
        );
        assert_eq!(
            labels(dec!(0.00001230), dec!(0.00001242)),
            ["0.00001230", "0.00001232", "0.00001234", "0.00001236", "0.00001238", "0.00001240", "0.00001242"]
        );
        assert_eq!(labels(dec!(3), dec!(5)), ["3.00", "3.50", "4.00", "4.50", "5.00"]);
        assert_eq!(labels(dec!(1_000_000), dec!(3_000_000)).first().unwrap(), "1,000,000");
    }

    #[test]
    fn the_extremes_have_ticks_too() {
        for price in [dec!(0.000000000001), dec!(1), dec!(1_000_000_000_000)] {
            let flat = PriceScale::new((price, price), MARGINS);
            assert!((4..=12).contains(&flat.ticks().len()), "{price}: {:?}", flat.ticks());
            assert!((flat.share(price) - 0.5).abs() < 0.01);
        }
        let wide = PriceScale::new((dec!(0.000000000001), dec!(1_000_000_000_000)), MARGINS);
        assert!((4..=12).contains(&wide.ticks().len()), "{:?}", wide.ticks());
        assert_eq!(wide.share(Decimal::MAX), 1.0);
        assert_eq!(wide.share(Decimal::MIN), 0.0);
    }
}
