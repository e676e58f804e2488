//! Faults: switched on for a while, listed, switched off.

use ::web::{JsonBody, Problem};
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use serde::{Deserialize, Serialize};

use crate::faults::{Fault, FaultRequest, MOST_FAULTS};
use crate::world::{World, now_ms};

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/control/faults")
                .route(web::post().to(add))
                .route(web::get().to(list))
                .route(web::delete().to(clear)),
        )
        .service(web::resource("/control/faults/{id}").route(web::delete().to(remove)));
}

/// Every fault that is switched on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FaultList {
    /// Oldest first.
    pub faults: Vec<Fault>,
}

/// How many faults were switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FaultsRemoved {
    /// Their number.
    pub removed: usize,
}

/// Switches a fault on.
#[utoipa::path(
    post,
    path = "/control/faults",
    request_body = FaultRequest,
    responses(
        (status = 201, description = "The fault is on", body = Fault),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ::web::ProblemBody, content_type = "application/problem+json"),
        (status = 400, description = "A value is out of bounds or does not go with the kind", body = ::web::ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Too many faults are on", body = ::web::ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn add(
    world: Data<World>,
    JsonBody(request): JsonBody<FaultRequest>,
) -> Result<HttpResponse, Problem> {
    let request =
        request.checked().map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "bad_fault", format!("{error}.")))?;
    match world.faults.add(request, now_ms()) {
        Some(fault) => Ok(HttpResponse::Created().json(fault)),
        None => Err(Problem::new(
            StatusCode::CONFLICT,
            "too_many_faults",
            format!("{MOST_FAULTS} faults are on already. DELETE /control/faults switches them off."),
        )),
    }
}

/// Lists the faults that are on.
#[utoipa::path(get, path = "/control/faults", responses((status = 200, description = "The faults that are on", body = FaultList)))]
pub(super) async fn list(world: Data<World>) -> Json<FaultList> {
    Json(FaultList { faults: world.faults.list() })
}

/// Switches every fault off.
#[utoipa::path(delete, path = "/control/faults", responses((status = 200, description = "How many there were", body = FaultsRemoved)))]
pub(super) async fn clear(world: Data<World>) -> Json<FaultsRemoved> {
    Json(FaultsRemoved { removed: world.faults.clear() })
}

/// Switches one fault off.
#[utoipa::path(
    delete,
    path = "/control/faults/{id}",
    params(("id" = u64, Path, description = "Id of the fault")),
    responses((status = 204, description = "It is off"), (status = 404, description = "There is no such fault (any more)", body = ::web::ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn remove(world: Data<World>, id: Path<u64>) -> Result<HttpResponse, Problem> {
    let id = id.into_inner();
    if world.faults.remove(id) {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(Problem::new(
            StatusCode::NOT_FOUND,
            "unknown_fault",
            format!("There is no fault {id}; it may have ended by itself."),
        ))
    }
}
