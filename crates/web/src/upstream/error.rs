//! How outgoing calls fail.

use std::time::Duration;

use bytes::Bytes;

use crate::ProblemBody;

/// An outgoing call that failed for good.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{upstream}: {kind} (after {attempts} attempts)")]
pub struct UpstreamError {
    /// Who was called.
    pub upstream: &'static str,
    /// What went wrong in the last attempt.
    pub kind: UpstreamErrorKind,
    /// Attempts made; 0 when the circuit was open.
    pub attempts: u32,
}

/// What went wrong.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UpstreamErrorKind {
    /// No connection could be made: nothing was sent.
    #[error("no connection: {0}")]
    Connect(String),
    /// The connection broke after sending may have begun: the other side may have read the request, and acted on it.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// An answer other than 2xx.
    #[error("HTTP {status}")]
    Status {
        /// The status.
        status: u16,
        /// The body, bounded.
        body: Bytes,
        /// What `Retry-After` said.
        retry_after: Option<Duration>,
        /// The body as a problem, where a service of this system wrote it; nothing where an outside system answered,
        /// whatever its body looks like.
        problem: Option<Box<ProblemBody>>,
    },
    /// An answer that is not what was expected.
    #[error("an answer that cannot be read: {0}")]
    Malformed(String),
    /// An answer larger than the limit.
    #[error("an answer larger than the limit")]
    TooLarge,
    /// Not called: it failed repeatedly and is given a rest.
    #[error("not called for another {} ms after repeated failures", retry_after.as_millis())]
    CircuitOpen {
        /// Until the next trial.
        retry_after: Duration,
    },
}

impl UpstreamError {
    /// A bounded word for metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        self.kind.label()
    }

    /// Whether the caller's request was refused (4xx), rather than something failed. 429 is no mistake in the request.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self.kind, UpstreamErrorKind::Status { status: 400..=428 | 430..=499, .. })
    }
}

impl UpstreamErrorKind {
    /// A bounded word for metrics and `error.type`.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Connect(_) | Self::Broken(_) => "connect",
            Self::Timeout => "timeout",
            Self::Status { status: 429, .. } => "too_many_requests",
            Self::Status { status: 400..=499, .. } => "client_error",
            Self::Status { .. } => "server_error",
            Self::Malformed(_) => "malformed",
            Self::TooLarge => "too_large",
            Self::CircuitOpen { .. } => "circuit_open",
        }
    }

    /// Whether the one called is at fault, for the circuit breaker: its refusals (4xx) are answers, not failures, and so
    /// is its word that somebody further out failed.
    pub(crate) fn is_failure(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Broken(_) | Self::Timeout | Self::Malformed(_) => true,
            Self::Status { status, .. } => *status >= 500 && !self.is_others_fault(),
            Self::TooLarge | Self::CircuitOpen { .. } => false,
        }
    }

    /// Whether another attempt may help.
    pub(crate) fn is_transient(&self) -> bool {
        // A service that names somebody else has tried already: another attempt here only multiplies its own.
        matches!(
            self,
            Self::Connect(_) | Self::Broken(_) | Self::Timeout | Self::Status { status: 429 | 502 | 503 | 504, .. }
        ) && !self.is_others_fault()
    }

    /// Whether a service of this system says that somebody further out failed.
    fn is_others_fault(&self) -> bool {
        matches!(self, Self::Status { problem: Some(problem), .. } if problem.upstream.is_some())
    }
}
