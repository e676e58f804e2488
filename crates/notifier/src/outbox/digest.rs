//! Orders that finish while a chat has many to be told of: a line each in one message, so that the chat catches up.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use storage::{FromRow, QueryType, Statement, StorageError, Transaction};

use super::{Content, Draft, Subject, memory, table};

const DIGESTS: &str = "telegram_digests";

/// Orders whose messages may wait in a chat before those that finish are told together: a message a second goes out.
const MOST_WAITING: i64 = 20;

/// Longest list of a message, in characters with its tags; the next line begins another message. With the longest line
/// and the headline it is below the 4,096 that Telegram takes.
const LONGEST_LIST: i64 = 3_000;

/// How long a message grows: an edit rings no bell.
const GROWS_FOR: TimeDelta = TimeDelta::minutes(10);

#[derive(FromRow)]
struct Count {
    orders: i64,
}

#[derive(FromRow)]
struct Row {
    subject: String,
    since: DateTime<Utc>,
    lines: String,
    times: i64,
}

/// How a chat is told of something.
pub(super) enum Telling {
    /// In its own words.
    AsItIs,
    /// In these words instead.
    Instead(Box<Draft>),
    /// Not at all: it has been.
    Not,
}

/// What a chat is told of a finished order. Where many wait and none of the order has been sent or tried, the words of it
/// that wait are taken out of the line, and the message of those that are told together has a line more. An order that has
/// been told of without a message that could be edited, as such a line, is told of again only once its status is another
/// one: a fee that comes late is no news.
pub(super) async fn telling(
    transaction: &mut Transaction,
    draft: &Draft,
    now: DateTime<Utc>,
) -> Result<Telling, StorageError> {
    let (Some(subject), Some(line)) = (&draft.subject, &draft.digest) else { return Ok(Telling::AsItIs) };
    if let Some(sent) = sent(transaction, draft.chat_id, subject).await? {
        let was_told = sent.message_id.is_none() && has_its_status(transaction, draft, subject).await?;
        return Ok(if was_told { Telling::Not } else { Telling::AsItIs });
    }
    let waiting: Count = transaction.fetch_one(waiting(draft.chat_id)).await?;
    if waiting.orders <= MOST_WAITING {
        return Ok(Telling::AsItIs);
    }
    transaction.execute(withdraw(draft.chat_id, subject, now)).await?;
    if transaction.fetch_one::<Count>(own(draft.chat_id, &subject.name)).await?.orders > 0 {
        // On its way, or newer than this.
        return Ok(Telling::AsItIs);
    }
    // Asked again: what was on its way at first may have come there by now.
    if sent(transaction, draft.chat_id, subject).await?.is_some() {
        return Ok(Telling::AsItIs);
    }
    // It has been told: older words are worth nothing, and newer ones are a message.
    transaction.execute(table::note_sent(draft.chat_id, &subject.name, None, subject.rank)).await?;
    let row: Row = transaction.fetch_one(add(draft.chat_id, &subject.name, line, now)).await?;
    let text =
        format!("📋 <b>Orders that finished</b> since {} UTC: {}\n{}", row.since.format("%H:%M"), row.times, row.lines);
    Ok(Telling::Instead(Box::new(Draft {
        content: Content::text(text),
        subject: Some(Subject { name: row.subject, rank: row.times, message_id: None }),
        digest: None,
        ..draft.clone()
    })))
}

/// What the chat has been told of it.
async fn sent(
    transaction: &mut Transaction,
    chat_id: i64,
    subject: &Subject,
) -> Result<Option<table::Sent>, StorageError> {
    transaction.fetch_optional(table::sent(chat_id, &subject.name)).await
}

/// Whether the status of an order is the one that the chat was told last.
async fn has_its_status(transaction: &mut Transaction, draft: &Draft, subject: &Subject) -> Result<bool, StorageError> {
    let told = memory::detail(transaction, draft.chat_id, &subject.name).await?;
    let news = draft.memories.iter().find(|memory| memory.subject == subject.name);
    let status = |detail: &Value| detail.get("status").cloned();
    let (told, news) = (told.as_ref().and_then(status), news.and_then(|memory| status(&memory.detail)));
    Ok(told.is_some() && told == news)
}

/// How many orders' messages wait in a chat, as far as it matters.
fn waiting(chat_id: i64) -> Statement {
    Statement::new(
        QueryType::Select,
        "telegram_outbox",
        "SELECT COUNT(*) AS orders FROM (SELECT o.id FROM telegram_outbox o WHERE o.chat_id = $1 \
         AND o.subject LIKE 'order:%' LIMIT $2) AS some_of_them",
    )
    .bind(chat_id)
    .bind(MOST_WAITING + 1)
}

/// Takes words that nobody has tried to say out of the line.
fn withdraw(chat_id: i64, subject: &Subject, now: DateTime<Utc>) -> Statement {
    Statement::new(
        QueryType::Delete,
        "telegram_outbox",
        "DELETE FROM telegram_outbox WHERE chat_id = $1 AND subject = $2 AND rank < $3 AND attempts = 0 \
         AND not_before <= $4",
    )
    .bind(chat_id)
    .bind(subject.name.as_str())
    .bind(subject.rank)
    .bind(now)
}

fn own(chat_id: i64, subject: &str) -> Statement {
    Statement::new(
        QueryType::Select,
        "telegram_outbox",
        "SELECT COUNT(*) AS orders FROM telegram_outbox WHERE chat_id = $1 AND subject = $2",
    )
    .bind(chat_id)
    .bind(subject)
}

fn add(chat_id: i64, order: &str, line: &str, now: DateTime<Utc>) -> Statement {
    Statement::new(
        QueryType::Insert,
        DIGESTS,
        "INSERT INTO telegram_digests (chat_id, subject, since, lines, times) VALUES ($1, $2, $3, $4, 1) \
         ON CONFLICT (chat_id) DO UPDATE SET \
         subject = CASE WHEN telegram_digests.since > $5 AND LENGTH(telegram_digests.lines) < $6 \
         THEN telegram_digests.subject ELSE excluded.subject END, \
         times = CASE WHEN telegram_digests.since > $5 AND LENGTH(telegram_digests.lines) < $6 \
         THEN telegram_digests.times + 1 ELSE 1 END, \
         lines = CASE WHEN telegram_digests.since > $5 AND LENGTH(telegram_digests.lines) < $6 \
         THEN telegram_digests.lines || $7 || excluded.lines ELSE excluded.lines END, \
         since = CASE WHEN telegram_digests.since > $5 AND LENGTH(telegram_digests.lines) < $6 \
         THEN telegram_digests.since ELSE excluded.since END \
         RETURNING subject, since, lines, times",
    )
    .bind(chat_id)
    .bind(format!("digest:{order}"))
    .bind(now)
    .bind(line)
    .bind(now - GROWS_FOR)
    .bind(LONGEST_LIST)
    .bind("\n")
}
