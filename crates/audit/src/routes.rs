//! The API, and its description.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Query, ServiceConfig, get};
use actix_web::{HttpResponse, post};
use domain::{AuditEntry, ChainReply, Page, PageQuery, ProcessRequest, UserId};
use serde::Deserialize;
use utoipa::OpenApi;
use web::{JsonBody, Problem, ProblemBody};

use crate::process::Processor;
use crate::trail::{Filter, Trail};

/// The description of the API.
#[derive(OpenApi)]
#[openapi(
    info(title = "audit-service", description = "What was done, by whom, in which trace. Rows are never changed."),
    paths(process, list_audit),
    components(schemas(ProblemBody))
)]
pub(crate) struct Api;

/// Adds the routes.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    routes.service(process).route("/audit", get().to(list_audit));
}

/// Record a request.
///
/// Once an event: what is delivered again finds its row, and the answer says `Idempotent-Replayed: true`.
#[utoipa::path(
    tag = "chain",
    request_body = ProcessRequest,
    responses(
        (status = 200, body = ChainReply),
        (status = 400, description = "`bad_json`, `bad_body`, `bad_context`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "The service behind, where there is one, answered with an error; `upstream` names it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database, or the service behind, is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "No answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/process")]
async fn process(
    processor: Data<Processor>,
    JsonBody(request): JsonBody<ProcessRequest>,
) -> Result<HttpResponse, Problem> {
    let request = web::accepted(request)?;
    Ok(web::detached(async move { processor.process(request).await }).await??.into())
}

/// Which rows.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only this user's
    // A text, so that what is wrong with it can be said in words.
    #[param(value_type = Option<i64>, minimum = 1)]
    user_id: Option<String>,
    /// Only those of this trace, 32 hex digits
    trace_id: Option<String>,
}

/// The audit trail, newest first.
#[utoipa::path(
    get,
    path = "/audit",
    tag = "audit",
    params(PageQuery, Which),
    responses(
        (status = 200, body = Page<AuditEntry>),
        (status = 400, description = "`bad_limit`, `bad_cursor`, `bad_query`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn list_audit(
    trail: Data<Trail>,
    query: Query<PageQuery>,
    which: Query<Which>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    let Which { user_id, trace_id } = which.into_inner();
    let refused = |why: String| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_query", format!("The query cannot be understood: {why}."))
    };
    let user_id =
        user_id.as_deref().map(str::parse::<UserId>).transpose().map_err(|error| refused(error.to_string()))?;
    let trace_id = trace_id.map(|id| id.to_ascii_lowercase());
    if trace_id.as_ref().is_some_and(|id| id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Err(refused("a trace_id has 32 hex digits".to_owned()));
    }
    let mut page = trail.list(&query, &Filter { user_id, trace_id }).await?;
    page.trace_id = telemetry::trace_id();
    Ok(Json(page))
}
