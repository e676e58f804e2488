//! What can go wrong with a REST call.

use std::time::Duration;

use web::{UpstreamError, UpstreamErrorKind};

use super::guard::Withheld;

/// Why a REST call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// -1121: the exchange does not list the symbol.
    #[error("binance does not list the symbol: {message}")]
    InvalidSymbol {
        /// Binance's own words.
        message: String,
    },
    /// -1100 to -1199: a parameter was wrong, which is a fault of this client.
    #[error("binance refused a parameter ({code}): {message}")]
    BadParameter {
        /// Binance's code.
        code: i32,
        /// Binance's own words.
        message: String,
    },
    /// 429, 418 or -1003: Binance asks for silence, and every call keeps it from now on.
    #[error("binance asks for silence ({}), {} s long", why.as_str(), retry_after.as_secs())]
    TooManyRequests {
        /// Slow down, or banned.
        why: Withheld,
        /// How long.
        retry_after: Duration,
    },
    /// Not sent: see [`Withheld`].
    #[error("the call was not sent ({}): next one possible in {} s", why.as_str(), retry_after.as_secs())]
    Withheld {
        /// Why not.
        why: Withheld,
        /// When a call is possible again.
        retry_after: Duration,
    },
    /// 403: the web application firewall.
    #[error("binance's firewall refused the call (403)")]
    Firewall,
    /// Any other error of the exchange.
    #[error("binance answered {status} ({code}): {message}")]
    Exchange {
        /// HTTP status.
        status: u16,
        /// Binance's code.
        code: i32,
        /// Binance's own words.
        message: String,
    },
    /// The body is not what the documentation says.
    #[error("binance's reply to {route} is malformed: {what}")]
    Malformed {
        /// Which call.
        route: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// No usable reply at all: connection, time limit, circuit breaker, a status without Binance's error body.
    #[error(transparent)]
    Transport(#[from] UpstreamError),
}

impl RestError {
    /// Bounded label for metrics and logs.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::InvalidSymbol { .. } => "invalid_symbol",
            Self::BadParameter { .. } => "bad_parameter",
            Self::TooManyRequests { .. } => "too_many_requests",
            Self::Withheld { .. } => "withheld",
            Self::Firewall => "firewall",
            Self::Exchange { .. } => "exchange_error",
            Self::Malformed { .. } => "malformed",
            Self::Transport(error) => error.label(),
        }
    }

    /// Whether another attempt soon may help.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Exchange { status, .. } => *status >= 500,
            Self::Transport(error) => match &error.kind {
                UpstreamErrorKind::Connect(_) | UpstreamErrorKind::Broken(_) | UpstreamErrorKind::Timeout => true,
                UpstreamErrorKind::Status { status, .. } => *status >= 500,
                UpstreamErrorKind::Malformed(_)
                | UpstreamErrorKind::TooLarge
                | UpstreamErrorKind::CircuitOpen { .. } => false,
            },
            _ => false,
        }
    }

    /// When it makes sense to ask again, if the exchange or this client knows.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyRequests { retry_after, .. } | Self::Withheld { retry_after, .. } => Some(*retry_after),
            Self::Transport(UpstreamError { kind: UpstreamErrorKind::CircuitOpen { retry_after }, .. }) => {
                Some(*retry_after)
            }
            _ => None,
        }
    }
}
