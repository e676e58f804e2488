//! The API of trading's events, and its description.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Query, ServiceConfig};
use actix_web::{HttpResponse, get, post};
use domain::trading::{AuditEvent, RecordedEvent};
use domain::{DecisionId, Page, PageQuery};
use serde::Deserialize;
use utoipa::OpenApi;
use web::{JsonBody, Problem, ProblemBody};

use crate::error::AuditError;
use crate::events::{EventFilter, Events};

/// The description of these routes.
#[derive(OpenApi)]
#[openapi(paths(record_event, list_events))]
pub(crate) struct Api;

/// Adds the routes.
pub(crate) fn configure(config: &mut ServiceConfig) {
    config.service(record_event).service(list_events);
}

/// Record what happened in trading
///
/// Once an id: what is delivered again finds its row, and the answer says `Idempotent-Replayed: true`.
#[utoipa::path(
    tag = "trading",
    request_body = AuditEvent,
    responses(
        (status = 200, body = RecordedEvent),
        (status = 400, description = "`bad_json`, `bad_body`, `bad_event`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "No answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/v1/events")]
async fn record_event(events: Data<Events>, JsonBody(event): JsonBody<AuditEvent>) -> Result<HttpResponse, Problem> {
    event.check().map_err(AuditError::Event)?;
    let recorded = web::detached(async move { events.record(&event).await }).await??;
    let mut response = HttpResponse::Ok();
    if recorded.again {
        response.insert_header((web::REPLAYED, "true"));
    }
    Ok(response.json(recorded.event))
}

/// Which events.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those of this signal or order, 32 hex digits
    // Texts, so that what is wrong with them can be said in words.
    decision_id: Option<String>,
    /// Only those of this trace, 32 hex digits
    trace_id: Option<String>,
}

/// What happened in trading, newest first
#[utoipa::path(
    tag = "trading",
    params(PageQuery, Which),
    responses(
        (status = 200, body = Page<RecordedEvent>),
        (status = 400, description = "`bad_limit`, `bad_cursor`, `bad_query`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/v1/events")]
async fn list_events(
    events: Data<Events>,
    query: Query<PageQuery>,
    which: Query<Which>,
) -> Result<Json<Page<RecordedEvent>>, Problem> {
    let Which { decision_id, trace_id } = which.into_inner();
    let refused = |why: &str| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_query", format!("The query cannot be understood: {why}."))
    };
    // Both are 32 hex digits.
    let read = |id: Option<String>, why: &str| {
        let read = id.map(|id| id.to_ascii_lowercase().parse::<DecisionId>()).transpose();
        read.map_err(|_| refused(why))
    };
    let decision_id = read(decision_id, "a decision_id has 32 hex digits")?;
    let trace_id = read(trace_id, "a trace_id has 32 hex digits")?.map(String::from);
    let mut page = events.list(&query, &EventFilter { decision_id, trace_id }).await?;
    page.trace_id = telemetry::trace_id();
    Ok(Json(page))
}
