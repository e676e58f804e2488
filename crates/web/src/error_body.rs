//! Every error that leaves has a problem as its body, also those that actix makes itself (404, 405, 413, bad JSON).

use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderName};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse};

use crate::Problem;
use crate::body_limit::BodyWatch;
use crate::in_flight::{InFlight, Place, holding};
use crate::root_span::{UNMATCHED, is_probe, route, shown_path};

/// Longest a request may take; the middleware finds it among the application's data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestTimeout(pub(crate) Duration);

/// Enforces the time limit and turns every bare error into a problem.
pub(crate) async fn problems(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let route = route(&request);
    let method = request.method().as_str().to_owned();
    let path = shown_path(&request, &route).to_owned();
    let limit = request.app_data::<RequestTimeout>().map_or(Duration::from_secs(30), |limit| limit.0);
    // Work that piles up makes every answer late and memory grow without bound: what is too much is told so at once.
    let place = request.app_data::<InFlight>().and_then(InFlight::take);
    let Some(place) = place.or_else(|| is_probe(&path).then(Place::default)) else {
        let problem = Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "This service has as many requests as it can work on. Try again in 1 s.",
        );
        return Err(rendered(problem.retry_after(Duration::from_secs(1)), &route));
    };
    let body = BodyWatch::over(&mut request);
    let outcome = match tokio::time::timeout(limit, holding(place, next.call(request))).await {
        Ok(Ok(response)) => response.map_into_boxed_body(),
        // There is no request left to answer with: the rendered response travels inside the error.
        Ok(Err(error)) => {
            let status = error.as_response_error().status_code();
            let problem = error.as_error::<Problem>().cloned();
            let problem = body.problem().or(problem).unwrap_or_else(|| default_problem(status, &method, &path));
            return Err(rendered(problem, &route));
        }
        Err(_elapsed) => {
            let problem = Problem::new(
                StatusCode::GATEWAY_TIMEOUT,
                "request_timeout",
                format!("The request took longer than {} ms and was given up.", limit.as_millis()),
            );
            return Err(rendered(problem, &route));
        }
    };
    let status = outcome.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return Ok(outcome);
    }
    let known = body.problem().or_else(|| outcome.response().extensions().get::<Problem>().cloned());
    // A body somebody wrote on purpose (a simulated exchange's own error, a readiness report) stays as it is.
    let has_type = outcome.headers().contains_key(header::CONTENT_TYPE);
    let empty = matches!(outcome.response().body().size(), BodySize::None | BodySize::Sized(0));
    if known.is_none() && (is_probe(&path) || (has_type && !empty)) {
        return Ok(outcome);
    }
    // actix treats a route's method as part of the match and says 404: the path is known, so it is the method.
    let status =
        if status == StatusCode::NOT_FOUND && route != UNMATCHED { StatusCode::METHOD_NOT_ALLOWED } else { status };
    let problem = known.unwrap_or_else(|| default_problem(status, &method, &path));
    let mut response = answer(&problem, &route);
    for (name, value) in outcome.headers() {
        if is_kept(name) {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
    let (request, _) = outcome.into_parts();
    Ok(ServiceResponse::new(request, response))
}

/// Headers of a bare error that its problem keeps; the others were about the body that it replaces.
fn is_kept(name: &HeaderName) -> bool {
    [header::ALLOW, header::CACHE_CONTROL, header::VARY, header::WWW_AUTHENTICATE, header::X_CONTENT_TYPE_OPTIONS]
        .contains(name)
        || name.as_str() == "x-request-id"
        || name.as_str().starts_with("access-control-")
}

fn rendered(problem: Problem, route: &str) -> Error {
    let response = answer(&problem, route);
    InternalError::from_response(problem, response).into()
}

/// Logs the problem, here and nowhere else, and writes it.
fn answer(problem: &Problem, route: &str) -> HttpResponse {
    let status = problem.status();
    let (code, upstream) = (problem.code(), problem.failed_upstream());
    if status.is_server_error() {
        tracing::error!(code, upstream, status = status.as_u16(), "{}", problem.detail());
    } else {
        let address = problem.asker().map(|asker| tracing::field::display(asker.address));
        let id = problem.asker().map(|asker| asker.request_id.as_str());
        tracing::info!(
            code,
            upstream,
            status = status.as_u16(),
            client.address = address,
            request.id = id,
            "{}",
            problem.detail()
        );
    }
    if let Some(name) = upstream {
        tracing::Span::current().record("upstream.failed", name);
    }
    let mut response = problem.respond(route);
    if status == StatusCode::REQUEST_TIMEOUT {
        // The rest of the body may still come: what follows on this connection is no request.
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

fn default_problem(status: StatusCode, method: &str, path: &str) -> Problem {
    match status {
        StatusCode::NOT_FOUND => Problem::new(
            status,
            "not_found",
            // A path that matched nothing may hold anything, a token too: it is not repeated.
            "There is nothing at this path. GET /openapi.json lists what there is.",
        ),
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(
            status,
            "method_not_allowed",
            format!("{path} cannot be called with {method}. GET /openapi.json lists what can."),
        ),
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(status, "body_too_large", "The body is larger than this service takes.")
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            Problem::new(status, "unsupported_media_type", "The body must be JSON with Content-Type: application/json.")
        }
        status if status.is_client_error() => Problem::new(
            status,
            "bad_request",
            format!("The request cannot be understood ({}).", status.canonical_reason().unwrap_or("client error")),
        ),
        status => Problem::new(status, "internal_error", "Something went wrong here. The trace id leads to what."),
    }
}
