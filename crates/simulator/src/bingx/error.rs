//! Errors as BingX words them: HTTP 200 and `{"code":101204,"msg":"Insufficient margin","data":{}}`.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;

use crate::faults::Outcome;

/// An error of the perpetual swap API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct ApiError {
    status: StatusCode,
    code: i64,
    message: String,
}

impl ApiError {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self { status: StatusCode::OK, code, message: message.into() }
    }

    /// 100001.
    pub(super) fn signature() -> Self {
        Self::new(100_001, "Signature verification failed due to signature mismatch")
    }

    /// 100413.
    pub(super) fn api_key() -> Self {
        Self::new(100_413, "Incorrect apiKey")
    }

    /// 100421.
    pub(super) fn timestamp() -> Self {
        Self::new(100_421, "Null timestamp or timestamp mismatch")
    }

    /// 100410; there is no `Retry-After`.
    pub(super) fn too_often() -> Self {
        Self::new(100_410, "The endpoint trigger frequency limit rule is currently in the disabled period")
    }

    /// 109400.
    pub(super) fn parameter(what: &str) -> Self {
        Self::new(109_400, format!("Invalid parameters, err: {what}"))
    }

    /// 109425.
    pub(super) fn unknown_symbol(symbol: &str) -> Self {
        Self::new(109_425, format!("The trading pair {symbol} does not exist"))
    }

    /// 101481.
    pub(super) fn duplicate_client_id() -> Self {
        Self::new(101_481, "clientOrderID is used by another order of the last 24 hours")
    }

    /// 101204.
    pub(super) fn insufficient_margin() -> Self {
        Self::new(101_204, "Insufficient margin")
    }

    /// 101290.
    pub(super) fn reduce_only() -> Self {
        Self::new(101_290, "The Reduce Only order can only decrease your position")
    }

    /// 109421.
    pub(super) fn no_such_order() -> Self {
        Self::new(109_421, "The order does not exist")
    }

    /// 80018.
    pub(super) fn already_final() -> Self {
        Self::new(80_018, "The order is already filled or cancelled")
    }

    /// 80013.
    pub(super) fn too_many_open_orders() -> Self {
        Self::new(80_013, "The number of your open orders has reached the limit")
    }

    /// The exchange itself failed: what came of the request is not said.
    pub(super) fn server_error(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, code: 100_500, message: "Internal system error".to_owned() }
    }

    /// There is no price to fill at.
    pub(super) fn no_price() -> Self {
        Self { message: "Market data is not available".to_owned(), ..Self::server_error(503) }
    }

    /// What could not be kept did not happen.
    pub(super) fn not_kept() -> Self {
        Self::server_error(500)
    }

    const fn outcome(&self) -> &'static str {
        match self.code {
            100_500 => "server_error",
            100_410 => "rate_limited",
            _ => "client_error",
        }
    }

    /// The error as BingX sends it.
    pub(super) fn response(&self) -> HttpResponse {
        let mut response =
            HttpResponse::build(self.status).json(json!({ "code": self.code, "msg": self.message, "data": {} }));
        // The status of most is 200: what is counted is what the body says.
        response.extensions_mut().insert(Outcome(self.outcome()));
        response
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
