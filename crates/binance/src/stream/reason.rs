//! Why connections fail and end.

use std::time::Duration;

use awc::error::WsClientError;

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No answer within the time limit.
    #[error("no connection within {} ms", limit.as_millis())]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// Answered with something else than 101: 429 and 418 mean too many connections.
    #[error("the handshake was answered with HTTP status {0}")]
    Status(u16),
    /// Name resolution, TCP or TLS failed.
    #[error("cannot connect: {0}")]
    Transport(String),
    /// The handshake's answer breaks the protocol.
    #[error("the handshake failed: {0}")]
    Handshake(String),
}

impl ConnectError {
    /// Bounded label for metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Timeout { .. } => "timeout",
            Self::Status(429 | 418) => "too_many_requests",
            Self::Status(500..) => "server_error",
            Self::Status(_) => "refused",
            Self::Transport(_) => "connect",
            Self::Handshake(_) => "handshake",
        }
    }
}

impl From<WsClientError> for ConnectError {
    fn from(error: WsClientError) -> Self {
        match error {
            WsClientError::InvalidResponseStatus(status) => Self::Status(status.as_u16()),
            WsClientError::SendRequest(error) => Self::Transport(error.to_string()),
            other => Self::Handshake(other.to_string()),
        }
    }
}

/// Why a connection ended, or has to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostReason {
    /// The server said goodbye.
    Closed,
    /// The socket broke, without a goodbye.
    Dropped,
    /// No message for too long.
    Idle,
    /// A frame or message was larger than allowed.
    TooLarge,
    /// The server broke the WebSocket protocol.
    Protocol,
    /// The server announced that it will go away.
    ServerShutdown,
    /// It is nearly as old as Binance lets a connection become (24 hours).
    Lifetime,
}

impl LostReason {
    /// Bounded label for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Dropped => "dropped",
            Self::Idle => "idle",
            Self::TooLarge => "too_large",
            Self::Protocol => "protocol",
            Self::ServerShutdown => "server_shutdown",
            Self::Lifetime => "lifetime",
        }
    }
}
