//! What goes wrong here, as problems.

use actix_web::http::StatusCode;
use trace_reader::{TraceError, TraceIdError};
use web::Problem;

/// A problem for what kept a trace or its logs from being shown.
pub(crate) fn trace_problem(error: TraceError) -> Problem {
    match error {
        TraceError::NotFound(_) => Problem::new(
            StatusCode::NOT_FOUND,
            "trace_not_found",
            "Tempo has no such trace. A new one arrives about a second after the answer; an old one is forgotten after the retention time.",
        ),
        TraceError::Upstream(error) => error.into(),
    }
}

/// A problem for a path whose trace id is none.
pub(crate) fn trace_id_problem(error: TraceIdError) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_trace_id", format!("{error}, as an answer's trace_id shows it."))
}
