//! The body of `POST /v1/chat/completions`, as far as it matters here.

use serde::Deserialize;
use serde_json::Value;

use super::error::LlmError;
use super::{schema, tokens};

/// Tokens that the chat format costs for each message, and for the answer's beginning.
const TOKENS_PER_MESSAGE: u64 = 4;
const TOKENS_PER_ANSWER: u64 = 3;
/// Prompt that the simulated model takes.
const MOST_PROMPT_TOKENS: u64 = 128_000;

#[derive(Debug, Deserialize)]
struct Body {
    model: Option<String>,
    messages: Option<Vec<Message>>,
    response_format: Option<Value>,
    max_completion_tokens: Option<u64>,
    max_tokens: Option<u64>,
    temperature: Option<f64>,
    #[serde(default)]
    stream: Option<bool>,
    n: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    content: Option<Value>,
}

/// How the answer has to look.
#[derive(Debug, PartialEq)]
pub(super) enum ResponseFormat {
    Text,
    JsonObject,
    /// JSON of this schema.
    Schema(Value),
}

/// A request that can be answered.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) model: String,
    /// Role and text.
    messages: Vec<(String, String)>,
    pub(super) response_format: ResponseFormat,
    pub(super) max_completion_tokens: Option<u64>,
}

impl Request {
    /// Reads and checks a body.
    pub(super) fn read(body: &[u8]) -> Result<Self, LlmError> {
        let json: Value = serde_json::from_slice(body).map_err(|_| {
            LlmError::invalid("We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)", None, None)
        })?;
        let body: Body = serde_json::from_value(json)
            .map_err(|error| LlmError::invalid(format!("Invalid type: {error}."), None, Some("invalid_type")))?;
        let missing = |name: &str| {
            LlmError::invalid(
                format!("Missing required parameter: '{name}'."),
                Some(name),
                Some("missing_required_parameter"),
            )
        };
        let model = body
            .model
            .filter(|model| !model.is_empty())
            .ok_or_else(|| LlmError::invalid("you must provide a model parameter", None, None))?;
        let messages = body.messages.ok_or_else(|| missing("messages"))?;
        if messages.is_empty() {
            return Err(LlmError::invalid(
                "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
                Some("messages"),
                Some("empty_array"),
            ));
        }
        if body.stream == Some(true) {
            return Err(LlmError::invalid(
                "Unsupported value: 'stream' does not support true with this model.",
                Some("stream"),
                Some("unsupported_value"),
            ));
        }
        if body.n.is_some_and(|n| n != 1) {
            return Err(LlmError::invalid(
                "Unsupported value: 'n' does not support more than 1 with this model.",
                Some("n"),
                Some("unsupported_value"),
            ));
        }
        if body.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
            return Err(LlmError::invalid(
                "Invalid 'temperature': decimal out of range. Expected a value from 0 to 2.",
                Some("temperature"),
                Some("decimal_out_of_range"),
            ));
        }
        let max_completion_tokens = body.max_completion_tokens.or(body.max_tokens);
        if max_completion_tokens == Some(0) {
            return Err(LlmError::invalid(
                "Invalid 'max_completion_tokens': integer below minimum value. Expected a value >= 1, but got 0 instead.",
                Some("max_completion_tokens"),
                Some("integer_below_min_value"),
            ));
        }
        let mut read = Vec::with_capacity(messages.len());
        for (index, message) in messages.into_iter().enumerate() {
            if !matches!(message.role.as_str(), "system" | "developer" | "user" | "assistant" | "tool") {
                let param = format!("messages[{index}].role");
                return Err(LlmError::invalid(
                    format!(
                        "Invalid value: '{}'. Supported values are: 'system', 'assistant', 'user', 'tool', and 'developer'.",
                        message.role
                    ),
                    Some(&param),
                    Some("invalid_value"),
                ));
            }
            let Some(text) = text_of(message.content) else {
                let param = format!("messages[{index}].content");
                return Err(LlmError::invalid(
                    format!("Invalid type for '{param}': expected one of a string or array of text parts."),
                    Some(&param),
                    Some("invalid_type"),
                ));
            };
            read.push((message.role, text));
        }
        let request =
            Self { model, messages: read, response_format: format_of(body.response_format)?, max_completion_tokens };
        let prompt = request.prompt_tokens();
        if prompt > MOST_PROMPT_TOKENS {
            return Err(LlmError::invalid(
                format!(
                    "This model's maximum context length is {MOST_PROMPT_TOKENS} tokens. However, your messages resulted in {prompt} tokens. Please reduce the length of the messages."
                ),
                Some("messages"),
                Some("context_length_exceeded"),
            ));
        }
        Ok(request)
    }

    /// What the user said last.
    pub(super) fn last_user_message(&self) -> &str {
        self.messages.iter().rev().find(|(role, _)| role == "user").map_or("", |(_, text)| text)
    }

    /// Tokens of all messages.
    pub(super) fn prompt_tokens(&self) -> u64 {
        self.messages.iter().map(|(_, text)| tokens(text) + TOKENS_PER_MESSAGE).sum::<u64>() + TOKENS_PER_ANSWER
    }
}

/// A message's content: a string, or an array of text parts.
fn text_of(content: Option<Value>) -> Option<String> {
    match content? {
        Value::String(text) => Some(text),
        Value::Array(parts) => parts
            .iter()
            .map(|part| part.get("text").and_then(Value::as_str))
            .collect::<Option<Vec<_>>>()
            .map(|texts| texts.concat()),
        _ => None,
    }
}

fn format_of(format: Option<Value>) -> Result<ResponseFormat, LlmError> {
    let Some(format) = format else { return Ok(ResponseFormat::Text) };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(ResponseFormat::Text),
        Some("json_object") => Ok(ResponseFormat::JsonObject),
        Some("json_schema") => {
            let missing = |name: &str| {
                LlmError::invalid(
                    format!("Missing required parameter: '{name}'."),
                    Some(name),
                    Some("missing_required_parameter"),
                )
            };
            let described = format.get("json_schema").ok_or_else(|| missing("response_format.json_schema"))?;
            let name = described
                .get("name")
                .and_then(Value::as_str)
                .ok_or_else(|| missing("response_format.json_schema.name"))?;
            let schema = described.get("schema").ok_or_else(|| missing("response_format.json_schema.schema"))?;
            if described.get("strict") == Some(&Value::Bool(true)) {
                schema::check_strict(schema).map_err(|what| {
                    LlmError::invalid(
                        format!("Invalid schema for response_format '{name}': {what}"),
                        Some("response_format"),
                        None,
                    )
                })?;
            }
            Ok(ResponseFormat::Schema(schema.clone()))
        }
        _ => Err(LlmError::invalid(
            "Invalid value for 'response_format.type'. Supported values are: 'json_object', 'json_schema', and 'text'.",
            Some("response_format.type"),
            Some("invalid_value"),
        )),
    }
}
