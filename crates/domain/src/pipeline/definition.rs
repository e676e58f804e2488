//! A pipeline as somebody has made it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Step, Trigger};

/// A pipeline's id: a UUID in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "7f3c1a52-6a4e-4b0e-9d0f-3f6f0b9f8c11")]
pub struct PipelineId(String);

/// A text that is no such id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a pipeline's id is a UUID in lower case, like 7f3c1a52-6a4e-4b0e-9d0f-3f6f0b9f8c11")]
pub struct PipelineIdError;

impl PipelineId {
    /// The UUID.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PipelineId {
    type Err = PipelineIdError;

    fn from_str(text: &str) -> Result<Self, PipelineIdError> {
        let dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
        let fits = |(at, c): (usize, u8)| match c {
            b'-' => dash(at),
            b'0'..=b'9' | b'a'..=b'f' => !dash(at),
            _ => false,
        };
        let sound = text.len() == 36 && text.bytes().enumerate().all(fits);
        sound.then(|| Self(text.to_owned())).ok_or(PipelineIdError)
    }
}

impl TryFrom<String> for PipelineId {
    type Error = PipelineIdError;

    fn try_from(text: String) -> Result<Self, PipelineIdError> {
        text.parse()
    }
}

impl From<PipelineId> for String {
    fn from(id: PipelineId) -> Self {
        id.0
    }
}

impl fmt::Display for PipelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a pipeline may cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Budget {
    /// Most US dollars a day (UTC), 0 to 10,000: once they are spent it is not executed until the next day.
    #[schema(value_type = String, example = "0.50")]
    pub usd_per_day: Decimal,
}

/// Body of `POST /v1/pipelines` and `PUT /v1/pipelines/{id}`: a pipeline as somebody wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PipelineRequest {
    /// Its name, unique: 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// What it is for, at most 1,000 characters.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub description: String,
    /// Whether it is set off at all; by hand it always is.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What sets it off.
    pub trigger: Trigger,
    /// What it does, one step after the other: 1 to 20.
    #[schema(min_items = 1, max_items = 20)]
    pub steps: Vec<Step>,
    /// What it may cost; as much as the language model's own limits allow when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// How often an execution is tried, 1 to 10.
    #[serde(default = "three")]
    #[schema(minimum = 1, maximum = 10)]
    pub max_attempts: u16,
    /// Longest that one attempt may take, in seconds, 1 to 600.
    #[serde(default = "sixty")]
    #[schema(minimum = 1, maximum = 600)]
    pub timeout_seconds: u32,
}

const fn yes() -> bool {
    true
}

const fn three() -> u16 {
    3
}

const fn sixty() -> u32 {
    60
}

/// A pipeline. Reply of `GET /v1/pipelines/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Pipeline {
    /// Its id.
    pub pipeline_id: PipelineId,
    /// Counts its changes, from 1; also in the `ETag`. Who changes it says in `If-Match` which one was seen.
    pub revision: i64,
    /// What it is.
    #[serde(flatten)]
    pub request: PipelineRequest,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid() {
        assert!("7f3c1a52-6a4e-4b0e-9d0f-3f6f0b9f8c11".parse::<PipelineId>().is_ok());
        for bad in ["", "7F3C1A52-6A4E-4B0E-9D0F-3F6F0B9F8C11", "7f3c1a526-a4e-4b0e-9d0f-3f6f0b9f8c11", "x"] {
            assert_eq!(bad.parse::<PipelineId>(), Err(PipelineIdError), "{bad}");
        }
    }

    #[test]
    fn what_is_left_out_has_a_sensible_value() {
        let request: PipelineRequest = serde_json::from_value(serde_json::json!({
            "name": "n", "trigger": {"mode": "signal"},
            "steps": [{"name": "look", "agent": "market_snapshot"}, {"name": "limits", "agent": "risk_check"}],
        }))
        .unwrap();
        assert_eq!((request.enabled, request.max_attempts, request.timeout_seconds), (true, 3, 60));
        let back = serde_json::to_value(&request).unwrap();
        assert_eq!(back["steps"][0]["candles"], 60);
        assert_eq!(back["steps"][1]["maximum_price_age_seconds"], 30);
        assert_eq!(
            back["trigger"],
            serde_json::json!({
                "mode": "signal", "signal_types": [], "tickers": [], "minimum_confidence": "0",
            })
        );
    }
}
