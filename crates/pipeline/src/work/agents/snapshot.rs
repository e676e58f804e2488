//! Price and candles, as decision-service takes them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::pipeline::{Agent, Step, StepRun};
use domain::{DecisionRequest, Interval};
use futures_util::future::try_join;
use serde_json::json;

use super::services::{MARKET_DATA, Services};
use super::{Done, since};
use crate::store::Claim;
use crate::work::failure::StepError;

/// Candles that a decision gets to see at least: enough for the slow average and for an RSI that has settled. The bot's
/// answers rest on as many.
pub(super) const FOR_DECISIONS: u16 = 250;

/// A snapshot that is older is taken again where a step that reads it is still to be done: decision-service takes no older
/// price.
const FRESH_FOR: Duration = Duration::from_secs(30);

/// A market as it was.
#[derive(Debug)]
pub(in crate::work) struct Snapshot {
    pub(super) market: DecisionRequest,
    taken_at: DateTime<Utc>,
}

impl Snapshot {
    pub(super) fn read(run: &StepRun) -> Result<Self, serde_json::Error> {
        Ok(Self { market: serde_json::from_value(run.output.clone())?, taken_at: run.started_at })
    }

    /// How old its price is: as old as it was when it was served, and as much older as it has been kept here.
    pub(super) fn age(&self, now: DateTime<Utc>) -> Duration {
        Duration::from_millis(self.market.price.age_ms).saturating_add(since(self.taken_at, now))
    }
}

/// Whether a snapshot that an earlier attempt has taken is still good for a step that reads it.
pub(in crate::work) fn is_good_for(run: &StepRun, reader: &Step, now: DateTime<Utc>) -> bool {
    let most = match &reader.agent {
        Agent::RiskCheck { maximum_price_age_seconds, .. } => {
            FRESH_FOR.min(Duration::from_secs(u64::from(*maximum_price_age_seconds)))
        }
        _ => FRESH_FOR,
    };
    Snapshot::read(run).is_ok_and(|snapshot| snapshot.age(now) <= most)
}

/// Whether a step reads the last snapshot.
pub(in crate::work) const fn is_read_by(step: &Step) -> bool {
    matches!(step.agent, Agent::TechnicalAnalysis | Agent::LlmDecision | Agent::RiskCheck { .. })
}

/// How many closed candles are taken: as many as are asked for, and as a decision needs where one is made of them.
fn wanted(claim: &Claim, step: &Step, asked: u16) -> u16 {
    let after = claim.pipeline.steps.iter().skip_while(|other| other.name != step.name).skip(1);
    let decides = after
        .take_while(|other| !matches!(other.agent, Agent::MarketSnapshot { .. }))
        .any(|other| matches!(other.agent, Agent::TechnicalAnalysis | Agent::LlmDecision));
    if decides { asked.max(FOR_DECISIONS) } else { asked }
}

pub(super) async fn take(
    services: &Services,
    claim: &Claim,
    step: &Step,
    interval: Interval,
    asked: u16,
) -> Result<Done, StepError> {
    let symbol = &claim.execution.symbol;
    let wanted = wanted(claim, step, asked);
    // The newest candle is not closed yet.
    let candles = services.candles(symbol, interval, wanted.saturating_add(1));
    let (price, mut candles) = try_join(services.price(symbol), candles).await?;
    if candles.interval != interval {
        let words =
            format!("{MARKET_DATA} was asked for candles of {interval}, and answered with {}", candles.interval);
        return Err(StepError::passing("malformed", words));
    }
    candles.candles.retain(|candle| candle.closed);
    let more = candles.candles.len().saturating_sub(usize::from(wanted));
    candles.candles.drain(..more);
    let summary = format!(
        "{symbol} at {}, {} ms old, and {} candles of {interval}",
        price.price.normalize(),
        price.age_ms,
        candles.candles.len()
    );
    let market = DecisionRequest { price, candles, strategy: None };
    Ok(Done::new(summary, json!(market)))
}
