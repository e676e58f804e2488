//! What goes wrong here, as problems.

use std::time::Duration;

use actix_web::http::StatusCode;
use domain::{PageError, SignalEventError};
use storage::StorageError;
use web::Problem;

/// When to come back where too many signals wait.
const COME_BACK: Duration = Duration::from_secs(5);

/// Why a request gets no answer, or a signal is not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("the signals' database failed")]
    Storage(#[from] StorageError),
    #[error("{0}")]
    Page(#[from] PageError),
    #[error("{0}")]
    Signal(#[from] SignalEventError),
    #[error("there is no such signal")]
    NoSignal,
    #[error("an id is a word of 32 hex digits")]
    BadId,
    #[error("{0}")]
    BadQuery(String),
    #[error("an Idempotency-Key that is none")]
    BadKey,
    #[error("the key was used for another signal")]
    KeyMismatch,
    #[error("as many signals wait for the bus as may")]
    Full,
    #[error("the signal cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    #[error("{0} in the database is none")]
    Kept(&'static str),
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Storage(error) => error.into(),
            ApiError::Page(error) => Self::new(StatusCode::BAD_REQUEST, error.code(), format!("The {error}.")),
            ApiError::Signal(error) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "bad_signal",
                format!("The signal makes no sense: {error}."),
            ),
            ApiError::NoSignal => {
                Self::new(StatusCode::NOT_FOUND, "unknown_signal", "There is no signal with this id, or not any more.")
            }
            ApiError::BadId => Self::new(StatusCode::BAD_REQUEST, "bad_id", "An id is a word of 32 hex digits."),
            ApiError::BadQuery(words) => {
                Self::new(StatusCode::BAD_REQUEST, "bad_query", format!("The query cannot be understood: {words}."))
            }
            ApiError::BadKey => Self::new(
                StatusCode::BAD_REQUEST,
                "bad_idempotency_key",
                "An Idempotency-Key is one header of 1 to 128 visible ASCII characters, without spaces.",
            ),
            ApiError::KeyMismatch => web::key_mismatch(),
            ApiError::Full => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "buffer_full",
                "As many signals wait for the bus as may (GENERATOR_BUFFER). Try again when the bus has taken some.",
            )
            .retry_after(COME_BACK),
            ApiError::Json(error) => {
                tracing::error!(error = %error, "a signal cannot be written as JSON");
                Self::internal()
            }
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
