//! What the bot says, kept in the database until Telegram has it.
//!
//! Everything goes through here, replies too: [`Outbox::say`] writes what is to be said and that its cause has been
//! handled in one transaction, and [`Sender`] takes it to Telegram, each chat's words in their order.
//!
//! **Order.** What somebody waits for ([`Urgency::Awaited`]: a reply, an order to be confirmed) goes before a chat's
//! notices, and each of the two kinds in the order in which it was written. One call at a time goes out to a chat, and a
//! chat that is to be left alone is left alone, whatever is urgent.
//!
//! **Folding.** Notices of one kind ([`Fold`]: refusals of one limit and hook) that come within ten minutes are one
//! message, which is edited and counts them. While more than twenty orders' messages wait in a chat, an order that
//! finishes and of which nothing has been sent yet is a line in one message for all of these, and has none of its own: a
//! fee that comes later is not told, another status would be.
//!
//! **How often a message arrives.** What is written down is said; a kill at any moment loses nothing. Telegram has no
//! idempotency key, so a message may come twice in two cases only: the process dies after Telegram took it and before
//! that is written down, or Telegram takes it and the answer is lost on the way. An update, a press or a notice that
//! comes again is known by its key and has no second effect.
//!
//! **Edits.** A message about a subject (an order) is sent once to each chat and edited from then on. Words have a rank
//! (an order's revision): words of a lower or equal rank never replace others, and of several that wait, only those of
//! the highest rank are said, in the place of the first.
//!
//! **Why this is no [`storage::outbox`].** That one delivers each entry as it was written, waits as long as it decides
//! itself, 5 s at most, and never gives up. Here Telegram says how long to wait (`retry_after`), a chat and the whole bot
//! have a pace, a message that is a day old is worth nothing, words about the same order replace each other while they
//! wait, and what was sent leaves the id by which it is edited. Order is per chat, as it is per group there.

mod content;
mod delivery;
mod digest;
mod fold;
mod memory;
mod sender;
mod table;

use std::sync::Arc;

use chrono::Utc;
use opentelemetry::Context;
use serde_json::Value;
use storage::outbox::store_context;
use storage::{Database, Migration, QueryType, Statement, StorageError, Transaction};
use telemetry::metrics::notifier::MESSAGES_SENT;
use tokio::sync::Notify;

use digest::Telling;

pub use content::{Button, Buttons, Content};
pub use fold::Fold;
pub use memory::Recalled;
pub use sender::{Sender, SenderSettings};

/// The tables of this service.
#[must_use]
pub fn migrations() -> Vec<Migration> {
    vec![
        Migration {
            version: 1,
            name: "telegram",
            sqlite: include_str!("../../migrations/0001_telegram.sqlite.sql"),
            postgres: include_str!("../../migrations/0001_telegram.postgres.sql"),
        },
        Migration {
            version: 2,
            name: "lines",
            sqlite: include_str!("../../migrations/0002_lines.sqlite.sql"),
            postgres: include_str!("../../migrations/0002_lines.postgres.sql"),
        },
        Migration {
            version: 3,
            name: "digests",
            sqlite: include_str!("../../migrations/0003_digests.sqlite.sql"),
            postgres: include_str!("../../migrations/0003_digests.postgres.sql"),
        },
    ]
}

/// What waits to be said, what was said, and what has been handled. Clones are the same.
#[derive(Clone)]
pub struct Outbox {
    database: Database,
    /// Told when something new waits.
    news: Arc<Notify>,
}

/// Something to be said in a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Where.
    pub chat_id: i64,
    /// Topic of a forum.
    pub thread_id: Option<i32>,
    /// What.
    pub content: Content,
    /// Set when the message may be edited later.
    pub subject: Option<Subject>,
    /// What is remembered of it, for whoever asks why.
    pub memories: Vec<Memory>,
    /// Whether somebody waits for it.
    pub urgency: Urgency,
    /// The kind that it is counted among; only where it has a subject.
    pub fold: Option<Fold>,
    /// A finished order in a line, at most 300 characters: it may be told with others where many wait. Only where there
    /// is a subject.
    pub digest: Option<String>,
}

/// Whether somebody waits for words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody does: they go before all notices of their chat.
    Awaited,
    /// Nobody does.
    Notice,
}

impl Urgency {
    /// As it is written down: lower goes first.
    const fn place(self) -> i64 {
        match self {
            Self::Awaited => 0,
            Self::Notice => 1,
        }
    }
}

/// What a message is about: there is one such message a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// A word: `order:4bf92f…`.
    pub name: String,
    /// How new the words are: higher ones replace lower ones.
    pub rank: i64,
    /// A message that is known to be about it, edited where none is known yet.
    pub message_id: Option<i32>,
}

