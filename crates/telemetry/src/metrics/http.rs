//! HTTP in and out. Names and labels of the server's metrics are those of requirement 3 (spec D5).

use super::{Counter, Gauge, Histogram, Metric, Spec, UpDownCounter};

/// Time from a request's first byte to its answer.
pub static SERVER_REQUEST_DURATION: Histogram = Histogram::new(Spec {
    name: "http_server_request_duration_seconds",
    unit: "s",
    labels: &["method", "route", "status_code"],
    help: "How long requests took, by matched route; its count is the number of requests, status_code tells errors",
});

/// Requests under way.
pub static SERVER_ACTIVE_REQUESTS: UpDownCounter = UpDownCounter::new(Spec {
    name: "http_server_active_requests",
    unit: "{request}",
    labels: &["method", "route"],
    help: "Requests being worked on now",
});

/// Requests that ended in a problem.
pub static SERVER_ERRORS: Counter = Counter::new(Spec {
    name: "http_server_errors_total",
    unit: "{error}",
    labels: &["route", "code", "upstream"],
    help: "Problems answered, by their code and by the outside system that failed (empty: none did)",
});

/// Time of one attempt of an outgoing call.
pub static CLIENT_REQUEST_DURATION: Histogram = Histogram::new(Spec {
    name: "http_client_request_duration_seconds",
    unit: "s",
    labels: &["upstream", "method", "outcome"],
    help: "How long each attempt of an outgoing call took; outcome is the status code or the kind of failure",
});

/// Attempts after the first.
pub static CLIENT_RETRIES: Counter = Counter::new(Spec {
    name: "http_client_retries_total",
    unit: "{retry}",
    labels: &["upstream", "reason"],
    help: "Outgoing calls tried again, by why",
});

/// State of the circuit breaker.
pub static CLIENT_CIRCUIT_STATE: Gauge = Gauge::new(Spec {
    name: "http_client_circuit_state",
    unit: "{state}",
    labels: &["upstream"],
    help: "Circuit breaker of an outgoing connection: 0 closed, 1 half open, 2 open",
});

/// All of them.
pub static ALL: &[&dyn Metric] = &[
    &SERVER_REQUEST_DURATION,
    &SERVER_ACTIVE_REQUESTS,
    &SERVER_ERRORS,
    &CLIENT_REQUEST_DURATION,
    &CLIENT_RETRIES,
    &CLIENT_CIRCUIT_STATE,
];
