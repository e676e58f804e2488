//! The hooks: who may send alerts, each by a token of its own that can be revoked.

use std::fmt;

use chrono::{DateTime, Utc};
use domain::{Page, PageQuery};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use storage::{Database, FromRow, QueryType, Statement, StorageError, Transaction};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::token;

const TABLE: &str = "hooks";

/// Most hooks that are not revoked.
const MOST_LIVE: i64 = 1_000;

/// A hook's name: 1 to 40 letters, digits, `-`, `_` and `.`. It is on spans and in signals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, min_length = 1, max_length = 40, pattern = "^[A-Za-z0-9_.-]{1,40}$", example = "btc-breakout")]
pub(crate) struct HookName(String);

/// A text that is no hook's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hook's name has 1 to 40 letters A-Z a-z, digits, '-', '_' and '.'")]
pub(crate) struct HookNameError;

impl TryFrom<String> for HookName {
    type Error = HookNameError;

    fn try_from(text: String) -> Result<Self, HookNameError> {
        let well_formed = (1..=40).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if well_formed { Ok(Self(text)) } else { Err(HookNameError) }
    }
}

impl From<HookName> for String {
    fn from(name: HookName) -> Self {
        name.0
    }
}

impl fmt::Display for HookName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A hook as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, FromRow)]
pub(crate) struct Hook {
    #[serde(skip)]
    number: i64,
    /// Its id, 32 hex digits.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// When it was made.
    pub(crate) created_at: DateTime<Utc>,
    /// When it was revoked; null while alerts are taken.
    pub(crate) revoked_at: Option<DateTime<Utc>>,
    /// When its last signal came.
    pub(crate) last_used_at: Option<DateTime<Utc>>,
    /// How many signals came through it.
    pub(crate) signals: i64,
}

/// The hook that a token belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) id: String,
    pub(crate) name: String,
}

#[derive(FromRow)]
struct Found {
    id: String,
    name: String,
    revoked_at: Option<DateTime<Utc>>,
}

#[derive(FromRow)]
struct Count {
    live: i64,
}

/// Where they are kept.
#[derive(Clone)]
pub(crate) struct Hooks {
    database: Database,
}

impl Hooks {
    pub(crate) const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Makes a hook. Its token is told this once and kept nowhere.
    pub(crate) async fn create(&self, name: HookName) -> Result<(Hook, SecretString), ApiError> {
        let count =
            Statement::new(QueryType::Select, TABLE, "SELECT COUNT(*) AS live FROM hooks WHERE revoked_at IS NULL");
        if self.database.fetch_one::<Count>(count).await?.live >= MOST_LIVE {
            return Err(ApiError::TooManyHooks);
        }
        let token = token::make();
        let statement = Statement::new(
            QueryType::Insert,
            TABLE,
            "INSERT INTO hooks (id, name, token_hash, created_at, signals) VALUES ($1, $2, $3, $4, $5) \
             RETURNING number, id, name, created_at, revoked_at, last_used_at, signals",
        )
        .bind(uuid::Uuid::new_v4().simple().to_string())
        .bind(name.0)
        .bind(token::hash(token.expose_secret()))
        .bind(Utc::now())
        .bind(0_i64);
        match self.database.fetch_one(statement).await {
            Ok(hook) => Ok((hook, token)),
            // Ids and tokens are random: it is the name.
            Err(StorageError::Conflict { .. }) => Err(ApiError::NameTaken),
            Err(error) => Err(error.into()),
        }
    }

    /// Hooks, the newest first, those that are revoked among them.
    pub(crate) async fn list(&self, query: &PageQuery) -> Result<Page<Hook>, ApiError> {
        let limit = query.limit()?;
        let statement = Statement::new(
            QueryType::Select,
            TABLE,
            "SELECT number, id, name, created_at, revoked_at, last_used_at, signals FROM hooks \
             WHERE number < $1 ORDER BY number DESC LIMIT $2",
        )
        .bind(query.before()?)
        .bind(i64::from(limit) + 1);
        let hooks: Vec<Hook> = self.database.fetch_all(statement).await?;
        Ok(Page::of(hooks, limit, |hook| hook.number))
    }

    /// Revokes a hook; one that is revoked stays as it is. Tells whether there is one.
    pub(crate) async fn revoke(&self, id: &str) -> Result<bool, StorageError> {
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE hooks SET revoked_at = COALESCE(revoked_at, $2) WHERE id = $1",
        )
        .bind(id)
        .bind(Utc::now());
        Ok(self.database.execute(statement).await? > 0)
    }

    /// The hook that this token belongs to; none where it belongs to none any more. Both are found out in the same way.
    pub(crate) async fn by_token(&self, token: &SecretString) -> Result<Option<Known>, StorageError> {
        let statement =
            Statement::new(QueryType::Select, TABLE, "SELECT id, name, revoked_at FROM hooks WHERE token_hash = $1")
                .bind(token::hash(token.expose_secret()));
        let found: Option<Found> = self.database.fetch_optional(statement).await?;
        Ok(found.filter(|hook| hook.revoked_at.is_none()).map(|hook| Known { id: hook.id, name: hook.name }))
    }
}

/// Counts a signal for its hook. Tells whether the hook still is: one that is revoked at this moment takes none.
pub(crate) async fn used(transaction: &mut Transaction, id: &str, at: DateTime<Utc>) -> Result<bool, StorageError> {
    let statement = Statement::new(
        QueryType::Update,
        TABLE,
        "UPDATE hooks SET last_used_at = $2, signals = signals + 1 WHERE id = $1 AND revoked_at IS NULL",
    )
    .bind(id)
    .bind(at);
    Ok(transaction.execute(statement).await? > 0)
}
