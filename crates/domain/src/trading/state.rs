//! Whether trading goes on: one word for everything, kept over restarts.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Limits;
use crate::TradingMode;

/// What may be traded now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TradingState {
    /// Everything that the limits allow.
    Running,
    /// Only what makes positions smaller.
    Reducing,
    /// Nothing.
    Halted,
}

impl TradingState {
    /// Every state, from the freest.
    pub const ALL: [Self; 3] = [Self::Running, Self::Reducing, Self::Halted];

    /// `running`, `reducing` or `halted`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Reducing => "reducing",
            Self::Halted => "halted",
        }
    }
}

impl fmt::Display for TradingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no trading state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("trading is running, reducing or halted")]
pub struct TradingStateError;

impl FromStr for TradingState {
    type Err = TradingStateError;

    fn from_str(text: &str) -> Result<Self, TradingStateError> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(TradingStateError)
    }
}

/// That the trading state was changed, by whom and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StateChange {
    /// What it was.
    pub from: TradingState,
    /// What it is.
    pub to: TradingState,
    /// Who changed it: `telegram:1001`, `alert:BingXOrderFailures`, `cli`.
    pub by: String,
    /// Why, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// How trading stands. `GET /v1/trading/state` of order-service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TradingStatus {
    /// What may be traded.
    pub state: TradingState,
    /// Whether real money moves.
    pub mode: TradingMode,
    /// Since when the state is what it is.
    pub since: DateTime<Utc>,
    /// Who made it so; none when it was never changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The limits that every order must keep.
    pub limits: Limits,
    /// Orders that are not at their end.
    pub open_orders: u64,
    /// Those of them that wait for somebody to confirm them.
    pub awaiting_confirmation: u64,
    /// Those of them whose outcome is not known.
    pub unknown_orders: u64,
    /// Realised today (UTC), fees taken off, in the quote currency.
    #[schema(value_type = String)]
    pub realised_today: rust_decimal::Decimal,
    /// Trace of the request that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}
