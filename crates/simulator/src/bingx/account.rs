//! The account's money and its positions, one a symbol (one-way mode).

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::order::Side;

/// Times the margin, for every symbol: what a position of 1000 USDT binds is 100 USDT.
pub(super) const LEVERAGE: u32 = 10;
/// Decimals of amounts of money.
const MONEY_DECIMALS: u32 = 8;
/// Decimals of an average price.
const PRICE_DECIMALS: u32 = 12;

/// Whether a fill takes from the book or was waiting in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Liquidity {
    /// Market orders, and limit orders that cross at once.
    Taker,
    /// Limit orders that waited.
    Maker,
}

impl Liquidity {
    /// Fee as a share of the price: 0.05 % and 0.02 %.
    pub(super) const fn fee(self) -> Decimal {
        match self {
            Self::Taker => Decimal::from_parts(5, 0, 0, false, 4),
            Self::Maker => Decimal::from_parts(2, 0, 0, false, 4),
        }
    }
}

/// A position.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Told apart from an earlier one in the same symbol.
    pub(super) id: u64,
    /// In coins: above 0 is long, below short.
    pub(super) amount: Decimal,
    /// Average price of entry.
    pub(super) average_price: Decimal,
    /// What it has realised so far, before fees.
    pub(super) realised: Decimal,
}

impl Position {
    /// What it binds.
    pub(super) fn margin(&self) -> Decimal {
        margin(self.amount.abs(), self.average_price)
    }

    /// What closing it at a price would realise.
    pub(super) fn unrealised(&self, price: Decimal) -> Decimal {
        ((price - self.average_price) * self.amount).round_dp(MONEY_DECIMALS).normalize()
    }
}

/// What a quantity at a price binds.
pub(super) fn margin(quantity: Decimal, price: Decimal) -> Decimal {
    (quantity * price / Decimal::from(LEVERAGE)).round_dp(MONEY_DECIMALS).normalize()
}

/// Money and positions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account {
    /// In USDT; what is not realised is not in it.
    pub(super) balance: Decimal,
    /// Realised by all positions there were, before fees.
    pub(super) realised: Decimal,
    /// Paid as fees.
    pub(super) fees: Decimal,
    /// By symbol; none of amount 0.
    pub(super) positions: BTreeMap<String, Position>,
}

/// What a fill did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fill {
    /// Positive is a cost.
    pub(super) commission: Decimal,
    /// Before fees.
    pub(super) profit: Decimal,
}

impl Account {
    pub(super) fn new(balance: Decimal) -> Self {
        Self { balance, realised: Decimal::ZERO, fees: Decimal::ZERO, positions: BTreeMap::new() }
    }

    /// In coins, 0 for no position.
    pub(super) fn amount(&self, symbol: &str) -> Decimal {
        self.positions.get(symbol).map_or(Decimal::ZERO, |position| position.amount)
    }

    /// Margin of all positions.
    pub(super) fn used_margin(&self) -> Decimal {
        self.positions.values().map(Position::margin).sum()
    }

    /// How much of a quantity makes the position larger rather than smaller.
    pub(super) fn opening_part(&self, symbol: &str, side: Side, quantity: Decimal) -> Decimal {
        let against = Decimal::ZERO - self.amount(symbol) * side.sign();
        (quantity - against.max(Decimal::ZERO)).max(Decimal::ZERO)
    }

