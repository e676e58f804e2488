//! The signals' table: what was accepted, and what became of it.

use chrono::{DateTime, Utc};
use domain::trading::{Signal, SignalOutcome, SignalResult};
use domain::{DecisionId, Page, PageQuery};
use serde::{Deserialize, Serialize};
use storage::{Database, FromRow, QueryType, Statement, StorageError, Transaction};
use utoipa::ToSchema;

use crate::error::ApiError;

const TABLE: &str = "signals";

/// Longest detail that is kept, in characters.
const MAX_DETAIL: usize = 1_000;

/// Where a signal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SignalStatus {
    /// It waits to be handed to order-service.
    Queued,
    /// order-service has said what became of it.
    Executed,
    /// order-service refuses the signal itself, for good.
    Failed,
}

impl SignalStatus {
    const ALL: [Self; 3] = [Self::Queued, Self::Executed, Self::Failed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Executed => "executed",
            Self::Failed => "failed",
        }
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// A result as JSON, databases and metrics have it.
pub(crate) const fn result_word(result: SignalResult) -> &'static str {
    match result {
        SignalResult::Ordered => "ordered",
        SignalResult::AwaitingConfirmation => "awaiting_confirmation",
        SignalResult::Refused => "refused",
    }
}

/// A signal and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct KeptSignal {
    #[serde(skip)]
    number: i64,
    /// The signal as order-service gets it.
    pub(crate) signal: Signal,
    /// Where it stands.
    pub(crate) status: SignalStatus,
    /// What became of it; null while it waits, and when it failed.
    pub(crate) result: Option<SignalResult>,
    /// Why it was refused, or failed.
    pub(crate) detail: Option<String>,
    /// Trace of its alert, which its order is part of; null when telemetry was off.
    pub(crate) trace_id: Option<String>,
    /// When its outcome was known.
    pub(crate) executed_at: Option<DateTime<Utc>>,
}

#[derive(FromRow)]
struct SignalRow {
    number: i64,
    body: String,
    status: String,
    result: Option<String>,
    detail: Option<String>,
    traceparent: Option<String>,
    executed_at: Option<DateTime<Utc>>,
}

impl TryFrom<SignalRow> for KeptSignal {
    type Error = ApiError;

    fn try_from(row: SignalRow) -> Result<Self, ApiError> {
        let results = [SignalResult::Ordered, SignalResult::AwaitingConfirmation, SignalResult::Refused];
        let result = match &row.result {
            None => None,
            Some(word) => {
                let known = results.into_iter().find(|result| result_word(*result) == word);
                Some(known.ok_or(ApiError::Kept("a signal's result"))?)
            }
        };
        Ok(Self {
            number: row.number,
            signal: serde_json::from_str(&row.body).map_err(|_| ApiError::Kept("a signal"))?,
            status: SignalStatus::read(&row.status).ok_or(ApiError::Kept("a signal's status"))?,
            result,
            detail: row.detail,
            // `00-TRACE-SPAN-FLAGS`: https://www.w3.org/TR/trace-context/#traceparent-header
            trace_id: row.traceparent.as_deref().and_then(|text| text.split('-').nth(1)).map(str::to_owned),
            executed_at: row.executed_at,
        })
    }
}

/// What waits.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct Waiting {
    pub(crate) depth: i64,
    pub(crate) oldest: Option<DateTime<Utc>>,
}

#[derive(FromRow)]
struct Id {
    id: String,
}

/// Where signals are kept.
#[derive(Clone)]
pub(crate) struct Signals {
    database: Database,
}

/// Whether a signal is kept.
pub(crate) async fn is_there(database: &Database, id: &DecisionId) -> Result<bool, StorageError> {
    let statement = Statement::new(QueryType::Select, TABLE, "SELECT 1 FROM signals WHERE id = $1").bind(id.as_str());
    Ok(database.fetch_optional::<(i32,)>(statement).await?.is_some())
}

impl Signals {
    pub(crate) const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Signals, the newest first; of one status where one is named.
    pub(crate) async fn list(
        &self,
        query: &PageQuery,
        status: Option<SignalStatus>,
    ) -> Result<Page<KeptSignal>, ApiError> {
        let limit = query.limit()?;
        // Two statements: one with "or any status" would read past the index.
        let statement = match status {
            None => Statement::new(
                QueryType::Select,
                TABLE,
                "SELECT number, body, status, result, detail, traceparent, executed_at FROM signals \
                 WHERE number < $1 ORDER BY number DESC LIMIT $2",
            )
            .bind(query.before()?)
            .bind(i64::from(limit) + 1),
            Some(status) => Statement::new(
                QueryType::Select,
                TABLE,
                "SELECT number, body, status, result, detail, traceparent, executed_at FROM signals \
                 WHERE status = $3 AND number < $1 ORDER BY number DESC LIMIT $2",
            )
            .bind(query.before()?)
            .bind(i64::from(limit) + 1)
            .bind(status.as_str()),
        };
        let rows: Vec<SignalRow> = self.database.fetch_all(statement).await?;
        let kept = rows.into_iter().map(KeptSignal::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(kept, limit, |kept| kept.number))
    }

