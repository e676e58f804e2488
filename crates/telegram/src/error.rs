//! What can go wrong with a call, each with a bounded label.
//!
//! Source: <https://core.telegram.org/bots/api#making-requests> and the codes that Telegram's servers send in practice.
//! No variant holds a URL, since the bot's token is a part of it.

use std::time::Duration;

/// Why a call to Telegram has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// 401, or 404 with an unknown token: there is no such bot.
    #[error("Telegram does not know the bot token")]
    Unauthorized,
    /// 429: the bot sends too much.
    #[error("Telegram asks to wait {} s before the next call", retry_after.as_secs())]
    TooManyRequests {
        /// How long Telegram wants to be left alone.
        retry_after: Duration,
    },
    /// 409: another process polls with this token, or a webhook is set.
    #[error("somebody else receives this bot's updates: {description}")]
    Conflict {
        /// Telegram's sentence.
        description: String,
    },
    /// 400: this call can never succeed.
    #[error("Telegram refuses the call: {description}")]
    BadRequest {
        /// Telegram's sentence.
        description: String,
        /// Set when the group became a supergroup with another id.
        migrate_to_chat_id: Option<i64>,
    },
    /// 403: the user blocked the bot, or the bot is not in the chat.
    #[error("Telegram forbids it: {description}")]
    Forbidden {
        /// Telegram's sentence.
        description: String,
    },
    /// 5xx.
    #[error("Telegram failed with HTTP status {status}")]
    Server {
        /// The status.
        status: u16,
    },
    /// Any other refusal.
    #[error("Telegram answered {status}: {description}")]
    Other {
        /// `error_code`, or the HTTP status.
        status: u16,
        /// Telegram's sentence.
        description: String,
    },
    /// No connection, or it broke.
    #[error("Telegram cannot be reached: {detail}")]
    Network {
        /// The chain of causes, without the URL.
        detail: String,
    },
    /// No answer in time. A message may have been sent all the same.
    #[error("Telegram did not answer in time")]
    Timeout,
    /// An answer that is not what the Bot API promises.
    #[error("Telegram's answer cannot be read: {detail}")]
    Malformed {
        /// What is wrong with it, without its content.
        detail: String,
    },
    /// An answer above the size limit.
    #[error("Telegram's answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The call could not be written: parameters that are no JSON, a file that cannot be read.
    #[error("the call to Telegram cannot be made: {detail}")]
    Request {
        /// What is wrong with it.
        detail: String,
    },
}

impl Error {
    /// One word for metrics and `error.type`.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::TooManyRequests { .. } => "too_many_requests",
            Self::Conflict { .. } => "conflict",
            Self::BadRequest { .. } => "bad_request",
            Self::Forbidden { .. } => "forbidden",
            Self::Server { .. } => "server_error",
            Self::Other { .. } => "other",
            Self::Network { .. } => "network",
            Self::Timeout => "timeout",
            Self::Malformed { .. } => "malformed",
            Self::TooLarge { .. } => "too_large",
            Self::Request { .. } => "request",
        }
    }

    /// Whether the same call may succeed later.
    ///
    /// A call that changes something may have been carried out all the same where the answer is missing
    /// ([`Self::Network`], [`Self::Timeout`]) or cannot be read ([`Self::Malformed`]); what says something ([`crate::Deliver`])
    /// therefore never takes an unreadable answer of success for a failure.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::TooManyRequests { .. }
            | Self::Server { .. }
            | Self::Network { .. }
            | Self::Timeout
            | Self::Malformed { .. } => true,
            Self::Unauthorized
            | Self::Conflict { .. }
            | Self::BadRequest { .. }
            | Self::Forbidden { .. }
            | Self::Other { .. }
            | Self::TooLarge { .. }
            | Self::Request { .. } => false,
        }
    }

    /// Whether an edit changes nothing: the message says this already.
    #[must_use]
    pub fn is_not_modified(&self) -> bool {
        matches!(self, Self::BadRequest { description, .. } if description.contains("message is not modified"))
    }

    /// Whether the message that is to be edited cannot be any more: it was deleted, or is another's, or too old.
    #[must_use]
    pub fn is_uneditable(&self) -> bool {
        const SENTENCES: [&str; 4] = [
            "message to edit not found",
            "message can't be edited",
            "MESSAGE_ID_INVALID",
            "no text in the message to edit",
        ];
        matches!(self, Self::BadRequest { description, .. }
            if SENTENCES.iter().any(|sentence| description.contains(sentence)))
    }

    /// From `error_code`, `description` and `parameters` of an answer whose `ok` is false.
    pub(crate) fn from_refusal(refusal: Refusal, http_status: u16) -> Self {
        let status = refusal.error_code.unwrap_or(http_status);
        let description = refusal.description.unwrap_or_else(|| "no description".to_owned());
        let parameters = refusal.parameters.unwrap_or_default();
        match status {
            400 => Self::BadRequest { description, migrate_to_chat_id: parameters.migrate_to_chat_id },
            401 => Self::Unauthorized,
            403 => Self::Forbidden { description },
            // Telegram says 404 both for an unknown method and for a token that cannot be one.
            404 if description == "Not Found" => Self::Unauthorized,
            409 => Self::Conflict { description },
            429 => Self::TooManyRequests {
                // Without a number Telegram means "soon"; a second is its own smallest unit.
                retry_after: Duration::from_secs(parameters.retry_after.unwrap_or(1).clamp(1, MAX_RETRY_AFTER_S)),
            },
            500..=599 => Self::Server { status },
            _ => Self::Other { status, description },
        }
    }
}

