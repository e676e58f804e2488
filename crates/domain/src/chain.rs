//! The business chain: gateway → user → order → audit (spec E1, E2). What its services say to each other.
//!
//! A service of the chain takes a [`ProcessRequest`] at `POST /process`, does its part, hands the request with its own
//! findings in [`ChainContext`] to the next service, and answers with its [`ChainPart`] before those of the services
//! behind it. Any service that keeps to this can be put into the chain.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{DecisionId, Email, OrderAction, OrderItemRequest, UserId, Username};

/// Most items of one order.
pub const MAX_ITEMS: usize = 50;

/// What a client wants done, `POST /api/v1/process`; and, with `context`, what one service of the chain hands to the
/// next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessRequest {
    /// Who it is for.
    #[schema(value_type = i64, minimum = 1, example = 1001)]
    pub user_id: UserId,
    /// The user's name, kept when given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 200, example = "John Doe")]
    pub user_name: Option<Username>,
    /// The user's e-mail address, kept when given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 254, example = "john@example.com")]
    pub user_email: Option<Email>,
    /// What is to be done, a word such as `purchase`.
    #[schema(value_type = String, max_length = 64, example = "purchase")]
    pub action: OrderAction,
    /// What is ordered, 50 items at most; left out or empty, the action decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "crate::objects::list")]
    #[schema(required = false, max_items = 50)]
    pub items: Vec<OrderItemRequest>,
    /// The decision that this follows, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub decision_id: Option<DecisionId>,
    /// What the services before have found out; the chain's own, not for clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<ChainContext>,
}

/// What travels along the chain beside the request (spec E4). What other services want to hand on goes into `business`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChainContext {
    /// The gateway's id of the request, which its reply carries too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Makes a repetition of the request have no further effect; scoped to the client by the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The user as user-service knows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// The order as order-service made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// What other services of the chain want to hand on, each under its own name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub business: Map<String, Value>,
    /// The services that the request came through, first to last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<Hop>,
    /// What went wrong on the way and was recovered from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<RecoveredError>,
}

/// Why a context cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// A word that is none.
    #[error("{0} has 1 to {MAX_WORD} visible ASCII characters")]
    Word(&'static str),
    /// More of something than is handed on.
    #[error("{what} is more than is handed on: at most {limit}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much is.
        limit: usize,
    },
    /// A character that databases and logs do not take.
    #[error("{0} has a control character in it")]
    Control(&'static str),
}

/// Most characters of a key, an id or a name within a context.
const MAX_WORD: usize = 256;
/// Most characters of a sentence within a context.
const MAX_SENTENCE: usize = 2_000;
/// Most hops, and most errors recovered from.
const MAX_ENTRIES: usize = 32;
/// Most values in `business`.
const MAX_BUSINESS_VALUES: usize = 1_000;
/// Most bytes of text in `business`.
const MAX_BUSINESS_BYTES: usize = 65_536;

impl ChainContext {
    /// Whether everything in it is bounded and can be kept by any database: services of other people may have put it
    /// there, and it stays in the audit trail for ever.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn check(&self) -> Result<(), ContextError> {
        let order = self.order.as_ref();
        let words = [
            ("context.request_id", self.request_id.as_deref()),
            ("context.idempotency_key", self.idempotency_key.as_deref()),
            ("context.order.id", order.map(|order| order.id.as_str())),
            ("context.order.currency", order.and_then(|order| order.currency.as_deref())),
            ("context.order.trace_id", order.and_then(|order| order.trace_id.as_deref())),
        ];
        for (what, text) in words {
            text.map_or(Ok(()), |text| word(what, text))?;
        }
        if let Some(user) = &self.user {
            sentence("context.user.name", user.name.as_deref().unwrap_or_default())?;
            sentence("context.user.email", user.email.as_deref().unwrap_or_default())?;
        }
        for (what, count, limit) in [
            ("context.order.items", order.map_or(0, |order| order.items.len()), MAX_ITEMS),
            ("context.hops", self.hops.len(), MAX_ENTRIES),
            ("context.errors", self.errors.len(), MAX_ENTRIES),
        ] {
            if count > limit {
                return Err(ContextError::TooMuch { what, limit });
            }
        }
        for hop in &self.hops {
            word("context.hops", &hop.service)?;
            word("context.hops", &hop.version)?;
        }
        for error in &self.errors {
            for text in [&error.service, &error.code, &error.detail, &error.recovery] {
                sentence("context.errors", text)?;
            }
        }
        business(&self.business)
    }
}

fn word(what: &'static str, text: &str) -> Result<(), ContextError> {
    let well_formed = (1..=MAX_WORD).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if well_formed { Ok(()) } else { Err(ContextError::Word(what)) }
}