    /// The signal with this id.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<KeptSignal>, ApiError> {
        let statement = Statement::new(
            QueryType::Select,
            TABLE,
            "SELECT number, body, status, result, detail, traceparent, executed_at FROM signals WHERE id = $1",
        )
        .bind(id);
        self.database.fetch_optional::<SignalRow>(statement).await?.map(KeptSignal::try_from).transpose()
    }

    /// Writes down what became of a signal. Tells whether that was news: once written it stays.
    pub(crate) async fn executed(&self, outcome: &SignalOutcome) -> Result<bool, StorageError> {
        let detail = outcome.refusal.as_ref().map(|refusal| refusal.detail.as_str());
        let result = Some(result_word(outcome.result));
        self.done(&outcome.signal_id, SignalStatus::Executed, result, detail).await
    }

    /// Writes down that order-service refuses the signal itself. Tells whether that was news.
    pub(crate) async fn failed(&self, id: &DecisionId, reason: &str) -> Result<bool, StorageError> {
        self.done(id, SignalStatus::Failed, None, Some(reason)).await
    }

    async fn done(
        &self,
        id: &DecisionId,
        status: SignalStatus,
        result: Option<&'static str>,
        detail: Option<&str>,
    ) -> Result<bool, StorageError> {
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE signals SET status = $2, result = $3, detail = $4, executed_at = $5 \
             WHERE id = $1 AND status = 'queued'",
        )
        .bind(id.as_str())
        .bind(status.as_str())
        .bind(result)
        // PostgreSQL takes no NUL in a text, and nobody knows what others say.
        .bind(detail.map(|text| text.replace('\0', "").chars().take(MAX_DETAIL).collect::<String>()))
        .bind(Utc::now());
        Ok(self.database.execute(statement).await? > 0)
    }

    /// Lets a signal that failed wait again. Tells whether there is one that had failed.
    pub(crate) async fn requeue(transaction: &mut Transaction, id: &str) -> Result<bool, StorageError> {
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE signals SET status = 'queued', detail = NULL, executed_at = NULL WHERE id = $1 AND status = 'failed'",
        )
        .bind(id);
        Ok(transaction.execute(statement).await? > 0)
    }

    /// What waits to be executed.
    pub(crate) async fn waiting(&self) -> Result<Waiting, StorageError> {
        let statement = Statement::new(
            QueryType::Select,
            TABLE,
            "SELECT COUNT(*) AS depth, MIN(received_at) AS oldest FROM signals WHERE status = 'queued'",
        );
        // Quietly: it is asked for every second.
        self.database.quietly(statement).await?.into_iter().next().ok_or(StorageError::NotFound { collection: TABLE })
    }

    /// Deletes signals that were executed before a time, and how many.
    pub(crate) async fn forget_executed(&self, before: DateTime<Utc>, most: i64) -> Result<u64, StorageError> {
        let statement = Statement::new(
            QueryType::Delete,
            TABLE,
            "DELETE FROM signals WHERE number IN (SELECT number FROM signals WHERE status = 'executed' \
             AND executed_at <= $1 ORDER BY executed_at LIMIT $2)",
        )
        .bind(before)
        .bind(most);
        self.database.execute_quietly(statement).await
    }

    /// Ids of signals that failed before a time.
    pub(crate) async fn failed_before(&self, before: DateTime<Utc>, most: i64) -> Result<Vec<String>, StorageError> {
        let statement = Statement::new(
            QueryType::Select,
            TABLE,
            "SELECT id FROM signals WHERE status = 'failed' AND executed_at <= $1 ORDER BY executed_at LIMIT $2",
        )
        .bind(before)
        .bind(most);
        let ids: Vec<Id> = self.database.quietly(statement).await?;
        Ok(ids.into_iter().map(|row| row.id).collect())
    }

    /// Deletes one that failed.
    pub(crate) async fn forget_failed(&self, id: &str) -> Result<(), StorageError> {
        let statement =
            Statement::new(QueryType::Delete, TABLE, "DELETE FROM signals WHERE id = $1 AND status = 'failed'")
                .bind(id);
        self.database.execute_quietly(statement).await.map(drop)
    }
}

/// Writes a signal that waits.
pub(crate) async fn insert(
    transaction: &mut Transaction,
    signal: &Signal,
    body: String,
    hook_id: &str,
    traceparent: Option<&str>,
) -> Result<(), StorageError> {
    let statement = Statement::new(
        QueryType::Insert,
        TABLE,
        "INSERT INTO signals (id, hook_id, symbol, action, body, status, traceparent, received_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(signal.signal_id.as_str())
    .bind(hook_id)
    .bind(signal.symbol.as_str())
    .bind(signal.action.as_str())
    .bind(body)
    .bind(SignalStatus::Queued.as_str())
    .bind(traceparent)
    .bind(signal.received_at);
    transaction.execute(statement).await.map(drop)
}
