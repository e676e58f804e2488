//! One attempt of an execution: its steps, one after the other, and its end.

use std::time::{Duration, Instant};

use domain::pipeline::{Agent, ExecutionStatus, Step, StepRun, StepStatus};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde_json::json;
use storage::outbox::restore_context;
use telemetry::metrics::pipeline::{COST_USD, RETRIES, STEP_DURATION};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use web::CancellationToken;

use super::Worker;
use super::agents::{self, SoFar, snapshot};
use super::board::Seat;
use super::failure::{STALE_PRICE, StepError};
use super::lease::{AGAIN, Held, Lost};
use crate::count;
use crate::store::{Ended, StoreError, kept_text, now};

/// What an execution that its worker gives back shows.
const STOPPED: &str = "its worker was stopped";

/// How an attempt ended.
#[derive(Debug)]
enum Verdict {
    /// Every step is done, or one has said that the rest is not to be done.
    Through(Option<String>),
    /// The day's budget is spent.
    Spent(String),
    /// A step could not be done.
    Failed(&'static str, StepError),
    /// The service ends.
    Stopped,
    /// The execution is somebody else's.
    Lost(Lost),
}

/// Why no further step is done.
enum Halt {
    Failed(&'static str, StepError),
    Fenced,
}

impl Worker {
    /// Does what is left of an execution, unless it is lost before, or the service ends.
    pub(super) async fn execute(&self, held: Held, stop: &CancellationToken) {
        let execution = &held.claim.execution;
        let span = tracing::info_span!(
            parent: None,
            "PipelineWorker.execute",
            otel.status_code = Empty,
            error.type = Empty,
            execution.id = execution.execution_id.as_str(),
            execution.attempt = i64::from(execution.attempts),
            execution.status = Empty,
            pipeline.id = execution.pipeline_id.as_str(),
            pipeline.name = held.claim.pipeline.name.as_str(),
            pipeline.revision = execution.pipeline_revision,
            trigger.mode = execution.trigger_mode.as_str(),
            crypto.symbol = execution.symbol.as_str(),
            signal.id = execution.signal.as_ref().map(|signal| signal.signal_id.as_str()),
            worker.id = self.id(),
        );
        // Fails only where no OpenTelemetry layer listens, and then there is nothing to connect.
        let _ = span.set_parent(restore_context(&held.claim.context));
        async {
            let seat = self.board().sit(&held.claim, now());
            let verdict = tokio::select! {
                biased;
                () = stop.cancelled() => Verdict::Stopped,
                lost = held.keep(self.store()) => Verdict::Lost(lost),
                verdict = self.steps(&held, &seat) => verdict,
            };
            self.end(&held, verdict).await;
        }
        .instrument(span)
        .await;
    }

    async fn steps(&self, held: &Held, seat: &Seat) -> Verdict {
        let timeout = held.claim.pipeline.timeout_seconds;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(u64::from(timeout));
        let mut so_far = SoFar::default();
        for (place, step) in held.claim.pipeline.steps.iter().enumerate() {
            let before = self.done_before(held, place, step);
            let run = match before.filter(|run| so_far.take(step, run).is_ok()) {
                Some(run) => run.clone(),
                None => {
                    if matches!(step.agent, Agent::LlmDecision) {
                        match self.spent(held).await {
                            Ok(Some(detail)) => return Verdict::Spent(detail),
                            Ok(None) => {}
                            Err(error) => return Verdict::Failed(step.agent.as_str(), error.into()),
                        }
                    }
                    seat.at(Some(&step.name));
                    let done = self.step(held, step, &so_far, deadline).await;
                    seat.at(None);
                    let run = match done {
                        Ok(run) => run,
                        Err(Halt::Failed(agent, error)) => return Verdict::Failed(agent, error),
                        Err(Halt::Fenced) => return Verdict::Lost(Lost::Taken),
                    };
                    if let Err(error) = so_far.take(step, &run) {
                        let error = StepError::for_good("output", format!("what it hands on cannot be read: {error}"));
                        return Verdict::Failed(step.agent.as_str(), error);
                    }
                    run
                }
            };
            if run.status == StepStatus::Stopped {
                return Verdict::Through(Some(format!("{}: {}", step.name, run.summary)));
            }
        }
        Verdict::Through(None)
    }