fn sentence(what: &'static str, text: &str) -> Result<(), ContextError> {
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(ContextError::Control(what));
    }
    if text.chars().count() > MAX_SENTENCE {
        return Err(ContextError::TooMuch { what, limit: MAX_SENTENCE });
    }
    Ok(())
}

/// JSON as deep as its parser lets through (128), walked without recursion.
fn business(members: &Map<String, Value>) -> Result<(), ContextError> {
    const WHAT: &str = "context.business";
    let (mut values, mut bytes) = (0, 0);
    let mut text = |text: &str| {
        bytes += text.len();
        if text.contains('\0') {
            return Err(ContextError::Control(WHAT));
        }
        if bytes > MAX_BUSINESS_BYTES {
            return Err(ContextError::TooMuch { what: WHAT, limit: MAX_BUSINESS_BYTES });
        }
        Ok(())
    };
    let mut left: Vec<&Value> = Vec::new();
    for (name, value) in members {
        text(name)?;
        left.push(value);
    }
    while let Some(value) = left.pop() {
        values += 1;
        if values + left.len() > MAX_BUSINESS_VALUES {
            return Err(ContextError::TooMuch { what: WHAT, limit: MAX_BUSINESS_VALUES });
        }
        match value {
            Value::String(string) => text(string)?,
            Value::Array(items) => left.extend(items),
            Value::Object(members) => {
                for (name, value) in members {
                    text(name)?;
                    left.push(value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    Ok(())
}

/// A service that the request came through: the technical context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Hop {
    /// Its name.
    pub service: String,
    /// Its version.
    pub version: String,
    /// When the request reached it.
    pub at: DateTime<Utc>,
    /// How long it worked before it handed the request on, in milliseconds.
    pub worked_ms: u64,
}

/// Something that went wrong and was recovered from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecoveredError {
    /// Where it was noticed.
    pub service: String,
    /// A bounded word for what went wrong.
    pub code: String,
    /// In a sentence.
    pub detail: String,
    /// What was done instead.
    pub recovery: String,
}

/// What the services of the chain answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChainReply {
    /// Each service's part, in the order of the chain.
    pub parts: Vec<ChainPart>,
}

/// One service's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChainPart {
    /// Its name.
    pub service: String,
    /// How it went.
    pub status: PartStatus,
    /// How long it worked itself, in milliseconds.
    pub worked_ms: u64,
    /// What it has to say.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub data: Value,
}

impl ChainPart {
    /// How the whole went: refused where a part was, else deferred where one was, else done.
    #[must_use]
    pub fn worst(parts: &[Self]) -> PartStatus {
        let any = |status| parts.iter().any(|part| part.status == status);
        if any(PartStatus::Refused) {
            PartStatus::Refused
        } else if any(PartStatus::Deferred) {
            PartStatus::Deferred
        } else {
            PartStatus::Done
        }
    }
}

/// How a service's part went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartStatus {
    /// Done.
    Done,
    /// Written down durably, and done as soon as it can be.
    Deferred,
    /// Refused for good by its service: it is not done, and set aside for a person to look at.
    Refused,
}

/// Answer of `POST /api/v1/process`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProcessResponse {
    /// `done`; `deferred` when a service's part is still to be done; `refused` when a service behind would not do its part.
    pub status: PartStatus,
    /// Each service's part, in the order of the chain.
    pub services: Vec<ChainPart>,
    /// The gateway's id of the request.
    pub request_id: String,
    /// Trace of the whole chain; absent when telemetry is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// A user, as user-service keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct User {
    /// The user's id.
    #[schema(value_type = i64, example = 1001)]
    pub id: UserId,
    /// The name last given.
    pub name: Option<String>,
    /// The e-mail address last given.
    pub email: Option<String>,
    /// First request.
    pub first_seen_at: DateTime<Utc>,
    /// Latest request.
    pub last_seen_at: DateTime<Utc>,
    /// Requests so far.
    pub request_count: i64,
}

/// An order, as order-service keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Order {
    /// Its id, one word of 32 hex digits.
    #[schema(example = "4bf92f3577b34da6a3ce929d0e0e4736")]
    pub id: String,
    /// Who ordered.
    #[schema(value_type = i64, example = 1001)]
    pub user_id: UserId,
    /// What was to be done.
    #[schema(value_type = String, example = "purchase")]
    pub action: OrderAction,
    /// Sum of the items, in `currency`.
    #[schema(value_type = String, example = "46.22")]
    pub total: rust_decimal::Decimal,
    /// The items' quote currency; none without items.
    #[schema(example = "USDT")]
    pub currency: Option<String>,
    /// What was ordered.
    pub items: Vec<OrderItem>,
    /// The decision that it follows, if one does.
    pub decision_id: Option<DecisionId>,
    /// Trace of the request that made it; none when telemetry was off.
    pub trace_id: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// One item of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OrderItem {
    /// What.
    pub symbol: crate::Symbol,
    /// How much, in the base currency.
    #[schema(value_type = String, example = "0.001")]
    pub quantity: rust_decimal::Decimal,
    /// Price of one, in the quote currency.
    #[schema(value_type = String, example = "46224.00")]
    pub unit_price: rust_decimal::Decimal,
    /// Quantity times price, in the quote currency.
    #[schema(value_type = String, example = "46.224")]
    pub total: rust_decimal::Decimal,
    /// When the exchange said that price.
    pub price_observed_at: DateTime<Utc>,
}

