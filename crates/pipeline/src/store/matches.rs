//! Signals and the pipelines that they matched: each signal once, whoever consumes it again.

use chrono::{DateTime, Utc};
use domain::pipeline::{MatchOutcome, Pipeline, PipelineId, SignalMatch, Trigger, TriggerMode};
use domain::{DecisionId, Page, PageQuery, SignalEvent};
use storage::{FromRow, QueryType, Statement, Transaction};
use tracing::{Instrument as _, Span};

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

/// A signal that is to be taken.
#[derive(Debug, Clone)]
pub struct Taking<'a> {
    /// The signal.
    pub signal: &'a SignalEvent,
    /// The pipelines that it matches, as somebody remembers them.
    pub pipelines: Vec<PipelineId>,
    /// Trace and baggage in which its executions go on, as [`storage::outbox::store_context`] writes them.
    pub context: &'a str,
    /// What is done for it is part of this span.
    pub span: Span,
}

/// A pipeline as the transaction knows it.
struct Known {
    /// None when it is gone, or cannot be read.
    pipeline: Option<Pipeline>,
    /// This transaction has set it off: for other signals in it, it runs.
    set_off: bool,
}

async fn read(transaction: &mut Transaction, id: &PipelineId) -> Result<Option<Pipeline>, StoreError> {
    match pipelines::find_in(transaction, id).await {
        // One that cannot be read must not keep the signal from all others.
        Err(error @ StoreError::Kept(_)) => {
            tracing::error!(pipeline.id = %id, error = %error, "a pipeline is passed by");
            Ok(None)
        }
        other => other,
    }
}

/// What a signal does to a pipeline; none when it does not match the pipeline that it is by now.
async fn take(
    transaction: &mut Transaction,
    Taking { signal, context, .. }: &Taking<'_>,
    id: &PipelineId,
    known: &mut Known,
    now: DateTime<Utc>,
) -> Result<Option<SignalMatch>, StoreError> {
    let done = |outcome, execution_id| SignalMatch {
        signal_id: signal.signal_id.clone(),
        pipeline_id: id.clone(),
        outcome,
        execution_id,
        matched_at: now,
    };
    for _ in 0..LOOKS {
        let Some(pipeline) = known.pipeline.as_ref().filter(|pipeline| is_for(pipeline, signal)) else {
            return Ok(None);
        };
        if spending::is_spent(transaction, pipeline, now).await? {
            return Ok(Some(done(MatchOutcome::SkippedBudget, None)));
        }
        if known.set_off {
            return Ok(Some(done(MatchOutcome::SkippedRunning, None)));
        }
        let new = New {
            pipeline,
            trigger_mode: TriggerMode::Signal,
            signal: Some(signal),
            symbol: signal.symbol.clone(),
            dedupe: Some(format!("signal:{}:{id}", signal.signal_id)),
            context,
        };
        match Store::enqueue(transaction, &new, now).await? {
            Enqueued::New { execution_id } => {
                known.set_off = true;
                return Ok(Some(done(MatchOutcome::Enqueued, Some(execution_id))));
            }
            Enqueued::Before { execution_id } => {
                return Ok(Some(done(MatchOutcome::Enqueued, Some(execution_id))));
            }
            Enqueued::AlreadyRunning => return Ok(Some(done(MatchOutcome::SkippedRunning, None))),
            Enqueued::Changed => known.pipeline = read(transaction, id).await?,
        }
    }
    // Somebody changes it all the time: it is as if the signal had come before the change.
    Ok(None)
}

/// Writes down that a signal has been here; false when it has been before.
async fn first_seen(
    transaction: &mut Transaction,
    signal: &SignalEvent,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let statement = Statement::new(
        QueryType::Insert,
        MATCHED,
        "INSERT INTO signals_matched (signal_id, pipelines, matched_at) VALUES ($1, 0, $2) \
         ON CONFLICT DO NOTHING",
    )
    .bind(signal.signal_id.as_str())
    .bind(now);
    Ok(transaction.execute(statement).await? == 1)
}

