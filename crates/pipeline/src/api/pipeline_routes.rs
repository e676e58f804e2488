//! The API of the pipelines.

use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, LOCATION};
use actix_web::web::{Data, Json, Path, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, delete, get, post, put};
use domain::pipeline::{Pipeline, PipelineId, PipelineRequest};
use domain::{Page, PageQuery};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{OpenApi, ToSchema};
use web::{JsonBody, Problem, ProblemBody};

use super::error::ApiError;
use super::{body, headers};
use crate::count;
use crate::store::{Replaced, Store, StoreError, now};

/// The description of these routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "pipeline-service",
        description = "Pipelines: what is to happen when a signal comes, or every so often; and what happened."
    ),
    paths(create_pipeline, list_pipelines, one_pipeline, replace_pipeline, delete_pipeline),
    components(schemas(ProblemBody, PipelineRequest))
)]
pub(crate) struct Api;

/// Adds the routes.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    routes
        .service(create_pipeline)
        .service(list_pipelines)
        .service(one_pipeline)
        .service(replace_pipeline)
        .service(delete_pipeline);
}

/// A pipeline, and the trace of the request that this answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PipelineReply {
    #[serde(flatten)]
    pipeline: Pipeline,
    /// Trace of the request that this answers; absent when telemetry is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

fn reply(status: StatusCode, pipeline: Pipeline) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response.insert_header((ETAG, headers::etag(pipeline.revision)));
    if status == StatusCode::CREATED {
        response.insert_header((LOCATION, format!("/v1/pipelines/{}", pipeline.pipeline_id)));
    }
    response.json(PipelineReply { pipeline, trace_id: telemetry::trace_id() })
}

/// A pipeline's id of a path. Anything else never reaches a database: PostgreSQL fails at a NUL in a text.
pub(crate) fn pipeline_id(text: &str) -> Result<PipelineId, ApiError> {
    text.to_ascii_lowercase().parse().map_err(|_| ApiError::BadId("a pipeline's id is a UUID"))
}

/// Make a pipeline
///
/// Every field that is wrong is named in the problem's `errors`; fields that are not known are wrong, too.
#[utoipa::path(
    tag = "pipelines",
    request_body = PipelineRequest,
    responses(
        (status = 201, description = "It is made; `Location` says where, `ETag` which revision", body = PipelineReply),
        (status = 400, description = "`bad_json`, `bad_body`; `bad_pipeline`: fields are missing, not known or of another kind", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`name_taken`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`bad_pipeline`: it can be read and not be executed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/v1/pipelines")]
async fn create_pipeline(store: Data<Store>, JsonBody(sent): JsonBody<Value>) -> Result<HttpResponse, Problem> {
    let request = body::pipeline(&sent).map_err(ApiError::from)?;
    let made = web::detached(async move { store.create(&request, now()).await }).await?.map_err(ApiError::from)?;
    tracing::info!(pipeline.id = %made.pipeline_id, "a pipeline is made");
    Ok(reply(StatusCode::CREATED, made))
}

/// Which pipelines.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those that are enabled (true), or are not (false)
    // A text, so that what is wrong with it can be said in words.
    #[param(value_type = Option<bool>)]
    enabled: Option<String>,
}

/// Pipelines, the newest first
#[utoipa::path(
    tag = "pipelines",
    params(PageQuery, Which),
    responses(
        (status = 200, body = Page<Pipeline>),
        (status = 400, description = "`bad_limit`, `bad_cursor`, `bad_query`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/v1/pipelines")]
async fn list_pipelines(
    store: Data<Store>,
    query: Query<PageQuery>,
    which: Query<Which>,
) -> Result<Json<Page<Pipeline>>, Problem> {
    let enabled = match which.enabled.as_deref() {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(ApiError::Query("enabled is true or false").into()),
    };
    let mut page = store.pipelines(&query, enabled).await.map_err(ApiError::from)?;
    page.trace_id = telemetry::trace_id();
    Ok(Json(page))
}

/// One pipeline
#[utoipa::path(
    tag = "pipelines",
    params(("id" = String, Path, description = "The pipeline's id, a UUID")),
    responses(
        (status = 200, description = "`ETag` says which revision it is", body = PipelineReply),
        (status = 400, description = "`bad_id`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_pipeline`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/v1/pipelines/{id}")]
async fn one_pipeline(store: Data<Store>, id: Path<String>) -> Result<HttpResponse, Problem> {
    let id = pipeline_id(&id)?;
    let found = store.pipeline(&id).await.map_err(ApiError::from)?;
    Ok(reply(StatusCode::OK, found.ok_or(ApiError::Store(StoreError::NoPipeline))?))
}

/// Put another pipeline into the place of one
///
/// `If-Match` says which revision was seen: what somebody else has changed since is not overwritten. Executions that wait
/// or run go on as the pipeline was when they were set off.
#[utoipa::path(
    tag = "pipelines",
    params(
        ("id" = String, Path, description = "The pipeline's id, a UUID"),
        ("If-Match" = String, Header, description = "The pipeline's `ETag`, or `*` for any revision"),
    ),
    request_body = PipelineRequest,
    responses(
        (status = 200, description = "It is changed; `ETag` says which revision it is now", body = PipelineReply),
        (status = 400, description = "`bad_json`, `bad_body`, `bad_id`, `bad_if_match`; `bad_pipeline`: fields are missing, not known or of another kind", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_pipeline`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`name_taken`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "`stale_revision`: somebody has changed it since", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`bad_pipeline`: it can be read and not be executed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 428, description = "`if_match_missing`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[put("/v1/pipelines/{id}")]
async fn replace_pipeline(
    store: Data<Store>,
    id: Path<String>,
    http: HttpRequest,
    JsonBody(sent): JsonBody<Value>,
) -> Result<HttpResponse, Problem> {
    let id = pipeline_id(&id)?;
    let expected = headers::expected_revision(&http)?;
    let request = body::pipeline(&sent).map_err(ApiError::from)?;
    let changed = web::detached(async move { store.replace(&id, expected, &request, now()).await }).await?;
    let Replaced { pipeline: changed, cancelled } = changed.map_err(ApiError::from)?;
    cancelled.iter().for_each(count::ended);
    tracing::info!(pipeline.id = %changed.pipeline_id, pipeline.revision = changed.revision, "a pipeline is changed");
    Ok(reply(StatusCode::OK, changed))
}

/// Delete a pipeline
///
/// Its executions that wait are cancelled; one that runs goes on. The name is free at once.
#[utoipa::path(
    tag = "pipelines",
    params(
        ("id" = String, Path, description = "The pipeline's id, a UUID"),
        ("If-Match" = String, Header, description = "The pipeline's `ETag`, or `*` for any revision"),
    ),
    responses(
        (status = 204, description = "It is deleted"),
        (status = 400, description = "`bad_id`, `bad_if_match`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_pipeline`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "`stale_revision`: somebody has changed it since", body = ProblemBody, content_type = "application/problem+json"),
        (status = 428, description = "`if_match_missing`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[delete("/v1/pipelines/{id}")]
async fn delete_pipeline(store: Data<Store>, id: Path<String>, http: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = pipeline_id(&id)?;
    let expected = headers::expected_revision(&http)?;
    let shown = id.clone();
    let ended = web::detached(async move { store.delete(&id, expected, now()).await }).await?;
    ended.map_err(ApiError::from)?.iter().for_each(count::ended);
    tracing::info!(pipeline.id = %shown, "a pipeline is deleted");
    Ok(HttpResponse::NoContent().finish())
}
