//! The table of what was done.

use chrono::{DateTime, Utc};
use domain::{AuditEntry, Page, PageQuery, ProcessRequest, UserId};
use serde_json::Value;
use storage::{Database, FromRow, QueryType, Statement};

use crate::error::AuditError;

/// Where the trail is kept.
#[derive(Clone)]
pub(crate) struct Trail {
    database: Database,
}

/// Which rows of the trail.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) user_id: Option<UserId>,
    pub(crate) trace_id: Option<String>,
}

/// A row, and whether it was there already.
pub(crate) struct Recorded {
    pub(crate) entry: Reference,
    pub(crate) again: bool,
}

/// What the caller is told of a row: all but what it has sent itself.
#[derive(FromRow, serde::Serialize)]
pub(crate) struct Reference {
    pub(crate) id: i64,
    event_id: String,
    order_id: Option<String>,
    decision_id: Option<String>,
    trace_id: Option<String>,
    recorded_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct Row {
    id: i64,
    event_id: String,
    user_id: i64,
    action: String,
    order_id: Option<String>,
    decision_id: Option<String>,
    trace_id: Option<String>,
    context: Value,
    recorded_at: DateTime<Utc>,
}

impl TryFrom<Row> for AuditEntry {
    type Error = AuditError;

    fn try_from(row: Row) -> Result<Self, AuditError> {
        let decision_id = row.decision_id.map(|id| id.parse()).transpose();
        Ok(Self {
            id: row.id,
            event_id: row.event_id,
            user_id: UserId::try_from(row.user_id).map_err(|_| AuditError::Kept("a user's id"))?,
            action: row.action.parse().map_err(|_| AuditError::Kept("an action"))?,
            order_id: row.order_id,
            decision_id: decision_id.map_err(|_| AuditError::Kept("a decision's id"))?,
            trace_id: row.trace_id,
            context: row.context,
            recorded_at: row.recorded_at,
        })
    }
}

impl Trail {
    pub(crate) const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Records a request, once an event. It is one statement, which is a transaction of its own: what was recorded under
    /// the event before is not touched, and cannot change between this and the look at it.
    pub(crate) async fn record(&self, event_id: &str, request: &ProcessRequest) -> Result<Recorded, AuditError> {
        let order = request.context.as_ref().and_then(|context| context.order.as_ref());
        // The trace of the request itself, also when it is delivered later.
        let trace_id = order.and_then(|order| order.trace_id.clone()).or_else(telemetry::trace_id);
        let insert = Statement::new(
            QueryType::Insert,
            "audit_logs",
            "INSERT INTO audit_logs (event_id, user_id, action, order_id, decision_id, trace_id, context, recorded_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (event_id) DO NOTHING \
             RETURNING id, event_id, order_id, decision_id, trace_id, recorded_at",
        )
        .bind(event_id)
        .bind(request.user_id.get())
        .bind(request.action.as_str())
        .bind(order.map(|order| order.id.clone()))
        .bind(request.decision_id.clone().map(String::from))
        .bind(trace_id)
        .bind(serde_json::to_value(request)?)
        .bind(Utc::now());
        if let Some(entry) = self.database.fetch_optional(insert).await? {
            return Ok(Recorded { entry, again: false });
        }
        let select = Statement::new(
            QueryType::Select,
            "audit_logs",
            "SELECT id, event_id, order_id, decision_id, trace_id, recorded_at FROM audit_logs WHERE event_id = $1",
        )
        .bind(event_id);
        Ok(Recorded { entry: self.database.fetch_one(select).await?, again: true })
    }

    /// The trail, newest first.
    pub(crate) async fn list(&self, query: &PageQuery, filter: &Filter) -> Result<Page<AuditEntry>, AuditError> {
        let limit = query.limit()?;
        // A statement for each filter, so that each reads along its index.
        let sql = match (filter.user_id, &filter.trace_id) {
            (None, None) => {
                "SELECT id, event_id, user_id, action, order_id, decision_id, trace_id, context, recorded_at \
                 FROM audit_logs WHERE id < $1 ORDER BY id DESC LIMIT $2"
            }
            (Some(_), None) => {
                "SELECT id, event_id, user_id, action, order_id, decision_id, trace_id, context, recorded_at \
                 FROM audit_logs WHERE id < $1 AND user_id = $3 ORDER BY id DESC LIMIT $2"
            }
            (None, Some(_)) => {
                "SELECT id, event_id, user_id, action, order_id, decision_id, trace_id, context, recorded_at \
                 FROM audit_logs WHERE id < $1 AND trace_id = $3 ORDER BY id DESC LIMIT $2"
            }
            (Some(_), Some(_)) => {
                "SELECT id, event_id, user_id, action, order_id, decision_id, trace_id, context, recorded_at \
                 FROM audit_logs WHERE id < $1 AND user_id = $3 AND trace_id = $4 ORDER BY id DESC LIMIT $2"
            }
        };
        let mut statement =
            Statement::new(QueryType::Select, "audit_logs", sql).bind(query.before()?).bind(i64::from(limit) + 1);
        if let Some(user_id) = filter.user_id {
            statement = statement.bind(user_id.get());
        }
        if let Some(trace_id) = &filter.trace_id {
            statement = statement.bind(trace_id.as_str());
        }
        let rows = self.database.fetch_all::<Row>(statement).await?;
        let entries = rows.into_iter().map(AuditEntry::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(entries, limit, |entry| entry.id))
    }
}