/// A row of the audit trail; it is never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// Its place in the trail.
    pub id: i64,
    /// Id of what is recorded: a second delivery of the same event makes no second row.
    pub event_id: String,
    /// Who did it.
    #[schema(value_type = i64, example = 1001)]
    pub user_id: UserId,
    /// What was done.
    #[schema(value_type = String, example = "purchase")]
    pub action: OrderAction,
    /// The order that was made, if one was.
    pub order_id: Option<String>,
    /// The decision that it followed, if one was.
    pub decision_id: Option<DecisionId>,
    /// Trace of the request; none when telemetry was off.
    pub trace_id: Option<String>,
    /// The request and the whole context it came with.
    #[schema(value_type = Object)]
    pub context: Value,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_requests_are_read() {
        let short: ProcessRequest = serde_json::from_str(r#"{"user_id": 1001, "action": "test_trace"}"#).unwrap();
        assert_eq!((short.user_id.get(), short.action.as_str()), (1001, "test_trace"));
        let long: ProcessRequest = serde_json::from_str(
            r#"{"user_id": 1001, "user_name": "John Doe", "user_email": "john@example.com", "action": "purchase"}"#,
        )
        .unwrap();
        assert_eq!(long.user_name.as_ref().map(Username::as_str), Some("John Doe"));
        let written = serde_json::to_value(&long).unwrap();
        assert_eq!(written["user_email"], "john@example.com");
        assert!(written.get("items").is_none() && written.get("context").is_none(), "{written}");
    }

    #[test]
    fn a_context_is_bounded_and_can_be_kept() {
        let read = |context: Value| {
            let context: ChainContext = serde_json::from_value(context).map_err(|error| error.to_string())?;
            context.check().map_err(|error| error.to_string())
        };
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(read(json(r#"{"idempotency_key": "a:b", "business": {"x": [1, {"y": "é"}]}}"#)), Ok(()));
        let hop = json(r#"{"service": "x", "version": "1", "at": "2026-01-01T00:00:00Z", "worked_ms": 1}"#);
        for bad in [
            json(r#"{"idempotency_key": ""}"#),
            json(r#"{"idempotency_key": "a\u0000b"}"#),
            json(r#"{"request_id": "a b"}"#),
            json(r#"{"unknown": 1}"#),
            json(r#"{"business": {"x": ["\u0000"]}}"#),
            json(r#"{"business": {"\u0000": 1}}"#),
            serde_json::json!({"idempotency_key": "k".repeat(257)}),
            serde_json::json!({"business": {"x": "y".repeat(65_537)}}),
            serde_json::json!({"business": {"x": vec![1; 1_001]}}),
            serde_json::json!({"hops": vec![hop; 33]}),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_whole_is_as_good_as_its_worst_part() {
        let part = |status| ChainPart { service: String::new(), status, worked_ms: 0, data: Value::Null };
        let worst = |of: &[PartStatus]| ChainPart::worst(&of.iter().map(|status| part(*status)).collect::<Vec<_>>());
        assert_eq!(worst(&[PartStatus::Done, PartStatus::Done]), PartStatus::Done);
        assert_eq!(worst(&[PartStatus::Deferred, PartStatus::Done]), PartStatus::Deferred);
        assert_eq!(worst(&[PartStatus::Refused, PartStatus::Deferred]), PartStatus::Refused);
    }

    #[test]
    fn an_item_is_an_object() {
        let read = |items: &str| {
            serde_json::from_str::<ProcessRequest>(&format!(r#"{{"user_id": 1, "action": "buy", "items": {items}}}"#))
        };
        assert_eq!(read(r#"[{"symbol": "BTCUSDT", "quantity": 0.1}]"#).unwrap().items.len(), 1);
        for bad in [r#"[["BTCUSDT", "0.1"]]"#, "[7]", "{}"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_misspelt_is_refused() {
        let refused = serde_json::from_str::<ProcessRequest>(r#"{"user_id": 1, "action": "buy", "itmes": []}"#);
        assert!(refused.unwrap_err().to_string().contains("itmes"));
    }
}
