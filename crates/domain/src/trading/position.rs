//! Positions and realised profit, by average cost, in decimals.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Side;

/// Some of an order was filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// Which side.
    pub side: Side,
    /// How much, in the base currency; above zero.
    pub quantity: Decimal,
    /// At which price, in the quote currency; above zero.
    pub price: Decimal,
}

/// A fill that no position can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PnlError {
    /// Nothing, or less, was filled, or it was free.
    #[error("a fill has a quantity and a price above zero")]
    NotPositive,
    /// The numbers are too large to be exact.
    #[error("the position is larger than can be counted")]
    TooLarge,
}

/// How much of a symbol is held, and what it cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// In the base currency: above zero is long, below zero short.
    pub quantity: Decimal,
    /// What was paid for it, in the quote currency, with the sign of the quantity: the average price times the
    /// quantity. Kept instead of the price, which would have to be rounded at each fill.
    pub cost: Decimal,
}

impl Position {
    /// Average price of what is held; none when nothing is.
    #[must_use]
    pub fn average_price(&self) -> Option<Decimal> {
        self.cost.checked_div(self.quantity)
    }

    /// What a fill does: the position after it, and what it realised in the quote currency, fees not taken off.
    ///
    /// What adds to a position changes its cost; what takes from it realises the difference to the average cost; what
    /// goes through zero does the one and then the other.
    ///
    /// # Errors
    /// As [`PnlError`] says.
    pub fn apply(&self, fill: Fill) -> Result<(Self, Decimal), PnlError> {
        if fill.quantity <= Decimal::ZERO || fill.price <= Decimal::ZERO {
            return Err(PnlError::NotPositive);
        }
        let large = PnlError::TooLarge;
        let change = fill.side.signed(fill.quantity);
        let held = self.quantity;
        let adds = held.is_zero() || held.is_sign_negative() == change.is_sign_negative();
        if adds {
            let cost = change.checked_mul(fill.price).and_then(|paid| self.cost.checked_add(paid)).ok_or(large)?;
            let quantity = held.checked_add(change).ok_or(large)?;
            return Ok((Self { quantity, cost }, Decimal::ZERO));
        }
        if change.abs() >= held.abs() {
            // All of it is closed: what it brought less what it cost. The rest begins the other side.
            let brought = held.checked_mul(fill.price).ok_or(large)?;
            let realised = brought.checked_sub(self.cost).ok_or(large)?;
            let quantity = held.checked_add(change).ok_or(large)?;
            let cost = quantity.checked_mul(fill.price).ok_or(large)?;
            return Ok((Self { quantity, cost }, realised));
        }
        // A part of it: its share of the cost.
        let closed = -change;
        let share = self.cost.checked_mul(closed).and_then(|cost| cost.checked_div(held)).ok_or(large)?;
        let brought = closed.checked_mul(fill.price).ok_or(large)?;
        let realised = brought.checked_sub(share).ok_or(large)?;
        let left =
            Self { quantity: held.checked_add(change).ok_or(large)?, cost: self.cost.checked_sub(share).ok_or(large)? };
        Ok((left, realised))
    }