    /// What an earlier attempt has done of a step. A snapshot has no effect: one that is too old for a step that reads it, or
    /// was so when that step was tried, is taken again where the step is still to be done.
    fn done_before<'a>(&self, held: &'a Held, place: usize, step: &Step) -> Option<&'a StepRun> {
        let claim = &held.claim;
        let runs = &claim.execution.steps;
        let is_done = |step: &Step| runs.iter().any(|run| run.name == step.name && run.status != StepStatus::Failed);
        // The latest: it may have been done again.
        let run = runs.iter().rev().find(|run| run.name == step.name && run.status != StepStatus::Failed)?;
        if matches!(step.agent, Agent::MarketSnapshot { .. }) {
            let after = claim.pipeline.steps.get(place + 1..).unwrap_or_default();
            let readers = after.iter().take_while(|other| !matches!(other.agent, Agent::MarketSnapshot { .. }));
            let was_too_old = |reader: &Step| {
                let mut tried = runs.iter().filter(|tried| tried.name == reader.name && tried.attempt >= run.attempt);
                tried.any(|tried| tried.status == StepStatus::Failed && tried.output["error"] == STALE_PRICE)
            };
            let mut waiting = readers.filter(|reader| snapshot::is_read_by(reader) && !is_done(reader));
            if waiting.any(|reader| was_too_old(reader) || !snapshot::is_good_for(run, reader, now())) {
                return None;
            }
        }
        Some(run)
    }

    /// Why no money may be spent today any more; none while it may.
    async fn spent(&self, held: &Held) -> Result<Option<String>, StoreError> {
        let Some(budget) = &held.claim.pipeline.budget else { return Ok(None) };
        let spent = self.store().spending(&held.claim.execution.pipeline_id, now()).await?;
        Ok((spent >= budget.usd_per_day).then(|| {
            let (spent, budget) = (spent.normalize(), budget.usd_per_day.normalize());
            format!("the day's budget of {budget} USD is spent: {spent} USD")
        }))
    }

    /// Does a step, and writes it down.
    async fn step(
        &self,
        held: &Held,
        step: &Step,
        so_far: &SoFar,
        deadline: tokio::time::Instant,
    ) -> Result<StepRun, Halt> {
        let agent = step.agent.as_str();
        let span = tracing::info_span!(
            "step",
            otel.name = format!("step {}", step.name),
            otel.status_code = Empty,
            error.type = Empty,
            pipeline.step.name = step.name.as_str(),
            pipeline.step.agent = agent,
            pipeline.step.status = Empty,
            pipeline.step.cost_usd = Empty,
            pipeline.step.summary = Empty,
            decision.id = Empty,
            decision.action = Empty,
            decision.strategy = Empty,
            order.id = Empty,
            order.status = Empty,
        );
        async {
            let (started_at, started) = (now(), Instant::now());
            let work = agents::run(self.services(), &held.claim, step, so_far, started_at);
            let outcome = tokio::time::timeout_at(deadline, work).await.unwrap_or_else(|_| {
                let seconds = held.claim.pipeline.timeout_seconds;
                Err(StepError::passing("timeout", format!("the attempt took longer than {seconds} s")))
            });
            let took = started.elapsed();
            let mut run = StepRun {
                name: step.name.clone(),
                agent: agent.to_owned(),
                status: StepStatus::Failed,
                attempt: held.claim.execution.attempts,
                started_at,
                duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                cost_usd: Decimal::ZERO,
                summary: String::new(),
                output: serde_json::Value::Null,
            };
            let failure = match outcome {
                Ok(done) => {
                    run.status = done.status;
                    (run.summary, run.output, run.cost_usd) = (done.summary, done.output, done.cost_usd);
                    None
                }
                Err(error) => {
                    telemetry::record_exception(error.label, &error);
                    run.summary.clone_from(&error.detail);
                    run.output = json!({"error": error.label});
                    Some(error)
                }
            };
            show(&run);
            match held.write(async |_| self.store().record_step(&held.claim, &run, now()).await).await {
                Ok(()) => counted(agent, &run, took),
                Err(StoreError::Fenced) => return Err(Halt::Fenced),
                Err(error) => {
                    telemetry::record_exception("store", &error);
                    return Err(Halt::Failed(agent, error.into()));
                }
            }
            match failure {
                None => Ok(run),
                Some(error) => Err(Halt::Failed(agent, error)),
            }
        }
        .instrument(span)
        .await
    }

