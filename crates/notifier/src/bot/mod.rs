//! The Telegram bot: each update is read, checked, answered; all of it one trace.

mod access;
mod chart;
mod commands;
mod intake;
mod keyboard;
pub(crate) mod latency;
mod ledger;
mod orders;
pub(crate) mod polling;
mod presses;
mod reply;
mod role;
mod setup;
mod status;
mod text;
mod user_hash;
pub(crate) mod webhook;
mod why;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use domain::Symbol;
use domain::trading::TradingState;
use secrecy::SecretString;
use storage::StorageError;
use telegram::api::methods::{AnswerCallbackQueryParams, SendChatActionParams};
use telegram::api::types::ChatAction;
use telegram::api::updates::Update;
use telegram::{AsyncTelegramApi, Client, IncomingUpdate};
use telemetry::metrics::notifier::BOT_UPDATES;
use tracing::{Instrument, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use url::Url;

use crate::ask::{Asker, Channel};
use crate::backends::Backends;
use crate::mode::KnownMode;
use crate::outbox::{Buttons, Outbox, Said};
use crate::question::{self, Command, Intent};
use crate::symbols::KnownSymbols;
use access::{Access, Verdict};
use intake::{Identity, Incoming, Place};
use latency::Latencies;
pub(crate) use orders::drafts as notice_drafts;
use reply::Reply;
pub(crate) use role::{Role, Roles};
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
    outbox: Outbox,
    asker: Asker,
    backends: Backends,
    mode: KnownMode,
    symbols: KnownSymbols,
    latencies: Latencies,
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
    pub(crate) outbox: Outbox,
    pub(crate) asker: Asker,
    pub(crate) backends: Backends,
    pub(crate) mode: KnownMode,
    pub(crate) symbols: KnownSymbols,
    pub(crate) tempo_url: Option<Url>,
    pub(crate) default_symbol: Symbol,
    pub(crate) public_url: Option<Url>,
    pub(crate) roles: Roles,
    pub(crate) status: Status,
}

/// How an update ended; a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    /// The ask or the command failed; the user was told why.
    Refused,
    Denied,
    Ignored,
    Malformed,
    /// It was handled before.
    Duplicate,
    /// The answer could not be written down: the update has to come again.
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
            Self::Duplicate => "duplicate",
            Self::Undelivered => "undelivered",
        }
    }
}

