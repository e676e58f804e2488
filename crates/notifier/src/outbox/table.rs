//! The statements of the outbox.

use chrono::{DateTime, TimeDelta, Utc};
use storage::{FromRow, QueryType, Statement};

use super::{Draft, fold};

const OUTBOX: &str = "telegram_outbox";
const SENT: &str = "telegram_sent";

/// How long the keys of what was handled are kept. Telegram hands an update out for 24 hours.
const HANDLED_KEPT: TimeDelta = TimeDelta::days(7);

/// How long a message can be edited, and asked about.
const SENT_KEPT: TimeDelta = TimeDelta::days(30);

#[derive(FromRow)]
pub(super) struct Key {
    #[expect(dead_code, reason = "that there is one is all that matters")]
    key: String,
}

/// A message that was sent.
#[derive(FromRow)]
pub(super) struct Sent {
    pub(super) message_id: Option<i64>,
    pub(super) rank: i64,
}

/// The first words that wait for a chat.
#[derive(FromRow)]
pub(super) struct Head {
    pub(super) id: i64,
    pub(super) chat_id: i64,
    /// Until when its chat is left alone.
    pub(super) not_before: DateTime<Utc>,
}

/// Words that are ours to say.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Claimed {
    pub(super) id: i64,
    pub(super) chat_id: i64,
    pub(super) thread_id: Option<i64>,
    pub(super) subject: Option<String>,
    pub(super) rank: i64,
    pub(super) payload: String,
    pub(super) context: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) attempts: i64,
}

/// How much waits.
#[derive(FromRow)]
pub(super) struct Waiting {
    pub(super) messages: i64,
    pub(super) oldest: Option<DateTime<Utc>>,
}

pub(super) fn put(draft: &Draft, payload: String, context: String) -> Statement {
    let now = Utc::now();
    Statement::new(
        QueryType::Insert,
        OUTBOX,
        // Somebody who waits for older words waits for these, too.
        "INSERT INTO telegram_outbox (chat_id, thread_id, subject, rank, payload, context, created_at, not_before, \
         attempts, urgency) VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 0, $8) \
         ON CONFLICT (chat_id, subject) WHERE subject IS NOT NULL DO UPDATE SET rank = excluded.rank, \
         payload = excluded.payload, context = excluded.context, created_at = excluded.created_at, \
         urgency = CASE WHEN excluded.urgency < telegram_outbox.urgency THEN excluded.urgency \
         ELSE telegram_outbox.urgency END WHERE telegram_outbox.rank < excluded.rank",
    )
    .bind(draft.chat_id)
    .bind(draft.thread_id.map(i64::from))
    .bind(draft.subject.as_ref().map(|subject| subject.name.clone()))
    .bind(draft.subject.as_ref().map_or(0, |subject| subject.rank))
    .bind(payload)
    .bind(context)
    .bind(now)
    .bind(draft.urgency.place())
}

pub(super) fn sent(chat_id: i64, subject: &str) -> Statement {
    Statement::new(
        QueryType::Select,
        SENT,
        "SELECT message_id, rank FROM telegram_sent WHERE chat_id = $1 AND subject = $2",
    )
    .bind(chat_id)
    .bind(subject)
}

/// Takes a message for the one about a subject, where none is known.
pub(super) fn adopt(chat_id: i64, subject: &str, message_id: i32) -> Statement {
    Statement::new(
        QueryType::Insert,
        SENT,
        "INSERT INTO telegram_sent (chat_id, subject, message_id, rank, sent_at) VALUES ($1, $2, $3, 0, $4) \
         ON CONFLICT (chat_id, subject) DO UPDATE SET message_id = excluded.message_id \
         WHERE telegram_sent.message_id IS NULL",
    )
    .bind(chat_id)
    .bind(subject)
    .bind(i64::from(message_id))
    .bind(Utc::now())
}

