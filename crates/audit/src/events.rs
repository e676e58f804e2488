//! The table of what happened in trading.

use chrono::{DateTime, Utc};
use domain::trading::{AuditEvent, RecordedEvent};
use domain::{DecisionId, Page, PageQuery};
use serde_json::Value;
use storage::{Database, FromRow, QueryType, Statement};

use crate::error::AuditError;

const TABLE: &str = "trading_events";

/// Where events are kept.
#[derive(Clone)]
pub(crate) struct Events {
    database: Database,
}

/// Which events.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventFilter {
    pub(crate) decision_id: Option<DecisionId>,
    pub(crate) trace_id: Option<String>,
}

#[derive(FromRow)]
struct Row {
    id: i64,
    event_id: String,
    actor: String,
    action: String,
    symbol: Option<String>,
    decision_id: Option<String>,
    trace_id: Option<String>,
    at: DateTime<Utc>,
    data: Value,
    recorded_at: DateTime<Utc>,
}

impl TryFrom<Row> for RecordedEvent {
    type Error = AuditError;

    fn try_from(row: Row) -> Result<Self, AuditError> {
        let symbol = row.symbol.map(|symbol| symbol.parse()).transpose();
        let decision_id = row.decision_id.map(|id| id.parse()).transpose();
        let event = AuditEvent {
            event_id: row.event_id,
            actor: row.actor.parse().map_err(|_| AuditError::Kept("an actor"))?,
            action: row.action,
            symbol: symbol.map_err(|_| AuditError::Kept("a symbol"))?,
            decision_id: decision_id.map_err(|_| AuditError::Kept("a decision's id"))?,
            trace_id: row.trace_id,
            at: row.at,
            data: row.data,
        };
        Ok(Self { id: row.id, event, recorded_at: row.recorded_at })
    }
}

/// An event as it is kept, and whether it was there already.
pub(crate) struct Recorded {
    pub(crate) event: RecordedEvent,
    pub(crate) again: bool,
}

impl Events {
    pub(crate) const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Records an event, once an id. It is one statement, which is a transaction of its own: what was recorded under the id
    /// before is not touched.
    pub(crate) async fn record(&self, event: &AuditEvent) -> Result<Recorded, AuditError> {
        let insert = Statement::new(
            QueryType::Insert,
            TABLE,
            "INSERT INTO trading_events (event_id, actor, action, symbol, decision_id, trace_id, at, data, recorded_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (event_id) DO NOTHING \
             RETURNING id, event_id, actor, action, symbol, decision_id, trace_id, at, data, recorded_at",
        )
        .bind(event.event_id.as_str())
        .bind(event.actor.as_str())
        .bind(event.action.as_str())
        .bind(event.symbol.clone().map(String::from))
        .bind(event.decision_id.clone().map(String::from))
        .bind(event.trace_id.clone())
        .bind(event.at)
        .bind(&event.data)
        .bind(Utc::now());
        if let Some(row) = self.database.fetch_optional::<Row>(insert).await? {
            return Ok(Recorded { event: row.try_into()?, again: false });
        }
        let select = Statement::new(
            QueryType::Select,
            TABLE,
            "SELECT id, event_id, actor, action, symbol, decision_id, trace_id, at, data, recorded_at \
             FROM trading_events WHERE event_id = $1",
        )
        .bind(event.event_id.as_str());
        let row: Row = self.database.fetch_one(select).await?;
        Ok(Recorded { event: row.try_into()?, again: true })
    }

    /// Events, newest first.
    pub(crate) async fn list(
        &self,
        query: &PageQuery,
        filter: &EventFilter,
    ) -> Result<Page<RecordedEvent>, AuditError> {
        let limit = query.limit()?;
        // A statement for each filter, so that each reads along its index.
        let sql = match (&filter.decision_id, &filter.trace_id) {
            (None, None) => {
                "SELECT id, event_id, actor, action, symbol, decision_id, trace_id, at, data, recorded_at \
                 FROM trading_events WHERE id < $1 ORDER BY id DESC LIMIT $2"
            }
            (Some(_), None) => {
                "SELECT id, event_id, actor, action, symbol, decision_id, trace_id, at, data, recorded_at \
                 FROM trading_events WHERE id < $1 AND decision_id = $3 ORDER BY id DESC LIMIT $2"
            }
            (None, Some(_)) => {
                "SELECT id, event_id, actor, action, symbol, decision_id, trace_id, at, data, recorded_at \
                 FROM trading_events WHERE id < $1 AND trace_id = $3 ORDER BY id DESC LIMIT $2"
            }
            (Some(_), Some(_)) => {
                "SELECT id, event_id, actor, action, symbol, decision_id, trace_id, at, data, recorded_at \
                 FROM trading_events WHERE id < $1 AND decision_id = $3 AND trace_id = $4 ORDER BY id DESC LIMIT $2"
            }
        };
        let mut statement =
            Statement::new(QueryType::Select, TABLE, sql).bind(query.before()?).bind(i64::from(limit) + 1);
        if let Some(id) = &filter.decision_id {
            statement = statement.bind(id.as_str());
        }
        if let Some(id) = &filter.trace_id {
            statement = statement.bind(id.as_str());
        }
        let rows = self.database.fetch_all::<Row>(statement).await?;
        let events = rows.into_iter().map(RecordedEvent::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(events, limit, |event| event.id))
    }
}
