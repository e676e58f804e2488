//! A pipeline set off by hand.

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, TRANSFER_ENCODING};
use actix_web::web::{Data, Path, ServiceConfig};
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, post};
use domain::Symbol;
use domain::pipeline::{
    Agent, Execution, ExecutionRef, ExecutionStatus, PipelineId, PipelineRequest, Trigger, TriggerMode,
};
use serde::Deserialize;
use tracing::Instrument as _;
use tracing::field::Empty;
use utoipa::{OpenApi, ToSchema};
use web::{JsonBody, Problem, ProblemBody};

use super::error::ApiError;
use super::headers;
use super::pipeline_routes::pipeline_id;
use crate::store::{Enqueued, New, Store, StoreError, now};

/// The description of this route.
#[derive(OpenApi)]
#[openapi(paths(run_pipeline))]
pub(crate) struct Api;

/// Adds the route.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    routes.service(run_pipeline);
}

/// How often a pipeline that is being changed is looked at again.
const LOOKS: u8 = 3;

/// Body of `POST /v1/pipelines/{id}/run`; may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RunRequest {
    /// Which market it is about. Left out, the one of the pipeline's clock, or the first of its trigger's.
    symbol: Option<Symbol>,
}

/// What came of it.
struct Run {
    execution_id: domain::DecisionId,
    status: ExecutionStatus,
    replayed: bool,
}

/// Execute a pipeline now
///
/// Whether it is enabled or not, unless an execution of it waits or runs, or its budget for the day is spent. With an
/// `Idempotency-Key`, a repetition gets the execution that the first request set off, with `Idempotent-Replayed: true`, for
/// as long as that is kept.
#[utoipa::path(
    tag = "executions",
    params(
        ("id" = String, Path, description = "The pipeline's id, a UUID"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 128 visible ASCII characters"),
    ),
    request_body(content = Option<RunRequest>, description = "May be left out"),
    responses(
        (status = 202, description = "It waits for a worker; `Location` says where to look", body = ExecutionRef),
        (status = 400, description = "`bad_json`, `bad_body`, `bad_id`, `bad_idempotency_key`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_pipeline`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`already_running`, `budget_spent`; `pipeline_changed`: try again", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`symbol_needed`: the pipeline is for every market; `signal_needed`: a step acts on what a signal says; `key_mismatch`: the key was used with another symbol", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/v1/pipelines/{id}/run")]
async fn run_pipeline(
    store: Data<Store>,
    id: Path<String>,
    http: HttpRequest,
    body: actix_web::web::Payload,
) -> Result<HttpResponse, Problem> {
    let id = pipeline_id(&id)?;
    let key = headers::idempotency_key(&http)?;
    let RunRequest { symbol } = read(&http, body).await?;
    let span = tracing::info_span!("PipelineService.run", pipeline.id = %id, execution.id = Empty);
    let work = async move {
        let run = run(&store, &id, symbol, key).await;
        if let Ok(run) = &run {
            tracing::Span::current().record("execution.id", run.execution_id.as_str());
        }
        run
    };
    let run = web::detached(work.instrument(span)).await??;
    let mut response = HttpResponse::Accepted();
    response.insert_header((LOCATION, format!("/v1/executions/{}", run.execution_id)));
    if run.replayed {
        response.insert_header((web::REPLAYED, "true"));
    }
    let Run { execution_id, status, .. } = run;
    Ok(response.json(ExecutionRef { execution_id, status, trace_id: telemetry::trace_id() }))
}

/// The body, where there is one.
async fn read(http: &HttpRequest, body: actix_web::web::Payload) -> Result<RunRequest, Problem> {
    let headers = http.headers();
    let length = headers.get(CONTENT_LENGTH).map_or(Some("0"), |length| length.to_str().ok());
    let none = !headers.contains_key(CONTENT_TYPE) && !headers.contains_key(TRANSFER_ENCODING) && length == Some("0");
    if none {
        return Ok(RunRequest::default());
    }
    let mut payload: Payload = body.into_inner();
    let JsonBody(request) = JsonBody::from_request(http, &mut payload).await?;
    Ok(request)
}

async fn run(store: &Store, id: &PipelineId, symbol: Option<Symbol>, key: Option<String>) -> Result<Run, ApiError> {
    let context = storage::outbox::store_context(&opentelemetry::Context::current());
    let dedupe = key.map(|key| Store::run_key(id, &key));
    for _ in 0..LOOKS {
        let pipeline = store.pipeline(id).await?.ok_or(StoreError::NoPipeline)?;
        if let Some(step) = needs_signal(&pipeline.request) {
            return Err(ApiError::SignalNeeded(step.to_owned()));
        }
        let symbol =
            symbol.clone().or_else(|| usual_symbol(&pipeline.request).cloned()).ok_or(ApiError::SymbolNeeded)?;
        if store.is_budget_spent(&pipeline, now()).await? {
            // What was set off before is told nevertheless.
            if let Some(dedupe) = &dedupe
                && let Some(before) = store.execution_of(dedupe).await?
            {
                return replayed(before, &symbol);
            }
            return Err(ApiError::BudgetSpent);
        }
        let new = New {
            pipeline: &pipeline,
            trigger_mode: TriggerMode::Manual,
            signal: None,
            symbol: symbol.clone(),
            dedupe: dedupe.clone(),
            context: &context,
        };
        let mut transaction = store.database().begin().await.map_err(StoreError::from)?;
        let enqueued = Store::enqueue(&mut transaction, &new, now()).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        match enqueued {
            Enqueued::New { execution_id } => {
                return Ok(Run { execution_id, status: ExecutionStatus::Queued, replayed: false });
            }
            Enqueued::Before { execution_id } => {
                let before = store.execution(&execution_id).await?.ok_or(StoreError::NoExecution)?;
                return replayed(before, &symbol);
            }
            Enqueued::AlreadyRunning => return Err(ApiError::AlreadyRunning),
            Enqueued::Changed => {}
        }
    }
    Err(ApiError::Changing)
}

fn replayed(before: Execution, symbol: &Symbol) -> Result<Run, ApiError> {
    if before.symbol != *symbol {
        return Err(ApiError::KeyMismatch);
    }
    Ok(Run { execution_id: before.execution_id, status: before.status, replayed: true })
}

/// Which market a pipeline is about when nothing else is said.
fn usual_symbol(request: &PipelineRequest) -> Option<&Symbol> {
    match &request.trigger {
        Trigger::Periodic(periodic) => Some(&periodic.symbol),
        Trigger::Signal(signal) => signal.tickers.first(),
    }
}

/// The first step that acts on what a signal says.
fn needs_signal(request: &PipelineRequest) -> Option<&str> {
    let mut decided = false;
    for step in &request.steps {
        match &step.agent {
            Agent::TechnicalAnalysis | Agent::LlmDecision => decided = true,
            Agent::RiskCheck { agrees_with_signal: true, .. } => return Some(&step.name),
            Agent::PlaceOrder { .. } if !decided => return Some(&step.name),
            _ => {}
        }
    }
    None
}
