//! Orders that finish while a chat has many to be told of: a line each in one message, so that the chat catches up.

use chrono::{DateTime, TimeDelta, Utc};
use storage::{FromRow, QueryType, Statement, StorageError, Transaction};

use super::{Content, Draft, Subject, table};

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

/// What a chat is told instead of a finished order's own message, where many wait and none of the order has been sent or
/// tried: the words of it that wait are taken out of the line, and the message of those that are told together has a line
/// more. None where the order is to have its own.
pub(super) async fn instead(
    transaction: &mut Transaction,
    draft: &Draft,
    now: DateTime<Utc>,
) -> Result<Option<Draft>, StorageError> {
    let (Some(subject), Some(line)) = (&draft.subject, &draft.digest) else { return Ok(None) };
    let waiting: Count = transaction.fetch_one(waiting(draft.chat_id)).await?;
    if waiting.orders <= MOST_WAITING {
        return Ok(None);
    }
    if is_sent(transaction, draft.chat_id, subject).await? {
        return Ok(None);
    }
    transaction.execute(withdraw(draft.chat_id, subject, now)).await?;
    if transaction.fetch_one::<Count>(own(draft.chat_id, &subject.name)).await?.orders > 0 {
        // On its way, or newer than this.
        return Ok(None);
    }
    // Asked again: what was on its way at first may have come there by now.
    if is_sent(transaction, draft.chat_id, subject).await? {
        return Ok(None);
    }
    // It has been told: older words are worth nothing, and newer ones are a message.
    transaction.execute(table::note_sent(draft.chat_id, &subject.name, None, subject.rank)).await?;
    let row: Row = transaction.fetch_one(add(draft.chat_id, &subject.name, line, now)).await?;
    let text =
        format!("📋 <b>Orders that finished</b> since {} UTC: {}\n{}", row.since.format("%H:%M"), row.times, row.lines);
    Ok(Some(Draft {
        content: Content::text(text),
        subject: Some(Subject { name: row.subject, rank: row.times, message_id: None }),
        digest: None,
        ..draft.clone()
    }))
}

/// Whether the chat has been told of it.
async fn is_sent(transaction: &mut Transaction, chat_id: i64, subject: &Subject) -> Result<bool, StorageError> {
    let sent: Option<table::Sent> = transaction.fetch_optional(table::sent(chat_id, &subject.name)).await?;
    Ok(sent.is_some())
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
