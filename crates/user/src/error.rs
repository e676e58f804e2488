//! What goes wrong here, as problems.

use std::time::Duration;

use actix_web::http::StatusCode;
use domain::{PageError, UserId};
use storage::StorageError;
use web::{ChainError, Problem, UpstreamError};

/// Why a request gets no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UserError {
    #[error("the users' database failed")]
    Storage(#[from] StorageError),
    #[error("handing the request on to {} failed", .0.upstream)]
    Next(#[source] UpstreamError),
    #[error("a request with this Idempotency-Key is being worked on")]
    KeyInProgress { retry_after: Duration },
    #[error("this Idempotency-Key was used for another request")]
    KeyMismatch,
    #[error("there is no user {0}")]
    Unknown(UserId),
    #[error("{0}")]
    Page(#[from] PageError),
    #[error("{0} in the database is none")]
    Kept(&'static str),
    #[error("the reply cannot be written as JSON")]
    Reply(#[from] serde_json::Error),
}

impl ChainError for UserError {
    fn label(&self) -> &'static str {
        match self {
            Self::Storage(error) => error.label(),
            Self::Next(error) => error.label(),
            Self::KeyInProgress { .. } => "key_in_progress",
            Self::KeyMismatch => "key_mismatch",
            Self::Unknown(_) => "unknown_user",
            Self::Page(error) => error.code(),
            Self::Kept(_) => "bad_row",
            Self::Reply(_) => "bad_reply",
        }
    }

    fn is_failure(&self) -> bool {
        match self {
            Self::Storage(_) | Self::Kept(_) | Self::Reply(_) => true,
            Self::Next(error) => !error.is_refusal(),
            _ => false,
        }
    }
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Self {
        match error {
            UserError::Storage(error) => error.into(),
            UserError::Next(error) => error.into(),
            UserError::KeyInProgress { retry_after } => Self::new(
                StatusCode::CONFLICT,
                "key_in_progress",
                "A request with this Idempotency-Key is being worked on. Ask again in a moment for its answer.",
            )
            .retry_after(retry_after),
            UserError::KeyMismatch => web::key_mismatch(),
            UserError::Unknown(id) => {
                Self::new(StatusCode::NOT_FOUND, "unknown_user", format!("There is no user {id}."))
            }
            UserError::Page(error) => Self::new(StatusCode::BAD_REQUEST, error.code(), format!("The {error}.")),
            UserError::Kept(_) | UserError::Reply(_) => Self::internal(),
        }
    }
}
