//! One attempt to say something, and what comes of it.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use storage::StorageError;
use storage::outbox::restore_context;
use telegram::{Deliver, Error, Outgoing, Taken};
use telemetry::metrics::notifier::{MESSAGES_SENT, SEND_RETRIES};
use tracing::{Instrument, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::Outbox;
use super::content::Content;
use super::sender::SenderSettings;
use super::table::{self, Claimed, Sent};

/// Pause between two tries while the database is away.
const DATABASE_AGAIN: Duration = Duration::from_millis(500);

/// How long a bot whose token Telegram does not know waits: only a person can mend that.
const UNKNOWN_TOKEN_WAIT: Duration = Duration::from_secs(60);

/// What came of an attempt.
enum Outcome {
    /// Telegram has it.
    Taken(Option<i32>),
    /// Newer words are there.
    Superseded,
    /// The chat has another id now.
    Moved(i64),
    /// It may work later.
    Later { wait: Duration, error: Error },
    /// It never will.
    Never { label: &'static str },
}

/// Says something that is ours, in the trace of whoever caused it.
pub(super) async fn deliver(
    outbox: &Outbox,
    telegram: &impl Deliver,
    settings: &SenderSettings,
    claimed: Claimed,
) -> Result<(), StorageError> {
    let waited_ms = (Utc::now() - claimed.created_at).num_milliseconds().max(0);
    let span = tracing::info_span!(
        "telegram_delivery",
        otel.name = "telegram delivery",
        otel.status_code = field::Empty,
        telegram.delivery.attempt = claimed.attempts,
        telegram.delivery.waited_ms = waited_ms,
        telegram.delivery.outcome = field::Empty,
        telegram.subject = claimed.subject,
    );
    // Fails only where spans are off, and then there is no parent to be had either.
    drop(span.set_parent(restore_context(&claimed.context)));
    async {
        let (method, outcome) = attempt(outbox, telegram, settings, &claimed).await?;
        report(&claimed, method, &outcome);
        loop {
            match write(outbox, &claimed, &outcome).await {
                // Said, and not written down: whoever said it again would repeat it.
                Err(error) if error.is_passing() => tokio::time::sleep(DATABASE_AGAIN).await,
                other => return other,
            }
        }
    }
    .instrument(span)
    .await
}

/// What is said, and how that ended.
async fn attempt(
    outbox: &Outbox,
    telegram: &impl Deliver,
    settings: &SenderSettings,
    claimed: &Claimed,
) -> Result<(&'static str, Outcome), StorageError> {
    let Ok(content) = serde_json::from_str::<Content>(&claimed.payload) else {
        return Ok(("sendMessage", Outcome::Never { label: "unreadable" }));
    };
    let sent = sent(outbox, claimed).await?;
    if sent.as_ref().is_some_and(|sent| sent.rank >= claimed.rank) {
        return Ok(("editMessageText", Outcome::Superseded));
    }
    let message_id = sent.and_then(|sent| i32::try_from(sent.message_id?).ok());
    let thread_id = claimed.thread_id.and_then(|id| i32::try_from(id).ok());
    let outgoing = |edit| content.outgoing(claimed.chat_id, thread_id, edit);
    let (Ok(mut outgoing), Ok(afresh)) = (outgoing(message_id), outgoing(None)) else {
        return Ok(("sendPhoto", Outcome::Never { label: "unreadable" }));
    };
    let mut result = telegram.deliver(&outgoing).await;
    if let (Outgoing::Edit(_), Err(error)) = (&outgoing, &result) {
        if error.is_not_modified() {
            result = Ok(Taken { message_id });
        } else if error.is_uneditable() {
            tracing::info!(error = %error, "a message cannot be edited any more; its words go into a new one");
            outgoing = afresh;
            result = telegram.deliver(&outgoing).await;
        }
    }
    let is_edit = matches!(outgoing, Outgoing::Edit(_));
    let outcome = match result {
        // The answer to an edit need not be readable: it was about the message that we named.
        Ok(taken) => Outcome::Taken(if is_edit { message_id } else { taken.message_id }),
        Err(Error::BadRequest { migrate_to_chat_id: Some(chat_id), .. }) if chat_id != claimed.chat_id => {
            Outcome::Moved(chat_id)
        }
        Err(error) => after_failure(error, settings, claimed),
    };
    Ok((outgoing.method(), outcome))
}

/// What the chat has of the subject already. Words that are ours wait for a database that is away.
async fn sent(outbox: &Outbox, claimed: &Claimed) -> Result<Option<Sent>, StorageError> {
    let Some(subject) = &claimed.subject else { return Ok(None) };
    loop {
        match outbox.database.fetch_optional(table::sent(claimed.chat_id, subject)).await {
            Err(error) if error.is_passing() => tokio::time::sleep(DATABASE_AGAIN).await,
            other => return other,
        }
    }
}

/// Whether it is tried again, and when.
fn after_failure(error: Error, settings: &SenderSettings, claimed: &Claimed) -> Outcome {
    let is_known = !matches!(error, Error::Unauthorized);
    if is_known && !error.is_transient() {
        tracing::warn!(error = %error, error.kind = error.label(), "a message to Telegram can never be sent and is dropped");
        return Outcome::Never { label: error.label() };
    }
    let age = (Utc::now() - claimed.created_at).to_std().unwrap_or_default();
    if age >= settings.give_up_after {
        tracing::warn!(error = %error, error.kind = error.label(), attempts = claimed.attempts, "a message to Telegram is too old to be sent and is dropped");
        return Outcome::Never { label: "expired" };
    }
    let wait = match &error {
        // Telegram's own word, and a little more so that several bots do not come back at the same instant.
        Error::TooManyRequests { retry_after } => *retry_after + Duration::from_millis(rand::random_range(1..100)),
        Error::Unauthorized => UNKNOWN_TOKEN_WAIT,
        _ => full_jitter(settings.retry_base, settings.retry_cap, claimed.attempts),
    };
    Outcome::Later { wait, error }
}

fn report(claimed: &Claimed, method: &'static str, outcome: &Outcome) {
    let (label, failed) = match outcome {
        Outcome::Taken(_) => ("sent", false),
        Outcome::Superseded => ("superseded", false),
        Outcome::Moved(_) => {
            tracing::info!("a group became a supergroup: the message goes to its new id");
            Span::current().record("telegram.delivery.outcome", "moved");
            return;
        }
        Outcome::Later { wait, error } => {
            SEND_RETRIES.add(1, &[("method", method), ("reason", error.label())]);
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(error = %error, error.kind = error.label(), attempts = claimed.attempts, retry.wait_ms = wait_ms, "a message to Telegram waits for another attempt");
            Span::current().record("telegram.delivery.outcome", "later");
            Span::current().record("otel.status_code", "ERROR");
            return;
        }
        Outcome::Never { label } => (*label, true),
    };
    MESSAGES_SENT.add(1, &[("method", method), ("outcome", label)]);
    Span::current().record("telegram.delivery.outcome", label);
    if failed {
        Span::current().record("otel.status_code", "ERROR");
    }
}

async fn write(outbox: &Outbox, claimed: &Claimed, outcome: &Outcome) -> Result<(), StorageError> {
    let database = &outbox.database;
    let now = Utc::now();
    match outcome {
        Outcome::Taken(message_id) => {
            let mut transaction = database.begin().await?;
            if let Some(subject) = &claimed.subject {
                transaction.execute(table::note_sent(claimed.chat_id, subject, *message_id, claimed.rank)).await?;
            }
            if transaction.execute(table::remove(claimed.id, claimed.rank)).await? == 0 {
                // Newer words have taken its place meanwhile: they may go.
                transaction.execute(table::wait(claimed.id, now, None)).await?;
            }
            transaction.commit().await
        }
        Outcome::Superseded | Outcome::Never { .. } => {
            if database.execute(table::remove(claimed.id, claimed.rank)).await? == 0 {
                database.execute(table::wait(claimed.id, now, None)).await?;
            }
            Ok(())
        }
        Outcome::Moved(chat_id) => match database.execute(table::follow(claimed.id, *chat_id, now)).await {
            // Words about the same wait under the new id already.
            Err(StorageError::Conflict { .. }) => {
                database.execute(table::remove(claimed.id, claimed.rank)).await.map(drop)
            }
            other => other.map(drop),
        },
        Outcome::Later { wait, error } => {
            let until = now + TimeDelta::from_std(*wait).unwrap_or(TimeDelta::days(1));
            database.execute(table::wait(claimed.id, until, Some(&error.to_string()))).await.map(drop)
        }
    }
}

/// A random wait up to base × 2^failures, so that chats do not come back in step.
fn full_jitter(base: Duration, cap: Duration, attempts: i64) -> Duration {
    let doublings = u32::try_from(attempts.clamp(1, 17) - 1).unwrap_or(0);
    let ceiling = base.saturating_mul(1 << doublings).min(cap);
    ceiling.mul_f64(rand::random_range(0.1..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_and_is_bounded() {
        let (base, cap) = (Duration::from_millis(500), Duration::from_secs(30));
        for attempts in [i64::MIN, 0, 1, 5, 17, i64::MAX] {
            let wait = full_jitter(base, cap, attempts);
            assert!(wait >= base / 10 && wait <= cap, "{attempts}: {wait:?}");
        }
        assert!(full_jitter(base, cap, 1) <= base && full_jitter(base, cap, 17) >= cap / 10);
    }
}
