//! Workers: an execution is claimed for a while, and only whoever claimed it last writes to it.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::pipeline::{Execution, ExecutionStatus, PipelineRequest, StepRun, StepStatus};
use rust_decimal::Decimal;
use storage::{FromRow, Money, QueryType, Statement};

use crate::count;

use super::executions::{Ended, EndedRow, Row, TABLE, columns};
use super::watch::{Running, millis};
use super::{Store, StoreError, kept_text, number, spending};

/// Executions that a claim looks at: others may be quicker with the first ones.
const CANDIDATES: usize = 8;

/// An execution that a worker has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    number: i64,
    /// As it stands: with the steps that earlier attempts have done, which are not done again.
    pub execution: Execution,
    /// The pipeline as it was when the execution was set off.
    pub pipeline: PipelineRequest,
    /// Trace and baggage in which it was set off: [`storage::outbox::restore_context`].
    pub context: String,
}

/// A claim whose answer has not come: it may have been made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tried {
    number: i64,
    attempt: i64,
    /// When it was tried.
    pub(crate) at: Instant,
}

#[derive(FromRow)]
struct Candidate {
    number: i64,
    attempts: i64,
}

impl Store {
    /// Claims the execution that was set off first of those that are due; none when none is due.
    ///
    /// # Errors
    /// What databases say.
    pub async fn claim(&self, worker: &str, lease: Duration, now: DateTime<Utc>) -> Result<Option<Claim>, StoreError> {
        self.claim_noted(worker, lease, now, &mut Vec::new()).await
    }

    /// [`Store::claim`], which notes down what it tries before it does, and strikes that out when it knows what came of it.
    pub(crate) async fn claim_noted(
        &self,
        worker: &str,
        lease: Duration,
        now: DateTime<Utc>,
        tried: &mut Vec<Tried>,
    ) -> Result<Option<Claim>, StoreError> {
        loop {
            // What was enqueued is due whatever anybody's clock says. An attempt that was put off further than it ever is
            // was so by a clock that is ahead, or this one has gone back: its pipeline would stand still for as long.
            let statement = Statement::new(
                QueryType::Select,
                TABLE,
                "SELECT number, attempts FROM (SELECT number, attempts FROM executions \
                 WHERE status = 'queued' AND not_before IS NULL ORDER BY number LIMIT $3) AS at_once \
                 UNION ALL SELECT number, attempts FROM (SELECT number, attempts FROM executions \
                 WHERE status = 'queued' AND not_before <= $1 ORDER BY not_before, number LIMIT $3) AS by_now \
                 UNION ALL SELECT number, attempts FROM (SELECT number, attempts FROM executions \
                 WHERE status = 'queued' AND not_before > $2 ORDER BY not_before, number LIMIT $3) AS too_far \
                 ORDER BY number",
            )
            .bind(now)
            .bind(now + self.longest_wait)
            .bind(number(CANDIDATES as u64));
            // Quietly: workers ask all the time.
            let candidates: Vec<Candidate> = self.database.quietly(statement).await?;
            let all = candidates.len() < CANDIDATES;
            for candidate in candidates {
                let (number, attempt) = (candidate.number, candidate.attempts + 1);
                tried.push(Tried { number, attempt, at: Instant::now() });
                let claimed = self.claim_this(&candidate, worker, lease, now).await;
                if !claimed.as_ref().is_err_and(StoreError::may_be_written) {
                    tried.pop();
                }
                if let Some(claim) = claimed? {
                    // An earlier try was not made, then.
                    tried.retain(|one| (one.number, one.attempt) != (number, attempt));
                    return Ok(Some(claim));
                }
            }
            // Others were quicker with these; there may be more behind them.
            if all {
                return Ok(None);
            }
        }
    }

