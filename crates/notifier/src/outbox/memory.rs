//! What each chat was told about, for whoever asks why.

use chrono::Utc;
use serde_json::Value;
use storage::{FromRow, QueryType, Statement, StorageError, Transaction};

use super::{Memory, Outbox};

const SUBJECTS: &str = "telegram_subjects";

/// What was said of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recalled {
    /// `decision:…`, `order:…`, `refusal:…` or `pipeline:…`, and an id.
    pub subject: String,
    /// All there is to say about it.
    pub detail: Value,
    /// The trace in which it came to be.
    pub trace_id: Option<String>,
}

#[derive(FromRow)]
struct Row {
    subject: String,
    detail: String,
    trace_id: Option<String>,
}

impl Row {
    fn read(self) -> Result<Recalled, StorageError> {
        let detail =
            serde_json::from_str(&self.detail).map_err(|_| StorageError::Malformed { column: "detail".to_owned() })?;
        Ok(Recalled { subject: self.subject, detail, trace_id: self.trace_id })
    }
}

pub(super) fn keep(chat_id: i64, memory: &Memory) -> Statement {
    Statement::new(
        QueryType::Insert,
        SUBJECTS,
        "INSERT INTO telegram_subjects (chat_id, subject, detail, trace_id, told_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (chat_id, subject) DO UPDATE SET detail = excluded.detail, trace_id = excluded.trace_id, \
         told_at = excluded.told_at",
    )
    .bind(chat_id)
    .bind(memory.subject.as_str())
    .bind(memory.detail.to_string())
    .bind(memory.trace_id.clone())
    .bind(Utc::now())
}

#[derive(FromRow)]
struct Detail {
    detail: String,
}

/// What is remembered of a subject; nothing where that cannot be read any more.
pub(super) async fn detail(
    transaction: &mut Transaction,
    chat_id: i64,
    subject: &str,
) -> Result<Option<Value>, StorageError> {
    let statement = Statement::new(
        QueryType::Select,
        SUBJECTS,
        "SELECT detail FROM telegram_subjects WHERE chat_id = $1 AND subject = $2",
    )
    .bind(chat_id)
    .bind(subject);
    let kept: Option<Detail> = transaction.fetch_optional(statement).await?;
    Ok(kept.and_then(|kept| serde_json::from_str(&kept.detail).ok()))
}

impl Outbox {
    /// What this chat was told of an id last, whatever it is the id of.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn recall(&self, chat_id: i64, id: &str) -> Result<Option<Recalled>, StorageError> {
        let statement = Statement::new(
            QueryType::Select,
            SUBJECTS,
            "SELECT subject, detail, trace_id FROM telegram_subjects WHERE chat_id = $1 \
             AND subject IN ($2, $3, $4, $5) ORDER BY told_at DESC LIMIT 1",
        )
        .bind(chat_id)
        .bind(format!("order:{id}"))
        .bind(format!("decision:{id}"))
        .bind(format!("refusal:{id}"))
        .bind(format!("pipeline:{id}"));
        self.recalled(statement).await
    }

    /// What this chat was told about last.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn recall_latest(&self, chat_id: i64) -> Result<Option<Recalled>, StorageError> {
        let statement = Statement::new(
            QueryType::Select,
            SUBJECTS,
            "SELECT subject, detail, trace_id FROM telegram_subjects WHERE chat_id = $1 ORDER BY told_at DESC LIMIT 1",
        )
        .bind(chat_id);
        self.recalled(statement).await
    }

    /// What a message of this chat is about.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn recall_message(&self, chat_id: i64, message_id: i32) -> Result<Option<Recalled>, StorageError> {
        let statement = Statement::new(
            QueryType::Select,
            SUBJECTS,
            "SELECT t.subject AS subject, t.detail AS detail, t.trace_id AS trace_id FROM telegram_subjects t \
             JOIN telegram_sent s ON s.chat_id = t.chat_id AND s.subject = t.subject \
             WHERE s.chat_id = $1 AND s.message_id = $2 ORDER BY s.sent_at DESC LIMIT 1",
        )
        .bind(chat_id)
        .bind(i64::from(message_id));
        self.recalled(statement).await
    }

    async fn recalled(&self, statement: Statement) -> Result<Option<Recalled>, StorageError> {
        self.database.fetch_optional::<Row>(statement).await?.map(Row::read).transpose()
    }
}
