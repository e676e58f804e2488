//! Orders at an exchange.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{OrderStatus, SignalSource};
use crate::{DecisionId, Symbol, TradingMode};

/// Which side of the market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Buy.
    Buy,
    /// Sell.
    Sell,
}

impl Side {
    /// `buy` or `sell`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }

    /// A quantity with the sign that it has in a position: what is sold counts below zero.
    #[must_use]
    pub fn signed(self, quantity: Decimal) -> Decimal {
        match self {
            Self::Buy => quantity,
            Self::Sell => -quantity,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Side {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "buy" => Ok(Self::Buy),
            "sell" => Ok(Self::Sell),
            other => Err(format!("a side is buy or sell, not {other}")),
        }
    }
}

/// At which price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum OrderKind {
    /// At the market's price.
    Market,
    /// At this price or better.
    Limit {
        /// In the quote currency.
        #[schema(value_type = String)]
        price: Decimal,
    },
}

/// Where a confirmation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConfirmationState {
    /// Nobody has said anything.
    Pending,
    /// Somebody said yes.
    Confirmed,
    /// Somebody said no.
    Declined,
    /// Nobody said anything in time.
    Expired,
}

impl ConfirmationState {
    /// As databases and JSON have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Declined => "declined",
            Self::Expired => "expired",
        }
    }
}

impl FromStr for ConfirmationState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Pending, Self::Confirmed, Self::Declined, Self::Expired]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("no confirmation is {text}"))
    }
}

/// That somebody has to confirm an order before it is sent: once, and in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Confirmation {
    /// Where it stands.
    pub state: ConfirmationState,
    /// Until when it can be confirmed.
    pub expires_at: DateTime<Utc>,
    /// Who decided, as `telegram:1001`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A move of an order from one status to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Transition {
    /// Where it stood; none when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<OrderStatus>,
    /// Where it stands now.
    pub to: OrderStatus,
    /// When.
    pub at: DateTime<Utc>,
    /// Why, where there is more to say than the status does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An order at an exchange. Its id is the signal's, and the exchange's client order id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TradeOrder {
    /// Its id.
    pub id: DecisionId,
    /// Counts the changes of this order, from 1: of two pictures of an order the one with the higher revision is newer.
    pub revision: i64,
    /// Where the signal came from.
    pub source: SignalSource,
    /// Name of the hook that the signal came through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// The signal's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What is traded.
    pub symbol: Symbol,
    /// Which side.
    pub side: Side,
    /// At which price.
    pub kind: OrderKind,
    /// Whether it may only make a position smaller.
    pub reduce_only: bool,
    /// How much, in the base currency.
    #[schema(value_type = String)]
    pub quantity: Decimal,
    /// Market price when it was made, in the quote currency.
    #[schema(value_type = String)]
    pub reference_price: Decimal,
    /// When the exchange said so.
    pub price_observed_at: DateTime<Utc>,
    /// Whether real money moves.
    pub mode: TradingMode,
    /// Where it stands.
    pub status: OrderStatus,
    /// Why it stands there, where there is more to say than the status does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Set when somebody has to confirm it, or had to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<Confirmation>,
    /// The exchange's own id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange_order_id: Option<String>,
    /// How much of it is filled, in the base currency.
    #[schema(value_type = String)]
    pub filled_quantity: Decimal,
    /// Average price of what is filled, in the quote currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub average_price: Option<Decimal>,
    /// What the exchange took for it so far, in the quote currency.
    #[schema(value_type = String)]
    pub fee: Decimal,
    /// What it realised so far, fees not taken off, in the quote currency.
    #[schema(value_type = String)]
    pub realised_pnl: Decimal,
    /// Trace of the signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// When the signal arrived at the platform.
    pub received_at: DateTime<Utc>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When the exchange took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<DateTime<Utc>>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Every status it had, oldest first; only where one order is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Transition>,
}

impl TradeOrder {
    /// Whether it waits for somebody to confirm it.
    #[must_use]
    pub fn awaits_confirmation(&self) -> bool {
        self.status == OrderStatus::New
            && self.confirmation.as_ref().is_some_and(|confirmation| confirmation.state == ConfirmationState::Pending)
    }
}
