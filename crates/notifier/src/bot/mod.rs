//! The Telegram bot: each update is read, checked, answered; all of it one trace.

mod access;
mod intake;
mod keyboard;
mod ledger;
pub(crate) mod polling;
mod setup;
mod status;
mod text;
mod user_hash;
pub(crate) mod webhook;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use domain::Symbol;
use secrecy::SecretString;
use telegram::api::ParseMode;
use telegram::api::methods::{AnswerCallbackQueryParams, SendChatActionParams, SendMessageParams};
use telegram::api::types::{ChatAction, LinkPreviewOptions, ReplyMarkup};
use telegram::{AsyncTelegramApi, Client, IncomingUpdate, Sender};
use telemetry::metrics::notifier::BOT_UPDATES;
use tracing::{Instrument, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use url::Url;

use crate::ask::{Asker, Channel};
use crate::question::{self, Intent};
use crate::symbols::KnownSymbols;
use access::{Access, Verdict};
use intake::{Identity, Incoming, Place};
use keyboard::Press;
pub(crate) use status::Status;
use user_hash::UserHasher;

/// An answer that takes longer than this is announced by "typing…"; a quick one needs no further call.
const TYPING_AFTER: Duration = Duration::from_millis(400);

/// Telegram shows "typing…" for five seconds.
const TYPING_AGAIN_AFTER: Duration = Duration::from_millis(4_500);

/// The bot; cheap to clone, shared between tasks and threads.
#[derive(Clone)]
pub(crate) struct Bot {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    sender: Sender,
    asker: Asker,
    symbols: KnownSymbols,
    default_symbol: Symbol,
    public_url: Option<Url>,
    access: Access,
    user_hasher: UserHasher,
    identity: OnceLock<Identity>,
    status: Status,
}

/// What the bot is made of.
pub(crate) struct Parts {
    pub(crate) client: Client,
    pub(crate) token: SecretString,
    pub(crate) sender: Sender,
    pub(crate) asker: Asker,
    pub(crate) symbols: KnownSymbols,
    pub(crate) default_symbol: Symbol,
    pub(crate) public_url: Option<Url>,
    pub(crate) allowed_user_ids: Vec<u64>,
    pub(crate) status: Status,
}

/// How an update ended; a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    /// The ask failed; the user was told why.
    Refused,
    Denied,
    Ignored,
    Malformed,
    /// The answer did not fit into the queue.
    Undelivered,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Denied => "denied",
            Self::Ignored => "ignored",
            Self::Malformed => "malformed",
            Self::Undelivered => "undelivered",
        }
    }
}