async fn write(transaction: &mut Transaction, found: &SignalMatch, position: usize) -> Result<(), StoreError> {
    let statement = Statement::new(
        QueryType::Insert,
        MATCHES,
        "INSERT INTO signal_matches (signal_id, pipeline_id, position, outcome, execution_id, matched_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(found.signal_id.as_str())
    .bind(found.pipeline_id.as_str())
    .bind(number(position as u64))
    .bind(found.outcome.as_str())
    .bind(found.execution_id.clone().map(String::from))
    .bind(found.matched_at);
    transaction.execute(statement).await?;
    Ok(())
}

/// How many pipelines a signal matched, and what it said: of one that matched none nobody asks.
async fn write_count(transaction: &mut Transaction, signal: &SignalEvent, count: usize) -> Result<(), StoreError> {
    let statement = Statement::new(
        QueryType::Update,
        MATCHED,
        "UPDATE signals_matched SET pipelines = $2, body = $3 WHERE signal_id = $1",
    )
    .bind(signal.signal_id.as_str())
    .bind(number(count as u64))
    .bind(serde_json::to_string(signal)?);
    transaction.execute(statement).await?;
    Ok(())
}

impl Store {
    /// Sets off, or passes by, each of the pipelines that signals match, and writes down what came of it: for each signal
    /// its matches, or none when it has been here before, and then nothing is done for it. Of signals that match one
    /// pipeline the first is first.
    ///
    /// Which pipelines may be a cache's word: each is looked at as it is now. The signals are gone through in the order
    /// of their ids, and then the pipelines in theirs, so that two such transactions at once never wait for each other.
    ///
    /// # Errors
    /// What databases say.
    pub async fn take_signals(
        transaction: &mut Transaction,
        signals: &[Taking<'_>],
        now: DateTime<Utc>,
    ) -> Result<Vec<Option<Vec<SignalMatch>>>, StoreError> {
        let mut taken: Vec<Option<Vec<SignalMatch>>> = vec![None; signals.len()];
        let mut by_id: Vec<(&Taking<'_>, &mut Option<Vec<SignalMatch>>)> = signals.iter().zip(&mut taken).collect();
        by_id.sort_by_key(|(taking, _)| taking.signal.signal_id.as_str());
        let mut wanted: Vec<(&PipelineId, usize)> = Vec::new();
        for (taking, matches) in by_id {
            if first_seen(transaction, taking.signal, now).instrument(taking.span.clone()).await? {
                *matches = Some(Vec::new());
            }
        }
        for (place, taking) in signals.iter().enumerate() {
            if taken.get(place).is_some_and(Option::is_some) {
                wanted.extend(taking.pipelines.iter().map(|id| (id, place)));
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        let mut known: Option<(&PipelineId, Known)> = None;
        for (id, place) in wanted {
            let (Some(taking), Some(Some(matches))) = (signals.get(place), taken.get_mut(place)) else { continue };
            let work = async {
                let pipeline = match &mut known {
                    Some((known_id, pipeline)) if *known_id == id => pipeline,
                    other => {
                        let pipeline = read(transaction, id).await?;
                        &mut other.insert((id, Known { pipeline, set_off: false })).1
                    }
                };
                if let Some(found) = take(transaction, taking, id, pipeline, now).await? {
                    write(transaction, &found, matches.len() + 1).await?;
                    matches.push(found);
                }
                Ok::<(), StoreError>(())
            };
            work.instrument(taking.span.clone()).await?;
        }
        for (taking, matches) in signals.iter().zip(&taken) {
            if let Some(matches) = matches.as_ref().filter(|matches| !matches.is_empty()) {
                let count = write_count(transaction, taking.signal, matches.len());
                count.instrument(taking.span.clone()).await?;
            }
        }
        Ok(taken)
    }

    /// [`Store::take_signals`] with one, as part of the current span.
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
        let pipelines = pipelines.iter().map(|pipeline| pipeline.pipeline_id.clone()).collect();
        let taking = Taking { signal, pipelines, context, span: Span::current() };
        Ok(Self::take_signals(transaction, &[taking], now).await?.pop().flatten())
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
        let (limit, before) = (query.limit()?, query.before()?);
        // First: whoever sees that the signal has been here sees what it did, too.
        let statement =
            Statement::new(QueryType::Select, MATCHED, "SELECT pipelines FROM signals_matched WHERE signal_id = $1");
        let known: Option<(i64,)> = self.database.fetch_optional(statement.bind(signal_id.as_str())).await?;
        if known.is_none() {
            return Ok(None);
        }
        let statement = Statement::new(
            QueryType::Select,
            MATCHES,
            "SELECT position, signal_id, pipeline_id, outcome, execution_id, matched_at FROM signal_matches \
             WHERE signal_id = $1 AND position < $2 ORDER BY position DESC LIMIT $3",
        )
        .bind(signal_id.as_str())
        .bind(before)
        .bind(i64::from(limit) + 1);
        let page = Page::of(self.database.fetch_all::<Row>(statement).await?, limit, |row| row.position);
        let items = page.items.into_iter().map(SignalMatch::try_from).collect::<Result<_, _>>()?;
        Ok(Some(Page { items, next_cursor: page.next_cursor, trace_id: None }))
    }

    /// What an execution of a pipeline by hand is known by: the same key again sets off nothing more.
    #[must_use]
    pub fn run_key(pipeline_id: &PipelineId, key: &str) -> String {
        format!("run:{pipeline_id}:{key}")
    }
}
