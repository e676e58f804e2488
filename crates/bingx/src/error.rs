//! How calls fail, told apart by what is known about the order afterwards.

use std::time::Duration;

use crate::NewOrderError;

/// Why an order was not placed, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// It never left this process: there is no order.
    #[error("the order was not sent: {0}")]
    NotSent(#[from] NotSent),
    /// BingX said no: this call made no order. With [`RefusalKind::DuplicateClientId`] an earlier one did: query it.
    #[error("BingX refused the order: {0}")]
    Refused(Refusal),
    /// Nobody knows: query by client order id before anything else, and again after [`crate::Client::longest_in_flight`]
    /// when there is no such order yet.
    #[error("it is unknown whether BingX took the order: {why}")]
    Unknown {
        /// What went wrong, in a sentence without secrets.
        why: String,
    },
}

/// Why an order never left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// It makes no sense.
    #[error(transparent)]
    Invalid(#[from] NewOrderError),
    /// No connection could be made.
    #[error("BingX cannot be reached: {0}")]
    Unreachable(String),
    /// Too many calls have failed lately.
    #[error("calls to BingX are held back for another {} ms after repeated failures", retry_after.as_millis())]
    CircuitOpen {
        /// Until the next trial.
        retry_after: Duration,
    },
    /// This client's own limit of orders a second.
    #[error("this client sends no more orders for another {} ms, to keep to BingX's limit", retry_after.as_millis())]
    TooManyOrders {
        /// Until the next may be sent.
        retry_after: Duration,
    },
    /// The request could not be put together.
    #[error("the request cannot be made: {0}")]
    Request(String),
}

/// BingX's no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct Refusal {
    /// BingX's code, or the HTTP status where there is none.
    pub code: i64,
    /// What it said, shortened, without keys and signatures. Data from outside.
    pub message: String,
    /// What that means.
    pub kind: RefusalKind,
}

/// What a refusal means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// Not enough money.
    InsufficientMargin,
    /// There is an order of that client order id already.
    DuplicateClientId,
    /// Wrong signature, key or permission.
    BadSignature,
    /// Our clock is off, or the call took too long.
    ClockSkew,
    /// Too many calls. BingX does not say how long to wait.
    RateLimited,
    /// The parameters are wrong.
    BadRequest,
    /// Any other reason.
    Other,
}

impl RefusalKind {
    /// A bounded word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InsufficientMargin => "insufficient_margin",
            Self::DuplicateClientId => "duplicate_client_id",
            Self::BadSignature => "bad_signature",
            Self::ClockSkew => "clock_skew",
            Self::RateLimited => "rate_limited",
            Self::BadRequest => "bad_request",
            Self::Other => "other",
        }
    }

    pub(crate) fn of(code: i64, message: &str) -> Self {
        match code {
            // BingX has this code for orders that are too small, too.
            101_400 if message.to_ascii_lowercase().contains("minimum") => Self::BadRequest,
            101_204 | 101_253 | 100_202 => Self::InsufficientMargin,
            101_481 | 109_201 | 101_400 => Self::DuplicateClientId,
            // Signature, key, permission, address.
            100_001 | 100_004 | 100_412 | 100_413 | 100_419 | 401 | 403 => Self::BadSignature,
            100_421 => Self::ClockSkew,
            100_410 | 80_013 | 109_429 | 418 | 429 => Self::RateLimited,
            80_014 | 100_204 | 100_400 | 109_400 | 109_425 | 400..=417 => Self::BadRequest,
            _ => Self::Other,
        }
    }
}

impl PlaceError {
    /// Whether there surely is no order of this client order id from this call, so that it may be forgotten. Not so for a
    /// duplicate: there is one, of an earlier call.
    #[must_use]
    pub const fn is_surely_not_placed(&self) -> bool {
        match self {
            Self::NotSent(_) => true,
            Self::Refused(refusal) => !matches!(refusal.kind, RefusalKind::DuplicateClientId),
            Self::Unknown { .. } => false,
        }
    }

    /// A bounded word for metrics and `error.type`.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NotSent(_) => "not_sent",
            Self::Refused(refusal) => refusal.kind.as_str(),
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// Why a question or a cancellation has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// BingX knows no such order. A call that was given up may still arrive: see [`crate::Client::longest_in_flight`].
    #[error("BingX knows no such order: {0}")]
    NoSuchOrder(Refusal),
    /// No answer, or none that can be read; asking again may help.
    #[error("BingX gives no answer now: {why}")]
    Unavailable {
        /// What went wrong, in a sentence without secrets.
        why: String,
    },
    /// BingX said no; the same question will get the same answer.
    #[error("BingX refused: {0}")]
    Refused(Refusal),
    /// What is asked cannot be put into a question.
    #[error("BingX cannot be asked: {0}")]
    Invalid(#[from] NewOrderError),
}
