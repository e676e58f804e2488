//! What trading needs of an exchange, and nothing of how one speaks.

use chrono::{DateTime, Utc};
use domain::trading::{OrderKind, OrderStatus, Position, Side};
use domain::{DecisionId, Symbol};
use futures_util::future::LocalBoxFuture;
use rust_decimal::Decimal;

/// An order to be placed. Its id is the exchange's client order id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewOrder {
    pub(crate) id: DecisionId,
    pub(crate) symbol: Symbol,
    pub(crate) side: Side,
    pub(crate) kind: OrderKind,
    /// In the base currency.
    pub(crate) quantity: Decimal,
    pub(crate) reduce_only: bool,
}

/// Why an order was not placed, or may not have been. Sentences without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlaceFailure {
    /// The exchange has not got it from this call, and may take it later: it never left, or came too often or too late.
    #[error("{0}")]
    NotSent(String),
    /// The exchange will not take it.
    #[error("{0}")]
    Refused(String),
    /// The exchange has an order with this id already: ask about it.
    #[error("{0}")]
    Duplicate(String),
    /// Nobody knows: ask before anything else.
    #[error("{0}")]
    Unknown(String),
}

/// An order as the exchange knows it: all of its fills together, in the quote currency where it is money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) exchange_order_id: String,
    /// None for a word that is not known: what is filled says the rest.
    pub(crate) status: Option<OrderStatus>,
    pub(crate) filled: Decimal,
    pub(crate) average_price: Option<Decimal>,
    /// Above zero is paid.
    pub(crate) fee: Decimal,
}

/// Why a question has no answer. Sentences without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskFailure {
    /// The exchange knows no such order.
    #[error("{0}")]
    NoSuchOrder(String),
    /// It gives no answer now.
    #[error("{0}")]
    Unavailable(String),
    /// It said no.
    #[error("{0}")]
    Refused(String),
}

/// The account's money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) asset: String,
    pub(crate) balance: Decimal,
    pub(crate) equity: Decimal,
    pub(crate) available: Decimal,
    pub(crate) as_of: DateTime<Utc>,
}

/// A position as the exchange counts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) symbol: Symbol,
    /// How much, and what it cost at the exchange's average price; none where that cannot be read.
    pub(crate) position: Option<Position>,
}

/// An exchange. A call is made once: whoever calls knows what to do when it fails.
pub(crate) trait Exchange: Send + Sync {
    /// Places an order; the exchange's own id of it.
    fn place<'a>(&'a self, order: &'a NewOrder) -> LocalBoxFuture<'a, Result<String, PlaceFailure>>;
    /// What has become of an order.
    fn query<'a>(&'a self, symbol: &'a Symbol, id: &'a DecisionId) -> LocalBoxFuture<'a, Result<Report, AskFailure>>;
    /// Takes an order back. What has become of it is asked afterwards.
    fn cancel<'a>(&'a self, symbol: &'a Symbol, id: &'a DecisionId) -> LocalBoxFuture<'a, Result<(), AskFailure>>;
    /// The account's money.
    fn balance(&self) -> LocalBoxFuture<'_, Result<Account, AskFailure>>;
    /// What the account holds.
    fn positions(&self) -> LocalBoxFuture<'_, Result<Vec<Held>, AskFailure>>;
}
