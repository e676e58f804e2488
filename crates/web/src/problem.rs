//! Errors as RFC 9457 problems.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use domain::pipeline::FieldError;
use serde::{Deserialize, Serialize};

use crate::{UpstreamError, UpstreamErrorKind};

/// What a caller is told when a request fails: a status, a bounded code, a sentence a person understands, and the
/// trace id. Details that are not for callers belong in the log.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: String,
    detail: String,
    upstream: Option<String>,
    retry_after: Option<Duration>,
    // Boxed: a problem stands in the result of every handler.
    asked_by: Option<Box<Asker>>,
    errors: Option<Box<[FieldError]>>,
}

/// Who asked, for the log.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) address: IpAddr,
    pub(crate) request_id: String,
}

/// The body of a problem, `application/problem+json` (RFC 9457 with the members `code`, `trace_id`, `upstream`, `errors`).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProblemBody {
    /// URN of the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "urn:crypto-telemetry:problem:stale_price")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A sentence for people.
    pub detail: String,
    /// A bounded word for machines.
    pub code: String,
    /// Trace of the request; absent when telemetry is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The outside system or service that failed, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// What is wrong with which field, where that is told of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(inline)]
    pub errors: Vec<FieldError>,
}

impl ProblemBody {
    /// The problem in a body that a service of this system sent, if it is one. Its words become words of ours and label
    /// values, so they must look like ones.
    pub(crate) fn of_ours(body: &[u8]) -> Option<Self> {
        let body: Self = serde_json::from_slice(body).ok()?;
        let code = is_word(&body.code, b'_') && body.kind.strip_prefix(URN) == Some(&body.code);
        let upstream = body.upstream.as_deref().is_none_or(|name| is_word(name, b'-'));
        (code && upstream).then_some(body)
    }
}

/// One to forty lower-case letters, digits and `joint`s.
fn is_word(text: &str, joint: u8) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == joint)
}

/// What the type of every problem begins with; the code follows.
const URN: &str = "urn:crypto-telemetry:problem:";

/// Media type of problems.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

impl Problem {
    /// A problem with a bounded `code` in snake case and a sentence for people.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            detail: detail.into(),
            upstream: None,
            retry_after: None,
            asked_by: None,
            errors: None,
        }
    }

    /// A defect of ours: 500, and nothing of what went wrong.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "Something went wrong here. The trace id leads to what.",
        )
    }

    /// Names who failed.
    #[must_use]
    pub fn upstream(mut self, name: impl Into<String>) -> Self {
        self.upstream = Some(name.into());
        self
    }

    /// Says when to try again, rounded up to seconds (`Retry-After`).
    #[must_use]
    pub const fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Says who asked, for the line in the log: the answer does not repeat it. For refusals at the door, whose callers
    /// are known by nothing else.
    #[must_use]
    pub fn asked_by(mut self, address: IpAddr, request_id: impl Into<String>) -> Self {
        self.asked_by = Some(Box::new(Asker { address, request_id: request_id.into() }));
        self
    }

    /// Tells what is wrong with each field (`errors`).
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = Some(errors.into());
        self
    }

    /// The same problem in another sentence.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// HTTP status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The bounded code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The sentence for people.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Who failed, if somebody else did.
    #[must_use]
    pub fn failed_upstream(&self) -> Option<&str> {
        self.upstream.as_deref()
    }

    /// Who asked, if that was said.
    pub(crate) fn asker(&self) -> Option<&Asker> {
        self.asked_by.as_deref()
    }

    pub(crate) fn respond(&self, route: &str) -> HttpResponse {
        telemetry::metrics::http::SERVER_ERRORS
            .add(1, &[("route", route), ("code", &self.code), ("upstream", self.upstream.as_deref().unwrap_or(""))]);
        let mut response = HttpResponse::build(self.status);
        response.insert_header((CONTENT_TYPE, PROBLEM_JSON));
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        response.json(ProblemBody {
            kind: format!("{URN}{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.clone(),
            trace_id: telemetry::trace_id(),
            upstream: self.upstream.clone(),
            errors: self.errors.as_deref().unwrap_or_default().to_vec(),
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        // The route is known to the middleware only, which renders the body again with it: see error_body.rs.
        let mut response = HttpResponse::new(self.status);
        response.extensions_mut().insert(self.clone());
        response
    }
}

impl From<UpstreamError> for Problem {
    fn from(error: UpstreamError) -> Self {
        let name = error.upstream;
        let problem = match error.kind {
            UpstreamErrorKind::Timeout => Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                "upstream_timeout",
                format!("{name} did not answer in time. Try again in a moment."),
            ),
            UpstreamErrorKind::Connect(_) | UpstreamErrorKind::Broken(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "upstream_unreachable",
                format!("{name} cannot be reached now. Try again in a moment."),
            ),
            UpstreamErrorKind::CircuitOpen { retry_after } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "upstream_unavailable",
                format!(
                    "{name} has failed repeatedly and is given a rest. Try again in {} s.",
                    retry_after.as_secs() + 1
                ),
            )
            .retry_after(retry_after),
            UpstreamErrorKind::Status { status: 429, retry_after, .. } => {
                let after = retry_after.unwrap_or(Duration::from_secs(1));
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "upstream_busy",
                    format!("{name} asks for fewer requests. Try again in {} s.", after.as_secs().max(1)),
                )
                .retry_after(after)
            }
            UpstreamErrorKind::Status { status, retry_after, problem, .. } => {
                if let Some(problem) = problem.and_then(|problem| passed_on(name, status, *problem, retry_after)) {
                    return problem;
                }
                Self::new(
                    StatusCode::BAD_GATEWAY,
                    "upstream_error",
                    format!("{name} answered with an error (HTTP {status}). Try again in a moment."),
                )
            }
            UpstreamErrorKind::Malformed(_) | UpstreamErrorKind::TooLarge => Self::new(
                StatusCode::BAD_GATEWAY,
                "upstream_malformed",
                format!("{name} sent an answer that cannot be read."),
            ),
        };
        problem.upstream(name)
    }
}

