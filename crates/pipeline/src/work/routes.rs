//! The API: what a worker is at.

use actix_web::get;
use actix_web::web::{Data, Json, ServiceConfig};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};
use web::ProblemBody;

use super::board::{AtWork, Board};

/// The description of this route.
#[derive(OpenApi)]
#[openapi(
    info(title = "pipeline-worker", description = "Executes pipelines, step by step"),
    paths(worker),
    components(schemas(ProblemBody)),
    tags((name = "worker", description = "What this worker is at"))
)]
pub(super) struct Api;

/// Adds the route.
pub(super) fn configure(routes: &mut ServiceConfig) {
    routes.service(worker);
}

/// What does not change of a worker.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) id: String,
    pub(super) concurrency: usize,
    pub(super) lease_seconds: u64,
    pub(super) started_at: DateTime<Utc>,
    pub(super) board: Board,
}

/// A worker, and what it is at.
#[derive(Debug, Serialize, ToSchema)]
struct WorkerReport {
    /// What it is called where its executions are shown.
    worker_id: String,
    /// Most executions that it is at, at the same time.
    concurrency: usize,
    /// After how long without a word from it its executions are given to others, in seconds.
    lease_seconds: u64,
    /// Since when it works.
    started_at: DateTime<Utc>,
    /// What it is at now, the longest first.
    executions: Vec<AtWork>,
    /// Trace of the request that this answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

/// Who this worker is, and what it is at
#[utoipa::path(tag = "worker", responses((status = 200, body = WorkerReport)))]
#[get("/v1/worker")]
async fn worker(about: Data<About>) -> Json<WorkerReport> {
    let About { id, concurrency, lease_seconds, started_at, board } = about.get_ref().clone();
    let executions = board.all();
    Json(WorkerReport {
        worker_id: id,
        concurrency,
        lease_seconds,
        started_at,
        executions,
        trace_id: telemetry::trace_id(),
    })
}
