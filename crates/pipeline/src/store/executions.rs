//! Executions: set off once, one of a pipeline at a time, and read.

use chrono::{DateTime, Utc};
use domain::pipeline::{
    Execution, ExecutionStatus, Pipeline, PipelineId, PipelineRequest, StepRun, StepStatus, TriggerMode,
};
use domain::{DecisionId, Page, PageQuery, SignalEvent, Symbol};
use rust_decimal::Decimal;
use serde_json::Value;
use storage::{FromRow, Money, QueryType, Statement, Transaction};

use super::{Store, StoreError, pipelines};

pub(super) const TABLE: &str = "executions";
const STEPS: &str = "execution_steps";

/// What is read of an execution, behind what says which.
macro_rules! columns {
    () => {
        "number, id, pipeline_id, pipeline_revision, pipeline, trigger_mode, signal, symbol, status, attempts, \
         max_attempts, worker, cost_usd, detail, context, trace_id, queued_at, started_at, finished_at"
    };
}
pub(super) use columns;

macro_rules! executions {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM executions ", $rest)
    };
}

/// An execution that is to be set off.
#[derive(Debug, Clone)]
pub struct New<'a> {
    /// Of this pipeline, as it was when it was decided on.
    pub pipeline: &'a Pipeline,
    /// What sets it off.
    pub trigger_mode: TriggerMode,
    /// The signal that does, where one does.
    pub signal: Option<&'a SignalEvent>,
    /// Which market it is about.
    pub symbol: Symbol,
    /// What sets off this execution and no second.
    pub dedupe: Option<String>,
    /// Trace and baggage in which it is set off, as [`storage::outbox::store_context`] writes them.
    pub context: &'a str,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enqueued {
    /// It waits for a worker.
    New {
        /// Its id.
        execution_id: DecisionId,
    },
    /// Another execution of the pipeline waits or runs: nothing was set off.
    AlreadyRunning,
    /// The same has set off this execution before.
    Before {
        /// Its id.
        execution_id: DecisionId,
    },
    /// The pipeline is another by now, or gone: nothing was set off.
    Changed,
}

/// Which executions a list has: those that fit everything that is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// That stand there.
    pub status: Option<ExecutionStatus>,
    /// Of this pipeline.
    pub pipeline_id: Option<PipelineId>,
    /// That this signal has set off.
    pub signal_id: Option<DecisionId>,
}

/// An execution that has come to its end: what is counted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its id.
    pub execution_id: DecisionId,
    /// Of which pipeline.
    pub pipeline_id: PipelineId,
    /// What had set it off.
    pub trigger_mode: TriggerMode,
    /// How it ended.
    pub status: ExecutionStatus,
    /// When its first attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

#[derive(FromRow)]
pub(super) struct EndedRow {
    id: String,
    pipeline_id: String,
    trigger_mode: String,
    status: String,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

impl TryFrom<EndedRow> for Ended {
    type Error = StoreError;

    fn try_from(row: EndedRow) -> Result<Self, StoreError> {
        Ok(Self {
            execution_id: execution_id(&row.id)?,
            pipeline_id: pipeline_id(&row.pipeline_id)?,
            trigger_mode: trigger_mode(&row.trigger_mode)?,
            status: status(&row.status)?,
            started_at: row.started_at,
            finished_at: row.finished_at,
        })
    }
}

#[derive(FromRow)]
pub(super) struct Row {
    pub(super) number: i64,
    pub(super) id: String,
    pub(super) pipeline_id: String,
    pub(super) pipeline_revision: i64,
    pub(super) pipeline: String,
    pub(super) trigger_mode: String,
    pub(super) signal: Option<String>,
    pub(super) symbol: String,
    pub(super) status: String,
    pub(super) attempts: i64,
    pub(super) max_attempts: i64,
    pub(super) worker: Option<String>,
    pub(super) cost_usd: Money,
    pub(super) detail: Option<String>,
    pub(super) context: String,
    pub(super) trace_id: Option<String>,
    pub(super) queued_at: DateTime<Utc>,
    pub(super) started_at: Option<DateTime<Utc>>,
    pub(super) finished_at: Option<DateTime<Utc>>,
}

fn execution_id(text: &str) -> Result<DecisionId, StoreError> {
    text.parse().map_err(|_| StoreError::Kept("an execution's id"))
}

fn pipeline_id(text: &str) -> Result<PipelineId, StoreError> {
    text.parse().map_err(|_| StoreError::Kept("a pipeline's id"))
}

fn trigger_mode(text: &str) -> Result<TriggerMode, StoreError> {
    text.parse().map_err(|_| StoreError::Kept("a trigger mode"))
}

pub(super) fn status(text: &str) -> Result<ExecutionStatus, StoreError> {
    text.parse().map_err(|_| StoreError::Kept("an execution's status"))
}

fn attempt(count: i64) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

impl Row {
    /// The pipeline as it was.
    pub(super) fn request(&self) -> Result<PipelineRequest, StoreError> {
        serde_json::from_str(&self.pipeline).map_err(|_| StoreError::Kept("an execution's pipeline"))
    }
}

impl TryFrom<Row> for Execution {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let signal = row.signal.as_deref().map(serde_json::from_str).transpose();
        Ok(Self {
            execution_id: execution_id(&row.id)?,
            pipeline_id: pipeline_id(&row.pipeline_id)?,
            pipeline_revision: row.pipeline_revision,
            trigger_mode: trigger_mode(&row.trigger_mode)?,
            signal: signal.map_err(|_| StoreError::Kept("an execution's signal"))?,
            symbol: row.symbol.parse().map_err(|_| StoreError::Kept("a symbol"))?,
            status: status(&row.status)?,
            attempts: attempt(row.attempts),
            max_attempts: attempt(row.max_attempts),
            worker: row.worker,
            cost_usd: row.cost_usd.0,
            detail: row.detail,
            steps: Vec::new(),
            trace_id: row.trace_id,
            queued_at: row.queued_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
        })
    }
}