    /// Ends an attempt whose step could not be done.
    #[cfg(test)]
    pub(super) async fn ended(&self, held: &Held, error: StepError) {
        self.end(held, Verdict::Failed("notify", error)).await;
    }

    /// Writes down how the attempt ended.
    async fn end(&self, held: &Held, verdict: Verdict) {
        let claim = &held.claim;
        let written = match &verdict {
            Verdict::Through(detail) => self.finish(held, ExecutionStatus::Success, detail.as_deref()).await.map(Some),
            Verdict::Spent(detail) => self.finish(held, ExecutionStatus::Cancelled, Some(detail)).await.map(Some),
            Verdict::Failed(_, error) => {
                telemetry::record_exception(error.label, error);
                if error.is_final {
                    self.finish(held, ExecutionStatus::Failed, Some(&error.detail)).await.map(Some)
                } else {
                    self.retry_later(held, error).await
                }
            }
            Verdict::Stopped => held.write(async |_| self.store().hand_back(claim, STOPPED).await).await.map(|()| None),
            Verdict::Lost(_) => Err(StoreError::Fenced),
        };
        let (execution_id, pipeline) = (claim.execution.execution_id.as_str(), claim.pipeline.name.as_str());
        let span = Span::current();
        match written {
            Ok(Some(ended)) => {
                count::ended(&ended);
                span.record("execution.status", ended.status.as_str());
                let detail = match &verdict {
                    Verdict::Through(detail) => detail.as_deref(),
                    Verdict::Spent(detail) => Some(detail.as_str()),
                    Verdict::Failed(_, error) => Some(error.detail.as_str()),
                    Verdict::Stopped | Verdict::Lost(_) => None,
                };
                let status = ended.status.as_str();
                if ended.status == ExecutionStatus::Failed {
                    tracing::warn!(
                        execution.id = execution_id,
                        pipeline.name = pipeline,
                        detail,
                        "an execution has failed"
                    );
                } else {
                    tracing::info!(
                        execution.id = execution_id,
                        pipeline.name = pipeline,
                        status,
                        detail,
                        "an execution is at its end"
                    );
                }
            }
            Ok(None) => {
                span.record("execution.status", ExecutionStatus::Queued.as_str());
                if let Verdict::Failed(agent, error) = &verdict {
                    RETRIES.add(1, &[("agent", agent)]);
                    tracing::warn!(execution.id = execution_id, pipeline.name = pipeline, detail = %error, "an attempt has failed; there will be another");
                } else {
                    tracing::info!(execution.id = execution_id, pipeline.name = pipeline, "an execution is given back");
                }
            }
            Err(StoreError::Fenced) => {
                telemetry::record_exception("lease_lost", &StoreError::Fenced);
                let unheard = matches!(verdict, Verdict::Lost(Lost::Unheard));
                tracing::warn!(
                    execution.id = execution_id,
                    pipeline.name = pipeline,
                    unheard,
                    "an execution was lost to another worker; nothing more is written"
                );
            }
            // Its lease runs out, and somebody goes on with it.
            Err(error) => {
                telemetry::record_exception("store", &error);
                tracing::error!(execution.id = execution_id, pipeline.name = pipeline, error = %error, "how an attempt ended could not be written");
            }
        }
    }

    async fn finish(&self, held: &Held, status: ExecutionStatus, detail: Option<&str>) -> Result<Ended, StoreError> {
        let written = held
            .write(async |again| {
                match self.store().finish(&held.claim, status, detail, now()).await {
                    // An earlier try may have come through.
                    Err(StoreError::Fenced) if again.0 => {
                        self.ended_so(held, status, detail).await?.ok_or(StoreError::Fenced)
                    }
                    other => other,
                }
            })
            .await;
        match written {
            Err(StoreError::Fenced) => self.ended_after_all(held, status, detail).await,
            other => other,
        }
    }

