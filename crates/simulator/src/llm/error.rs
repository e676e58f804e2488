//! Errors as OpenAI words them: `{"error":{"message","type","param","code"}}`.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;

use crate::faults::Refusal;

/// An error of the chat completions API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LlmError {
    status: StatusCode,
    kind: &'static str,
    message: String,
    param: Option<String>,
    code: Option<&'static str>,
    retry_after_s: Option<u64>,
}

impl LlmError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), param: None, code: None, retry_after_s: None }
    }

    /// A request that cannot be carried out; `param` says which part of it is wrong.
    pub(super) fn invalid(message: impl Into<String>, param: Option<&str>, code: Option<&'static str>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message);
        Self { param: param.map(str::to_owned), code, ..error }
    }

    pub(super) fn no_key() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "invalid_request_error",
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
        )
    }

    /// The real API repeats part of the key in its message; a log must not hold even that.
    pub(super) fn wrong_key() -> Self {
        let error = Self::new(StatusCode::UNAUTHORIZED, "invalid_request_error", "Incorrect API key provided.");
        Self { code: Some("invalid_api_key"), ..error }
    }

    pub(super) fn method(method: &str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "invalid_request_error",
            format!(
                "Not allowed to {method} on /v1/chat/completions (HINT: Perhaps you meant to use a different HTTP method?)"
            ),
        )
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        let status = |status| StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match refusal {
            Refusal::TooManyRequests { status: code, retry_after_s } => Self {
                code: Some("rate_limit_exceeded"),
                retry_after_s: Some(retry_after_s),
                ..Self::new(
                    status(code),
                    "requests",
                    format!("Rate limit reached for requests. Please try again in {retry_after_s}s."),
                )
            },
            Refusal::ServerError { status: code } => Self::new(
                status(code),
                "server_error",
                "The server had an error while processing your request. Sorry about that!",
            ),
        }
    }

    pub(super) fn response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        response.json(
            json!({ "error": { "message": self.message, "type": self.kind, "param": self.param, "code": self.code } }),
        )
    }
}

impl fmt::Display for LlmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ResponseError for LlmError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.response()
    }
}
