//! Request metrics by matched route.

use std::time::Instant;

use actix_web::Error;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use telemetry::metrics::http::{SERVER_ACTIVE_REQUESTS, SERVER_REQUEST_DURATION};

use crate::root_span::{is_probe, route};

/// Takes the request off the active ones even when its future is dropped because the client went away.
struct Active {
    method: String,
    route: String,
}

impl Active {
    fn new(method: String, route: String) -> Self {
        SERVER_ACTIVE_REQUESTS.add(1, &[("method", &method), ("route", &route)]);
        Self { method, route }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        SERVER_ACTIVE_REQUESTS.add(-1, &[("method", &self.method), ("route", &self.route)]);
    }
}

/// Measures a request; probes and scrapes are left out, as they are in traces.
pub(crate) async fn measure(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if is_probe(request.path()) {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    }
    let active = Active::new(bounded_method(&request).to_owned(), route(&request));
    let started = Instant::now();
    let response = next.call(request).await;
    let status = match &response {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    // A stream of events lasts as long as its reader wants: its duration says nothing of the service's speed.
    let streaming = matches!(&response, Ok(response) if matches!(response.response().body().size(), BodySize::Stream));
    let duration = started.elapsed();
    if !streaming || status.is_client_error() || status.is_server_error() {
        SERVER_REQUEST_DURATION.record(
            duration.as_secs_f64(),
            &[("method", &active.method), ("route", &active.route), ("status_code", status.as_str())],
        );
    }
    // One line a request: what leads from a log to its trace. It is no span event, the span says all of it.
    tracing::info!(
        target: telemetry::ACCESS_LOG,
        method = active.method,
        route = active.route,
        status = status.as_u16(),
        duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        "{} {} {}",
        active.method,
        active.route,
        status.as_u16(),
    );
    response.map(ServiceResponse::map_into_boxed_body)
}

/// A method from outside can be any token; a label cannot.
fn bounded_method(request: &ServiceRequest) -> &str {
    match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS") => known,
        _ => "_OTHER",
    }
}
