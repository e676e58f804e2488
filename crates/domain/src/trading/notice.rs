//! What people are told of trading: from order-service to notifier-service.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Refusal, Signal, StateChange, TradeOrder};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum TradeEvent {
    /// An order was made, or changed.
    Order {
        /// As it is now.
        order: Box<TradeOrder>,
    },
    /// A signal or an order was refused by a limit or by the trading state.
    Refusal {
        /// The signal.
        signal: Box<Signal>,
        /// Why.
        refusal: Refusal,
    },
    /// The trading state was changed.
    State {
        /// From what to what, by whom.
        change: StateChange,
    },
}

/// Body of `POST /v1/notices` of notifier-service: something that people are told, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TradeNotice {
    /// Its id, of 1 to 200 characters that can be seen: the same notice that comes again is told once.
    #[schema(min_length = 1, max_length = 200, pattern = "^[!-~]{1,200}$")]
    pub notice_id: String,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Trace in which it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// What happened.
    pub event: TradeEvent,
}