    /// Books a fill; `id` is the position's, if this opens one.
    pub(super) fn fill(
        &mut self,
        symbol: &str,
        side: Side,
        quantity: Decimal,
        price: Decimal,
        liquidity: Liquidity,
        id: u64,
    ) -> Fill {
        let commission = (quantity * price * liquidity.fee()).round_dp(MONEY_DECIMALS).normalize();
        let opening = self.opening_part(symbol, side, quantity);
        let closing = quantity - opening;
        let position =
            self.positions.entry(symbol.to_owned()).or_insert_with(|| Position { id, ..Position::default() });
        let direction = if position.amount.is_sign_negative() { Decimal::NEGATIVE_ONE } else { Decimal::ONE };
        let profit = ((price - position.average_price) * closing * direction).round_dp(MONEY_DECIMALS).normalize();
        position.amount += closing * side.sign();
        position.realised += profit;
        if position.amount.is_zero() {
            // Closed, or new; what is left of the quantity opens the next one.
            let realised = if closing.is_zero() { position.realised } else { Decimal::ZERO };
            *position = Position { id, average_price: price, realised, ..Position::default() };
        }
        if !opening.is_zero() {
            let before = position.amount.abs();
            let total = before + opening;
            position.average_price =
                ((before * position.average_price + opening * price) / total).round_dp(PRICE_DECIMALS).normalize();
            position.amount += opening * side.sign();
        }
        if position.amount.is_zero() {
            self.positions.remove(symbol);
        }
        self.balance += profit - commission;
        self.realised += profit;
        self.fees += commission;
        Fill { commission, profit }
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal_macros::dec;

    use super::*;

    fn fill(account: &mut Account, side: Side, quantity: Decimal, price: Decimal) -> Fill {
        account.fill("BTC-USDT", side, quantity, price, Liquidity::Taker, 1)
    }

    #[test]
    fn a_long_position_is_averaged_reduced_and_closed() {
        let mut account = Account::new(dec!(10000));
        let first = fill(&mut account, Side::Buy, dec!(0.1), dec!(40000));
        assert_eq!(first, Fill { commission: dec!(2), profit: dec!(0) });
        fill(&mut account, Side::Buy, dec!(0.3), dec!(44000));
        assert_eq!(account.positions["BTC-USDT"].average_price, dec!(43000));
        assert_eq!(account.used_margin(), dec!(1720));
        let reduced = fill(&mut account, Side::Sell, dec!(0.1), dec!(45000));
        assert_eq!(reduced, Fill { commission: dec!(2.25), profit: dec!(200) });
        assert_eq!((account.amount("BTC-USDT"), account.positions["BTC-USDT"].realised), (dec!(0.3), dec!(200)));
        assert_eq!(account.positions["BTC-USDT"].unrealised(dec!(42000)), dec!(-300));
        let closed = fill(&mut account, Side::Sell, dec!(0.3), dec!(42000));
        assert_eq!(closed.profit, dec!(-300));
        assert!(account.positions.is_empty());
        // 10000 + 200 - 300 - fees of 2, 6.6, 2.25 and 6.3.
        assert_eq!((account.balance, account.realised, account.fees), (dec!(9882.85), dec!(-100), dec!(17.15)));
    }

    #[test]
    fn selling_more_than_there_is_turns_the_position() {
        let mut account = Account::new(dec!(10000));
        fill(&mut account, Side::Buy, dec!(1), dec!(100));
        assert_eq!(account.opening_part("BTC-USDT", Side::Sell, dec!(3)), dec!(2));
        let turned = fill(&mut account, Side::Sell, dec!(3), dec!(110));
        assert_eq!(turned.profit, dec!(10));
        let position = account.positions["BTC-USDT"].clone();
        assert_eq!((position.amount, position.average_price, position.realised), (dec!(-2), dec!(110), dec!(0)));
        assert_eq!(position.unrealised(dec!(100)), dec!(20));
        assert_eq!(fill(&mut account, Side::Buy, dec!(2), dec!(120)).profit, dec!(-20));
        assert!(account.positions.is_empty());
    }

    #[test]
    fn makers_pay_less() {
        let mut account = Account::new(dec!(1000));
        let fill = account.fill("ETH-USDT", Side::Sell, dec!(1), dec!(3000), Liquidity::Maker, 1);
        assert_eq!(fill.commission, dec!(0.6));
        assert_eq!(account.balance, dec!(999.4));
    }
}
