//! The signals' table: what was made, and whether it is on the bus.

use chrono::{DateTime, Utc};
use domain::{Page, PageQuery, SignalEvent};
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
    /// It waits for the bus.
    Waiting,
    /// It is on the bus.
    Published,
    /// The bus refuses the signal itself, for good.
    Refused,
}

impl SignalStatus {
    const ALL: [Self; 3] = [Self::Waiting, Self::Published, Self::Refused];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Published => "published",
            Self::Refused => "refused",
        }
    }
}

/// A signal and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct KeptSignal {
    #[serde(skip)]
    number: i64,
    /// The signal as the bus gets it.
    pub(crate) signal: SignalEvent,
    /// Where it stands.
    pub(crate) status: SignalStatus,
    /// Why it was refused.
    pub(crate) detail: Option<String>,
    /// Trace in which it was made, which everything that comes of it is part of; null when telemetry was off.
    pub(crate) trace_id: Option<String>,
    /// When it was published, or refused.
    pub(crate) done_at: Option<DateTime<Utc>>,
}

#[derive(FromRow)]
struct SignalRow {
    number: i64,
    body: String,
    status: String,
    detail: Option<String>,
    traceparent: Option<String>,
    done_at: Option<DateTime<Utc>>,
}

impl TryFrom<SignalRow> for KeptSignal {
    type Error = ApiError;

    fn try_from(row: SignalRow) -> Result<Self, ApiError> {
        let status = SignalStatus::ALL.into_iter().find(|status| status.as_str() == row.status);
        Ok(Self {
            number: row.number,
            signal: serde_json::from_str(&row.body).map_err(|_| ApiError::Kept("a signal"))?,
            status: status.ok_or(ApiError::Kept("a signal's status"))?,
            detail: row.detail,
            // `00-TRACE-SPAN-FLAGS`: https://www.w3.org/TR/trace-context/#traceparent-header
            trace_id: row.traceparent.as_deref().and_then(|text| text.split('-').nth(1)).map(str::to_owned),
            done_at: row.done_at,
        })
    }
}

#[derive(FromRow)]
struct Id {
    id: String,
}

#[derive(FromRow)]
struct Count {
    count: i64,
}

/// Which signals.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) signal_type: Option<String>,
    pub(crate) symbol: Option<String>,
}

macro_rules! listed {
    ($filter:literal) => {
        concat!(
            "SELECT number, body, status, detail, traceparent, done_at FROM signals WHERE number < $1",
            $filter,
            " ORDER BY number DESC LIMIT $2"
        )
    };
}

/// Where signals are kept.
#[derive(Clone)]
pub(crate) struct Signals {
    database: Database,
}

impl Signals {
    pub(crate) const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Signals, the newest first.
    pub(crate) async fn list(&self, query: &PageQuery, filter: Filter) -> Result<Page<KeptSignal>, ApiError> {
        let (limit, before) = (query.limit()?, query.before()?);
        // A statement each: one with "or any" would read past the indexes.
        let text = match (&filter.signal_type, &filter.symbol) {
            (None, None) => listed!(""),
            (Some(_), None) => listed!(" AND signal_type = $3"),
            (None, Some(_)) => listed!(" AND symbol = $3"),
            (Some(_), Some(_)) => listed!(" AND signal_type = $3 AND symbol = $4"),
        };
        let statement = Statement::new(QueryType::Select, TABLE, text).bind(before).bind(i64::from(limit) + 1);
        let statement = [filter.signal_type, filter.symbol].into_iter().flatten().fold(statement, Statement::bind);
        let rows: Vec<SignalRow> = self.database.fetch_all(statement).await?;
        let kept = rows.into_iter().map(KeptSignal::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(kept, limit, |kept| kept.number))
    }

