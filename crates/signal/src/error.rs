//! What goes wrong here, as problems.

use std::time::Duration;

use actix_web::http::StatusCode;
use domain::PageError;
use storage::StorageError;
use web::Problem;

use crate::access::SourceNotAllowed;
use crate::message::Refused;
use crate::webhook::MAX_ALERT_BYTES;

/// When to come back: about when TradingView does.
const COME_BACK: Duration = Duration::from_secs(5);

/// Why a request about hooks or signals gets no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("the signals' database failed")]
    Storage(#[from] StorageError),
    #[error("{0}")]
    Page(#[from] PageError),
    #[error("a hook of this name is there already")]
    NameTaken,
    #[error("there are as many hooks as there can be")]
    TooManyHooks,
    #[error("there is no such hook")]
    NoHook,
    #[error("there is no such signal")]
    NoSignal,
    #[error("the signal has not failed")]
    NotFailed,
    #[error("the signal is not set aside")]
    NotParked,
    #[error("an id is a word of 32 hex digits")]
    BadId,
    #[error("no status is called that")]
    BadStatus,
    #[error("{0} in the database is none")]
    Kept(&'static str),
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Storage(error) => error.into(),
            ApiError::Page(error) => Self::new(StatusCode::BAD_REQUEST, error.code(), format!("The {error}.")),
            ApiError::NameTaken => Self::new(
                StatusCode::CONFLICT,
                "name_taken",
                "A hook of this name is there already. Choose another name, or revoke that one first.",
            ),
            ApiError::TooManyHooks => Self::new(
                StatusCode::CONFLICT,
                "too_many_hooks",
                "There are as many hooks as there can be. Revoke those that nobody uses.",
            ),
            ApiError::NoHook => Self::new(
                StatusCode::NOT_FOUND,
                "no_such_hook",
                "There is no hook with this id; GET /v1/hooks lists them.",
            ),
            ApiError::NoSignal => {
                Self::new(StatusCode::NOT_FOUND, "unknown_signal", "There is no signal with this id, or not any more.")
            }
            ApiError::NotFailed => Self::new(
                StatusCode::CONFLICT,
                "not_failed",
                "The signal waits or has been executed. Only one that failed is handed on again.",
            ),
            ApiError::NotParked => Self::new(
                StatusCode::CONFLICT,
                "not_parked",
                "The signal failed this moment and is not set aside yet. Try again in a moment.",
            ),
            ApiError::BadId => Self::new(StatusCode::BAD_REQUEST, "bad_id", "An id is a word of 32 hex digits."),
            ApiError::BadStatus => Self::new(
                StatusCode::BAD_REQUEST,
                "bad_query",
                "The query cannot be understood: status is one of queued, executed, failed.",
            ),
            ApiError::Kept(what) => {
                tracing::error!(what, "what stands in the database cannot be read");
                Self::internal()
            }
        }
    }
}

/// An id that a path names. Anything else never reaches a database: PostgreSQL fails at a NUL in a text.
pub(crate) fn id(text: &str) -> Result<String, ApiError> {
    let id = text.to_ascii_lowercase();
    if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) { Ok(id) } else { Err(ApiError::BadId) }
}

/// Why an alert is not taken. None of these holds a token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IngestError {
    #[error("alerts are not taken from this address")]
    Source,
    #[error("no hook has this token")]
    UnknownHook,
    #[error("the hook has sent too many alerts")]
    TooMany(Duration),
    #[error("the body is neither JSON nor plain text")]
    MediaType,
    #[error("the body is too large")]
    TooLarge,
    #[error("the body could not be read")]
    Unreadable,
    #[error("{0}")]
    Message(#[from] Refused),
    #[error("the signals' database failed")]
    Storage(#[from] StorageError),
    #[error("the database took too long")]
    TooSlow,
    #[error("the signal cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    #[error("{0} in the database is none")]
    Kept(&'static str),
    #[error("the work ended early")]
    Ended,
}

impl IngestError {
    /// A bounded word: the code of the answer, and `error.type` of the span where something failed.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Source => "source_not_allowed",
            Self::UnknownHook => "unknown_hook",
            Self::TooMany(_) => "rate_limited",
            Self::MediaType => "unsupported_media_type",
            Self::TooLarge => "body_too_large",
            Self::Unreadable => "unreadable_body",
            Self::Message(refused) => refused.code(),
            Self::Storage(StorageError::Timeout { .. }) | Self::TooSlow => "database_timeout",
            Self::Storage(StorageError::Unavailable { .. }) => "database_away",
            Self::Storage(_) | Self::Json(_) | Self::Kept(_) | Self::Ended => "internal_error",
        }
    }

    pub(crate) const fn is_failure(&self) -> bool {
        matches!(self, Self::Storage(_) | Self::TooSlow | Self::Json(_) | Self::Kept(_) | Self::Ended)
    }
}

impl From<IngestError> for Problem {
    fn from(error: IngestError) -> Self {
        let (code, new) = (error.code(), |status, detail: &str| Self::new(status, error.code(), detail));
        match &error {
            IngestError::Source => new(StatusCode::FORBIDDEN, "Alerts are not taken from this address."),
            IngestError::UnknownHook => new(
                StatusCode::UNAUTHORIZED,
                "No hook has this token, or not any more. Make one with 'crypto-telemetry hooks create NAME'.",
            ),
            IngestError::TooMany(wait) => new(
                StatusCode::TOO_MANY_REQUESTS,
                "This hook has sent more alerts than SIGNAL_HOOK_RATE_PER_MINUTE allows. This one is not kept.",
            )
            .retry_after(*wait),
            IngestError::MediaType => new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "An alert is application/json or text/plain, and not compressed.",
            ),
            IngestError::TooLarge => {
                let detail = format!("The alert is too large; at most {MAX_ALERT_BYTES} bytes are taken.");
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, code, detail)
            }
            IngestError::Unreadable => new(StatusCode::BAD_REQUEST, "The body could not be read."),
            IngestError::Message(refused) => {
                let status =
                    if refused.is_malformed() { StatusCode::BAD_REQUEST } else { StatusCode::UNPROCESSABLE_ENTITY };
                Self::new(status, code, refused.to_string())
            }
            // 503 and not 504, which TradingView does not send again:
            // https://www.tradingview.com/support/solutions/43000529348-about-webhooks/
            IngestError::Storage(StorageError::Timeout { .. } | StorageError::Unavailable { .. })
            | IngestError::TooSlow => new(
                StatusCode::SERVICE_UNAVAILABLE,
                "The database cannot keep the signal now. Send the alert again in a moment.",
            )
            .retry_after(COME_BACK),
            IngestError::Storage(_) | IngestError::Json(_) | IngestError::Kept(_) | IngestError::Ended => {
                tracing::error!(error = %telemetry::causes(&error).join(": "), "an alert could not be taken");
                Self::internal()
            }
        }
    }
}

impl From<SourceNotAllowed> for IngestError {
    fn from(_: SourceNotAllowed) -> Self {
        Self::Source
    }
}
