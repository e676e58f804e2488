//! WebSocket market streams: `/ws/<stream>` raw, `/stream?streams=` combined (`web-socket-streams.md`).

mod event;
mod pulse;
mod request;
mod session;
mod streams;

use actix_web::body::BoxBody;
use actix_web::dev::ServiceRequest;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use self::session::Session;
use self::streams::{MOST_STREAMS, Subscriptions};
use super::{ApiError, limits, refuse};
use crate::faults::{FaultTarget, inject};
use crate::world::World;

/// Largest message that a client may send.
const MOST_MESSAGE_BYTES: usize = 64 * 1024;

pub(super) fn configure(config: &mut ServiceConfig) {
    for path in ["/ws", "/ws/{streams:.*}", "/stream"] {
        config.service(
            web::resource(path)
                .wrap(from_fn(|request: ServiceRequest, next: Next<BoxBody>| {
                    inject(FaultTarget::BinanceWs, refuse, request, next)
                }))
                .route(web::get().to(connect)),
        );
    }
}

async fn connect(world: Data<World>, request: HttpRequest, body: Payload) -> Result<HttpResponse, ApiError> {
    world.limits.connect(limits::address(&request))?;
    let combined = request.path() == "/stream";
    let names = if combined {
        streams_parameter(request.query_string())
    } else {
        request.match_info().get("streams").map(str::to_owned)
    };
    let mut subscriptions = Subscriptions::default();
    for name in names.iter().flat_map(|names| names.split('/')).filter(|name| !name.is_empty()) {
        if !subscriptions.add(name, &world.market) {
            return Ok(HttpResponse::BadRequest()
                .content_type("text/plain")
                .body(format!("At most {MOST_STREAMS} streams.")));
        }
    }
    match actix_ws::handle(&request, body) {
        Ok((response, socket, messages)) => {
            let messages = messages
                .max_frame_size(MOST_MESSAGE_BYTES)
                .aggregate_continuations()
                .max_continuation_size(MOST_MESSAGE_BYTES);
            let session = Session::new(world, socket, subscriptions, combined);
            actix_web::rt::spawn(session.run(messages));
            Ok(response)
        }
        // Not a WebSocket handshake: the front server refuses it in plain text.
        Err(error) => {
            let status = error.as_response_error().status_code();
            Ok(HttpResponse::build(status).content_type("text/plain").body(error.to_string()))
        }
    }
}

/// The value of `streams=`; stream names hold no percent signs but `/` and `@` may come encoded.
fn streams_parameter(query: &str) -> Option<String> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).ok()?;
    pairs.into_iter().find(|(name, _)| name == "streams").map(|(_, value)| value)
}