#[derive(FromRow)]
struct StepRow {
    name: String,
    attempt: i64,
    agent: String,
    status: String,
    started_at: DateTime<Utc>,
    duration_ms: i64,
    cost_usd: Money,
    summary: String,
    output: String,
}

impl TryFrom<StepRow> for StepRun {
    type Error = StoreError;

    fn try_from(row: StepRow) -> Result<Self, StoreError> {
        let known = [StepStatus::Success, StepStatus::Failed, StepStatus::Stopped];
        Ok(Self {
            status: known
                .into_iter()
                .find(|status| status.as_str() == row.status)
                .ok_or(StoreError::Kept("a step's status"))?,
            name: row.name,
            agent: row.agent,
            attempt: attempt(row.attempt),
            started_at: row.started_at,
            duration_ms: u64::try_from(row.duration_ms).unwrap_or_default(),
            cost_usd: row.cost_usd.0,
            summary: row.summary,
            output: serde_json::from_str::<Value>(&row.output).map_err(|_| StoreError::Kept("a step's output"))?,
        })
    }
}

/// The trace that a stored context is part of: `00-TRACE-SPAN-FLAGS`,
/// <https://www.w3.org/TR/trace-context/#traceparent-header>.
fn trace_of(context: &str) -> Option<String> {
    let headers: Value = serde_json::from_str(context).ok()?;
    headers.get("traceparent")?.as_str()?.split('-').nth(1).map(str::to_owned)
}

impl Store {
    /// Sets an execution off, unless the same has done so before, another of the pipeline waits or runs, or the pipeline is
    /// another by now. Nothing is set off before the transaction is committed.
    ///
    /// # Errors
    /// What databases say.
    pub async fn enqueue(
        transaction: &mut Transaction,
        new: &New<'_>,
        now: DateTime<Utc>,
    ) -> Result<Enqueued, StoreError> {
        let Pipeline { pipeline_id, revision, request, .. } = new.pipeline;
        pipelines::hold(transaction, pipeline_id).await?;
        let id = DecisionId::from_bytes(uuid::Uuid::new_v4().into_bytes());
        let statement = Statement::new(
            QueryType::Insert,
            TABLE,
            "INSERT INTO executions (id, pipeline_id, pipeline_revision, pipeline, trigger_mode, signal_id, signal, symbol, \
             status, attempts, max_attempts, beat, lease_ms, cost_usd, context, trace_id, queued_at, dedupe) \
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, 'queued', 0, $9, 0, 0, $11, $12, $13, $10, $14 \
             WHERE EXISTS (SELECT 1 FROM pipelines WHERE id = $2 AND revision = $3 AND deleted_at IS NULL) \
             ON CONFLICT DO NOTHING",
        )
        .bind(id.as_str())
        .bind(pipeline_id.as_str())
        .bind(*revision)
        .bind(serde_json::to_string(request)?)
        .bind(new.trigger_mode.as_str())
        .bind(new.signal.map(|signal| signal.signal_id.as_str()))
        .bind(new.signal.map(serde_json::to_string).transpose()?)
        .bind(new.symbol.as_str())
        .bind(i64::from(request.max_attempts))
        .bind(now)
        .bind(Money(Decimal::ZERO))
        .bind(new.context)
        .bind(trace_of(new.context))
        .bind(new.dedupe.clone());
        if transaction.execute(statement).await? == 1 {
            return Ok(Enqueued::New { execution_id: id });
        }
        if let Some(dedupe) = &new.dedupe {
            let statement = Statement::new(QueryType::Select, TABLE, "SELECT id FROM executions WHERE dedupe = $1");
            let known: Option<(String,)> = transaction.fetch_optional(statement.bind(dedupe.as_str())).await?;
            if let Some((id,)) = known {
                return Ok(Enqueued::Before { execution_id: execution_id(&id)? });
            }
        }
        let statement = Statement::new(
            QueryType::Select,
            "pipelines",
            "SELECT number FROM pipelines WHERE id = $1 AND revision = $2 AND deleted_at IS NULL",
        )
        .bind(pipeline_id.as_str())
        .bind(*revision);
        let unchanged = transaction.fetch_optional::<(i64,)>(statement).await?.is_some();
        Ok(if unchanged { Enqueued::AlreadyRunning } else { Enqueued::Changed })
    }

