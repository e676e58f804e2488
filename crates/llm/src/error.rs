//! How a chat completion fails, and what that cost.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use web::{UpstreamError, UpstreamErrorKind};

use crate::Settings;
use crate::wire::{ApiError, ErrorBody, Usage};

/// A chat completion that gave nothing usable.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the language model {kind}")]
pub struct ChatError {
    /// What went wrong.
    pub kind: ChatErrorKind,
    /// What is known about the cost.
    pub spent: Spent,
}

/// Tokens that a failed call used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// None: the call was not made, not taken, or refused before the model read it.
    Nothing,
    /// These, as the server said.
    Tokens(Usage),
    /// The model may have worked; nobody said how much.
    Unknown,
}

/// What went wrong. The texts complete "the language model …" and hold nothing that came from outside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChatErrorKind {
    /// No answer within the time limit.
    #[error("did not answer within {} ms", limit.as_millis())]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// 429, or still within the time that an earlier 429 asked for.
    #[error("asks for fewer requests")]
    RateLimited {
        /// When to try again, if it said so.
        retry_after: Option<Duration>,
        /// What the server said.
        api: Box<ApiError>,
    },
    /// 401 or 403.
    #[error("does not accept the API key (HTTP {status})")]
    Unauthorized {
        /// The HTTP status.
        status: u16,
        /// What the server said.
        api: Box<ApiError>,
    },
    /// Another 4xx: the request is wrong for this server or model.
    #[error("does not accept the request (HTTP {status})")]
    BadRequest {
        /// The HTTP status.
        status: u16,
        /// What the server said.
        api: Box<ApiError>,
    },
    /// 5xx, or a status that has no place here.
    #[error("failed (HTTP {status})")]
    ServerError {
        /// The HTTP status.
        status: u16,
        /// What the server said.
        api: Box<ApiError>,
    },
    /// No connection, or it broke.
    #[error("cannot be reached")]
    Unreachable,
    /// Not called after repeated failures.
    #[error("has failed repeatedly and is given a rest")]
    CircuitOpen {
        /// Until the next trial.
        retry_after: Duration,
    },
    /// A 2xx answer that is not of this API.
    #[error("sent an answer that cannot be read")]
    Malformed,
    /// An answer larger than is read.
    #[error("sent an answer that is too large")]
    TooLarge,
    /// It declined.
    #[error("refused to answer")]
    Refused,
    /// `finish_reason` `length`.
    #[error("was cut off at its limit of tokens")]
    CutOff,
    /// `finish_reason` `content_filter`.
    #[error("was stopped by its content filter")]
    Filtered,
    /// No choice, or one without a text.
    #[error("gave an empty answer")]
    Empty,
    /// A text that is not of the schema.
    #[error("did not keep to the form asked for")]
    SchemaIgnored,
}

impl ChatErrorKind {
    /// A bounded word for metrics and `error.type`.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Timeout { .. } => "timeout",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unauthorized { .. } => "unauthorized",
            Self::BadRequest { .. } => "bad_request",
            Self::ServerError { .. } => "server_error",
            Self::Unreachable => "unreachable",
            Self::CircuitOpen { .. } => "circuit_open",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Refused => "refused",
            Self::CutOff => "cut_off",
            Self::Filtered => "content_filter",
            Self::Empty => "empty",
            Self::SchemaIgnored => "schema_ignored",
        }
    }

    /// What the server said, where it said anything; for the log, never for callers.
    pub(crate) const fn api(&self) -> Option<&ApiError> {
        match self {
            Self::RateLimited { api, .. }
            | Self::Unauthorized { api, .. }
            | Self::BadRequest { api, .. }
            | Self::ServerError { api, .. } => Some(api),
            _ => None,
        }
    }
}

impl ChatError {
    pub(crate) fn from_upstream(error: UpstreamError, settings: &Settings) -> Self {
        let limit = settings.timeout;
        let (kind, spent) = match error.kind {
            UpstreamErrorKind::Timeout => (ChatErrorKind::Timeout { limit }, Spent::Unknown),
            UpstreamErrorKind::Connect(_) => (ChatErrorKind::Unreachable, Spent::Nothing),
            // A connection that broke may have carried the prompt.
            UpstreamErrorKind::Broken(_) => (ChatErrorKind::Unreachable, Spent::Unknown),
            UpstreamErrorKind::CircuitOpen { retry_after } => {
                (ChatErrorKind::CircuitOpen { retry_after }, Spent::Nothing)
            }
            UpstreamErrorKind::Malformed(_) => (ChatErrorKind::Malformed, Spent::Unknown),
            UpstreamErrorKind::TooLarge => (ChatErrorKind::TooLarge, Spent::Unknown),
            UpstreamErrorKind::Status { status, body, retry_after, .. } => {
                let api = serde_json::from_slice::<ErrorBody>(&body).map(|body| body.error).unwrap_or_default();
                let api = Box::new(without_key(api, settings.api_key.as_ref()));
                let kind = match status {
                    429 => ChatErrorKind::RateLimited { retry_after, api },
                    401 | 403 => ChatErrorKind::Unauthorized { status, api },
                    400..=499 => ChatErrorKind::BadRequest { status, api },
                    _ => ChatErrorKind::ServerError { status, api },
                };
                // Errors are not charged for.
                (kind, Spent::Nothing)
            }
        };
        Self { kind, spent }
    }
}

/// Takes our key out, and anything that looks like an OpenAI key: servers like to repeat a key they do not accept.
fn without_key(api: ApiError, key: Option<&SecretString>) -> ApiError {
    let clean = |text: Option<String>| text.map(|text| without_key_text(&text, key));
    ApiError { kind: clean(api.kind), message: clean(api.message), param: clean(api.param), code: clean(api.code) }
}

fn without_key_text(text: &str, key: Option<&SecretString>) -> String {
    let text = match key.map(|key| key.expose_secret()) {
        Some(key) if !key.is_empty() => text.replace(key, "***"),
        _ => text.to_owned(),
    };
    // OpenAI repeats keys shortened in their middle: "Incorrect API key provided: sk-abc***xyz".
    text.split(' ').map(|word| if word.contains("sk-") { "***" } else { word }).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_not_get_through() {
        let key = SecretString::from("local-key-1234");
        assert_eq!(without_key_text("no such key: local-key-1234!", Some(&key)), "no such key: ***!");
        assert_eq!(
            without_key_text("Incorrect API key provided: sk-abc***xyz. See the docs", None),
            "Incorrect API key provided: *** See the docs"
        );
    }
}
