//! Notices of one kind that come close together: one message a chat, edited as it counts them.

use chrono::{DateTime, TimeDelta, Utc};
use storage::{FromRow, QueryType, Statement, StorageError, Transaction};

use super::{Content, Draft, Memory, Subject};

pub(super) const FOLDS: &str = "telegram_folds";

/// How long a message counts on. An edit rings no bell: whoever goes on being refused is told anew after this time.
const FOLDED_FOR: TimeDelta = TimeDelta::minutes(10);

/// What a notice is folded into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// The kind, of which there is one message at a time in a chat: `refusal:notional_too_large:main`.
    pub name: String,
    /// What happened several times, in a word: `Refused`.
    pub what: &'static str,
}

#[derive(FromRow)]
struct Counted {
    subject: String,
    since: DateTime<Utc>,
    times: i64,
}

/// The draft as it is among its kind: the first is as it is, and those that follow within ten minutes take the place of
/// its words and say how many there were. What is remembered under the draft's own subject is remembered under the
/// message's.
pub(super) async fn into(
    transaction: &mut Transaction,
    draft: &Draft,
    fold: &Fold,
    now: DateTime<Utc>,
) -> Result<Draft, StorageError> {
    let Some(own) = &draft.subject else { return Ok(draft.clone()) };
    let statement = Statement::new(
        QueryType::Insert,
        FOLDS,
        "INSERT INTO telegram_folds (chat_id, name, subject, since, times) VALUES ($1, $2, $3, $4, 1) \
         ON CONFLICT (chat_id, name) DO UPDATE SET \
         times = CASE WHEN telegram_folds.since > $5 THEN telegram_folds.times + 1 ELSE 1 END, \
         subject = CASE WHEN telegram_folds.since > $5 THEN telegram_folds.subject ELSE excluded.subject END, \
         since = CASE WHEN telegram_folds.since > $5 THEN telegram_folds.since ELSE excluded.since END \
         RETURNING subject, since, times",
    )
    .bind(draft.chat_id)
    .bind(fold.name.as_str())
    .bind(own.name.as_str())
    .bind(now)
    .bind(now - FOLDED_FOR);
    let counted: Counted = transaction.fetch_one(statement).await?;
    let named = |memory: &Memory| {
        let subject = if memory.subject == own.name { counted.subject.clone() } else { memory.subject.clone() };
        Memory { subject, ..memory.clone() }
    };
    Ok(Draft {
        content: words(&draft.content, fold.what, &counted),
        memories: draft.memories.iter().map(named).collect(),
        subject: Some(Subject { name: counted.subject.clone(), rank: counted.times, message_id: None }),
        ..draft.clone()
    })
}

fn words(content: &Content, what: &str, counted: &Counted) -> Content {
    let mut content = content.clone();
    if counted.times > 1 {
        let (times, since) = (counted.times, counted.since.format("%H:%M"));
        content.text = format!("🔁 <b>{what} {times} times</b> since {since} UTC; last:\n{}", content.text);
    }
    content
}

/// Forgets what counts no more.
pub(super) fn forget(now: DateTime<Utc>) -> Statement {
    Statement::new(QueryType::Delete, FOLDS, "DELETE FROM telegram_folds WHERE since < $1").bind(now - FOLDED_FOR)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use storage::Database;
    use storage::testing::engines;
    use web::Background;
    use web::testing::eventually;

    use super::*;

    /// Of a refusal, by its number.
    fn draft(chat_id: i64, number: i64) -> Draft {
        let memory = |kind: &str| Memory { subject: format!("{kind}:{number}"), detail: json!(number), trace_id: None };
        Draft {
            subject: Some(Subject { name: format!("refusals:{number}"), rank: 1, message_id: None }),
            memories: vec![memory("refusals"), memory("refusal")],
            ..Draft::new(chat_id, None, Content::text(format!("number {number}")))
        }
    }

    #[actix_web::test]
    async fn what_comes_within_ten_minutes_is_counted_and_what_comes_then_is_another_message() {
        let start: DateTime<Utc> = "2026-11-21T21:10:30Z".parse().unwrap();
        for test in engines() {
            let database = Database::open(crate::NAME, &test.settings(), super::super::migrations()).unwrap();
            let mut background = Background::new();
            background.spawn("database", |stop| database.clone().keep_up(stop));
            eventually("the database is there", async || database.ready().await.ok()).await;
            let fold = |name: &str| Fold { name: name.to_owned(), what: "Refused" };
            let mut told = Vec::new();
            for (chat, name, number, minutes) in [
                (1, "a", 1, 0),
                (1, "a", 2, 3),
                (1, "b", 3, 4),
                (2, "a", 4, 5),
                (1, "a", 5, 9),
                (1, "a", 6, 10),
                (1, "a", 7, 19),
            ] {
                let mut transaction = database.begin().await.unwrap();
                let at = start + TimeDelta::minutes(minutes);
                let folded = into(&mut transaction, &draft(chat, number), &fold(name), at).await.unwrap();
                transaction.commit().await.unwrap();
                let subject = folded.subject.unwrap();
                let memories: Vec<_> = folded.memories.iter().map(|memory| memory.subject.clone()).collect();
                assert_eq!(memories, [subject.name.clone(), format!("refusal:{number}")]);
                told.push((subject.name, subject.rank, folded.content.text));
            }
            let row = |name: &str, rank, text: &str| (name.to_owned(), rank, text.to_owned());
            let expected = [
                row("refusals:1", 1, "number 1"),
                row("refusals:1", 2, "🔁 <b>Refused 2 times</b> since 21:10 UTC; last:\nnumber 2"),
                row("refusals:3", 1, "number 3"),
                row("refusals:4", 1, "number 4"),
                row("refusals:1", 3, "🔁 <b>Refused 3 times</b> since 21:10 UTC; last:\nnumber 5"),
                row("refusals:6", 1, "number 6"),
                row("refusals:6", 2, "🔁 <b>Refused 2 times</b> since 21:20 UTC; last:\nnumber 7"),
            ];
            assert_eq!(told, expected);
            database.execute(forget(start + TimeDelta::minutes(18))).await.unwrap();
            let left = Statement::new(QueryType::Select, FOLDS, "SELECT COUNT(*) FROM telegram_folds");
            assert_eq!(database.fetch_one::<(i64,)>(left).await.unwrap(), (1,));
            background.token().cancel();
        }
    }
}