/// The first words of every chat: what is awaited first, then the oldest. It steps from chat to chat along the index, so
/// that a long line of one chat costs no more than a short one. A chat is left alone for as long as any of its words
/// waits for another try, or is on its way from another process: what came later does not go out beside it, nor before
/// Telegram takes words for this chat again.
pub(super) fn heads() -> Statement {
    Statement::new(
        QueryType::Select,
        OUTBOX,
        "WITH RECURSIVE line (chat_id) AS (SELECT MIN(o.chat_id) FROM telegram_outbox o UNION ALL \
         SELECT (SELECT MIN(o.chat_id) FROM telegram_outbox o WHERE o.chat_id > line.chat_id) \
         FROM line WHERE line.chat_id IS NOT NULL) \
         SELECT head.id AS id, head.chat_id AS chat_id, \
         (SELECT MAX(o.not_before) FROM telegram_outbox o WHERE o.chat_id = line.chat_id) AS not_before \
         FROM line JOIN telegram_outbox head ON head.id = (SELECT o.id FROM telegram_outbox o \
         WHERE o.chat_id = line.chat_id ORDER BY o.urgency, o.id LIMIT 1) ORDER BY head.urgency, head.id",
    )
}

/// Makes words ours until `until`, unless somebody else has them.
pub(super) fn claim(id: i64, now: DateTime<Utc>, until: DateTime<Utc>) -> Statement {
    Statement::new(
        QueryType::Update,
        OUTBOX,
        "UPDATE telegram_outbox SET not_before = $3, attempts = attempts + 1 WHERE id = $1 AND not_before <= $2 \
         RETURNING id, chat_id, thread_id, subject, rank, payload, context, created_at, attempts",
    )
    .bind(id)
    .bind(now)
    .bind(until)
}

/// The message about a subject says the words of this rank now.
pub(super) fn note_sent(chat_id: i64, subject: &str, message_id: Option<i32>, rank: i64) -> Statement {
    Statement::new(
        QueryType::Insert,
        SENT,
        "INSERT INTO telegram_sent (chat_id, subject, message_id, rank, sent_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (chat_id, subject) DO UPDATE SET message_id = excluded.message_id, rank = excluded.rank, \
         sent_at = excluded.sent_at WHERE telegram_sent.rank <= excluded.rank",
    )
    .bind(chat_id)
    .bind(subject)
    .bind(message_id.map(i64::from))
    .bind(rank)
    .bind(Utc::now())
}

/// Takes words out of the line, unless newer ones have taken their place meanwhile.
pub(super) fn remove(id: i64, rank: i64) -> Statement {
    Statement::new(QueryType::Delete, OUTBOX, "DELETE FROM telegram_outbox WHERE id = $1 AND rank = $2")
        .bind(id)
        .bind(rank)
}

/// Lets words that stay in the line be tried from then on.
pub(super) fn wait(id: i64, until: DateTime<Utc>, reason: Option<&str>) -> Statement {
    Statement::new(
        QueryType::Update,
        OUTBOX,
        "UPDATE telegram_outbox SET not_before = $2, last_error = $3 WHERE id = $1",
    )
    .bind(id)
    .bind(until)
    .bind(reason.map(|reason| reason.chars().filter(|c| !c.is_control()).take(300).collect::<String>()))
}

/// The chat has another id now.
pub(super) fn follow(id: i64, chat_id: i64, now: DateTime<Utc>) -> Statement {
    Statement::new(QueryType::Update, OUTBOX, "UPDATE telegram_outbox SET chat_id = $2, not_before = $3 WHERE id = $1")
        .bind(id)
        .bind(chat_id)
        .bind(now)
}

pub(super) fn waiting() -> Statement {
    Statement::new(
        QueryType::Select,
        OUTBOX,
        "SELECT COUNT(*) AS messages, MIN(created_at) AS oldest FROM telegram_outbox",
    )
}

pub(super) fn forget(now: DateTime<Utc>) -> [Statement; 4] {
    [
        fold::forget(now),
        Statement::new(QueryType::Delete, "telegram_handled", "DELETE FROM telegram_handled WHERE handled_at < $1")
            .bind(now - HANDLED_KEPT),
        Statement::new(QueryType::Delete, SENT, "DELETE FROM telegram_sent WHERE sent_at < $1").bind(now - SENT_KEPT),
        Statement::new(QueryType::Delete, "telegram_subjects", "DELETE FROM telegram_subjects WHERE told_at < $1")
            .bind(now - SENT_KEPT),
    ]
}
