//! What the next service has refused for good, for whoever looks after the service: to be looked at, and tried again once
//! the reason is gone. Not among what api-gateway shows.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, ServiceConfig};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use storage::outbox::ParkedEntry;
use utoipa::{OpenApi, ToSchema};
use web::{Problem, ProblemBody};

use crate::handover::Handover;

/// Most entries that are shown; when these are dealt with the next ones are.
const MOST: u32 = 100;

/// The description of these routes.
#[derive(OpenApi)]
#[openapi(paths(list_parked, retry_parked))]
pub(crate) struct Api;

/// Adds the routes.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    routes.service(list_parked).service(retry_parked);
}

/// A request that went no further than its order.
#[derive(Debug, Serialize, ToSchema)]
struct Parked {
    /// The order's id, by which it is tried again.
    order_id: String,
    /// Whose it is.
    user_id: String,
    /// Why the next service refused it.
    reason: String,
    /// How often it was tried.
    attempts: i64,
    /// When it was written down.
    created_at: DateTime<Utc>,
    /// When it was set aside.
    parked_at: DateTime<Utc>,
    /// What was to be handed on.
    request: Value,
}

impl From<ParkedEntry> for Parked {
    fn from(entry: ParkedEntry) -> Self {
        // What cannot be read is shown as it stands: that may be what is wrong with it.
        let request = serde_json::from_str(&entry.payload).unwrap_or(Value::String(entry.payload));
        Self {
            order_id: entry.key,
            user_id: entry.group,
            reason: entry.reason,
            attempts: entry.attempts,
            created_at: entry.created_at,
            parked_at: entry.parked_at,
            request,
        }
    }
}

/// What is set aside.
#[derive(Debug, Serialize, ToSchema)]
struct ParkedList {
    /// The oldest first, at most 100.
    items: Vec<Parked>,
}

/// Requests that the next service refused for good, the oldest first.
#[utoipa::path(
    tag = "operations",
    responses(
        (status = 200, body = ParkedList),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/outbox/parked")]
async fn list_parked(handover: Data<Option<Handover>>) -> Result<Json<ParkedList>, Problem> {
    let entries = match handover.get_ref() {
        Some(handover) => handover.parked(MOST).await?,
        None => Vec::new(),
    };
    Ok(Json(ParkedList { items: entries.into_iter().map(Parked::from).collect() }))
}

/// Hand one of them on again, before all others of its user that wait.
#[utoipa::path(
    tag = "operations",
    params(("order_id" = String, Path, description = "The order's id, 32 hex digits")),
    responses(
        (status = 202, description = "It waits to be handed on"),
        (status = 404, description = "`not_parked`: nothing of this order is set aside", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/outbox/parked/{order_id}/retry")]
async fn retry_parked(handover: Data<Option<Handover>>, order_id: Path<String>) -> Result<HttpResponse, Problem> {
    let found = match handover.get_ref() {
        Some(handover) => handover.give_back(&order_id).await?,
        None => false,
    };
    if found {
        return Ok(HttpResponse::Accepted().finish());
    }
    let sentence = "Nothing of this order is set aside; GET /outbox/parked shows what is.";
    Err(Problem::new(StatusCode::NOT_FOUND, "not_parked", sentence))
}
