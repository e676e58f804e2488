//! The wire format: `POST /v1/chat/completions` as published by OpenAI and spoken by others.
//!
//! Requests are exact. Answers are read leniently: what other servers leave out is optional here, and what is then
//! missing is a [`crate::ChatErrorKind`], not a parse error.

use serde::{Deserialize, Serialize};

/// Body of a request.
#[derive(Debug, Clone, Serialize)]
pub struct ChatRequest<'a> {
    /// The model's name.
    pub model: &'a str,
    /// The conversation.
    pub messages: [Message<'a>; 2],
    /// The form of the answer.
    pub response_format: ResponseFormat<'a>,
    /// Most tokens of the answer.
    pub max_completion_tokens: u32,
    /// Sampling temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
}

/// One message.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Message<'a> {
    /// `system` or `user`.
    pub role: Role,
    /// What it says.
    pub content: &'a str,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions.
    System,
    /// The question.
    User,
}

/// `{"type":"json_schema","json_schema":{…}}`.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormat<'a> {
    /// An answer that is a JSON document of this schema.
    JsonSchema {
        /// The schema.
        json_schema: JsonSchema<'a>,
    },
}

/// A named schema.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct JsonSchema<'a> {
    /// Its name, `[a-zA-Z0-9_-]{1,64}`.
    pub name: &'a str,
    /// Whether the model is bound to it.
    pub strict: bool,
    /// The schema itself.
    pub schema: &'a serde_json::Value,
}

/// Body of an answer.
#[derive(Debug, Clone, Deserialize)]
pub struct ChatResponse {
    /// The server's id of the completion.
    #[serde(default)]
    pub id: Option<String>,
    /// The model that answered; a dated version of the one asked for.
    #[serde(default)]
    pub model: Option<String>,
    /// The answers; one is asked for.
    #[serde(default)]
    pub choices: Vec<Choice>,
    /// Tokens used.
    #[serde(default)]
    pub usage: Option<Usage>,
}

/// One answer.
#[derive(Debug, Clone, Deserialize)]
pub struct Choice {
    /// `stop`, `length`, `content_filter`; some servers leave it out.
    #[serde(default)]
    pub finish_reason: Option<String>,
    /// The answer.
    pub message: AnswerMessage,
}

/// What the model says.
#[derive(Debug, Clone, Deserialize)]
pub struct AnswerMessage {
    /// The text, a JSON document when the schema was kept.
    #[serde(default)]
    pub content: Option<String>,
    /// Why the model refuses, instead of a text.
    #[serde(default)]
    pub refusal: Option<String>,
}

/// Tokens that are charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Usage {
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
}

/// `{"error":{…}}`: body of an answer that is not 2xx.
#[derive(Debug, Clone, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: ApiError,
}

/// What the server says went wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ApiError {
    /// Kind, `invalid_request_error`.
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
    /// In words. May repeat what was sent, so it is not for callers.
    #[serde(default)]
    pub message: Option<String>,
    /// The parameter at fault.
    #[serde(default)]
    pub param: Option<String>,
    /// `rate_limit_exceeded`, `insufficient_quota`, `invalid_api_key`; a number with some servers.
    #[serde(default, deserialize_with = "text_or_number")]
    pub code: Option<String>,
}

fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Option::<serde_json::Value>::deserialize(deserializer)? {
        None | Some(serde_json::Value::Null) => None,
        Some(serde_json::Value::String(text)) => Some(text),
        Some(other) => Some(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_what_openai_documents() {
        let schema = serde_json::json!({"type": "object"});
        let request = ChatRequest {
            model: "gpt-4.1-mini",
            messages: [Message { role: Role::System, content: "s" }, Message { role: Role::User, content: "u" }],
            response_format: ResponseFormat::JsonSchema {
                json_schema: JsonSchema { name: "decision", strict: true, schema: &schema },
            },
            max_completion_tokens: 300,
            temperature: None,
        };
        assert_eq!(
            serde_json::to_value(&request).unwrap(),
            serde_json::json!({
                "model": "gpt-4.1-mini",
                "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "decision", "strict": true, "schema": {"type": "object"}},
                },
                "max_completion_tokens": 300,
            })
        );
    }

    #[test]
    fn answers_of_terse_servers_are_read() {
        let terse: ChatResponse =
            serde_json::from_str(r#"{"choices":[{"message":{"content":"{}"}}],"usage":null}"#).unwrap();
        assert_eq!(terse.choices[0].message.content.as_deref(), Some("{}"));
        assert_eq!(terse.usage, None);
        let error: ErrorBody =
            serde_json::from_str(r#"{"error":{"message":"slow down","type":"requests","param":null,"code":429}}"#)
                .unwrap();
        assert_eq!(error.error.code.as_deref(), Some("429"));
        assert!(serde_json::from_str::<ErrorBody>("<html>").is_err());
    }
}
