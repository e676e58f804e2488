//! What the next service has refused for good, for whoever looks after the service: to be looked at, and tried again once
//! the reason is gone, or discarded. Not among what api-gateway shows.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, Query, ServiceConfig, get};
use actix_web::{HttpResponse, delete, post};
use chrono::{DateTime, Utc};
use domain::{Page, PageQuery};
use serde::Serialize;
use serde_json::Value;
use storage::outbox::ParkedEntry;
use utoipa::{OpenApi, ToSchema};
use web::{Problem, ProblemBody};

use crate::error::OrderError;
use crate::handover::Handover;
use crate::routes;

/// The description of these routes.
#[derive(OpenApi)]
#[openapi(paths(list_parked, retry_parked, discard_parked))]
pub(crate) struct Api;

/// Adds the routes.
pub(crate) fn configure(config: &mut ServiceConfig) {
    config.route("/outbox/parked", get().to(list_parked)).service(retry_parked).service(discard_parked);
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

/// What the next service has refused for good
///
/// Requests that are set aside, the newest first. Each stays until it is tried again or discarded.
#[utoipa::path(
    get,
    path = "/outbox/parked",
    tag = "operations",
    params(PageQuery),
    responses(
        (status = 200, body = Page<Parked>),
        (status = 400, description = "`bad_limit`, `bad_cursor`, `bad_query`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn list_parked(handover: Data<Option<Handover>>, query: Query<PageQuery>) -> Result<Json<Page<Parked>>, Problem> {
    let (limit, before) = (query.limit().map_err(OrderError::Page)?, query.before().map_err(OrderError::Page)?);
    let entries = match handover.get_ref() {
        Some(handover) => handover.parked(before, u32::from(limit) + 1).await?,
        None => Vec::new(),
    };
    let page = Page::of(entries, limit, |entry| entry.id);
    Ok(Json(Page {
        items: page.items.into_iter().map(Parked::from).collect(),
        next_cursor: page.next_cursor,
        trace_id: telemetry::trace_id(),
    }))
}

/// Hand one of them on again
///
/// It goes before all others of its user that wait; what is being handed on at this moment goes on beside it.
#[utoipa::path(
    tag = "operations",
    params(("order_id" = String, Path, description = "The order's id, 32 hex digits")),
    responses(
        (status = 202, description = "It waits to be handed on"),
        (status = 400, description = "`bad_order_id`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_parked`: nothing of this order is set aside", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/outbox/parked/{order_id}/retry")]
async fn retry_parked(handover: Data<Option<Handover>>, order_id: Path<String>) -> Result<HttpResponse, Problem> {
    let order_id = routes::order_id(order_id)?;
    let found = match handover.get_ref() {
        Some(handover) => handover.give_back(&order_id).await?,
        None => false,
    };
    if found { Ok(HttpResponse::Accepted().finish()) } else { Err(not_parked()) }
}

/// Discard one of them
///
/// Its request will never be handed on; the order stands. The log keeps the order's id and why it was refused.
#[utoipa::path(
    tag = "operations",
    params(("order_id" = String, Path, description = "The order's id, 32 hex digits")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 400, description = "`bad_order_id`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_parked`: nothing of this order is set aside", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[delete("/outbox/parked/{order_id}")]
async fn discard_parked(handover: Data<Option<Handover>>, order_id: Path<String>) -> Result<HttpResponse, Problem> {
    let order_id = routes::order_id(order_id)?;
    let found = match handover.get_ref() {
        Some(handover) => handover.discard(&order_id).await?,
        None => false,
    };
    if found { Ok(HttpResponse::NoContent().finish()) } else { Err(not_parked()) }
}

fn not_parked() -> Problem {
    let sentence = "Nothing of this order is set aside; GET /outbox/parked shows what is.";
    Problem::new(StatusCode::NOT_FOUND, "not_parked", sentence)
}
