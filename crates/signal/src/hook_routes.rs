//! The API of the hooks, for whoever looks after them.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::web::{Data, Json, Path, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, delete, post};
use chrono::{DateTime, Utc};
use domain::{Page, PageQuery};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};
use web::{JsonBody, Problem, ProblemBody};

use crate::WEBHOOK;
use crate::access::Access;
use crate::error::{self, ApiError};
use crate::hooks::{Hook, HookName, Hooks};

/// The description of these routes.
#[derive(OpenApi)]
#[openapi(paths(create_hook, list_hooks, revoke_hook))]
pub(crate) struct Api;

/// Adds the routes.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    routes.service(create_hook).route("/v1/hooks", actix_web::web::get().to(list_hooks)).service(revoke_hook);
}

/// What a hook is to be called.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewHook {
    /// Its name, which no other hook that is not revoked has.
    name: HookName,
}

/// A hook that was made just now.
#[derive(Serialize, ToSchema)]
struct CreatedHook {
    /// Its id, by which it is revoked.
    id: String,
    /// Its name.
    name: String,
    /// Its token, which is told this once and kept nowhere.
    token: String,
    /// The path that alerts are sent to.
    path: String,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// Trace of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

/// Make a hook.
///
/// The answer has its token and the path that holds it, this once. From elsewhere than this machine it takes the key that
/// SIGNAL_ADMIN_KEY sets, as `X-API-Key`.
#[utoipa::path(
    tag = "hooks",
    request_body = NewHook,
    responses(
        (status = 201, description = "It takes alerts from now on", body = CreatedHook),
        (status = 400, description = "`bad_json`, `bad_body`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`management_not_allowed`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`name_taken`, `too_many_hooks`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/v1/hooks")]
async fn create_hook(
    _manager: Manager,
    hooks: Data<Hooks>,
    JsonBody(NewHook { name }): JsonBody<NewHook>,
) -> Result<HttpResponse, Problem> {
    let (hook, token) = web::detached(async move { hooks.create(name).await }).await??;
    tracing::info!(hook.id = hook.id, hook.name = hook.name, "a hook was made");
    let token = token.expose_secret().to_owned();
    let path = WEBHOOK.replace("{token}", &token);
    let created = CreatedHook {
        id: hook.id,
        name: hook.name,
        token,
        path,
        created_at: hook.created_at,
        trace_id: telemetry::trace_id(),
    };
    // The token is for whoever asked, and for no cache in between.
    Ok(HttpResponse::build(StatusCode::CREATED)
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .json(created))
}

/// Hooks, the newest first; those that are revoked, too. Tokens are not among it.
#[utoipa::path(
    get,
    path = "/v1/hooks",
    tag = "hooks",
    params(PageQuery),
    responses(
        (status = 200, body = Page<Hook>),
        (status = 400, description = "`bad_limit`, `bad_cursor`, `bad_query`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`management_not_allowed`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn list_hooks(
    _manager: Manager,
    hooks: Data<Hooks>,
    query: Query<PageQuery>,
) -> Result<Json<Page<Hook>>, Problem> {
    let mut page = hooks.list(&query).await?;
    page.trace_id = telemetry::trace_id();
    Ok(Json(page))
}

/// Revoke a hook.
///
/// Its token is worth nothing from now on; revoking it once more changes nothing. Signals that came through it stay, and
/// those that wait are executed.
#[utoipa::path(
    tag = "hooks",
    params(("id" = String, Path, description = "The hook's id", pattern = "^[0-9a-fA-F]{32}$")),
    responses(
        (status = 204, description = "It is revoked"),
        (status = 400, description = "`bad_id`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`management_not_allowed`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`no_such_hook`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[delete("/v1/hooks/{id}")]
async fn revoke_hook(_manager: Manager, hooks: Data<Hooks>, id: Path<String>) -> Result<HttpResponse, Problem> {
    let id = error::id(&id)?;
    if !hooks.revoke(&id).await? {
        return Err(ApiError::NoHook.into());
    }
    tracing::info!(hook.id = id, "a hook is revoked");
    Ok(HttpResponse::NoContent().finish())
}

/// Somebody who may look after hooks and signals: extracted before anything else, so that nobody else learns what is wrong
/// with a request.
pub(crate) struct Manager;

impl actix_web::FromRequest for Manager {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _payload: &mut actix_web::dev::Payload) -> Self::Future {
        // Rules that are not there let nobody in.
        let allowed = match request.app_data::<Data<Access>>() {
            Some(access) => access.may_manage(request),
            None => Err(Problem::internal()),
        };
        std::future::ready(allowed.map(|()| Self))
    }
}
