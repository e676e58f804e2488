//! The client: one question, one answer of a given form.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use tracing::Instrument as _;
use web::{Upstream, UpstreamSettings};

use crate::semconv::Chat;
use crate::wire::{ChatRequest, ChatResponse, JsonSchema, Message, ResponseFormat, Role, Usage};
use crate::{ChatError, ChatErrorKind, Settings, Spent};

/// Longest time that a `Retry-After` keeps the client from calling; a server that asks for more is asked again then.
const LONGEST_REST: Duration = Duration::from_secs(600);

/// Largest answer that is read. 300 tokens are about 1 KiB.
const MAX_RESPONSE_BYTES: usize = 256 * 1024;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// Instructions.
    pub system: String,
    /// The question.
    pub user: String,
    /// Name of the schema, `[a-zA-Z0-9_-]{1,64}`.
    pub schema_name: &'static str,
    /// JSON schema of the answer.
    pub schema: serde_json::Value,
}

/// A complete answer that was not refused. Whether it keeps to the schema shows [`Completion::parse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// What the model said. Data from outside.
    pub text: String,
    /// Tokens used, if the server said so.
    pub usage: Option<Usage>,
}

impl Completion {
    /// Reads the answer as what the schema describes.
    ///
    /// # Errors
    /// [`ChatErrorKind::SchemaIgnored`] when it is something else.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ChatError> {
        serde_json::from_str(&self.text)
            .map_err(|_| ChatError { kind: ChatErrorKind::SchemaIgnored, spent: self.spent() })
    }

    /// The usage, in the form errors have it.
    #[must_use]
    pub fn spent(&self) -> Spent {
        self.usage.map_or(Spent::Unknown, Spent::Tokens)
    }
}

/// A model behind an OpenAI-compatible API.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    upstream: Upstream,
    /// Until when a 429 asked not to be called.
    rest_until: Mutex<Option<Instant>>,
}

impl Client {
    /// A client for the model of the settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let mut upstream = UpstreamSettings::new("llm", settings.root_url());
        upstream.attempt_timeout = settings.timeout;
        upstream.total_timeout = settings.timeout;
        // A second attempt would cost twice, and whoever waits for the answer has something better by then.
        upstream.max_attempts = 1;
        upstream.max_response_bytes = MAX_RESPONSE_BYTES;
        Self { settings, upstream: Upstream::new(upstream), rest_until: Mutex::new(None) }
    }

    /// The settings it was made with.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Most tokens that a call with this prompt can use: estimated from its size for input, the limit for output.
    ///
    /// # Errors
    /// When the schema cannot be written as JSON.
    pub fn most_tokens(&self, prompt: &Prompt) -> Result<Usage, serde_json::Error> {
        let bytes = serde_json::to_vec(&self.request(prompt))?.len();
        Ok(Usage {
            prompt_tokens: crate::estimated_tokens(bytes),
            completion_tokens: self.settings.max_completion_tokens.into(),
        })
    }

    /// Asks once.
    ///
    /// # Errors
    /// [`ChatError`]: the answer is missing, incomplete, refused or unreadable.
    pub async fn chat(&self, prompt: &Prompt) -> Result<Completion, ChatError> {
        let chat = Chat::start(&self.settings, prompt);
        let outcome = self.exchange(prompt, &chat).instrument(chat.span()).await;
        chat.end(outcome.as_ref().map_err(|error| &error.kind));
        outcome
    }

    async fn exchange(&self, prompt: &Prompt, chat: &Chat<'_>) -> Result<Completion, ChatError> {
        if let Some(rest) = self.resting(Instant::now()) {
            let kind = ChatErrorKind::RateLimited { retry_after: Some(rest), api: Box::default() };
            return Err(ChatError { kind, spent: Spent::Nothing });
        }
        let mut call = self.upstream.post("/v1/chat/completions").json(&self.request(prompt));
        if let Some(key) = &self.settings.api_key {
            call = call.bearer(key);
        }
        let failed = |error| self.noted(ChatError::from_upstream(error, &self.settings));
        let answer: ChatResponse = call.send().await.and_then(|answer| answer.json()).map_err(failed)?;
        chat.answered(&answer);
        completion(answer)
    }

    fn request<'a>(&'a self, prompt: &'a Prompt) -> ChatRequest<'a> {
        ChatRequest {
            model: &self.settings.model,
            messages: [
                Message { role: Role::System, content: &prompt.system },
                Message { role: Role::User, content: &prompt.user },
            ],
            response_format: ResponseFormat::JsonSchema {
                json_schema: JsonSchema { name: prompt.schema_name, strict: true, schema: &prompt.schema },
            },
            max_completion_tokens: self.settings.max_completion_tokens,
            temperature: self.settings.temperature,
        }
    }

    /// How long a 429 still keeps us from calling.
    fn resting(&self, now: Instant) -> Option<Duration> {
        let until = (*self.rest_until.lock().unwrap_or_else(PoisonError::into_inner))?;
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Remembers what a 429 asked for.
    fn noted(&self, error: ChatError) -> ChatError {
        if let ChatErrorKind::RateLimited { retry_after: Some(after), .. } = &error.kind {
            let until = Instant::now() + (*after).min(LONGEST_REST);
            *self.rest_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        }
        error
    }
}

fn completion(answer: ChatResponse) -> Result<Completion, ChatError> {
    let usage = answer.usage;
    let fail = |kind| Err(ChatError { kind, spent: usage.map_or(Spent::Unknown, Spent::Tokens) });
    let Some(choice) = answer.choices.into_iter().next() else { return fail(ChatErrorKind::Empty) };
    if choice.message.refusal.as_deref().is_some_and(|refusal| !refusal.is_empty()) {
        return fail(ChatErrorKind::Refused);
    }
    match choice.finish_reason.as_deref() {
        Some("length") => return fail(ChatErrorKind::CutOff),
        Some("content_filter") => return fail(ChatErrorKind::Filtered),
        // `stop`, nothing, or a word of a server's own: the text decides.
        _ => {}
    }
    match choice.message.content {
        Some(text) if !text.trim().is_empty() => Ok(Completion { text, usage }),
        _ => fail(ChatErrorKind::Empty),
    }
}
