//! What goes wrong here, as problems.

use actix_web::http::StatusCode;
use domain::PageError;
use domain::trading::AuditEventError;
use storage::StorageError;
use web::{ChainError, Problem, UpstreamError};

/// Why a request gets no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    #[error("the audit database failed")]
    Storage(#[from] StorageError),
    #[error("handing the request on to {} failed", .0.upstream)]
    Next(#[source] UpstreamError),
    #[error("{0}")]
    Page(#[from] PageError),
    #[error("the event cannot be kept: {0}")]
    Event(#[source] AuditEventError),
    #[error("{0} in the database is none")]
    Kept(&'static str),
    #[error("the context cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl ChainError for AuditError {
    fn label(&self) -> &'static str {
        match self {
            Self::Storage(error) => error.label(),
            Self::Next(error) => error.label(),
            Self::Page(error) => error.code(),
            Self::Event(_) => "bad_event",
            Self::Kept(_) => "bad_row",
            Self::Json(_) => "bad_json",
        }
    }

    fn is_failure(&self) -> bool {
        match self {
            Self::Storage(_) | Self::Kept(_) | Self::Json(_) => true,
            Self::Next(error) => !error.is_refusal(),
            Self::Page(_) | Self::Event(_) => false,
        }
    }
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Storage(error) => error.into(),
            AuditError::Next(error) => error.into(),
            AuditError::Page(error) => Self::new(StatusCode::BAD_REQUEST, error.code(), format!("The {error}.")),
            AuditError::Event(error) => {
                Self::new(StatusCode::BAD_REQUEST, "bad_event", format!("The event cannot be kept: {error}."))
            }
            AuditError::Kept(_) | AuditError::Json(_) => Self::internal(),
        }
    }
}
