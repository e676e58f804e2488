//! Errors as Binance words them: `{"code":-1121,"msg":"Invalid symbol."}`.

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

/// An error of the REST API (`errors.md`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct ApiError {
    status: StatusCode,
    code: i32,
    message: String,
    retry_after_s: Option<u64>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: i32,
    msg: &'a str,
}

impl ApiError {
    fn bad(code: i32, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into(), retry_after_s: None }
    }

    /// -1100.
    pub(super) fn illegal_characters(parameter: &str, legal: &str) -> Self {
        Self::bad(-1100, format!("Illegal characters found in parameter '{parameter}'; legal range is '{legal}'."))
    }

    /// -1101 for parameters that the endpoint does not know.
    pub(super) fn too_many_parameters(expected: usize, received: usize) -> Self {
        Self::bad(-1101, format!("Too many parameters; expected '{expected}' and received '{received}'."))
    }

    /// -1101 for a parameter that comes twice.
    pub(super) fn duplicate_parameter() -> Self {
        Self::bad(-1101, "Duplicate values for a parameter detected.")
    }

    /// -1102.
    pub(super) fn missing(parameter: &str) -> Self {
        Self::bad(-1102, format!("Mandatory parameter '{parameter}' was not sent, was empty/null, or malformed."))
    }

    /// -1105.
    pub(super) fn empty(parameter: &str) -> Self {
        Self::bad(-1105, format!("Parameter '{parameter}' was empty."))
    }

    /// -1120.
    pub(super) fn invalid_interval() -> Self {
        Self::bad(-1120, "Invalid interval.")
    }

    /// -1121.
    pub(super) fn invalid_symbol() -> Self {
        Self::bad(-1121, "Invalid symbol.")
    }

    /// -1128.
    pub(super) fn bad_combination() -> Self {
        Self::bad(-1128, "Combination of optional parameters invalid.")
    }

    /// -1130.
    pub(super) fn invalid_value(parameter: &str) -> Self {
        Self::bad(-1130, format!("Data sent for parameter '{parameter}' is not valid."))
    }

    /// -1139.
    pub(super) fn invalid_ticker_type() -> Self {
        Self::bad(-1139, "Invalid ticker type.")
    }

    /// -1151.
    pub(super) fn duplicate_symbols() -> Self {
        Self::bad(-1151, "Symbol is present multiple times in the list.")
    }

    /// -1003 for an address that has used its weight up.
    pub(super) fn weight_used_up(limit: u32, retry_after_s: u64) -> Self {
        let message = format!(
            "Too much request weight used; current limit is {limit} request weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API."
        );
        Self { status: StatusCode::TOO_MANY_REQUESTS, code: -1003, message, retry_after_s: Some(retry_after_s) }
    }

    /// -1034 for an address that opens too many sockets.
    pub(super) fn too_many_connections(limit: u32, retry_after_s: u64) -> Self {
        let message = format!("Too many connection attempts from IP; current limit is {limit} per '5 MINUTE'.");
        Self { status: StatusCode::TOO_MANY_REQUESTS, code: -1034, message, retry_after_s: Some(retry_after_s) }
    }

    /// -1003 on purpose: 429 asks to slow down, 418 bans.
    pub(super) fn slow_down(status: u16, retry_after_s: u64) -> Self {
        let message = if status == 418 {
            let until = crate::world::now_ms() + i64::try_from(retry_after_s).unwrap_or_default() * 1_000;
            format!(
                "Way too much request weight used; IP banned until {until}. Please use WebSocket Streams for live updates to avoid bans."
            )
        } else {
            "Too many requests queued.".to_owned()
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
        Self { status, code: -1003, message, retry_after_s: Some(retry_after_s) }
    }

    /// -1000: the exchange itself failed.
    pub(super) fn server_error(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code: -1000,
            message: "An unknown error occurred while processing the request.".to_owned(),
            retry_after_s: None,
        }
    }

    /// The error as Binance sends it.
    pub(super) fn response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        response.json(Body { code: self.code, msg: &self.message })
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.response()
    }
}
