//! Errors as Telegram words them: `{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use serde_json::json;

use crate::faults::Refusal;

/// An error of the Bot API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BotError {
    code: u16,
    description: String,
    retry_after_s: Option<u64>,
}

impl BotError {
    /// An error with the prefix that Telegram's server puts before the text.
    pub(super) fn new(code: u16, description: impl Into<String>) -> Self {
        Self { code, description: description.into(), retry_after_s: None }
    }

    /// 400 `Bad Request: …`; as on the real server the text begins in lower case, unless its second letter is a capital.
    pub(super) fn bad(text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        let constant = text.chars().nth(1).is_some_and(|second| second == '_' || second.is_ascii_uppercase());
        let mut chars = text.chars();
        let text = match chars.next() {
            Some(first) if !constant => format!("{}{}", first.to_ascii_lowercase(), chars.as_str()),
            _ => text.to_owned(),
        };
        Self::new(400, format!("Bad Request: {text}"))
    }

    pub(super) fn conflict(text: &str) -> Self {
        Self::new(409, format!("Conflict: {text}"))
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooManyRequests { status, retry_after_s } => Self {
                code: status,
                description: format!("Too Many Requests: retry after {retry_after_s}"),
                retry_after_s: Some(retry_after_s),
            },
            Refusal::ServerError { status } => {
                let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
                Self::new(status, reason.unwrap_or("Internal Server Error"))
            }
        }
    }

    pub(super) fn response(&self) -> HttpResponse {
        let mut response =
            HttpResponse::build(StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        let mut body = json!({ "ok": false, "error_code": self.code, "description": self.description });
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
            if let Some(body) = body.as_object_mut() {
                body.insert("parameters".to_owned(), json!({ "retry_after": seconds }));
            }
        }
        response.json(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_begin_in_lower_case_except_constants() {
        assert_eq!(BotError::bad("Message text is empty").description, "Bad Request: message text is empty");
        assert_eq!(BotError::bad("BUTTON_DATA_INVALID").description, "Bad Request: BUTTON_DATA_INVALID");
    }
}
