//! What people are told of trading: from order-service and pipelines to notifier-service.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{DecisionId, Symbol};

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
    /// The exchange holds something else of a symbol than is counted here, or does so no more.
    PositionDifference {
        /// Which.
        difference: PositionDifference,
    },
    /// A step of a pipeline tells something.
    Pipeline(PipelineNotice),
}

/// What a step of a pipeline tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PipelineNotice {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Which execution of it.
    pub execution_id: DecisionId,
    /// Which market it is about.
    pub symbol: Symbol,
    /// The words, for people.
    pub text: String,
}

/// That the exchange holds something else of a symbol than this platform counts: somebody trades on the same account, or
/// the exchange has closed a position by force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PositionDifference {
    /// Of which symbol.
    pub symbol: Symbol,
    /// What is counted here, in the base currency: above zero is long, below zero short.
    #[schema(value_type = String)]
    pub ours: Decimal,
    /// What the exchange says.
    #[schema(value_type = String)]
    pub exchange: Decimal,
    /// When it was found.
    pub since: DateTime<Utc>,
    /// When it was found to be over; absent while it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pipeline_tells_is_flat() {
        let told = PipelineNotice {
            pipeline: "golden cross".to_owned(),
            execution_id: DecisionId::from_bytes([7; 16]),
            symbol: "BTCUSDT".parse().unwrap(),
            text: "bought".to_owned(),
        };
        let event = TradeEvent::Pipeline(told);
        let json = serde_json::to_value(&event).unwrap();
        let expected = serde_json::json!({
            "kind": "pipeline", "pipeline": "golden cross", "execution_id": "07070707070707070707070707070707",
            "symbol": "BTCUSDT", "text": "bought",
        });
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<TradeEvent>(json).unwrap(), event);
    }
}
