//! BingX's perpetual swaps (`/openApi/swap/v2`) for one account with paper money, in one-way mode.
//!
//! Shapes and codes are those of BingX's documentation (<https://bingx-api.github.io/docs/>, "swapV2").

mod account;
mod error;
mod exchange;
mod journal;
mod limits;
mod order;
mod overview;
mod params;
mod price;
mod routes;
mod rules;
mod signature;
mod state;
mod watch;
mod wire;

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::dev::ServiceRequest;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, ServiceConfig};
use serde_json::json;

pub(crate) use exchange::{Bingx, Settings};
pub use journal::JournalError;
pub(crate) use overview::BingxState;
pub(crate) use watch::watch;

use crate::faults::{FaultTarget, Refusal, inject};
use error::ApiError;

/// The API.
pub(crate) fn configure(config: &mut ServiceConfig) {
    config.service(
        web::scope("/openApi/swap/v2")
            .wrap(from_fn(|request: ServiceRequest, next: Next<BoxBody>| {
                inject(FaultTarget::Bingx, refuse, request, next)
            }))
            .configure(routes::configure)
            .default_service(web::to(not_found)),
    );
}

/// How BingX words a refusal.
fn refuse(refusal: Refusal) -> HttpResponse {
    match refusal {
        // There is no Retry-After, and the status is 200.
        Refusal::TooManyRequests { .. } => ApiError::too_often().response(),
        Refusal::ServerError { status } => ApiError::server_error(status).response(),
    }
}

async fn not_found() -> HttpResponse {
    HttpResponse::NotFound().json(json!({ "code": 100_400, "msg": "this api is not exist", "data": {} }))
}