impl Bot {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            inner: Arc::new(Inner {
                client: parts.client,
                outbox: parts.outbox,
                asker: parts.asker,
                backends: parts.backends,
                mode: parts.mode,
                symbols: parts.symbols,
                latencies: Latencies::new(parts.tempo_url),
                default_symbol: parts.default_symbol,
                public_url: parts.public_url,
                access: Access::new(parts.roles),
                user_hasher: UserHasher::new(&parts.token),
                identity: OnceLock::new(),
                status: parts.status,
            }),
        }
    }

    /// Handles one update to its end, that is, until its answer is written down. Nothing that is in it makes this fail.
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
            Ok(content) => {
                let incoming = intake::read(*content, self.inner.identity.get());
                if let Incoming::Text { user_id, .. } | Incoming::Press { user_id, .. } = incoming {
                    let hash = self.inner.user_hasher.hash(user_id);
                    span.record("user.hash", &hash);
                    self.carry_user(&span, &hash);
                }
                let kind = incoming.kind();
                (kind, Box::pin(self.work(update.id, incoming)).instrument(span.clone()).await)
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

    /// Answers an update, once: one that comes again after a crash is known.
    async fn work(&self, update_id: i64, incoming: Incoming) -> Outcome {
        let user_id = match &incoming {
            Incoming::Nothing { .. } => return Outcome::Ignored,
            Incoming::Text { user_id, .. } | Incoming::Press { user_id, .. } => *user_id,
        };
        let key = incoming.key(update_id);
        // A stranger who has been told costs nothing more.
        let (role, told) = match self.inner.access.check(user_id, Instant::now()) {
            Verdict::Allowed(role) => (Some(role), false),
            Verdict::Refuse => (None, true),
            Verdict::Ignore => (None, false),
        };
        let Some(role) = role else {
            return self.deny(&key, user_id, incoming, told).await;
        };
        match self.inner.outbox.is_handled(&key).await {
            Ok(false) => {}
            Ok(true) => {
                if let Incoming::Press { callback_id, .. } = &incoming {
                    self.answer_callback(callback_id, None).await;
                }
                return Outcome::Duplicate;
            }
            // Trading is stopped also while nothing can be said about it; to stop it twice does no harm.
            Err(error) if self.stops_trading(&incoming) => {
                tracing::warn!(error = %error, "trading is stopped although the answer cannot be written down");
            }
            Err(error) => return undelivered(&error),
        }
        let reply = match incoming {
            Incoming::Nothing { .. } => return Outcome::Ignored,
            Incoming::Text { place, text, replied_to, .. } => {
                Box::pin(self.answer_text(user_id, role, place, &text, replied_to)).await
            }
            Incoming::Press { callback_id, place, data, message_id, .. } => {
                Box::pin(self.answer_press(user_id, role, &callback_id, place.zip(message_id), &data)).await
            }
        };
        match reply {
            Ok(reply) => self.say(&key, reply).await,
            Err(error) => undelivered(&error),
        }
    }

    async fn say(&self, key: &str, reply: Reply) -> Outcome {
        if reply.drafts.is_empty() {
            return reply.outcome;
        }
        match self.inner.outbox.say(key, &reply.drafts).await {
            Ok(Said::Now) => reply.outcome,
            Ok(Said::Before) => Outcome::Duplicate,
            Err(error) => undelivered(&error),
        }
    }

    async fn deny(&self, key: &str, user_id: u64, incoming: Incoming, told: bool) -> Outcome {
        tracing::warn!(
            user.hash = self.inner.user_hasher.hash(user_id),
            told,
            "somebody who is not on the list of allowed users was denied"
        );
        match incoming {
            Incoming::Text { place, .. } if told => {
                self.say(key, Reply::text(place, text::denied(user_id)).with(Outcome::Denied)).await
            }
            Incoming::Press { callback_id, .. } => {
                self.alert_presser(&callback_id, "This bot is private.").await;
                Outcome::Denied
            }
            _ => Outcome::Denied,
        }
    }

    fn intent(&self, text: &str) -> Intent {
        let bot_name = self.inner.identity.get().map(|identity| identity.user_name.as_str());
        question::read(text, &self.inner.symbols.vocabulary(), bot_name)
    }

    /// Whether an update is a word that lets less be traded. Who wrote it is asked when it is handled.
    fn would_stop_trading(&self, update: &Update) -> bool {
        self.stops_trading(&intake::read(update.clone(), self.inner.identity.get()))
    }

    fn stops_trading(&self, incoming: &Incoming) -> bool {
        let Incoming::Text { text, .. } = incoming else { return false };
        matches!(self.intent(text), Intent::Command(Command::Set(TradingState::Halted | TradingState::Reducing, _)))
    }

    async fn answer_text(
        &self,
        user_id: u64,
        role: Role,
        place: Place,
        text: &str,
        replied_to: Option<i32>,
    ) -> Result<Reply, StorageError> {
        let vocabulary = self.inner.symbols.vocabulary();
        let served = vocabulary.served();
        Ok(match self.intent(text) {
            Intent::Start => Reply::new(place, text::greeting(served), Buttons::Question),
            Intent::Help => Reply::new(place, text::help(served, role), Buttons::Question),
            Intent::AskDefault => self.ask(place, std::slice::from_ref(&self.inner.default_symbol)).await,
            Intent::Ask(symbols) => self.ask(place, &symbols).await,
            Intent::Command(command) => {
                return Box::pin(self.answer_command(user_id, role, place, command, replied_to)).await;
            }
            Intent::TooMany { named } => Reply::text(place, text::too_many(named)),
            Intent::Unknown => Reply::new(place, text::unknown(served), Buttons::Question),
        })
    }

    async fn ask(&self, place: Place, symbols: &[Symbol]) -> Reply {
        let asked = self.while_typing(place, self.inner.asker.ask(symbols, None, Channel::Telegram)).await;
        reply::answers(place, symbols, &asked)
    }

    /// Stops the button's waiting mark, and says in passing what was done. Telegram wants this for every press.
    async fn answer_callback(&self, callback_id: &str, text: Option<&str>) {
        self.tell_presser(callback_id, text, false).await;
    }

    /// Stops the button's waiting mark, and says what whoever pressed it has to see.
    async fn alert_presser(&self, callback_id: &str, text: &str) {
        self.tell_presser(callback_id, Some(text), true).await;
    }

    async fn tell_presser(&self, callback_id: &str, text: Option<&str>, alert: bool) {
        let params = AnswerCallbackQueryParams::builder()
            .callback_query_id(callback_id)
            .maybe_text(text)
            .show_alert(alert)
            .build();
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

fn undelivered(error: &StorageError) -> Outcome {
    Span::current().record("otel.status_code", "ERROR");
    tracing::error!(error = %error, "an answer cannot be written down; its update has to come again");
    Outcome::Undelivered
}
