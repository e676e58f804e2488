//! Numbers as people read them in a reason.

use rust_decimal::{Decimal, RoundingStrategy};
use rust_decimal_macros::dec;

/// A price with as many decimals as its size deserves: 46224.10, 1.2346, 0.000012346.
#[must_use]
pub fn price(value: Decimal) -> Decimal {
    let decimals = if value >= dec!(100) {
        2
    } else if value >= Decimal::ONE {
        4
    } else {
        // Five significant digits, whatever the number of leading zeroes.
        return value.round_sf_with_strategy(5, RoundingStrategy::MidpointAwayFromZero).unwrap_or(value).normalize();
    };
    fixed(value, decimals)
}

/// A share in percent without its sign, such as "0.29%"; what would read as 0.00% is named "less than 0.01%".
#[must_use]
pub fn percent(value: Decimal) -> String {
    let rounded = fixed(value.abs(), 2);
    if rounded.is_zero() && !value.is_zero() { "less than 0.01%".to_owned() } else { format!("{rounded}%") }
}

/// Exactly this many decimals, halves away from zero.
#[must_use]
pub fn fixed(value: Decimal, decimals: u32) -> Decimal {
    let mut rounded = value.round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero);
    rounded.rescale(decimals);
    rounded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_have_sensible_decimals() {
        let shown = |value| price(value).to_string();
        assert_eq!(shown(dec!(46224.1)), "46224.10");
        assert_eq!(shown(dec!(46224.125)), "46224.13");
        assert_eq!(shown(dec!(1)), "1.0000");
        assert_eq!(shown(dec!(0.98765432)), "0.98765");
        assert_eq!(shown(dec!(0.0000123456)), "0.000012346");
        assert_eq!(shown(dec!(0.5)), "0.5");
    }

    #[test]
    fn percents_never_claim_nothing_for_something() {
        assert_eq!(percent(dec!(-0.294)), "0.29%");
        assert_eq!(percent(dec!(0.0001)), "less than 0.01%");
        assert_eq!(percent(dec!(0)), "0.00%");
    }
}
