//! What the account has.

use domain::Symbol;
use rust_decimal::Decimal;

/// The account's money, in its asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// `USDT`, or `VST` for demo money.
    pub asset: String,
    /// Deposits and what was realised; open positions are not in it.
    pub balance: Decimal,
    /// Balance and unrealised profit.
    pub equity: Decimal,
    /// Of open positions.
    pub unrealised_profit: Decimal,
    /// Realised since the account began.
    pub realised_profit: Decimal,
    /// What new orders may use as margin.
    pub available_margin: Decimal,
    /// Margin of open positions.
    pub used_margin: Decimal,
    /// Margin of waiting orders.
    pub frozen_margin: Decimal,
}

/// A position in one-way mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// In what.
    pub symbol: Symbol,
    /// In coins: positive is long, negative is short.
    pub amount: Decimal,
    /// Average price of entry.
    pub average_price: Decimal,
    /// At BingX's mark price.
    pub unrealised_profit: Decimal,
    /// Realised by this position so far.
    pub realised_profit: Decimal,
    /// Times the margin; `None` when BingX does not say.
    pub leverage: Option<Decimal>,
}

/// Everything that the account holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions {
    /// What could be read.
    pub open: Vec<Position>,
    /// What could not.
    pub unreadable: Vec<UnreadablePosition>,
}

/// A position that is there and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadablePosition {
    /// In what, where at least that can be read.
    pub symbol: Option<Symbol>,
    /// What is wrong with it.
    pub reason: String,
}
