//! Workers: an execution is claimed for a while, and only whoever claimed it last writes to it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::pipeline::{Execution, ExecutionStatus, PipelineRequest, StepRun, StepStatus};
use rust_decimal::Decimal;
use storage::{FromRow, Money, QueryType, Statement};

use super::executions::{Ended, EndedRow, Row, TABLE, columns};
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

/// What became of executions whose workers are not heard of any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenBack {
    /// How many wait again.
    pub queued: u64,
    /// Those whose attempts were used up.
    pub failed: Vec<Ended>,
}

#[derive(FromRow)]
struct Candidate {
    number: i64,
    attempts: i64,
}

impl Store {
    /// Claims the execution that has been due for longest, until a lease from now has run out; none when none is due.
    ///
    /// # Errors
    /// What databases say.
    pub async fn claim(&self, worker: &str, lease: Duration, now: DateTime<Utc>) -> Result<Option<Claim>, StoreError> {
        loop {
            let statement = Statement::new(
                QueryType::Select,
                TABLE,
                "SELECT number, attempts FROM executions WHERE status = 'queued' AND not_before <= $1 \
                 ORDER BY not_before, number LIMIT $2",
            )
            .bind(now)
            .bind(number(CANDIDATES as u64));
            // Quietly: workers ask all the time.
            let candidates: Vec<Candidate> = self.database.quietly(statement).await?;
            let all = candidates.len() < CANDIDATES;
            for candidate in candidates {
                if let Some(claim) = self.claim_this(&candidate, worker, lease, now).await? {
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
                "UPDATE executions SET status = 'running', attempts = attempts + 1, worker = $3, leased_until = $4, \
                 started_at = COALESCE(started_at, $5) WHERE number = $1 AND attempts = $2 AND status = 'queued' \
                 AND not_before <= $5 RETURNING ",
                columns!()
            ),
        )
        .bind(number)
        .bind(attempts)
        .bind(worker)
        .bind(now + lease)
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
            "UPDATE executions SET status = 'failed', detail = $3, leased_until = NULL, finished_at = $4 \
             WHERE number = $1 AND attempts = $2 AND status = 'running'",
        )
        .bind(number)
        .bind(attempts)
        .bind(kept_text(&error.to_string()))
        .bind(now);
        self.database.execute(statement).await?;
        Ok(())
    }

    /// Says that the worker is still at it: the lease runs from now again.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], and what databases say.
    pub async fn heartbeat(&self, claim: &Claim, lease: Duration, now: DateTime<Utc>) -> Result<(), StoreError> {
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE executions SET leased_until = $3 WHERE number = $1 AND attempts = $2 AND status = 'running'",
        )
        .bind(claim.number)
        .bind(claim.attempt())
        .bind(now + lease);
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

    /// Ends an execution, for good unless somebody replays one that failed.
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
            "UPDATE executions SET status = $3, detail = $4, leased_until = NULL, finished_at = $5 \
             WHERE number = $1 AND attempts = $2 AND status = 'running' \
             RETURNING id, pipeline_id, trigger_mode, status, started_at, finished_at",
        )
        .bind(claim.number)
        .bind(claim.attempt())
        .bind(status.as_str())
        .bind(detail.map(kept_text))
        .bind(now);
        self.database.fetch_optional::<EndedRow>(statement).await?.ok_or(StoreError::Fenced)?.try_into()
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
            "UPDATE executions SET status = 'queued', detail = $3, leased_until = NULL, not_before = $4 \
             WHERE number = $1 AND attempts = $2 AND status = 'running'",
        )
        .bind(claim.number)
        .bind(claim.attempt())
        .bind(kept_text(detail))
        .bind(not_before);
        if self.database.execute(statement).await? == 1 { Ok(None) } else { Err(StoreError::Fenced) }
    }

    /// Gives an execution back that was not tried to its end, because its worker ends: it waits again from now on, and this
    /// attempt is none of those that it has.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], and what databases say.
    pub async fn hand_back(&self, claim: &Claim, detail: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        // The attempt keeps its number, which tells its worker from the next one: there is one more instead.
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE executions SET status = 'queued', detail = $3, leased_until = NULL, not_before = $4, \
             max_attempts = max_attempts + 1 WHERE number = $1 AND attempts = $2 AND status = 'running'",
        )
        .bind(claim.number)
        .bind(claim.attempt())
        .bind(kept_text(detail))
        .bind(now);
        if self.database.execute(statement).await? == 1 { Ok(()) } else { Err(StoreError::Fenced) }
    }

    /// Takes executions away from workers that are not heard of any more, at most so many of each kind: they wait again, or
    /// have failed when their attempts are used up.
    ///
    /// # Errors
    /// What databases say.
    pub async fn give_back_expired(&self, most: u16, now: DateTime<Utc>) -> Result<GivenBack, StoreError> {
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE executions SET status = 'queued', detail = $2, leased_until = NULL, not_before = $1 \
             WHERE status = 'running' AND leased_until <= $1 AND number IN (SELECT number FROM executions \
             WHERE status = 'running' AND leased_until <= $1 AND attempts < max_attempts ORDER BY leased_until LIMIT $3)",
        )
        .bind(now)
        .bind(LOST)
        .bind(i64::from(most));
        let queued = self.database.execute_quietly(statement).await?;
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE executions SET status = 'failed', detail = $2, leased_until = NULL, finished_at = $1 \
             WHERE status = 'running' AND leased_until <= $1 AND number IN (SELECT number FROM executions \
             WHERE status = 'running' AND leased_until <= $1 AND attempts >= max_attempts ORDER BY leased_until LIMIT $3) \
             RETURNING id, pipeline_id, trigger_mode, status, started_at, finished_at",
        )
        .bind(now)
        .bind(LOST)
        .bind(i64::from(most));
        let failed: Vec<EndedRow> = self.database.quietly(statement).await?;
        Ok(GivenBack { queued, failed: failed.into_iter().map(Ended::try_from).collect::<Result<_, _>>()? })
    }
}

/// Why an execution is given back.
const LOST: &str = "its worker was not heard of any more";

fn claimed(row: Row, steps: Vec<StepRun>) -> Result<Claim, StoreError> {
    let (number, pipeline, context) = (row.number, row.request()?, row.context.clone());
    Ok(Claim { number, pipeline, context, execution: Execution { steps, ..row.try_into()? } })
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
