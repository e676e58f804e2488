//! Decisions: what to do, how sure, and why.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{CandleSeries, DecisionId, PriceQuote, Symbol};

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Action {
    /// Buy.
    Buy,
    /// Sell.
    Sell,
    /// Do nothing.
    Hold,
}

impl Action {
    /// `BUY`, `SELL` or `HOLD`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "BUY",
            Self::Sell => "SELL",
            Self::Hold => "HOLD",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a decision is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StrategyName {
    /// Moving averages and RSI over closed candles. The default.
    Technical,
    /// A language model's opinion on the same numbers; falls back to `technical` and says so.
    Llm,
    /// Seeded, for tests.
    Random,
}

impl StrategyName {
    /// Every strategy.
    pub const ALL: [Self; 3] = [Self::Technical, Self::Llm, Self::Random];

    /// `technical`, `llm` or `random`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Technical => "technical",
            Self::Llm => "llm",
            Self::Random => "random",
        }
    }
}

impl fmt::Display for StrategyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no strategy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the strategy is one of technical, llm, random")]
pub struct StrategyNameError;

impl FromStr for StrategyName {
    type Err = StrategyNameError;

    fn from_str(text: &str) -> Result<Self, StrategyNameError> {
        Self::ALL.into_iter().find(|name| name.as_str() == text).ok_or(StrategyNameError)
    }
}

/// Body of `POST /v1/decisions` of decision-service: the market as the caller saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DecisionRequest {
    /// The price now.
    pub price: PriceQuote,
    /// Closed candles (open ones are ignored), oldest first, of the same symbol.
    pub candles: CandleSeries,
    /// Which strategy decides; the service's default when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<StrategyName>,
}

/// The numbers a decision rests on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Indicators {
    /// Simple moving average of the fast window, in the quote currency.
    #[schema(value_type = Option<String>)]
    pub sma_fast: Option<Decimal>,
    /// Simple moving average of the slow window, in the quote currency.
    #[schema(value_type = Option<String>)]
    pub sma_slow: Option<Decimal>,
    /// Relative strength index, Wilder's, 0 to 100.
    #[schema(value_type = Option<String>)]
    pub rsi: Option<Decimal>,
}

/// That another strategy than the one asked for decided, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Fallback {
    /// The strategy that could not decide.
    pub from: StrategyName,
    /// Why, in a sentence for people.
    pub reason: String,
}

/// A decision. Reply of `POST /v1/decisions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Decision {
    /// Its id, for every later step.
    pub decision_id: DecisionId,
    /// What was decided about.
    pub symbol: Symbol,
    /// What to do.
    pub action: Action,
    /// How sure, from 0 to 1, with two decimals.
    #[schema(value_type = String, example = "0.72")]
    pub confidence: Decimal,
    /// Why, in a sentence for people.
    pub reason: String,
    /// The strategy that decided.
    pub strategy: StrategyName,
    /// Set when the strategy asked for could not decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// What the decision cost, in US dollars (language model tokens).
    #[schema(value_type = String, example = "0.000315")]
    pub cost_usd: Decimal,
    /// The numbers it rests on.
    pub indicators: Indicators,
    /// When it was made.
    pub decided_at: DateTime<Utc>,
    /// Trace of the request that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}
