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
    /// What is ordered, 50 items at most; left out, the action decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
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

/// What travels along the chain beside the request (spec E4).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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

/// How a service's part went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartStatus {
    /// Done.
    Done,
    /// Written down durably, and done as soon as it can be.
    Deferred,
}

/// Answer of `POST /api/v1/process`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProcessResponse {
    /// `done`, or `deferred` when a service's part is still to be done.
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
    fn what_is_misspelt_is_refused() {
        let refused = serde_json::from_str::<ProcessRequest>(r#"{"user_id": 1, "action": "buy", "itmes": []}"#);
        assert!(refused.unwrap_err().to_string().contains("itmes"));
    }
}
