//! The API of the signals: what was accepted and what became of it.

use actix_web::web::{Data, Json, Path, Query, ServiceConfig};
use actix_web::{HttpResponse, get, post};
use domain::{Page, PageQuery};
use serde::Deserialize;
use utoipa::OpenApi;
use web::{Problem, ProblemBody};

use crate::dispatch::Dispatch;
use crate::error::{self, ApiError};
use crate::hook_routes::Manager;
use crate::signals::{KeptSignal, SignalStatus, Signals};

/// The description of these routes.
#[derive(OpenApi)]
#[openapi(paths(list_signals, signal, retry_signal))]
pub(crate) struct Api;

/// Adds the routes.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    routes.route("/v1/signals", actix_web::web::get().to(list_signals)).service(signal).service(retry_signal);
}

/// Which signals.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those that stand here
    // A text, so that what is wrong with it can be said in words.
    #[param(value_type = Option<SignalStatus>, inline)]
    status: Option<String>,
}

/// Signals, the newest first.
#[utoipa::path(
    get,
    path = "/v1/signals",
    tag = "signals",
    params(PageQuery, Which),
    responses(
        (status = 200, body = Page<KeptSignal>),
        (status = 400, description = "`bad_limit`, `bad_cursor`, `bad_query`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`management_not_allowed`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn list_signals(
    _manager: Manager,
    signals: Data<Signals>,
    query: Query<PageQuery>,
    which: Query<Which>,
) -> Result<Json<Page<KeptSignal>>, Problem> {
    let status = match &which.status {
        None => None,
        Some(text) => Some(SignalStatus::read(text).ok_or(ApiError::BadStatus)?),
    };
    let mut page = signals.list(&query, status).await?;
    page.trace_id = telemetry::trace_id();
    Ok(Json(page))
}

/// One signal.
#[utoipa::path(
    tag = "signals",
    params(("id" = String, Path, description = "The signal's id", pattern = "^[0-9a-fA-F]{32}$")),
    responses(
        (status = 200, body = KeptSignal),
        (status = 400, description = "`bad_id`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`management_not_allowed`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_signal`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/v1/signals/{id}")]
async fn signal(_manager: Manager, signals: Data<Signals>, id: Path<String>) -> Result<Json<KeptSignal>, Problem> {
    let id = error::id(&id)?;
    Ok(Json(signals.find(&id).await?.ok_or(ApiError::NoSignal)?))
}

/// Hand a signal that failed on again.
///
/// It is queued once more under its id, before all others of its symbol that wait: order-service, which judges it as any
/// other, may find it too old by now. Signals whose time to be kept is over are gone; until then nothing else becomes of
/// one that failed.
#[utoipa::path(
    tag = "signals",
    params(("id" = String, Path, description = "The signal's id", pattern = "^[0-9a-fA-F]{32}$")),
    responses(
        (status = 202, description = "It waits to be handed to order-service"),
        (status = 400, description = "`bad_id`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`management_not_allowed`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_signal`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`not_failed`: it waits or has been executed; `not_parked`: it failed this moment, try again", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/v1/signals/{id}/retry")]
async fn retry_signal(
    _manager: Manager,
    signals: Data<Signals>,
    dispatch: Data<Dispatch>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = error::id(&id)?;
    if signals.find(&id).await?.is_none() {
        return Err(ApiError::NoSignal.into());
    }
    let of = id.clone();
    // Whoever hangs up leaves no half of it.
    web::detached(async move { dispatch.retry(&of).await }).await??;
    tracing::info!(signal.id = id, "a signal that failed is handed on again");
    Ok(HttpResponse::Accepted().finish())
}