    /// The execution with this id, with its steps.
    ///
    /// # Errors
    /// What databases say.
    pub async fn execution(&self, id: &DecisionId) -> Result<Option<Execution>, StoreError> {
        let statement = Statement::new(QueryType::Select, TABLE, executions!("WHERE id = $1")).bind(id.as_str());
        let Some(row) = self.database.fetch_optional::<Row>(statement).await? else { return Ok(None) };
        let steps = self.steps(row.number).await?;
        Ok(Some(Execution { steps, ..row.try_into()? }))
    }

    /// The execution that was set off under this key, without its steps.
    ///
    /// # Errors
    /// What databases say.
    pub async fn execution_of(&self, dedupe: &str) -> Result<Option<Execution>, StoreError> {
        let statement = Statement::new(QueryType::Select, TABLE, executions!("WHERE dedupe = $1")).bind(dedupe);
        self.database.fetch_optional::<Row>(statement).await?.map(Execution::try_from).transpose()
    }

    /// Steps of an execution, in the order in which they were done.
    pub(super) async fn steps(&self, number: i64) -> Result<Vec<StepRun>, StoreError> {
        let statement = Statement::new(
            QueryType::Select,
            STEPS,
            "SELECT name, attempt, agent, status, started_at, duration_ms, cost_usd, summary, output FROM execution_steps \
             WHERE execution_number = $1 ORDER BY attempt, position",
        )
        .bind(number);
        let rows: Vec<StepRow> = self.database.fetch_all(statement).await?;
        rows.into_iter().map(StepRun::try_from).collect()
    }

    /// Executions, the newest first, without their steps.
    ///
    /// # Errors
    /// [`StoreError::Page`], and what databases say.
    pub async fn executions(&self, query: &PageQuery, filter: &Filter) -> Result<Page<Execution>, StoreError> {
        let limit = query.limit()?;
        // What is named decides which index is read along; the rest is looked at row by row.
        let sql = match filter {
            Filter { signal_id: Some(_), .. } => executions!(
                "WHERE signal_id = $5 AND number < $1 AND (CAST($3 AS TEXT) IS NULL OR status = $3) \
                 AND (CAST($4 AS TEXT) IS NULL OR pipeline_id = $4) ORDER BY number DESC LIMIT $2"
            ),
            Filter { pipeline_id: Some(_), .. } => executions!(
                "WHERE pipeline_id = $4 AND number < $1 AND (CAST($3 AS TEXT) IS NULL OR status = $3) \
                 ORDER BY number DESC LIMIT $2"
            ),
            Filter { status: Some(_), .. } => {
                executions!("WHERE status = $3 AND number < $1 ORDER BY number DESC LIMIT $2")
            }
            _ => executions!("WHERE number < $1 ORDER BY number DESC LIMIT $2"),
        };
        let mut statement =
            Statement::new(QueryType::Select, TABLE, sql).bind(query.before()?).bind(i64::from(limit) + 1);
        let values = [
            filter.status.map(|status| status.as_str().to_owned()),
            filter.pipeline_id.as_ref().map(ToString::to_string),
            filter.signal_id.as_ref().map(ToString::to_string),
        ];
        let bound = values.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        for value in values.into_iter().take(bound) {
            statement = statement.bind(value);
        }
        let page = Page::of(self.database.fetch_all::<Row>(statement).await?, limit, |row| row.number);
        let items = page.items.into_iter().map(Execution::try_from).collect::<Result<_, _>>()?;
        Ok(Page { items, next_cursor: page.next_cursor, trace_id: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_context_tells_its_trace() {
        let context = r#"{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}"#;
        assert_eq!(trace_of(context).as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!((trace_of("{}"), trace_of("")), (None, None));
    }
}
