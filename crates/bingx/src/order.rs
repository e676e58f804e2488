//! Orders: what is asked for, and what BingX says about it.

use chrono::{DateTime, Utc};
use domain::Symbol;
use rust_decimal::Decimal;

/// Most characters of a client order id.
const MOST_CLIENT_ID: usize = 40;

/// Buy or sell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// `BUY`.
    Buy,
    /// `SELL`.
    Sell,
}

impl Side {
    /// BingX's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "BUY",
            Self::Sell => "SELL",
        }
    }
}

/// Which position an order changes. Only one-way mode is spoken: the account has one position a symbol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum PositionSide {
    /// `BOTH`: the one position there is, long or short.
    #[default]
    Both,
}

impl PositionSide {
    /// BingX's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Both => "BOTH",
        }
    }
}

/// How long a limit order waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeInForce {
    /// `GTC`: until it is filled or cancelled.
    GoodTillCancelled,
    /// `IOC`: what cannot be filled at once is cancelled.
    ImmediateOrCancel,
    /// `FOK`: filled whole at once, or cancelled.
    FillOrKill,
}

impl TimeInForce {
    /// BingX's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GoodTillCancelled => "GTC",
            Self::ImmediateOrCancel => "IOC",
            Self::FillOrKill => "FOK",
        }
    }
}

/// At which price an order is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderKind {
    /// `MARKET`: at once, at the price there is.
    Market,
    /// `LIMIT`: at this price or a better one.
    Limit {
        /// In the quote currency.
        price: Decimal,
        /// How long it waits.
        time_in_force: TimeInForce,
    },
}

/// An order to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// What is traded.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// Which position it changes.
    pub position_side: PositionSide,
    /// Market or limit.
    pub kind: OrderKind,
    /// In coins of the base currency. BingX cuts decimals that the contract does not have.
    pub quantity: Decimal,
    /// Whether it may only make the position smaller.
    pub reduce_only: bool,
    /// Ours, by which it is found again: `[a-zA-Z0-9]{1,40}`. BingX lower-cases it, so it is sent so.
    pub client_order_id: String,
}

/// What is wrong with a [`NewOrder`], in a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NewOrderError {
    /// Symbol whose quote currency is not known.
    #[error("{0} cannot be written as BingX writes symbols: its quote currency is not known")]
    Symbol(Symbol),
    /// The quantity.
    #[error("the quantity of an order is above 0, not {0}")]
    Quantity(Decimal),
    /// The price.
    #[error("the price of a limit order is above 0, not {0}")]
    Price(Decimal),
    /// The client order id.
    #[error("a client order id has 1 to {MOST_CLIENT_ID} letters and digits")]
    ClientOrderId,
}

impl NewOrder {
    /// Whether it can be sent at all.
    ///
    /// # Errors
    /// [`NewOrderError`] with the first mistake.
    pub fn check(&self) -> Result<(), NewOrderError> {
        check_client_order_id(&self.client_order_id)?;
        if self.quantity <= Decimal::ZERO {
            return Err(NewOrderError::Quantity(self.quantity));
        }
        match self.kind {
            OrderKind::Limit { price, .. } if price <= Decimal::ZERO => Err(NewOrderError::Price(price)),
            _ => Ok(()),
        }
    }
}

/// Whether a text can be a client order id.
pub(crate) fn check_client_order_id(id: &str) -> Result<(), NewOrderError> {
    let sound = (1..=MOST_CLIENT_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if sound { Ok(()) } else { Err(NewOrderError::ClientOrderId) }
}

/// What has become of an order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OrderStatus {
    /// `NEW`: taken, nothing filled.
    New,
    /// `PENDING`: on its way into the book, or waiting there.
    Pending,
    /// `PARTIALLY_FILLED`: more may follow.
    PartiallyFilled,
    /// `FILLED`: all of it.
    Filled,
    /// `CANCELED` or `CANCELLED`; part of it may have been filled.
    Cancelled,
    /// `EXPIRED`; part of it may have been filled.
    Expired,
    /// `REJECTED` after it was taken.
    Rejected,
    /// A word that BingX did not document when this was written.
    Other(String),
}

