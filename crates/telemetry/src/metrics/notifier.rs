//! Metrics of notifier-service: asks, the Telegram bot, and what the bot sends.
//!
//! The `tvtelegrambingx_bot_*` names are given by requirement 2; the others are this product's own.

use super::{Counter, Gauge, Histogram, Metric, Spec};

/// Asks by where they came from and how they ended, one a symbol.
///
/// `channel` is `telegram` or `http`. `outcome` is `buy`, `sell`, `hold`, or the bounded code of the problem.
pub static ASKS: Counter = Counter::new(Spec {
    name: "asks_total",
    unit: "{ask}",
    labels: &["channel", "outcome"],
    help: "Asks answered or refused, one for each symbol, by channel and by what was decided or why it was refused.",
});

/// Time from question to answer.
pub static ASK_DURATION: Histogram = Histogram::new(Spec {
    name: "ask_duration_seconds",
    unit: "s",
    labels: &["channel"],
    help: "Time from a question to its answer, all its symbols together, without the delivery to Telegram.",
});

/// Requests to the services behind the bot.
///
/// `backend` is the service's name; `outcome` is `ok` or the bounded label of the failure.
pub static BACKEND_REQUESTS: Counter = Counter::new(Spec {
    name: "tvtelegrambingx_bot_backend_requests_total",
    unit: "{request}",
    labels: &["backend", "outcome"],
    help: "HTTP requests emitted by the Telegram bot to the services behind it.",
});

/// How long the services behind the bot take.
pub static BACKEND_REQUEST_DURATION: Histogram = Histogram::new(Spec {
    name: "tvtelegrambingx_bot_backend_request_duration_seconds",
    unit: "s",
    labels: &["backend"],
    help: "Latency of the bot's requests to the services behind it, retries included.",
});

/// Updates that Telegram handed to the bot.
///
/// `type` is `message`, `callback_query` or `other`; `outcome` is `answered`, `refused` (an ask or a command that
/// failed), `denied`, `ignored`, `duplicate`, `malformed`, or `undelivered` (its answer could not be written down, so that
/// the update comes again).
pub static BOT_UPDATES: Counter = Counter::new(Spec {
    name: "tvtelegrambingx_bot_updates_total",
    unit: "{update}",
    labels: &["type", "outcome"],
    help: "Processed Telegram messages and callback queries.",
});

/// Messages handed to Telegram.
///
/// `outcome` is `sent`, `superseded` (newer words took their place), or why the message was given up: the bounded label of
/// Telegram's error, `expired`, or `unreadable`.
pub static MESSAGES_SENT: Counter = Counter::new(Spec {
    name: "telegram_messages_sent_total",
    unit: "{message}",
    labels: &["method", "outcome"],
    help: "Messages to Telegram that were sent, or given up and why.",
});

/// Attempts that failed and were put off.
pub static SEND_RETRIES: Counter = Counter::new(Spec {
    name: "telegram_send_retries_total",
    unit: "{attempt}",
    labels: &["method", "reason"],
    help: "Attempts to send a message that failed for now and are made again, by the reason.",
});

/// Messages that wait in the database for their turn, or for Telegram to come back.
pub static OUTBOX_DEPTH: Gauge = Gauge::new(Spec {
    name: "telegram_outbox_depth",
    unit: "{message}",
    labels: &[],
    help: "Messages that wait in the database to be sent to Telegram.",
});

/// Age of the oldest message that waits; 0 when none does.
pub static OUTBOX_OLDEST_AGE: Gauge = Gauge::new(Spec {
    name: "telegram_outbox_oldest_age_seconds",
    unit: "s",
    labels: &[],
    help: "Age of the oldest message that waits in the database to be sent to Telegram, 0 when none does.",
});

/// Notices of trading that people are told.
///
/// `kind` is `order`, `refusal` or `state`; `outcome` is `queued`, `repeated`, `no_recipients` or `bot_off`.
pub static NOTICES: Counter = Counter::new(Spec {
    name: "telegram_notices_total",
    unit: "{notice}",
    labels: &["kind", "outcome"],
    help: "Notices of trading taken from order-service, by kind and by whether they are told.",
});

/// Whether updates arrive: 1 while the last poll (or the webhook's registration) succeeded.
pub static TELEGRAM_UP: Gauge = Gauge::new(Spec {
    name: "telegram_up",
    // Not "1": exporters would call a gauge of that unit a ratio.
    unit: "{state}",
    labels: &["mode"],
    help: "1 while the bot can receive updates (polling or webhook), 0 while it cannot.",
});

/// Every metric of this group.
pub static ALL: &[&dyn Metric] = &[
    &ASKS,
    &ASK_DURATION,
    &BACKEND_REQUESTS,
    &BACKEND_REQUEST_DURATION,
    &BOT_UPDATES,
    &MESSAGES_SENT,
    &SEND_RETRIES,
    &OUTBOX_DEPTH,
    &OUTBOX_OLDEST_AGE,
    &NOTICES,
    &TELEGRAM_UP,
];
