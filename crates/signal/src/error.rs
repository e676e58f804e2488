//! What goes wrong here, as problems.

use actix_web::http::StatusCode;
use domain::PageError;
use storage::StorageError;
use web::Problem;

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