    /// Claims an execution as it was seen; none when somebody was quicker.
    async fn claim_this(
        &self,
        &Candidate { number, attempts }: &Candidate,
        worker: &str,
        lease: Duration,
        now: DateTime<Utc>,
    ) -> Result<Option<Claim>, StoreError> {
        // Before the claim, which takes it only as it was then: a claim is whole, or is not.
        let steps = match if attempts == 0 { Ok(Vec::new()) } else { self.steps(number).await } {
            // As whatever else of it cannot be read: it is claimed, and set aside.
            Err(error @ StoreError::Kept(_)) => Err(error),
            steps => Ok(steps?),
        };
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            concat!(
                "UPDATE executions SET status = 'running', attempts = attempts + 1, worker = $3, beat = beat + 1, \
                 lease_ms = $4, started_at = COALESCE(started_at, $5) \
                 WHERE number = $1 AND attempts = $2 AND status = 'queued' RETURNING ",
                columns!()
            ),
        )
        .bind(number)
        .bind(attempts)
        .bind(worker)
        .bind(millis(lease))
        .bind(now);
        // Quietly: which trace it is part of is not known before it is read.
        let Some(row) = self.database.quietly::<Row>(statement).await?.pop() else { return Ok(None) };
        match steps.and_then(|steps| claimed(row, steps)) {
            Ok(claim) => Ok(Some(claim)),
            Err(error) => {
                // It would stand before all others for ever.
                self.set_aside(number, attempts + 1, &error, now).await?;
                Ok(None)
            }
        }
    }

    /// An execution that this program cannot read has failed.
    async fn set_aside(
        &self,
        number: i64,
        attempts: i64,
        error: &StoreError,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        tracing::error!(execution.number = number, error = %error, "an execution cannot be read and has failed");
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE executions SET status = 'failed', detail = $3, finished_at = $4 \
             WHERE number = $1 AND attempts = $2 AND status = 'running' \
             RETURNING id, pipeline_id, trigger_mode, status, started_at, finished_at",
        )
        .bind(number)
        .bind(attempts)
        .bind(kept_text(&error.to_string()))
        .bind(now);
        // An end as any other, as far as it can be read.
        match self.database.fetch_optional::<EndedRow>(statement).await?.map(Ended::try_from) {
            Some(Ok(ended)) => count::ended(&ended),
            Some(Err(error)) => {
                tracing::error!(execution.number = number, error = %error, "the end of an execution is not counted");
            }
            None => {}
        }
        Ok(())
    }

    /// Says that the worker is still at it: its lease begins again.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], and what databases say.
    pub async fn heartbeat(&self, claim: &Claim) -> Result<(), StoreError> {
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE executions SET beat = beat + 1 WHERE number = $1 AND attempts = $2 AND status = 'running'",
        )
        .bind(claim.number)
        .bind(claim.attempt());
        if self.database.execute_quietly(statement).await? == 1 { Ok(()) } else { Err(StoreError::Fenced) }
    }

    /// Writes down a step of this attempt, and what it cost: to the execution, and to what the pipeline has cost today.
    /// The same step again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], and what databases say.
    pub async fn record_step(&self, claim: &Claim, step: &StepRun, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        // Locks the row: nobody takes the execution away before the step is written.
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE executions SET attempts = attempts WHERE number = $1 AND attempts = $2 AND status = 'running' \
             RETURNING cost_usd",
        )
        .bind(claim.number)
        .bind(claim.attempt());
        let spent: Option<(Money,)> = transaction.fetch_optional(statement).await?;
        let Some((Money(spent),)) = spent else { return Err(StoreError::Fenced) };
        let place = claim.pipeline.steps.iter().position(|known| known.name == step.name);
        let cost = step.cost_usd.max(Decimal::ZERO);
        let statement = Statement::new(
            QueryType::Insert,
            "execution_steps",
            "INSERT INTO execution_steps (execution_number, name, attempt, position, agent, status, started_at, duration_ms, \
             cost_usd, summary, output) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
        )
        .bind(claim.number)
        .bind(step.name.as_str())
        .bind(claim.attempt())
        .bind(number(place.unwrap_or(claim.pipeline.steps.len()) as u64))
        .bind(step.agent.as_str())
        .bind(step.status.as_str())
        .bind(step.started_at)
        .bind(number(step.duration_ms))
        .bind(Money(cost))
        .bind(kept_text(&step.summary))
        .bind(step.output.to_string());
        if transaction.execute(statement).await? == 0 {
            transaction.rollback().await?;
            return Ok(());
        }
        if cost > Decimal::ZERO {
            let statement =
                Statement::new(QueryType::Update, TABLE, "UPDATE executions SET cost_usd = $2 WHERE number = $1")
                    .bind(claim.number)
                    .bind(Money(spent.saturating_add(cost)));
            transaction.execute(statement).await?;
            spending::add(&mut transaction, &claim.execution.pipeline_id, cost, now).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Ends an execution, for good unless somebody replays one that failed. Of one that ends well, what its snapshots were is
    /// not kept.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], [`StoreError::NoEnd`] for a status that is none, and what databases say.
    pub async fn finish(
        &self,
        claim: &Claim,
        status: ExecutionStatus,
        detail: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Ended, StoreError> {
        if !(status.is_final() && ExecutionStatus::Running.may_become(status)) {
            return Err(StoreError::NoEnd(status));
        }
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE executions SET status = $3, detail = $4, finished_at = $5 \
             WHERE number = $1 AND attempts = $2 AND status = 'running' \
             RETURNING id, pipeline_id, trigger_mode, status, started_at, finished_at",
        )
        .bind(claim.number)
        .bind(claim.attempt())
        .bind(status.as_str())
        .bind(detail.map(kept_text))
        .bind(now);
        if status != ExecutionStatus::Success {
            return self.database.fetch_optional::<EndedRow>(statement).await?.ok_or(StoreError::Fenced)?.try_into();
        }
        let mut transaction = self.database.begin().await?;
        let Some(ended) = transaction.fetch_optional::<EndedRow>(statement).await? else {
            return Err(StoreError::Fenced);
        };
        // Nobody goes on with it: the hundreds of candles that steps have read need no place any more.
        let statement = Statement::new(
            QueryType::Update,
            "execution_steps",
            "UPDATE execution_steps SET output = 'null' \
             WHERE execution_number = $1 AND agent = 'market_snapshot' AND status = 'success'",
        );
        transaction.execute(statement.bind(claim.number)).await?;
        transaction.commit().await?;
        ended.try_into()
    }

    /// Has an execution tried again, not before a time; or ends it as failed when its attempts are used up. Tells the end.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], and what databases say.
    pub async fn retry_later(
        &self,
        claim: &Claim,
        detail: &str,
        not_before: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<Ended>, StoreError> {
        if claim.execution.attempts >= claim.execution.max_attempts {
            return self.finish(claim, ExecutionStatus::Failed, Some(detail), now).await.map(Some);
        }
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE executions SET status = 'queued', detail = $3, not_before = $4 \
             WHERE number = $1 AND attempts = $2 AND status = 'running'",
        )
        .bind(claim.number)
        .bind(claim.attempt())
        .bind(kept_text(detail))
        .bind(not_before);
        if self.database.execute(statement).await? == 1 { Ok(None) } else { Err(StoreError::Fenced) }
    }

    /// Gives an execution back that was not tried to its end, because its worker ends: it waits again, and this attempt is
    /// none of those that it has.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], and what databases say.
    pub async fn hand_back(&self, claim: &Claim, detail: &str) -> Result<(), StoreError> {
        // The attempt keeps its number, which tells its worker from the next one: there is one more instead.
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE executions SET status = 'queued', detail = $3, not_before = NULL, max_attempts = max_attempts + 1 \
             WHERE number = $1 AND attempts = $2 AND status = 'running'",
        )
        .bind(claim.number)
        .bind(claim.attempt())
        .bind(kept_text(detail));
        if self.database.execute(statement).await? == 1 { Ok(()) } else { Err(StoreError::Fenced) }
    }

    /// [`Store::hand_back`] of a claim that its worker has not heard of: false when there is none, or not yet.
    pub(crate) async fn hand_back_unheard(&self, worker: &str, tried: &Tried) -> Result<bool, StoreError> {
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE executions SET status = 'queued', detail = $4, not_before = NULL, max_attempts = max_attempts + 1 \
             WHERE number = $1 AND attempts = $2 AND worker = $3 AND status = 'running'",
        )
        .bind(tried.number)
        .bind(tried.attempt)
        .bind(worker)
        .bind(UNHEARD);
        Ok(self.database.execute_quietly(statement).await? == 1)
    }

    /// Every execution that runs, and how often its worker has been heard of. Made for being asked often: not traced.
    ///
    /// # Errors
    /// What databases say.
    pub async fn running(&self) -> Result<Vec<Running>, StoreError> {
        let statement = Statement::new(
            QueryType::Select,
            TABLE,
            "SELECT number, attempts, beat, lease_ms FROM executions WHERE status = 'running'",
        );
        Ok(self.database.quietly(statement).await?)
    }

    /// Takes an execution away from a worker that has not been heard of since it was seen so: it waits again, or has failed
    /// when its attempts are used up. None when the worker was heard of after all, or somebody was quicker.
    ///
    /// # Errors
    /// What databases say.
    pub async fn take_away(&self, seen: &Running, now: DateTime<Utc>) -> Result<Option<Ended>, StoreError> {
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE executions SET status = CASE WHEN attempts < max_attempts THEN 'queued' ELSE 'failed' END, \
             finished_at = CASE WHEN attempts < max_attempts THEN NULL ELSE $5 END, detail = $4, not_before = NULL \
             WHERE number = $1 AND attempts = $2 AND beat = $3 AND status = 'running' \
             RETURNING id, pipeline_id, trigger_mode, status, started_at, finished_at",
        )
        .bind(seen.number)
        .bind(seen.attempts)
        .bind(seen.beat)
        .bind(LOST)
        .bind(now);
        self.database.quietly::<EndedRow>(statement).await?.pop().map(Ended::try_from).transpose()
    }
}

/// Why an execution is given back.
pub(crate) const LOST: &str = "its worker was not heard of any more";
const UNHEARD: &str = "its worker did not hear that it has it";

fn claimed(row: Row, steps: Vec<StepRun>) -> Result<Claim, StoreError> {
    let (number, pipeline, context) = (row.number, row.request()?, row.context.clone());
    Ok(Claim { number, pipeline, context, execution: Execution { steps, ..row.try_into()? } })
}

#[cfg(test)]
impl From<&Claim> for Tried {
    fn from(claim: &Claim) -> Self {
        Self { number: claim.number, attempt: claim.attempt(), at: Instant::now() }
    }
}

impl Claim {
    /// Which attempt it is: no other claim of the execution has this number.
    fn attempt(&self) -> i64 {
        i64::from(self.execution.attempts)
    }

    /// What a step handed on when an earlier attempt did it; none when it is to be done.
    #[must_use]
    pub fn done(&self, step: &str) -> Option<&StepRun> {
        self.execution.steps.iter().find(|run| run.name == step && run.status != StepStatus::Failed)
    }
}
