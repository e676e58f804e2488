//! Who does the steps of pipelines.

mod decide;
mod notify;
mod order;
pub(super) mod risk;
pub(super) mod services;
pub(super) mod snapshot;

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::pipeline::{Agent, Step, StepRun, StepStatus};
use domain::{Decision, StrategyName};
use rust_decimal::Decimal;
use serde_json::Value;

use super::failure::StepError;
use crate::store::Claim;
use risk::{Facts, Rule};
use services::Services;
use snapshot::Snapshot;

/// A step that was done.
#[derive(Debug)]
pub(super) struct Done {
    /// Success, or that the rest is not to be done.
    pub(super) status: StepStatus,
    /// In a sentence for people.
    pub(super) summary: String,
    /// What it hands on.
    pub(super) output: Value,
    /// What it cost, in US dollars.
    pub(super) cost_usd: Decimal,
}

impl Done {
    fn new(summary: impl Into<String>, output: Value) -> Self {
        Self { status: StepStatus::Success, summary: summary.into(), output, cost_usd: Decimal::ZERO }
    }

    fn stopped(summary: impl Into<String>, output: Value) -> Self {
        Self { status: StepStatus::Stopped, ..Self::new(summary, output) }
    }
}

/// What the steps before have handed on.
#[derive(Debug, Default)]
pub(super) struct SoFar {
    snapshot: Option<Snapshot>,
    decision: Option<Decision>,
    /// What each of them has found or done.
    told: Vec<String>,
}

impl SoFar {
    /// Takes what a step hands on, as it was written down.
    ///
    /// # Errors
    /// That it cannot be read, by this version of the program: the step has to be done again.
    pub(super) fn take(&mut self, step: &Step, run: &StepRun) -> Result<(), serde_json::Error> {
        match step.agent {
            Agent::MarketSnapshot { .. } => self.snapshot = Some(Snapshot::read(run)?),
            Agent::TechnicalAnalysis | Agent::LlmDecision => {
                self.decision = Some(serde_json::from_value(run.output.clone())?);
            }
            Agent::RiskCheck { .. } | Agent::PlaceOrder { .. } | Agent::Notify { .. } => {}
        }
        self.told.push(format!("{}: {}", step.name, run.summary));
        Ok(())
    }

    /// How old the price is that is acted on: the snapshot's, or else the signal's own.
    fn price_age(&self, claim: &Claim, now: DateTime<Utc>) -> Option<Duration> {
        let signal = claim.execution.signal.as_ref();
        let of_signal = || signal.filter(|signal| signal.price.is_some()).map(|signal| since(signal.generated_at, now));
        self.snapshot.as_ref().map(|snapshot| snapshot.age(now)).or_else(of_signal)
    }
}

/// Time from one moment to another; none when the clocks of two machines say that it was the other way.
fn since(from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    (to - from).to_std().unwrap_or_default()
}

/// Does a step.
pub(super) async fn run(
    services: &Services,
    claim: &Claim,
    step: &Step,
    so_far: &SoFar,
    now: DateTime<Utc>,
) -> Result<Done, StepError> {
    match &step.agent {
        Agent::MarketSnapshot { interval, candles } => {
            Box::pin(snapshot::take(services, claim, step, *interval, *candles)).await
        }
        Agent::TechnicalAnalysis => Box::pin(decide::decide(services, so_far, StrategyName::Technical, now)).await,
        Agent::LlmDecision => Box::pin(decide::decide(services, so_far, StrategyName::Llm, now)).await,
        Agent::RiskCheck { minimum_confidence, agrees_with_signal, maximum_price_age_seconds } => {
            let rule = Rule {
                minimum_confidence: *minimum_confidence,
                agrees_with_signal: *agrees_with_signal,
                maximum_price_age: Duration::from_secs(u64::from(*maximum_price_age_seconds)),
            };
            let facts = Facts {
                decision: so_far.decision.as_ref(),
                signal: claim.execution.signal.as_ref(),
                price_age: so_far.price_age(claim, now),
            };
            Ok(match rule.check(&facts) {
                Ok(()) => Done::new("everything that is asked for is so", Value::Null),
                Err(reason) => Done::stopped(reason, Value::Null),
            })
        }
        Agent::PlaceOrder { size, paper_only } => {
            let ask = order::Ask { size: size.as_ref(), paper_only: *paper_only };
            Box::pin(order::place(services, claim, step, ask, so_far, now)).await
        }
        Agent::Notify { text } => Box::pin(notify::tell(services, claim, step, text.as_deref(), so_far, now)).await,
    }
}
