//! Signals and the pipelines that they matched: each signal once, whoever consumes it again.

use chrono::{DateTime, Utc};
use domain::pipeline::{MatchOutcome, Pipeline, PipelineId, SignalMatch, Trigger, TriggerMode};
use domain::{DecisionId, Page, PageQuery, SignalEvent};
use storage::{FromRow, QueryType, Statement, Transaction};

use super::executions::{Enqueued, New};
use super::{Store, StoreError, number, pipelines, spending};

const MATCHED: &str = "signals_matched";
const MATCHES: &str = "signal_matches";

/// How often a pipeline that is being changed is looked at again.
const LOOKS: u8 = 3;

#[derive(FromRow)]
struct Row {
    position: i64,
    signal_id: String,
    pipeline_id: String,
    outcome: String,
    execution_id: Option<String>,
    matched_at: DateTime<Utc>,
}

impl TryFrom<Row> for SignalMatch {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let known = [MatchOutcome::Enqueued, MatchOutcome::SkippedRunning, MatchOutcome::SkippedBudget];
        let id = |text: String| text.parse::<DecisionId>().map_err(|_| StoreError::Kept("an id of a match"));
        Ok(Self {
            signal_id: id(row.signal_id)?,
            pipeline_id: row.pipeline_id.parse().map_err(|_| StoreError::Kept("a pipeline's id"))?,
            outcome: known
                .into_iter()
                .find(|outcome| outcome.as_str() == row.outcome)
                .ok_or(StoreError::Kept("the outcome of a match"))?,
            execution_id: row.execution_id.map(id).transpose()?,
            matched_at: row.matched_at,
        })
    }
}

/// Whether a signal sets a pipeline off.
#[must_use]
pub(crate) fn is_for(pipeline: &Pipeline, signal: &SignalEvent) -> bool {
    let Trigger::Signal(trigger) = &pipeline.request.trigger else { return false };
    pipeline.request.enabled && trigger.matches(signal)
}

/// What a signal does to a pipeline that it matched, as somebody remembered it; none when it does not match the pipeline
/// that it is by now.
async fn take(
    transaction: &mut Transaction,
    signal: &SignalEvent,
    remembered: &Pipeline,
    context: &str,
    now: DateTime<Utc>,
) -> Result<Option<SignalMatch>, StoreError> {
    let done = |outcome, execution_id| SignalMatch {
        signal_id: signal.signal_id.clone(),
        pipeline_id: remembered.pipeline_id.clone(),
        outcome,
        execution_id,
        matched_at: now,
    };
    let mut current = None;
    for _ in 0..LOOKS {
        let pipeline = current.as_ref().unwrap_or(remembered);
        if !is_for(pipeline, signal) {
            return Ok(None);
        }
        if spending::is_spent(transaction, pipeline, now).await? {
            return Ok(Some(done(MatchOutcome::SkippedBudget, None)));
        }
        let new = New {
            pipeline,
            trigger_mode: TriggerMode::Signal,
            signal: Some(signal),
            symbol: signal.symbol.clone(),
            dedupe: Some(format!("signal:{}:{}", signal.signal_id, pipeline.pipeline_id)),
            context,
        };
        match Store::enqueue(transaction, &new, now).await? {
            Enqueued::New { execution_id } | Enqueued::Before { execution_id } => {
                return Ok(Some(done(MatchOutcome::Enqueued, Some(execution_id))));
            }
            Enqueued::AlreadyRunning => return Ok(Some(done(MatchOutcome::SkippedRunning, None))),
            Enqueued::Changed => match pipelines::find_in(transaction, &remembered.pipeline_id).await? {
                Some(fresh) => current = Some(fresh),
                None => return Ok(None),
            },
        }
    }
    // Somebody changes it all the time: it is as if the signal had come before the change.
    Ok(None)
}