    /// What it would realise at a price.
    #[must_use]
    pub fn unrealised_pnl(&self, price: Decimal) -> Option<Decimal> {
        self.quantity.checked_mul(price)?.checked_sub(self.cost)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal_macros::dec;

    use super::*;

    fn fill(side: Side, quantity: Decimal, price: Decimal) -> Fill {
        Fill { side, quantity, price }
    }

    fn run(fills: &[Fill]) -> (Position, Decimal) {
        fills.iter().fold((Position::default(), Decimal::ZERO), |(position, total), fill| {
            let (after, realised) = position.apply(*fill).unwrap();
            (after, total + realised)
        })
    }

    #[test]
    fn bought_twice_and_sold_in_parts() {
        let bought = [fill(Side::Buy, dec!(1), dec!(100)), fill(Side::Buy, dec!(3), dec!(120))];
        let (position, realised) = run(&bought);
        assert_eq!((position.quantity, position.average_price(), realised), (dec!(4), Some(dec!(115)), dec!(0)));
        let (position, realised) = position.apply(fill(Side::Sell, dec!(1), dec!(125))).unwrap();
        assert_eq!((position.quantity, position.average_price(), realised), (dec!(3), Some(dec!(115)), dec!(10)));
        let (position, realised) = position.apply(fill(Side::Sell, dec!(3), dec!(105))).unwrap();
        assert_eq!((position, realised), (Position::default(), dec!(-30)));
    }

    #[test]
    fn a_short_position_earns_when_the_price_falls_and_a_fill_can_turn_it() {
        let (position, _) = run(&[fill(Side::Sell, dec!(2), dec!(50))]);
        assert_eq!((position.quantity, position.average_price()), (dec!(-2), Some(dec!(50))));
        assert_eq!(position.unrealised_pnl(dec!(45)), Some(dec!(10)));
        let (position, realised) = position.apply(fill(Side::Buy, dec!(5), dec!(40))).unwrap();
        assert_eq!((position.quantity, position.average_price(), realised), (dec!(3), Some(dec!(40)), dec!(20)));
    }

    #[test]
    fn what_is_no_fill_is_refused() {
        let empty = Position::default();
        assert_eq!(empty.apply(fill(Side::Buy, dec!(0), dec!(1))), Err(PnlError::NotPositive));
        assert_eq!(empty.apply(fill(Side::Buy, dec!(1), dec!(-1))), Err(PnlError::NotPositive));
        let huge = fill(Side::Buy, Decimal::MAX, dec!(10));
        assert_eq!(empty.apply(huge), Err(PnlError::TooLarge));
    }

    fn any_fill() -> impl Strategy<Value = Fill> {
        (any::<bool>(), 1_i64..2_000_000, 1_i64..20_000_000).prop_map(|(buys, quantity, price)| Fill {
            side: if buys { Side::Buy } else { Side::Sell },
            quantity: Decimal::new(quantity, 4),
            price: Decimal::new(price, 2),
        })
    }

    /// Cash that went in (sales) less what went out (purchases).
    fn cash(fills: &[Fill]) -> Decimal {
        fills.iter().map(|fill| -fill.side.signed(fill.quantity) * fill.price).sum()
    }

    /// Shares of a cost are rounded at the 28th digit.
    const ROUNDING: Decimal = dec!(0.000000001);

    proptest! {
        /// Realised profit and what is held at cost are the cash that moved: nothing is made up, nothing is lost.
        #[test]
        fn profit_is_cash_and_what_is_held(fills in prop::collection::vec(any_fill(), 0..60)) {
            let (position, realised) = run(&fills);
            let quantity: Decimal = fills.iter().map(|fill| fill.side.signed(fill.quantity)).sum();
            prop_assert_eq!(position.quantity, quantity);
            prop_assert!((realised - (cash(&fills) + position.cost)).abs() < ROUNDING);
        }

        /// Once all is closed, the order of the fills has made no difference.
        #[test]
        fn a_closed_position_has_the_same_profit_in_any_order(
            (fills, shuffled) in prop::collection::vec(any_fill(), 1..30).prop_flat_map(|mut fills| {
                let net: Decimal = fills.iter().map(|fill| fill.side.signed(fill.quantity)).sum();
                if !net.is_zero() {
                    let side = if net.is_sign_positive() { Side::Sell } else { Side::Buy };
                    fills.push(Fill { side, quantity: net.abs(), price: dec!(77.77) });
                }
                (Just(fills.clone()), Just(fills).prop_shuffle())
            })
        ) {
            let ((one, profit), (other, again)) = (run(&fills), run(&shuffled));
            prop_assert_eq!(one.quantity, Decimal::ZERO);
            prop_assert_eq!(other.quantity, Decimal::ZERO);
            prop_assert!((profit - again).abs() < ROUNDING, "{} {}", profit, again);
            prop_assert!((profit - cash(&fills)).abs() < ROUNDING);
        }

        /// The average cost is one of what was paid: between the lowest and the highest price.
        #[test]
        fn the_average_lies_between_the_prices(fills in prop::collection::vec(any_fill(), 1..30)) {
            let (position, _) = run(&fills);
            if let Some(average) = position.average_price() {
                let low = fills.iter().map(|fill| fill.price).min().unwrap();
                let high = fills.iter().map(|fill| fill.price).max().unwrap();
                prop_assert!(average >= low - ROUNDING && average <= high + ROUNDING);
            }
        }

        /// A fill in two halves does what the whole does.
        #[test]
        fn a_fill_in_parts_is_the_whole_fill(fills in prop::collection::vec(any_fill(), 0..10), last in any_fill()) {
            let (before, _) = run(&fills);
            let half = Fill { quantity: last.quantity / dec!(2), ..last };
            let (whole, one) = before.apply(last).unwrap();
            let (first, a) = before.apply(half).unwrap();
            let (both, b) = first.apply(half).unwrap();
            prop_assert_eq!(whole.quantity, both.quantity);
            prop_assert!((one - (a + b)).abs() < ROUNDING);
        }
    }
}
