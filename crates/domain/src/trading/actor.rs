//! Who did something, and what people ask of trading.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{TradingState, TradingStatus};
use crate::DecisionId;

/// Who did something: `telegram:1001`, `alert:BingXOrderFailures`, `order-service`. One to 100 characters that can be
/// seen, without a space.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "telegram:1001", min_length = 1, max_length = 100, pattern = "^[!-~]{1,100}$")]
pub struct Actor(String);

/// A text that names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("who does it is a word of 1 to {max} letters, digits and signs, like telegram:1001", max = Actor::MAX_LEN)]
pub struct ActorError;

impl Actor {
    /// Most characters.
    pub const MAX_LEN: usize = 100;

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Somebody by a name from outside: what cannot stand in it becomes `_`, and what is too long is cut.
    #[must_use]
    pub fn named(kind: &str, name: &str) -> Self {
        let fits = |c: char| if c.is_ascii_graphic() { c } else { '_' };
        Self(kind.chars().chain([':']).chain(name.chars()).map(fits).take(Self::MAX_LEN).collect())
    }
}

impl FromStr for Actor {
    type Err = ActorError;

    fn from_str(text: &str) -> Result<Self, ActorError> {
        let sound = (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        sound.then(|| Self(text.to_owned())).ok_or(ActorError)
    }
}

impl TryFrom<String> for Actor {
    type Error = ActorError;

    fn try_from(text: String) -> Result<Self, ActorError> {
        text.parse()
    }
}

impl From<Actor> for String {
    fn from(actor: Actor) -> Self {
        actor.0
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Body of `POST /v1/trading/orders/{id}/confirm`, `/decline` and `/cancel` of order-service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OrderCommand {
    /// Who says so.
    pub by: Actor,
}

/// Body of `PUT /v1/trading/state` of order-service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StateRequest {
    /// What may be traded from now on.
    pub state: TradingState,
    /// Who says so.
    pub by: Actor,
    /// Why, in a sentence of at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 500)]
    pub reason: Option<String>,
    /// Never makes trading freer: where a stricter state holds, it stays, with who made it so and why. `changed` of the
    /// answer is false then, and its state is the one that holds.
    #[serde(default, skip_serializing_if = "is_false")]
    #[schema(default = false)]
    pub only_tighten: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// An open order that a halt or a pause could not take back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NotCancelled {
    /// Which.
    pub order_id: DecisionId,
    /// Why, in a sentence.
    pub detail: String,
}

/// Reply of `PUT /v1/trading/state` of order-service: how trading stands, and what became of the open orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StateOutcome {
    /// How trading stands.
    #[serde(flatten)]
    pub status: TradingStatus,
    /// Whether the state was another one before.
    pub changed: bool,
    /// Open orders that were taken back: all of them when trading was halted, those that could make a position larger when
    /// it was paused.
    #[serde(default)]
    pub cancelled: Vec<DecisionId>,
    /// Open orders that could not be taken back at once; it is tried again for as long as the state does not want them.
    #[serde(default)]
    pub not_cancelled: Vec<NotCancelled>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_says_nothing_of_it_may_loosen() {
        let plain: StateRequest = serde_json::from_str(r#"{"state":"running","by":"cli"}"#).unwrap();
        assert!(!plain.only_tighten);
        assert_eq!(serde_json::to_value(&plain).unwrap(), serde_json::json!({"state": "running", "by": "cli"}));
        let pause = StateRequest { only_tighten: true, ..plain };
        assert_eq!(serde_json::to_value(&pause).unwrap()["only_tighten"], true);
    }

    #[test]
    fn a_name_from_outside_becomes_one_of_ours() {
        assert_eq!(Actor::named("alert", "Bing X\u{0}\u{e4}").as_str(), "alert:Bing_X__");
        let long = Actor::named("alert", &"x".repeat(500));
        assert_eq!((long.as_str().len(), long.as_str().parse()), (100, Ok(long.clone())));
        for bad in ["", "two words", "nul\u{0}", &"x".repeat(101)] {
            assert_eq!(bad.parse::<Actor>(), Err(ActorError), "{bad:?}");
        }
    }
}