impl OrderStatus {
    pub(crate) fn read(text: &str) -> Self {
        match text.trim().to_ascii_uppercase().as_str() {
            "NEW" => Self::New,
            "PENDING" => Self::Pending,
            "PARTIALLY_FILLED" => Self::PartiallyFilled,
            "FILLED" => Self::Filled,
            "CANCELED" | "CANCELLED" => Self::Cancelled,
            "EXPIRED" => Self::Expired,
            "REJECTED" => Self::Rejected,
            _ => Self::Other(text.to_owned()),
        }
    }

    /// Whether nothing will happen to the order any more. A word that is not known may be anything, so it is not final.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Filled | Self::Cancelled | Self::Expired | Self::Rejected)
    }
}

/// BingX has taken an order. Market orders are filled a moment later: [`crate::Client::order_by_client_id`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedOrder {
    /// BingX's id; a number above 2^53, so it is text.
    pub exchange_order_id: String,
    /// Ours, in lower case.
    pub client_order_id: String,
    /// What is traded.
    pub symbol: Symbol,
    /// Its state, where the answer has one.
    pub status: Option<OrderStatus>,
}

/// An order as BingX knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderReport {
    /// BingX's id; a number above 2^53, so it is text.
    pub exchange_order_id: String,
    /// Ours, in lower case; empty for an order that was placed without one.
    pub client_order_id: String,
    /// What is traded.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// Its state.
    pub status: OrderStatus,
    /// In coins.
    pub original_quantity: Decimal,
    /// In coins.
    pub executed_quantity: Decimal,
    /// Average price of what was filled; `None` while nothing is.
    pub average_price: Option<Decimal>,
    /// Limit price; `None` for a market order.
    pub price: Option<Decimal>,
    /// Fee in the quote currency: positive is a cost, negative a rebate. (On the wire it is the other way round: BingX
    /// writes a fee of 0.0026 USDT as `"-0.002585"`.)
    pub commission: Decimal,
    /// Profit that this order realised, before fees; negative is a loss.
    pub realised_profit: Decimal,
    /// When it last changed, by BingX's clock.
    pub update_time: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> NewOrder {
        NewOrder {
            symbol: "BTCUSDT".parse().unwrap(),
            side: Side::Buy,
            position_side: PositionSide::Both,
            kind: OrderKind::Market,
            quantity: Decimal::ONE,
            reduce_only: false,
            client_order_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        }
    }

    #[test]
    fn orders_that_make_no_sense_are_told_so() {
        assert_eq!(order().check(), Ok(()));
        for id in ["", "with-dash", "umlautä", &"x".repeat(41)] {
            let order = NewOrder { client_order_id: id.to_owned(), ..order() };
            assert_eq!(order.check(), Err(NewOrderError::ClientOrderId), "{id}");
        }
        let nothing = NewOrder { quantity: Decimal::ZERO, ..order() };
        assert_eq!(nothing.check(), Err(NewOrderError::Quantity(Decimal::ZERO)));
        let kind = OrderKind::Limit { price: Decimal::NEGATIVE_ONE, time_in_force: TimeInForce::FillOrKill };
        assert!(matches!(NewOrder { kind, ..order() }.check(), Err(NewOrderError::Price(_))));
    }

    #[test]
    fn unknown_states_are_kept_and_not_final() {
        assert_eq!(OrderStatus::read("CANCELLED"), OrderStatus::read("canceled"));
        let other = OrderStatus::read("SUSPENDED");
        assert_eq!(other, OrderStatus::Other("SUSPENDED".to_owned()));
        assert!(!other.is_final() && !OrderStatus::PartiallyFilled.is_final() && OrderStatus::Expired.is_final());
    }
}