/// A problem of one of our own services is passed on: a 4xx because the caller can mend it, a 5xx because it names who
/// really failed, and a 503 or 504 of its own because it says why; then it is that service that failed.
fn passed_on(name: &str, status: u16, body: ProblemBody, retry_after: Option<Duration>) -> Option<Problem> {
    let status = StatusCode::from_u16(status).ok()?;
    let away = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT);
    let upstream = body.upstream.or_else(|| away.then(|| name.to_owned()));
    (status.is_client_error() || upstream.is_some()).then_some(Problem {
        status,
        code: body.code,
        detail: body.detail,
        upstream,
        retry_after,
        asked_by: None,
        errors: (!body.errors.is_empty()).then(|| body.errors.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, code: &str, upstream: &str) -> Option<ProblemBody> {
        let body = serde_json::json!({"type": kind, "title": "Error", "status": 503, "detail": "It failed.",
            "code": code, "upstream": upstream});
        ProblemBody::of_ours(body.to_string().as_bytes())
    }

    #[test]
    fn what_is_wrong_with_each_field_is_passed_on() {
        let body = serde_json::json!({"type": "urn:crypto-telemetry:problem:bad_pipeline", "title": "Bad Request",
            "status": 400, "detail": "It cannot be taken.", "code": "bad_pipeline",
            "errors": [{"field": "steps[0].name", "reason": "is missing"}]});
        let body = ProblemBody::of_ours(body.to_string().as_bytes()).unwrap();
        let problem = passed_on("pipeline-service", 400, body, None).unwrap();
        assert_eq!(problem.errors.as_deref().map(|errors| errors[0].field.as_str()), Some("steps[0].name"));
        let plain = read("urn:crypto-telemetry:problem:x", "x", "binance").unwrap();
        assert_eq!(passed_on("binance", 503, plain, None).unwrap().errors, None);
    }

    #[test]
    fn only_words_of_ours_are_believed() {
        assert!(read("urn:crypto-telemetry:problem:stale_price", "stale_price", "market-data-service").is_some());
        assert!(read("about:blank", "stale_price", "binance").is_none());
        assert!(read("urn:crypto-telemetry:problem:other", "stale_price", "binance").is_none());
        for code in ["", "Stale", "a b", "a-b", "\u{e4}", &"a".repeat(41)] {
            assert!(read(&format!("{URN}{code}"), code, "binance").is_none(), "{code}");
        }
        for upstream in ["", "Binance", "a_b", "a\"b", &"a".repeat(41)] {
            assert!(read("urn:crypto-telemetry:problem:x", "x", upstream).is_none(), "{upstream}");
        }
    }
}
