//! What a pipeline does, step by step.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::Interval;

/// How much a step trades.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderSize {
    /// In the base currency.
    #[schema(value_type = String, example = "0.001")]
    Quantity(Decimal),
    /// In the quote currency.
    #[schema(value_type = String, example = "100")]
    Notional(Decimal),
}

/// Who does a step, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "agent", rename_all = "snake_case")]
pub enum Agent {
    /// Takes the price and the latest closed candles from market-data-service.
    MarketSnapshot {
        /// Interval of the candles.
        #[serde(default = "one_minute")]
        interval: Interval,
        /// How many candles, 2 to 500; at least 250 are taken where a step after it decides, which needs them.
        #[serde(default = "sixty")]
        candles: u16,
    },
    /// Has decision-service judge the snapshot by moving averages and RSI.
    TechnicalAnalysis,
    /// Has decision-service ask a language model about the snapshot; what that costs is the execution's cost.
    LlmDecision,
    /// Ends the execution, well, unless everything that is asked for here is so.
    RiskCheck {
        /// Least confidence of the last decision, or of the signal where there is no decision; 0 to 1.
        #[serde(default)]
        #[schema(value_type = String, example = "0.6")]
        minimum_confidence: Decimal,
        /// Whether the last decision has to say what the signal says; no decision says what a signal to close does.
        #[serde(default)]
        agrees_with_signal: bool,
        /// Oldest price that is acted on, in seconds, 1 to 3,600.
        #[serde(default = "thirty")]
        maximum_price_age_seconds: u32,
    },
    /// Has order-service trade what the last decision says, or the signal where there is no decision; nothing for HOLD.
    PlaceOrder {
        /// How much; order-service's default size when left out. A signal to close closes all, whatever stands here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<OrderSize>,
        /// Whether nothing is to be ordered where order-service trades live.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        paper_only: bool,
    },
    /// Has the bot tell the chats that are told of orders.
    Notify {
        /// What is told; a summary of the steps before when left out. At most 500 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(max_length = 500)]
        text: Option<String>,
    },
}

const fn one_minute() -> Interval {
    Interval::OneMinute
}

const fn sixty() -> u16 {
    60
}

const fn thirty() -> u32 {
    30
}

impl Agent {
    /// Every agent's word.
    pub const WORDS: [&'static str; 6] =
        ["market_snapshot", "technical_analysis", "llm_decision", "risk_check", "place_order", "notify"];

    /// Its word: a metric label, a span attribute.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::MarketSnapshot { .. } => "market_snapshot",
            Self::TechnicalAnalysis => "technical_analysis",
            Self::LlmDecision => "llm_decision",
            Self::RiskCheck { .. } => "risk_check",
            Self::PlaceOrder { .. } => "place_order",
            Self::Notify { .. } => "notify",
        }
    }
}

/// A step of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Step {
    /// Its name, unique in the pipeline: 1 to 40 letters, digits, `-` and `_`. With the execution's id it is what makes the
    /// step happen once.
    #[schema(min_length = 1, max_length = 40, pattern = "^[A-Za-z0-9_-]{1,40}$", example = "order")]
    pub name: String,
    /// Who does it.
    #[serde(flatten)]
    pub agent: Agent,
}