impl Bot {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            inner: Arc::new(Inner {
                client: parts.client,
                sender: parts.sender,
                asker: parts.asker,
                symbols: parts.symbols,
                default_symbol: parts.default_symbol,
                public_url: parts.public_url,
                access: Access::new(parts.allowed_user_ids),
                user_hasher: UserHasher::new(&parts.token),
                identity: OnceLock::new(),
                status: parts.status,
            }),
        }
    }

    /// Handles one update to its end, that is, until its answer is queued. Nothing that is in it makes this fail.
    pub(crate) async fn handle(&self, update: IncomingUpdate) -> Outcome {
        let span = tracing::info_span!(
            "telegram_update",
            otel.name = "telegram update",
            otel.kind = "consumer",
            otel.status_code = field::Empty,
            messaging.system = "telegram",
            telegram.update.id = update.id,
            telegram.update.r#type = field::Empty,
            telegram.update.outcome = field::Empty,
            user.hash = field::Empty,
        );
        let (kind, outcome) = match update.update {
            Ok(update) => {
                let incoming = intake::read(*update, self.inner.identity.get());
                if let Incoming::Text { user_id, .. } | Incoming::Press { user_id, .. } = incoming {
                    let hash = self.inner.user_hasher.hash(user_id);
                    span.record("user.hash", &hash);
                    self.carry_user(&span, &hash);
                }
                let kind = incoming.kind();
                (kind, self.answer(incoming).instrument(span.clone()).await)
            }
            Err(reason) => {
                span.in_scope(|| tracing::warn!(reason, "an update cannot be read and is skipped"));
                ("other", Outcome::Malformed)
            }
        };
        span.record("telegram.update.type", kind);
        span.record("telegram.update.outcome", outcome.as_str());
        BOT_UPDATES.add(1, &[("type", kind), ("outcome", outcome.as_str())]);
        outcome
    }

    /// Puts the user's pseudonym into the baggage of everything that this update causes.
    fn carry_user(&self, span: &Span, hash: &str) {
        if span.is_disabled() {
            return;
        }
        let context = telemetry::propagation::with_baggage(&[("user.hash", hash)]);
        // Fails only where no OpenTelemetry layer listens, and then there is nothing to carry.
        drop(span.set_parent(context));
    }

    async fn answer(&self, incoming: Incoming) -> Outcome {
        match incoming {
            Incoming::Nothing { .. } => Outcome::Ignored,
            Incoming::Text { user_id, place, text } => match self.inner.access.check(user_id, Instant::now()) {
                Verdict::Allowed => self.answer_text(place, &text).await,
                verdict => {
                    self.deny(user_id, verdict);
                    if verdict == Verdict::Refuse {
                        self.reply(place, text::denied(user_id), None);
                    }
                    Outcome::Denied
                }
            },
            Incoming::Press { user_id, callback_id, place, data } => {
                let verdict = self.inner.access.check(user_id, Instant::now());
                if verdict != Verdict::Allowed {
                    self.deny(user_id, verdict);
                    self.answer_callback(&callback_id, Some("This bot is private.")).await;
                    return Outcome::Denied;
                }
                let press = keyboard::press(&data);
                let (Some(press), Some(place)) = (press, place) else {
                    self.answer_callback(&callback_id, Some(text::STALE_BUTTON)).await;
                    return Outcome::Ignored;
                };
                self.answer_callback(&callback_id, None).await;
                match press {
                    Press::AskAgain(symbols) => self.ask(place, &symbols).await,
                    Press::Trace(id) => {
                        self.reply(place, text::trace(id.as_str(), self.inner.public_url.as_ref()), None)
                    }
                }
            }
        }
    }

    async fn answer_text(&self, place: Place, text: &str) -> Outcome {
        let vocabulary = self.inner.symbols.vocabulary();
        let served = vocabulary.served();
        let bot_name = self.inner.identity.get().map(|identity| identity.user_name.as_str());
        match question::read(text, &vocabulary, bot_name) {
            Intent::Start => self.reply(place, text::greeting(served), Some(keyboard::question())),
            Intent::Help => self.reply(place, text::help(served), Some(keyboard::question())),
            Intent::AskDefault => self.ask(place, std::slice::from_ref(&self.inner.default_symbol)).await,
            Intent::Ask(symbols) => self.ask(place, &symbols).await,
            Intent::TooMany { named } => self.reply(place, text::too_many(named), None),
            Intent::Unknown => self.reply(place, text::unknown(served), Some(keyboard::question())),
        }
    }

    async fn ask(&self, place: Place, symbols: &[Symbol]) -> Outcome {
        let asked = self.while_typing(place, self.inner.asker.ask(symbols, None, Channel::Telegram)).await;
        let failed = asked.results.iter().all(|(_, result)| result.is_err());
        let buttons = keyboard::under_answer(symbols, asked.trace_id.as_deref());
        match self.reply(place, text::answers(&asked), buttons) {
            Outcome::Answered if failed => Outcome::Refused,
            outcome => outcome,
        }
    }

    /// Queues a message; it is sent within this update's trace, after those that wait for the same chat.
    fn reply(&self, place: Place, text: String, markup: Option<ReplyMarkup>) -> Outcome {
        let message = SendMessageParams::builder()
            .chat_id(place.chat_id)
            .maybe_message_thread_id(place.thread_id)
            .text(text)
            .parse_mode(ParseMode::Html)
            .link_preview_options(LinkPreviewOptions::DISABLED)
            .maybe_reply_markup(markup)
            .build();
        match self.inner.sender.enqueue(message) {
            // The sender retries and reports; nobody here waits for it.
            Ok(_enqueued) => Outcome::Answered,
            Err(error) => {
                Span::current().record("otel.status_code", "ERROR");
                tracing::error!(error = %error, "an answer cannot be queued and is lost");
                Outcome::Undelivered
            }
        }
    }

    fn deny(&self, user_id: u64, verdict: Verdict) {
        tracing::warn!(
            user.hash = self.inner.user_hasher.hash(user_id),
            told = verdict == Verdict::Refuse,
            "somebody who is not on the list of allowed users was denied"
        );
    }

    /// Stops the button's waiting mark. Telegram wants this for every press.
    async fn answer_callback(&self, callback_id: &str, text: Option<&str>) {
        let params = AnswerCallbackQueryParams::builder().callback_query_id(callback_id).maybe_text(text).build();
        if let Err(error) = self.inner.client.answer_callback_query(&params).await {
            // An old press cannot be answered any more; its message still is.
            tracing::info!(error = %error, "a button press could not be confirmed");
        }
    }

    /// Shows "typing…" in the chat while the answer takes its time.
    async fn while_typing<T>(&self, place: Place, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut pause = TYPING_AFTER;
        loop {
            match tokio::time::timeout(pause, &mut work).await {
                Ok(done) => return done,
                Err(_still_working) => {
                    let params = SendChatActionParams::builder()
                        .chat_id(place.chat_id)
                        .maybe_message_thread_id(place.thread_id)
                        .action(ChatAction::Typing)
                        .build();
                    // The work goes on while Telegram is told, and does not wait for it.
                    tokio::select! {
                        done = &mut work => return done,
                        told = self.inner.client.send_chat_action(&params) => {
                            if let Err(error) = told {
                                tracing::debug!(error = %error, "typing could not be shown");
                            }
                        }
                    }
                    pause = TYPING_AGAIN_AFTER;
                }
            }
        }
    }
}
