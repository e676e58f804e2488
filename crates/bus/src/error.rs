//! What can go wrong with a bus.

use actix_web::http::StatusCode;
use storage::StorageError;
use web::Problem;

/// Why something on the bus failed. No variant carries anything of a message, or a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// The bus cannot be reached, or is not ready for use yet.
    #[error("the bus cannot be used now: {reason}")]
    Unavailable {
        /// Why, in words.
        reason: String,
    },
    /// It took too long. What was to be published may have been, or may still be.
    #[error("the bus took too long: {reason}")]
    Timeout {
        /// What took too long, in words.
        reason: String,
    },
    /// A message that is larger than messages may be.
    #[error("a message has {size} bytes, and may have {limit} with its key and headers")]
    TooLarge {
        /// Its payload, key and headers.
        size: usize,
        /// Most that they may be.
        limit: usize,
    },
    /// What is to be committed belongs to another consumer by now, which reads it again. What of the batch is still ours
    /// has been committed.
    #[error("partitions of {topic} have gone to another consumer meanwhile: {partitions:?}")]
    Fenced {
        /// The topic.
        topic: String,
        /// Those that are not ours any more.
        partitions: Vec<i32>,
    },
    /// What was asked for cannot be: a name of a topic that is none, a text that no engine can keep.
    #[error("the bus refuses it: {reason}")]
    Refused {
        /// Why, in words.
        reason: String,
    },
    /// The bus does not understand what it is asked, or nobody lets us in: a defect of the program or its settings.
    #[error("the bus cannot do it: {reason}")]
    Broken {
        /// What it says.
        reason: String,
    },
}

impl BusError {
    /// A bounded word: label of metrics and `error.type` of spans.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::Timeout { .. } => "timeout",
            Self::TooLarge { .. } => "too_large",
            Self::Fenced { .. } => "fenced",
            Self::Refused { .. } => "refused",
            Self::Broken { .. } => "broken",
        }
    }

    /// Whether the same may succeed a little later.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Timeout { .. })
    }

    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into() }
    }

    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }
}

impl From<StorageError> for BusError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unavailable { reason } => Self::Unavailable { reason },
            StorageError::Timeout { reason } => Self::Timeout { reason: reason.to_owned() },
            other => Self::Broken { reason: other.to_string() },
        }
    }
}

/// When to try again: a bus that is away is looked for about that often.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

impl From<BusError> for Problem {
    fn from(error: BusError) -> Self {
        match &error {
            BusError::Unavailable { .. } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "bus_away",
                "The signal bus cannot be reached now. Try again in a moment.",
            )
            .retry_after(RETRY_AFTER),
            BusError::Timeout { .. } => Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                "bus_timeout",
                "The signal bus did not answer in time. Try again in a moment.",
            ),
            BusError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "That is more than the signal bus can carry.")
            }
            _ => {
                tracing::error!(error = %error, "an error of the bus that no caller can mend");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "Something went wrong here. It has been logged.",
                )
            }
        }
    }
}
