//! The ask: a question in, an answer a symbol out. `POST /v1/ask` of notifier-service.

use std::fmt;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Action, DecisionId, Fallback, Indicators, StrategyName, Symbol};

/// Whether orders are simulated or real.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TradingMode {
    /// No real money moves.
    Paper,
    /// Real orders.
    Live,
}

impl TradingMode {
    /// `paper` or `live`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Live => "live",
        }
    }
}

/// Body of `POST /v1/ask`: symbols, or a question in words; neither means the default symbol.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AskRequest {
    /// Symbols to ask about, at most ten.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub symbols: Vec<Symbol>,
    /// A question in words ("btc and eth?"), instead of `symbols`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// Which strategy decides; the service's default when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<StrategyName>,
}

/// The members of an [`AskRequest`], read strictly.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskMembers {
    #[serde(default)]
    symbols: Vec<Symbol>,
    #[serde(default)]
    question: Option<String>,
    #[serde(default)]
    strategy: Option<StrategyName>,
}

impl<'de> Deserialize<'de> for AskRequest {
    /// Only an object is an ask: derived code would take `[]` too, since every member may be left out.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = AskMembers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with symbols, a question, or nothing")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AskMembers, A::Error> {
                AskMembers::deserialize(MapAccessDeserializer::new(map))
            }
        }
        let AskMembers { symbols, question, strategy } = deserializer.deserialize_map(Object)?;
        Ok(Self { symbols, question, strategy })
    }
}

/// What to do about one symbol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Answer {
    /// The decision's id.
    pub decision_id: DecisionId,
    /// What it is about.
    pub symbol: Symbol,
    /// What to do.
    pub action: Action,
    /// How sure, from 0 to 1.
    #[schema(value_type = String, example = "0.72")]
    pub confidence: Decimal,
    /// Why, in a sentence for people.
    pub reason: String,
    /// The price it rests on, in the quote currency.
    #[schema(value_type = String, example = "46224.00")]
    pub price: Decimal,
    /// When the exchange said that price.
    pub price_observed_at: DateTime<Utc>,
    /// Age of the price in milliseconds when it was read.
    pub price_age_ms: u64,
    /// The strategy that decided.
    pub strategy: StrategyName,
    /// Set when the strategy asked for could not decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// What the decision cost, in US dollars.
    #[schema(value_type = String, example = "0")]
    pub cost_usd: Decimal,
    /// The numbers it rests on.
    pub indicators: Indicators,
    /// Paper or live.
    pub mode: TradingMode,
}

/// Why one symbol of several got no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AskRefusal {
    /// The symbol that got no answer.
    pub symbol: Symbol,
    /// Machine-readable reason, the `code` of the problem.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
}

/// An answer, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AskOutcome {
    /// What to do.
    Answer(Box<Answer>),
    /// Why there is none.
    Refusal(AskRefusal),
}

/// Reply of `POST /v1/ask`, in the order of the symbols asked about.
///
/// When every symbol fails the reply is a problem instead, the first one's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AskResponse {
    /// One outcome a symbol.
    pub outcomes: Vec<AskOutcome>,
    /// The one trace of the whole ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_is_an_ask() {
        assert_eq!(serde_json::from_str::<AskRequest>("{}").unwrap(), AskRequest::default());
        let ask: AskRequest = serde_json::from_str(r#"{"symbols":["btcusdt"],"strategy":"llm"}"#).unwrap();
        assert_eq!((ask.symbols[0].as_str(), ask.strategy), ("BTCUSDT", Some(StrategyName::Llm)));
        for text in ["[]", "7", "null", r#"{"symbol":"BTCUSDT"}"#, r#"{"symbols":7}"#] {
            assert!(serde_json::from_str::<AskRequest>(text).is_err(), "{text} was taken for an ask");
        }
    }
}
