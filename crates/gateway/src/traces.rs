//! Traces and their log lines, for the page and everybody else.

use actix_web::get;
use actix_web::web::{Data, Json, Path, ServiceConfig};
use trace_reader::{LogsView, TraceReader, TraceView};
use web::{Problem, ProblemBody};

use crate::error::{trace_id_problem, trace_problem};

/// Adds the routes.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config.service(trace_logs).service(trace);
}

/// One trace from Tempo, its spans in the order of a tree.
///
/// A new trace is found about a second after its answer, and may grow for another second: ask again while
/// `orphan_count` is not zero or spans are missing.
#[utoipa::path(
    get,
    path = "/api/v1/traces/{trace_id}",
    tag = "traces",
    params(("trace_id" = String, Path, description = "32 hex digits")),
    responses(
        (status = 200, body = TraceView),
        (status = 400, description = "No trace id", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "Not there (yet)", body = ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "Tempo answered with an error", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Tempo is away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/v1/traces/{trace_id}")]
pub(crate) async fn trace(reader: Data<TraceReader>, id: Path<String>) -> Result<Json<TraceView>, Problem> {
    let id = id.parse().map_err(trace_id_problem)?;
    reader.trace(&id).await.map(Json).map_err(trace_problem)
}

/// The log lines of one trace from Loki, oldest first, at most 500.
#[utoipa::path(
    get,
    path = "/api/v1/traces/{trace_id}/logs",
    tag = "traces",
    params(("trace_id" = String, Path, description = "32 hex digits")),
    responses(
        (status = 200, body = LogsView),
        (status = 400, description = "No trace id", body = ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "Loki answered with an error", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Loki is away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/v1/traces/{trace_id}/logs")]
pub(crate) async fn trace_logs(reader: Data<TraceReader>, id: Path<String>) -> Result<Json<LogsView>, Problem> {
    let id = id.parse().map_err(trace_id_problem)?;
    reader.logs(&id).await.map(Json).map_err(trace_problem)
}
