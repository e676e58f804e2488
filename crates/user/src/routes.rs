//! The API, and its description.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, Query, ServiceConfig};
use actix_web::{HttpResponse, get, post};
use domain::{ChainReply, Page, PageQuery, ProcessRequest, User, UserId};
use utoipa::OpenApi;
use web::{JsonBody, Problem, ProblemBody};

use crate::error::UserError;
use crate::process::Processor;
use crate::users::Users;

/// The description of the API.
#[derive(OpenApi)]
#[openapi(
    info(title = "user-service", description = "Users' profiles; the first link of the business chain."),
    paths(process, list_users, user),
    components(schemas(ProblemBody))
)]
pub(crate) struct Api;

/// Adds the routes.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    routes.service(process).route("/users", actix_web::web::get().to(list_users)).service(user);
}

/// Work on a request, and hand it on.
///
/// The user's profile is made or brought up to date, and the request goes to the next service of the chain. A
/// repetition with the idempotency key of an earlier request gets that one's answer, with `Idempotent-Replayed: true`.
#[utoipa::path(
    tag = "chain",
    request_body = ProcessRequest,
    responses(
        (status = 200, body = ChainReply),
        (status = 400, description = "`bad_json`, `bad_body`, `bad_context`, and what a service behind refuses", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "What a service behind does not find, such as order-service's `unknown_symbol`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`key_in_progress`: a request with this key is being worked on", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`key_mismatch`: the key was used for another request; and what a service behind refuses, such as order-service's `mixed_currencies`, `total_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "A service behind answered with an error; `upstream` names it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database or a service behind is away", body = ProblemBody, content_type = "application/problem+json"),
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

/// Users, the highest id first.
#[utoipa::path(
    get,
    path = "/users",
    tag = "users",
    params(PageQuery),
    responses(
        (status = 200, body = Page<User>),
        (status = 400, description = "`bad_limit`, `bad_cursor`, `bad_query`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn list_users(users: Data<Users>, query: Query<PageQuery>) -> Result<Json<Page<User>>, Problem> {
    let mut page = users.list(&query).await?;
    page.trace_id = telemetry::trace_id();
    Ok(Json(page))
}

/// One user.
#[utoipa::path(
    tag = "users",
    params(("id" = i64, Path, description = "The user's id")),
    responses(
        (status = 200, body = User),
        (status = 400, description = "`bad_path`: no id", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_user`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/users/{id}")]
async fn user(users: Data<Users>, id: Path<String>) -> Result<Json<User>, Problem> {
    // A text until here, so that what is wrong with it can be said in words.
    let id: UserId = id.parse().map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_path", format!("The path cannot be understood: {error}."))
    })?;
    Ok(users.find(id).await?.map(Json).ok_or(UserError::Unknown(id))?)
}
