//! Decisions of decision-service.

use chrono::{DateTime, Utc};
use domain::{DecisionRequest, PriceQuote, StrategyName};
use serde_json::json;

use super::services::Services;
use super::{Done, SoFar};
use crate::work::failure::StepError;

pub(super) async fn decide(
    services: &Services,
    so_far: &SoFar,
    strategy: StrategyName,
    now: DateTime<Utc>,
) -> Result<Done, StepError> {
    let Some(snapshot) = &so_far.snapshot else {
        return Err(StepError::for_good("no_snapshot", "there is no market_snapshot before it"));
    };
    // It has been kept here since it was served.
    let age_ms = u64::try_from(snapshot.age(now).as_millis()).unwrap_or(u64::MAX);
    let price = PriceQuote { age_ms, ..snapshot.market.price.clone() };
    let request = DecisionRequest { price, candles: snapshot.market.candles.clone(), strategy: Some(strategy) };
    let decision = services.decide(&request).await?;
    let span = tracing::Span::current();
    span.record("decision.id", decision.decision_id.as_str());
    span.record("decision.action", decision.action.as_str());
    span.record("decision.strategy", decision.strategy.as_str());
    let mut summary =
        format!("{} with confidence {}: {}", decision.action, decision.confidence.normalize(), decision.reason);
    if let Some(fallback) = &decision.fallback {
        summary.push_str(&format!(
            " ({} could not decide, {} did: {})",
            fallback.from, decision.strategy, fallback.reason
        ));
    }
    let cost_usd = decision.cost_usd;
    Ok(Done { cost_usd, ..Done::new(summary, json!(decision)) })
}
