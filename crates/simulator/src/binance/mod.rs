//! Binance's public market data as `data-api.binance.vision` and `data-stream.binance.vision` serve it.
//!
//! Shapes, codes and limits are those of Binance's `rest-api.md`, `web-socket-streams.md` and `errors.md`.

mod error;
mod exchange_info;
mod limits;
mod params;
mod rest;
mod ticker;
mod wire;
mod ws;

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::dev::ServiceRequest;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, ServiceConfig};

pub(crate) use error::ApiError;
pub(crate) use limits::Limits;

use crate::faults::{FaultTarget, Refusal, inject};

/// REST under `/api/v3`, WebSocket under `/ws` and `/stream`.
pub(crate) fn configure(config: &mut ServiceConfig) {
    config.service(
        web::scope("/api")
            // The last wrap sees a request first: faults, then the weight of what gets through.
            .wrap(from_fn(limits::weigh))
            .wrap(from_fn(|request: ServiceRequest, next: Next<BoxBody>| {
                inject(FaultTarget::BinanceRest, refuse, request, next)
            }))
            .configure(rest::configure)
            .default_service(web::to(not_found)),
    );
    config.configure(ws::configure);
}

/// How Binance words a refusal.
fn refuse(refusal: Refusal) -> HttpResponse {
    match refusal {
        Refusal::TooManyRequests { status, retry_after_s } => ApiError::slow_down(status, retry_after_s).response(),
        Refusal::ServerError { status } => ApiError::server_error(status).response(),
    }
}

/// What is not in the API is answered by the web server in front of it, in HTML.
async fn not_found() -> HttpResponse {
    HttpResponse::NotFound()
        .content_type("text/html")
        .body("<html>\n<head><title>404 Not Found</title></head>\n<body>\n<center><h1>404 Not Found</h1></center>\n</body>\n</html>\n")
}