impl Store {
    /// Sets off, or passes by, each of the pipelines that a signal matches, and writes down what came of it; none when this
    /// signal has been here before, and then nothing is done.
    ///
    /// `pipelines` may be of a cache: one that was changed since is looked at as it is now. They are gone through in the
    /// order of their ids, so that two signals at once do not wait for each other. One signal is one transaction for the
    /// same reason.
    ///
    /// # Errors
    /// What databases say.
    pub async fn take_signal(
        transaction: &mut Transaction,
        signal: &SignalEvent,
        pipelines: &[Pipeline],
        context: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Vec<SignalMatch>>, StoreError> {
        let statement = Statement::new(
            QueryType::Insert,
            MATCHED,
            "INSERT INTO signals_matched (signal_id, body, pipelines, matched_at) VALUES ($1, $2, 0, $3) \
             ON CONFLICT DO NOTHING",
        )
        .bind(signal.signal_id.as_str())
        .bind(serde_json::to_string(signal)?)
        .bind(now);
        if transaction.execute(statement).await? == 0 {
            return Ok(None);
        }
        let mut remembered: Vec<&Pipeline> = pipelines.iter().collect();
        remembered.sort_by(|one, other| one.pipeline_id.cmp(&other.pipeline_id));
        remembered.dedup_by(|one, other| one.pipeline_id == other.pipeline_id);
        let mut matches: Vec<SignalMatch> = Vec::new();
        for pipeline in remembered {
            let Some(found) = take(transaction, signal, pipeline, context, now).await? else { continue };
            let statement = Statement::new(
                QueryType::Insert,
                MATCHES,
                "INSERT INTO signal_matches (signal_id, pipeline_id, position, outcome, execution_id, matched_at) \
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(found.signal_id.as_str())
            .bind(found.pipeline_id.as_str())
            .bind(number(matches.len() as u64 + 1))
            .bind(found.outcome.as_str())
            .bind(found.execution_id.clone().map(String::from))
            .bind(found.matched_at);
            transaction.execute(statement).await?;
            matches.push(found);
        }
        if !matches.is_empty() {
            let statement = Statement::new(
                QueryType::Update,
                MATCHED,
                "UPDATE signals_matched SET pipelines = $2 WHERE signal_id = $1",
            )
            .bind(signal.signal_id.as_str())
            .bind(number(matches.len() as u64));
            transaction.execute(statement).await?;
        }
        Ok(Some(matches))
    }

    /// The pipelines that a signal matched, the last first; none when the signal has not been looked at, or not any more.
    ///
    /// # Errors
    /// [`StoreError::Page`], and what databases say.
    pub async fn matches(
        &self,
        signal_id: &DecisionId,
        query: &PageQuery,
    ) -> Result<Option<Page<SignalMatch>>, StoreError> {
        let limit = query.limit()?;
        let statement = Statement::new(
            QueryType::Select,
            MATCHES,
            "SELECT position, signal_id, pipeline_id, outcome, execution_id, matched_at FROM signal_matches \
             WHERE signal_id = $1 AND position < $2 ORDER BY position DESC LIMIT $3",
        )
        .bind(signal_id.as_str())
        .bind(query.before()?)
        .bind(i64::from(limit) + 1);
        let page = Page::of(self.database.fetch_all::<Row>(statement).await?, limit, |row| row.position);
        if page.items.is_empty() {
            let statement = Statement::new(
                QueryType::Select,
                MATCHED,
                "SELECT pipelines FROM signals_matched WHERE signal_id = $1",
            );
            let known: Option<(i64,)> = self.database.fetch_optional(statement.bind(signal_id.as_str())).await?;
            if known.is_none() {
                return Ok(None);
            }
        }
        let items = page.items.into_iter().map(SignalMatch::try_from).collect::<Result<_, _>>()?;
        Ok(Some(Page { items, next_cursor: page.next_cursor, trace_id: None }))
    }

    /// What an execution of a pipeline by hand is known by: the same key again sets off nothing more.
    #[must_use]
    pub fn run_key(pipeline_id: &PipelineId, key: &str) -> String {
        format!("run:{pipeline_id}:{key}")
    }
}