/// What is remembered of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// `decision:…`, `order:…`, `refusal:…` or `pipeline:…`, and an id.
    pub subject: String,
    /// All there is to say about it.
    pub detail: Value,
    /// The trace in which it came to be.
    pub trace_id: Option<String>,
}

/// Whether it will be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It is written down and will be.
    Now,
    /// Its cause has been handled before: nothing was written.
    Before,
}

impl Draft {
    /// Words for a chat, where somebody waits for them.
    #[must_use]
    pub const fn new(chat_id: i64, thread_id: Option<i32>, content: Content) -> Self {
        Self {
            chat_id,
            thread_id,
            content,
            subject: None,
            memories: Vec::new(),
            urgency: Urgency::Awaited,
            fold: None,
            digest: None,
        }
    }

    /// The same, and nobody waits for them.
    #[must_use]
    pub fn as_notice(self) -> Self {
        Self { urgency: Urgency::Notice, ..self }
    }
}

impl Outbox {
    /// The outbox in a database whose migrations are [`migrations`].
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database, news: Arc::new(Notify::new()) }
    }

    /// The same outbox through other connections: what one of the two writes down wakes the sender of the other.
    #[must_use]
    pub fn through(&self, database: Database) -> Self {
        Self { database, news: Arc::clone(&self.news) }
    }

    /// Whether the cause with this key has been handled.
    ///
    /// # Errors
    /// As [`StorageError`] says.
    pub async fn is_handled(&self, key: &str) -> Result<bool, StorageError> {
        let statement =
            Statement::new(QueryType::Select, "telegram_handled", "SELECT key FROM telegram_handled WHERE key = $1")
                .bind(key);
        Ok(self.database.fetch_optional::<table::Key>(statement).await?.is_some())
    }

    /// Writes down, all or nothing, what is to be said because of something, and that this has been handled. `key` tells
    /// one cause from another. What is said becomes a part of the current trace.
    ///
    /// # Errors
    /// As [`StorageError`] says; nothing is written then, unless the answer of the commit was lost.
    pub async fn say(&self, key: &str, drafts: &[Draft]) -> Result<Said, StorageError> {
        let mut transaction = self.database.begin().await?;
        let handled = Statement::new(
            QueryType::Insert,
            "telegram_handled",
            "INSERT INTO telegram_handled (key, handled_at) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING",
        )
        .bind(key)
        .bind(Utc::now());
        if transaction.execute(handled).await? == 0 {
            transaction.rollback().await?;
            return Ok(Said::Before);
        }
        for draft in drafts {
            let now = Utc::now();
            let telling = match &draft.fold {
                Some(kind) => Telling::Instead(Box::new(fold::into(&mut transaction, draft, kind, now).await?)),
                None => digest::telling(&mut transaction, draft, now).await?,
            };
            match telling {
                Telling::AsItIs => self.put(&mut transaction, draft).await?,
                Telling::Instead(another) => self.put(&mut transaction, &another).await?,
                Telling::Not => remember(&mut transaction, draft).await?,
            }
        }
        transaction.commit().await?;
        self.news.notify_one();
        Ok(Said::Now)
    }

    async fn put(&self, transaction: &mut Transaction, draft: &Draft) -> Result<(), StorageError> {
        remember(transaction, draft).await?;
        if let Some(subject) = &draft.subject {
            if let Some(message_id) = subject.message_id {
                transaction.execute(table::adopt(draft.chat_id, &subject.name, message_id)).await?;
            }
            let sent: Option<table::Sent> =
                transaction.fetch_optional(table::sent(draft.chat_id, &subject.name)).await?;
            if sent.is_some_and(|sent| sent.rank >= subject.rank) {
                superseded();
                return Ok(());
            }
        }
        let payload = serde_json::to_string(&draft.content)
            .map_err(|_| StorageError::Malformed { column: "payload".to_owned() })?;
        if transaction.execute(table::put(draft, payload, store_context(&Context::current()))).await? == 0 {
            // Newer words about the same wait already.
            superseded();
        }
        Ok(())
    }

    /// Forgets what is no longer of use: handled causes after a week, what can be edited or asked about after 30 days.
    async fn forget(&self) -> Result<(), StorageError> {
        for statement in table::forget(Utc::now()) {
            self.database.execute_quietly(statement).await?;
        }
        Ok(())
    }
}

/// Keeps what is remembered of a draft, said or not.
async fn remember(transaction: &mut Transaction, draft: &Draft) -> Result<(), StorageError> {
    for memory in &draft.memories {
        transaction.execute(memory::keep(draft.chat_id, memory)).await?;
    }
    Ok(())
}

fn superseded() {
    MESSAGES_SENT.add(1, &[("method", "editMessageText"), ("outcome", "superseded")]);
}
