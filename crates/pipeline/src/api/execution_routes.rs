//! The API of executions, of dead letters among them, and of what signals matched.

use actix_web::web::{Data, Json, Path, Query, ServiceConfig};
use actix_web::{HttpResponse, get, post};
use domain::pipeline::{Execution, ExecutionRef, ExecutionStatus, SignalMatch};
use domain::{DecisionId, Page, PageQuery};
use serde::Deserialize;
use utoipa::OpenApi;
use web::{Problem, ProblemBody};

use super::error::ApiError;
use crate::count;
use crate::store::{Filter, Store, StoreError, now};

/// The description of these routes.
#[derive(OpenApi)]
#[openapi(paths(list_executions, one_execution, replay_execution, discard_execution, signal_matches))]
pub(crate) struct Api;

/// Adds the routes.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    routes
        .service(list_executions)
        .service(one_execution)
        .service(replay_execution)
        .service(discard_execution)
        .service(signal_matches);
}

/// An id of 32 hex digits. Anything else never reaches a database: PostgreSQL fails at a NUL in a text.
fn hex_id(text: &str) -> Result<DecisionId, ApiError> {
    text.to_ascii_lowercase().parse().map_err(|_| ApiError::BadId("it is a word of 32 hex digits"))
}

/// Which executions.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those that stand here; `failed` are the dead letters
    // Texts, so that what is wrong with them can be said in words.
    #[param(value_type = Option<ExecutionStatus>, inline)]
    status: Option<String>,
    /// Only those of this pipeline, a UUID
    pipeline_id: Option<String>,
    /// Only those that this signal has set off, 32 hex digits
    signal_id: Option<String>,
}

impl Which {
    fn read(self) -> Result<Filter, ApiError> {
        let status = self.status.map(|word| word.parse()).transpose();
        let pipeline_id = self.pipeline_id.map(|id| id.to_ascii_lowercase().parse()).transpose();
        let signal_id = self.signal_id.map(|id| id.to_ascii_lowercase().parse()).transpose();
        Ok(Filter {
            status: status
                .map_err(|_| ApiError::Query("status is one of queued, running, success, failed, cancelled"))?,
            pipeline_id: pipeline_id.map_err(|_| ApiError::Query("a pipeline_id is a UUID"))?,
            signal_id: signal_id.map_err(|_| ApiError::Query("a signal_id has 32 hex digits"))?,
        })
    }
}

/// Executions, the newest first
///
/// Without their steps: `steps` is empty here. Those that failed (`status=failed`) are the dead letters.
#[utoipa::path(
    tag = "executions",
    params(PageQuery, Which),
    responses(
        (status = 200, body = Page<Execution>),
        (status = 400, description = "`bad_limit`, `bad_cursor`, `bad_query`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/v1/executions")]
async fn list_executions(
    store: Data<Store>,
    query: Query<PageQuery>,
    which: Query<Which>,
) -> Result<Json<Page<Execution>>, Problem> {
    let filter = which.into_inner().read()?;
    let mut page = store.executions(&query, &filter).await.map_err(ApiError::from)?;
    page.trace_id = telemetry::trace_id();
    Ok(Json(page))
}

/// One execution, with its steps
///
/// Each step says how long it took and what it cost; `trace_id` is the trace that the execution is part of.
#[utoipa::path(
    tag = "executions",
    params(("id" = String, Path, description = "The execution's id", pattern = "^[0-9a-fA-F]{32}$")),
    responses(
        (status = 200, body = Execution),
        (status = 400, description = "`bad_id`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_execution`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/v1/executions/{id}")]
async fn one_execution(store: Data<Store>, id: Path<String>) -> Result<Json<Execution>, Problem> {
    let found = store.execution(&hex_id(&id)?).await.map_err(ApiError::from)?;
    Ok(Json(found.ok_or(ApiError::Store(StoreError::NoExecution))?))
}

/// Try an execution again that has failed
///
/// As often as its pipeline allows; steps that were done are not done again.
#[utoipa::path(
    tag = "executions",
    params(("id" = String, Path, description = "The execution's id", pattern = "^[0-9a-fA-F]{32}$")),
    responses(
        (status = 202, description = "It waits for a worker", body = ExecutionRef),
        (status = 400, description = "`bad_id`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_execution`; `unknown_pipeline`: its pipeline is deleted", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`not_failed`; `already_running`: another execution of the pipeline waits or runs", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/v1/executions/{id}/replay")]
async fn replay_execution(store: Data<Store>, id: Path<String>) -> Result<HttpResponse, Problem> {
    let execution_id = hex_id(&id)?;
    let wanted = execution_id.clone();
    web::detached(async move { store.replay(&wanted).await }).await?.map_err(ApiError::from)?;
    tracing::info!(execution.id = %execution_id, "an execution that failed is replayed");
    let status = ExecutionStatus::Queued;
    Ok(HttpResponse::Accepted().json(ExecutionRef { execution_id, status, trace_id: telemetry::trace_id() }))
}

/// Throw an execution away that has failed, or still waits
#[utoipa::path(
    tag = "executions",
    params(("id" = String, Path, description = "The execution's id", pattern = "^[0-9a-fA-F]{32}$")),
    responses(
        (status = 200, description = "It is cancelled", body = ExecutionRef),
        (status = 400, description = "`bad_id`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_execution`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`not_failed`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/v1/executions/{id}/discard")]
async fn discard_execution(store: Data<Store>, id: Path<String>) -> Result<Json<ExecutionRef>, Problem> {
    let execution_id = hex_id(&id)?;
    let wanted = execution_id.clone();
    let ended = web::detached(async move { store.discard(&wanted, now()).await }).await?.map_err(ApiError::from)?;
    count::ended(&ended);
    tracing::info!(execution.id = %execution_id, "an execution is thrown away");
    Ok(Json(ExecutionRef { execution_id, status: ended.status, trace_id: telemetry::trace_id() }))
}

/// The pipelines that a signal matched, and what came of each
#[utoipa::path(
    tag = "signals",
    params(("signal_id" = String, Path, description = "The signal's id", pattern = "^[0-9a-fA-F]{32}$"), PageQuery),
    responses(
        (status = 200, description = "Empty when it matched none", body = Page<SignalMatch>),
        (status = 400, description = "`bad_id`, `bad_limit`, `bad_cursor`, `bad_query`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_signal`: it has not been looked at, or too long ago", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/v1/signals/{signal_id}/matches")]
async fn signal_matches(
    store: Data<Store>,
    id: Path<String>,
    query: Query<PageQuery>,
) -> Result<Json<Page<SignalMatch>>, Problem> {
    let found = store.matches(&hex_id(&id)?, &query).await.map_err(ApiError::from)?;
    let mut page = found.ok_or(ApiError::NoSignal)?;
    page.trace_id = telemetry::trace_id();
    Ok(Json(page))
}
