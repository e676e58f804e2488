//! OpenTelemetry's semantic conventions for generative AI (status: development): every name of theirs stands here.

use std::time::Instant;

use opentelemetry::{Array, KeyValue, StringValue, Value};
use telemetry::metrics::decision::{GEN_AI_DURATION, GEN_AI_TOKENS};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::wire::{ApiError, ChatResponse};
use crate::{ChatErrorKind, Completion, Prompt, Settings};

const OPERATION: &str = "chat";

const OPERATION_NAME: &str = "gen_ai.operation.name";
const PROVIDER_NAME: &str = "gen_ai.provider.name";
const OUTPUT_TYPE: &str = "gen_ai.output.type";
const REQUEST_MODEL: &str = "gen_ai.request.model";
const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
const REQUEST_TEMPERATURE: &str = "gen_ai.request.temperature";
const RESPONSE_ID: &str = "gen_ai.response.id";
const RESPONSE_MODEL: &str = "gen_ai.response.model";
const RESPONSE_FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
const USAGE_INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
const USAGE_OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
const SYSTEM_INSTRUCTIONS: &str = "gen_ai.system_instructions";
const INPUT_MESSAGES: &str = "gen_ai.input.messages";
const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";

/// Most characters of a text from outside that go on a span or into a log line.
const MAX_TEXT: usize = 2_000;
const MAX_WORD: usize = 100;

/// The span and the metrics of one chat completion.
pub(crate) struct Chat<'a> {
    span: Span,
    started: Instant,
    settings: &'a Settings,
}

impl<'a> Chat<'a> {
    /// Span `chat {model}`, kind CLIENT.
    pub(crate) fn start(settings: &'a Settings, prompt: &Prompt) -> Self {
        let span = tracing::info_span!(
            "chat",
            otel.name = format!("{OPERATION} {}", settings.model),
            otel.kind = "client",
            otel.status_code = Empty,
            otel.status_description = Empty,
            error.type = Empty,
            server.address = settings.base_url.host_str(),
            // Signed: an unsigned number would reach the trace as text.
            server.port = settings.base_url.port_or_known_default().map(i64::from),
        );
        let chat = Self { span, started: Instant::now(), settings };
        if !chat.span.is_disabled() {
            chat.asked(prompt);
        }
        chat
    }

    fn asked(&self, prompt: &Prompt) {
        let (span, settings) = (&self.span, self.settings);
        span.set_attribute(OPERATION_NAME, OPERATION);
        span.set_attribute(PROVIDER_NAME, settings.provider.clone());
        span.set_attribute(OUTPUT_TYPE, "json");
        span.set_attribute(REQUEST_MODEL, settings.model.clone());
        span.set_attribute(REQUEST_MAX_TOKENS, i64::from(settings.max_completion_tokens));
        if let Some(temperature) = settings.temperature {
            span.set_attribute(REQUEST_TEMPERATURE, temperature);
        }
        if settings.capture_content {
            span.set_attribute(SYSTEM_INSTRUCTIONS, parts(&prompt.system));
            span.set_attribute(INPUT_MESSAGES, messages("user", &prompt.user, None));
        }
    }

    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// What the server said, whether usable or not.
    pub(crate) fn answered(&self, response: &ChatResponse) {
        if let Some(id) = &response.id {
            self.span.set_attribute(RESPONSE_ID, clean(id, MAX_WORD));
        }
        if let Some(model) = &response.model {
            self.span.set_attribute(RESPONSE_MODEL, clean(model, MAX_WORD));
        }
        let reasons: Vec<StringValue> = response
            .choices
            .iter()
            .take(8)
            .filter_map(|choice| choice.finish_reason.as_deref())
            .map(|reason| clean(reason, MAX_WORD).into())
            .collect();
        if !reasons.is_empty() {
            self.span.set_attribute(RESPONSE_FINISH_REASONS, Value::Array(Array::String(reasons)));
        }
        if let Some(usage) = response.usage {
            for (attribute, token_type, tokens) in [
                (USAGE_INPUT_TOKENS, "input", usage.prompt_tokens),
                (USAGE_OUTPUT_TOKENS, "output", usage.completion_tokens),
            ] {
                self.span.set_attribute(attribute, i64::try_from(tokens).unwrap_or(i64::MAX));
                #[expect(clippy::cast_precision_loss, reason = "a figure for charts; nobody uses 2^52 tokens at once")]
                GEN_AI_TOKENS.record(
                    tokens as f64,
                    &[
                        ("gen_ai_operation_name", OPERATION),
                        ("gen_ai_provider_name", &self.settings.provider),
                        ("gen_ai_request_model", &self.settings.model),
                        ("gen_ai_token_type", token_type),
                    ],
                );
            }
        }
        if self.settings.capture_content
            && let Some(choice) = response.choices.first()
        {
            let text = choice.message.content.as_deref().or(choice.message.refusal.as_deref()).unwrap_or_default();
            self.span.set_attribute(OUTPUT_MESSAGES, messages("assistant", text, choice.finish_reason.as_deref()));
        }
    }

    /// Ends it: status, `error.type`, duration.
    pub(crate) fn end(self, outcome: Result<&Completion, &ChatErrorKind>) {
        let error_type = match outcome {
            Ok(_) => "",
            Err(kind) => {
                self.span.record("error.type", kind.label());
                self.span.record("otel.status_code", "ERROR");
                self.span.record("otel.status_description", format!("the language model {kind}"));
                if let Some(api) = kind.api() {
                    self.failed(kind, api);
                }
                kind.label()
            }
        };
        GEN_AI_DURATION.record(
            self.started.elapsed().as_secs_f64(),
            &[
                ("gen_ai_operation_name", OPERATION),
                ("gen_ai_provider_name", &self.settings.provider),
                ("gen_ai_request_model", &self.settings.model),
                ("error_type", error_type),
            ],
        );
    }

    /// The server's own words, for whoever has to mend it: the one place where they are kept.
    fn failed(&self, kind: &ChatErrorKind, api: &ApiError) {
        let word = |text: &Option<String>| text.as_deref().map(|text| clean(text, MAX_WORD));
        self.span.add_event(
            "api_error",
            [
                ("error.type", Some(kind.label().to_owned())),
                ("api.error.type", word(&api.kind)),
                ("api.error.code", word(&api.code)),
                ("api.error.param", word(&api.param)),
                ("api.error.message", api.message.as_deref().map(|text| clean(text, 300))),
            ]
            .into_iter()
            .filter_map(|(name, value)| Some(KeyValue::new(name, value?)))
            .collect(),
        );
    }
}

/// Bounded, and without control characters.
fn clean(text: &str, limit: usize) -> String {
    text.chars().filter(|character| !character.is_control()).take(limit).collect()
}

fn parts(text: &str) -> String {
    serde_json::json!([{"type": "text", "content": clean(text, MAX_TEXT)}]).to_string()
}

fn messages(role: &str, text: &str, finish_reason: Option<&str>) -> String {
    let mut message = serde_json::json!({"role": role, "parts": [{"type": "text", "content": clean(text, MAX_TEXT)}]});
    if let (Some(reason), Some(object)) = (finish_reason, message.as_object_mut()) {
        object.insert("finish_reason".to_owned(), clean(reason, MAX_WORD).into());
    }
    serde_json::Value::Array(vec![message]).to_string()
}