    /// The end that an attempt has given an execution when nobody has said so before its lease ran out: there is nobody else
    /// to count it. Looked for as long as another lease takes.
    async fn ended_after_all(
        &self,
        held: &Held,
        status: ExecutionStatus,
        detail: Option<&str>,
    ) -> Result<Ended, StoreError> {
        let until = held.until() + self.lease();
        loop {
            match tokio::time::timeout_at(until, self.ended_so(held, status, detail)).await {
                Ok(Ok(Some(ended))) => return Ok(ended),
                Ok(Ok(None)) | Err(_) => return Err(StoreError::Fenced),
                Ok(Err(error)) if error.is_passing() => {}
                Ok(Err(error)) => return Err(error),
            }
            tokio::time::sleep_until(until.min(tokio::time::Instant::now() + AGAIN)).await;
        }
    }

    async fn retry_later(&self, held: &Held, error: &StepError) -> Result<Option<Ended>, StoreError> {
        let wait = self.backoff().wait(failed(held), error.retry_after, rand::random());
        // Counted from one moment, so that a second try says the same.
        let from = now();
        let not_before = from + wait;
        let written = held
            .write(async |again| match self.store().retry_later(&held.claim, &error.detail, not_before, from).await {
                Err(StoreError::Fenced) if again.0 => {
                    let claimed = &held.claim.execution;
                    let kept = self.store().execution(&claimed.execution_id).await?;
                    let waits = kept.is_some_and(|kept| {
                        kept.attempts == claimed.attempts && kept.status == ExecutionStatus::Queued
                    });
                    if waits {
                        return Ok(None);
                    }
                    let detail = Some(error.detail.as_str());
                    self.ended_so(held, ExecutionStatus::Failed, detail).await?.map(Some).ok_or(StoreError::Fenced)
                }
                other => other,
            })
            .await;
        match written {
            Err(StoreError::Fenced) => {
                let detail = Some(error.detail.as_str());
                self.ended_after_all(held, ExecutionStatus::Failed, detail).await.map(Some)
            }
            other => other,
        }
    }

    /// The end that this attempt has given an execution, where it has.
    async fn ended_so(
        &self,
        held: &Held,
        status: ExecutionStatus,
        detail: Option<&str>,
    ) -> Result<Option<Ended>, StoreError> {
        let claimed = &held.claim.execution;
        let Some(kept) = self.store().execution(&claimed.execution_id).await? else { return Ok(None) };
        // Whoever takes it away from a worker that is not heard of says something else, and counts it.
        let ours = kept.attempts == claimed.attempts
            && kept.worker == claimed.worker
            && kept.status == status
            && kept.detail == detail.map(kept_text);
        Ok(ours.then_some(Ended {
            execution_id: kept.execution_id,
            pipeline_id: kept.pipeline_id,
            trigger_mode: kept.trigger_mode,
            status: kept.status,
            started_at: kept.started_at,
            finished_at: kept.finished_at,
        }))
    }
}

/// Attempts that have failed since the execution was set off, or replayed; this one included.
fn failed(held: &Held) -> u16 {
    let execution = &held.claim.execution;
    let before = execution.max_attempts.saturating_sub(held.claim.pipeline.max_attempts);
    execution.attempts.saturating_sub(before).max(1)
}

/// Shows a step on its span.
fn show(run: &StepRun) {
    let span = Span::current();
    span.record("pipeline.step.status", run.status.as_str());
    span.record("pipeline.step.cost_usd", tracing::field::display(run.cost_usd));
    span.record("pipeline.step.summary", run.summary.as_str());
}

fn counted(agent: &'static str, run: &StepRun, took: Duration) {
    STEP_DURATION.record(took.as_secs_f64(), &[("agent", agent), ("status", run.status.as_str())]);
    if let Some(cost) = run.cost_usd.to_f64().filter(|cost| *cost > 0.0) {
        COST_USD.add(cost, &[("agent", agent)]);
    }
}
