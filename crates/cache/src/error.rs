//! Why a command came to nothing. Nobody outside learns it: there, nothing stood in the cache.

use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why a command failed. No variant carries a key or a value, or a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CacheError {
    /// It is known to be away, and was not asked.
    #[error("the shared cache is away: {0}")]
    Away(String),
    /// It did not answer in time.
    #[error("the shared cache did not answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The connection is broken, or nobody lets us in.
    #[error("the shared cache cannot be used now: {reason}")]
    Broken {
        /// Why, in words.
        reason: String,
        /// The server's word for it, where it has said one.
        code: Option<String>,
    },
    /// It is there, and does not do this: something of another type stands there, no memory is left, it is read only.
    #[error("the shared cache refuses a command: {code}")]
    Refused {
        /// The server's word for it.
        code: String,
    },
}

impl CacheError {
    /// A bounded word: `error.type` of spans.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Away(_) => "away",
            Self::Timeout(_) => "timeout",
            Self::Broken { .. } => "broken",
            Self::Refused { .. } => "refused",
        }
    }

    /// The server's word for it: `db.response.status_code` of spans.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Broken { code, .. } => code.as_deref(),
            Self::Refused { code } => Some(code),
            _ => None,
        }
    }

    /// Whether the next command would fail in the same way, whatever it is.
    pub(crate) const fn is_outage(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }
}

/// The server's own sentence is left out: it may repeat a command.
impl From<RedisError> for CacheError {
    fn from(error: RedisError) -> Self {
        let code = error.code().map(str::to_owned);
        let for_all = match error.kind() {
            ErrorKind::Server(
                ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown | ServerErrorKind::ClusterDown,
            ) => true,
            ErrorKind::Server(_) | ErrorKind::UnexpectedReturnType => false,
            ErrorKind::Extension => code.as_deref().is_none_or(|code| matches!(code, "NOAUTH" | "BUSY" | "WRONGPASS")),
            _ => true,
        };
        match (for_all, code) {
            (false, code) => Self::Refused { code: code.unwrap_or_else(|| error.category().to_owned()) },
            (true, Some(code)) => Self::Broken { reason: format!("it answers {code}"), code: Some(code) },
            (true, None) if error.is_io_error() => Self::Broken { reason: error.to_string(), code: None },
            (true, None) => Self::Broken { reason: error.category().to_owned(), code: None },
        }
    }
}