    /// The signal with this id.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<KeptSignal>, ApiError> {
        let statement = Statement::new(
            QueryType::Select,
            TABLE,
            "SELECT number, body, status, detail, traceparent, done_at FROM signals WHERE id = $1",
        )
        .bind(id);
        self.database.fetch_optional::<SignalRow>(statement).await?.map(KeptSignal::try_from).transpose()
    }

    /// How many wait for the bus, counted up to `most`.
    pub(crate) async fn waiting(&self, most: i64) -> Result<i64, StorageError> {
        let statement = Statement::new(
            QueryType::Select,
            TABLE,
            "SELECT COUNT(*) AS count FROM (SELECT number FROM signals WHERE status = 'waiting' LIMIT $1) AS waiting",
        )
        .bind(most);
        // Quietly: it is asked for all the time.
        let counts: Vec<Count> = self.database.quietly(statement).await?;
        counts.first().map(|row| row.count).ok_or(StorageError::NotFound { collection: TABLE })
    }

    /// It is on the bus.
    pub(crate) async fn published(&self, id: &str) -> Result<(), StorageError> {
        self.done(id, SignalStatus::Published, None).await
    }

    /// The bus refuses the signal itself.
    pub(crate) async fn refused(&self, id: &str, reason: &str) -> Result<(), StorageError> {
        self.done(id, SignalStatus::Refused, Some(reason)).await
    }

    async fn done(&self, id: &str, status: SignalStatus, detail: Option<&str>) -> Result<(), StorageError> {
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE signals SET status = $2, detail = $3, done_at = $4 WHERE id = $1 AND status = 'waiting'",
        )
        .bind(id)
        .bind(status.as_str())
        // PostgreSQL takes no NUL in a text, and nobody knows what others say.
        .bind(detail.map(|text| text.replace('\0', "").chars().take(MAX_DETAIL).collect::<String>()))
        .bind(Utc::now());
        self.database.execute(statement).await.map(drop)
    }

    /// Deletes signals that were published before a time, and how many.
    pub(crate) async fn forget_published(&self, before: DateTime<Utc>, most: i64) -> Result<u64, StorageError> {
        let statement = Statement::new(
            QueryType::Delete,
            TABLE,
            "DELETE FROM signals WHERE number IN (SELECT number FROM signals WHERE status = 'published' \
             AND done_at <= $1 ORDER BY done_at LIMIT $2)",
        )
        .bind(before)
        .bind(most);
        self.database.execute_quietly(statement).await
    }

    /// Ids of signals that were refused before a time.
    pub(crate) async fn refused_before(&self, before: DateTime<Utc>, most: i64) -> Result<Vec<String>, StorageError> {
        let statement = Statement::new(
            QueryType::Select,
            TABLE,
            "SELECT id FROM signals WHERE status = 'refused' AND done_at <= $1 ORDER BY done_at LIMIT $2",
        )
        .bind(before)
        .bind(most);
        let ids: Vec<Id> = self.database.quietly(statement).await?;
        Ok(ids.into_iter().map(|row| row.id).collect())
    }

    /// Deletes one that was refused.
    pub(crate) async fn forget_refused(&self, id: &str) -> Result<(), StorageError> {
        let statement =
            Statement::new(QueryType::Delete, TABLE, "DELETE FROM signals WHERE id = $1 AND status = 'refused'")
                .bind(id);
        self.database.execute_quietly(statement).await.map(drop)
    }
}

/// Writes a signal that waits. Tells whether it is new: one with its id may be there already.
pub(crate) async fn insert(
    transaction: &mut Transaction,
    event: &SignalEvent,
    body: String,
    traceparent: Option<&str>,
) -> Result<bool, StorageError> {
    let statement = Statement::new(
        QueryType::Insert,
        TABLE,
        "INSERT INTO signals (id, signal_type, symbol, body, status, traceparent, generated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING",
    )
    .bind(event.signal_id.as_str())
    .bind(event.signal_type.as_str())
    .bind(event.symbol.as_str())
    .bind(body)
    .bind(SignalStatus::Waiting.as_str())
    .bind(traceparent)
    .bind(event.generated_at);
    Ok(transaction.execute(statement).await? > 0)
}
