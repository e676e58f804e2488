//! The one place where faults reach HTTP calls; every simulated system is wrapped in it.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::uri::PathAndQuery;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use telemetry::metrics::simulator::REQUESTS;

use super::{Failure, FaultTarget, Occasion, Refusal, Verdict};
use crate::world::World;

/// How a simulated system words a refusal.
pub(crate) type Wording = fn(Refusal) -> HttpResponse;

/// How a call is counted, on answers whose status does not say it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome(pub(crate) &'static str);

/// Lets a call through, late or not, or has it fail; counts it either way.
pub(crate) async fn inject(
    target: FaultTarget,
    wording: Wording,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    // Telegram's path holds the bot's token: only the method is looked at.
    let (occasion, method) = match target {
        FaultTarget::Telegram => (Occasion::Call, request.match_info().get("method").unwrap_or_default()),
        FaultTarget::BinanceWs => {
            (Occasion::Handshake, request.uri().path_and_query().map_or("", PathAndQuery::as_str))
        }
        FaultTarget::Bingx if *request.method() == Method::POST && request.path().ends_with("/trade/order") => {
            (Occasion::Placing, request.path())
        }
        FaultTarget::BinanceRest | FaultTarget::Llm | FaultTarget::Bingx => (Occasion::Call, request.path()),
    };
    let world = request.app_data::<web::Data<World>>();
    let verdict = world.map_or_else(Verdict::default, |world| world.faults.judge(target, occasion, method));
    request.extensions_mut().insert(verdict);
    if let Some(latency) = verdict.latency {
        tokio::time::sleep(latency).await;
    }
    let (response, outcome) = match verdict.failure {
        Some(Failure::Refused(refusal)) => {
            let outcome = match refusal {
                Refusal::TooManyRequests { .. } => "rate_limited",
                Refusal::ServerError { .. } => "server_error",
            };
            (request.into_response(wording(refusal)), outcome)
        }
        Some(Failure::Dropped) => (request.into_response(HttpResponse::Ok().body(Cut)), "dropped"),
        Some(Failure::DoneThenDropped) => {
            let (request, _) = next.call(request).await?.into_parts();
            (ServiceResponse::new(request, HttpResponse::Ok().body(Cut)), "dropped")
        }
        Some(Failure::DoneThenTimeout) => {
            let (request, _) = next.call(request).await?.into_parts();
            (ServiceResponse::new(request, gateway_timeout()), "server_error")
        }
        Some(Failure::Malformed) => {
            let (request, response) = next.call(request).await?.into_parts();
            (ServiceResponse::new(request, halve(response).await), "malformed")
        }
        None => {
            // Handlers and extractors make responses of their errors; none is lost here.
            let response = next.call(request).await?;
            let said = response.response().extensions().get::<Outcome>().copied();
            let outcome = said.map_or_else(|| outcome_of(response.status().as_u16()), |outcome| outcome.0);
            (response, outcome)
        }
    };
    REQUESTS.add(1, &[("target", target.as_str()), ("outcome", outcome)]);
    Ok(response)
}

/// What the web server in front of a system says when that does not answer it in time.
fn gateway_timeout() -> HttpResponse {
    HttpResponse::GatewayTimeout().content_type("text/html").body("<html>\n<head><title>504 Gateway Time-out</title></head>\n<body>\n<center><h1>504 Gateway Time-out</h1></center>\n</body>\n</html>\n")
}

/// What a handler has to know of the verdict on its call.
pub(crate) fn wants(request: &HttpRequest) -> Verdict {
    request.extensions().get::<Verdict>().copied().unwrap_or_default()
}

fn outcome_of(status: u16) -> &'static str {
    match status {
        418 | 429 => "rate_limited",
        400..=499 => "client_error",
        500.. => "server_error",
        _ => "ok",
    }
}

/// The first half of an answer, whole as far as HTTP is concerned.
async fn halve(response: HttpResponse) -> HttpResponse {
    let (response, body) = response.into_parts();
    // A body that itself fails leaves nothing to halve: nothing is malformed enough.
    let whole = actix_web::body::to_bytes(body).await.unwrap_or_default();
    response.set_body(BoxBody::new(whole.slice(..whole.len() / 2)))
}

/// A body that fails before its first byte: actix-http then closes the connection with nothing sent.
struct Cut;

impl MessageBody for Cut {
    type Error = std::io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Result<Bytes, std::io::Error>>> {
        Poll::Ready(Some(Err(std::io::Error::new(
            std::io::ErrorKind::ConnectionReset,
            "connection dropped by an injected fault",
        ))))
    }
}
