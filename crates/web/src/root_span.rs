//! The span of a request, with the names of OpenTelemetry's HTTP conventions and the caller's context as parent.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderMap;
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::TraceContextExt as _;
use tracing::Span;
use tracing::field::Empty;
use tracing_actix_web::RootSpanBuilder;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::Edge;

/// Builds the server span. Probes and scrapes get none: they would drown the traces people look for.
pub(crate) struct ServerSpan;

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(actix_web::http::header::HeaderName::as_str).collect()
    }
}

/// Routes that machines poll.
pub(crate) fn is_probe(path: &str) -> bool {
    matches!(path, "/health" | "/health/live" | "/health/ready" | "/metrics")
}

/// The route of requests that matched nothing.
pub(crate) const UNMATCHED: &str = "unmatched";

/// The matched pattern, or one word for everything that matched nothing.
pub(crate) fn route(request: &ServiceRequest) -> String {
    request.match_pattern().unwrap_or_else(|| UNMATCHED.to_owned())
}

/// The path as it may be seen, in spans, logs and answers: one that carries a token is shown as its pattern, and one
/// that matched nothing not at all, for nobody knows what it carries.
pub(crate) fn shown_path<'a>(request: &'a ServiceRequest, route: &'a str) -> &'a str {
    if route == UNMATCHED || route.contains("{token}") { route } else { request.path() }
}

impl RootSpanBuilder for ServerSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        if is_probe(request.path()) {
            return Span::none();
        }
        let route = route(request);
        let method = request.method().as_str();
        let edge = Edge::of(request);
        let client_address = match edge {
            Some(edge) => Some(edge.client_address(request)),
            None => request.peer_addr().map(|address| address.ip()),
        };
        let span = tracing::info_span!(
            "http_request",
            otel.name = format!("{method} {route}"),
            otel.kind = "server",
            otel.status_code = Empty,
            http.request.method = method,
            http.route = route,
            http.response.status_code = Empty,
            url.path = shown_path(request, &route),
            url.scheme = "http",
            client.address = client_address.map(|address| address.to_string()),
            error.type = Empty,
            // What handlers know and callers look for; recorded where it applies.
            crypto.symbol = Empty,
            decision.id = Empty,
            decision.action = Empty,
            decision.strategy = Empty,
            price.age_ms = Empty,
            price.source = Empty,
            upstream.failed = Empty,
        );
        if !span.is_disabled() {
            let parent = telemetry::propagation::extract(&Headers(request.headers()));
            let caller = parent.span().span_context().clone();
            if edge.is_some() && caller.is_valid() && !caller.is_sampled() {
                // A stranger who does not keep its own trace must not switch ours off: nobody would find what it did
                // here. The link leads from our trace to its.
                span.add_link(caller);
            } else {
                // Fails only where no OpenTelemetry layer listens, and then there is nothing to connect.
                let _ = span.set_parent(parent);
            }
        }
        span
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        // Signed: an unsigned number would reach the trace as text.
        span.record("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", status.as_str());
        }
    }
}