/// Telegram's flood limits end within a day; a larger number is a mistake that must not silence a chat for ever.
const MAX_RETRY_AFTER_S: u64 = 86_400;

/// An answer whose `ok` is false.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Refusal {
    error_code: Option<u16>,
    description: Option<String>,
    parameters: Option<RefusalParameters>,
}

impl Refusal {
    /// For an answer that carries no JSON but a header.
    pub(crate) fn too_many_requests(retry_after: Option<u64>) -> Self {
        let parameters = RefusalParameters { retry_after, migrate_to_chat_id: None };
        Self { error_code: Some(429), description: None, parameters: Some(parameters) }
    }

    /// Shortens the sentence and takes a secret out of it.
    pub(crate) fn sanitize(&mut self, secret: &str) {
        const MAX_CHARS: usize = 300;
        if let Some(description) = &mut self.description {
            *description = description.replace(secret, "[redacted]").chars().take(MAX_CHARS).collect();
        }
    }
}

#[derive(Debug, Default, serde::Deserialize)]
struct RefusalParameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str, http_status: u16) -> Error {
        Error::from_refusal(serde_json::from_str(json).unwrap(), http_status)
    }

    #[test]
    fn each_code_has_its_type() {
        assert_eq!(read(r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#, 401), Error::Unauthorized);
        assert_eq!(read(r#"{"ok":false,"error_code":404,"description":"Not Found"}"#, 404), Error::Unauthorized);
        assert_eq!(
            read(
                r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 7","parameters":{"retry_after":7}}"#,
                429
            ),
            Error::TooManyRequests { retry_after: Duration::from_secs(7) }
        );
        assert_eq!(read(r#"{"ok":false,"error_code":429}"#, 429).label(), "too_many_requests");
        assert_eq!(
            read(r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}"#, 403)
                .label(),
            "forbidden"
        );
        assert_eq!(
            read(
                r#"{"ok":false,"error_code":409,"description":"Conflict: terminated by other getUpdates request"}"#,
                409
            )
            .label(),
            "conflict"
        );
        assert_eq!(read(r#"{"ok":false}"#, 502), Error::Server { status: 502 });
        assert_eq!(
            read(
                r#"{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1001}}"#,
                400
            ),
            Error::BadRequest {
                description: "Bad Request: group chat was upgraded to a supergroup chat".to_owned(),
                migrate_to_chat_id: Some(-1001)
            }
        );
    }

    #[test]
    fn an_edit_that_changes_nothing_and_one_that_cannot_be_are_told_apart() {
        let refused = |sentence: &str| Error::BadRequest {
            description: format!("Bad Request: {sentence}"),
            migrate_to_chat_id: None,
        };
        let same =
            refused("message is not modified: specified new message content and reply markup are exactly the same");
        assert!(same.is_not_modified() && !same.is_uneditable());
        for sentence in ["message to edit not found", "message can't be edited", "MESSAGE_ID_INVALID"] {
            assert!(refused(sentence).is_uneditable() && !refused(sentence).is_not_modified(), "{sentence}");
        }
        assert!(!refused("chat not found").is_uneditable() && !Error::Timeout.is_uneditable());
    }

    #[test]
    fn an_absurd_wait_is_cut_to_a_day() {
        let json = r#"{"ok":false,"error_code":429,"parameters":{"retry_after":99999999}}"#;
        assert_eq!(read(json, 429), Error::TooManyRequests { retry_after: Duration::from_secs(86_400) });
    }

    #[test]
    fn what_waits_and_what_does_not() {
        assert!(Error::Timeout.is_transient());
        assert!(Error::Server { status: 500 }.is_transient());
        assert!(!Error::Forbidden { description: String::new() }.is_transient());
        assert!(!Error::Unauthorized.is_transient());
    }

    #[test]
    fn a_description_is_short_and_holds_no_secret() {
        let mut refusal =
            Refusal { description: Some(format!("bad 1:secret {}", "x".repeat(1000))), ..Refusal::default() };
        refusal.sanitize("1:secret");
        let description = refusal.description.unwrap();
        assert!(description.starts_with("bad [redacted] x"));
        assert_eq!(description.chars().count(), 300);
    }
}
