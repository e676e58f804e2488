//! An order by order-service: one, however often the step is tried.

use chrono::{DateTime, Utc};
use domain::pipeline::{OrderSize, Step};
use domain::trading::{Signal, SignalAction, SignalOutcome, SignalResult, SignalSource, TradeOrder};
use domain::{Action, DecisionId};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::services::{ORDER, Services};
use super::{Done, SoFar};
use crate::store::Claim;
use crate::work::failure::StepError;

/// Most characters of a reason that go with an order.
const MAX_COMMENT: usize = 200;

/// The signal's id is the exchange's id of the order: the same step of the same execution has the same one for ever.
fn signal_id(execution_id: &DecisionId, step: &str) -> DecisionId {
    let digest = Sha256::digest(format!("{execution_id}:{step}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    DecisionId::from_bytes(bytes)
}

/// What is wanted, who says so since when, and why.
struct Wanted<'a> {
    action: SignalAction,
    since: DateTime<Utc>,
    reason: Option<&'a str>,
}

/// What the last decision says, or else the signal; none when that is to do nothing.
fn wanted<'a>(claim: &'a Claim, so_far: &'a SoFar) -> Result<Option<Wanted<'a>>, StepError> {
    if let Some(decision) = &so_far.decision {
        let action = match decision.action {
            Action::Buy => SignalAction::Buy,
            Action::Sell => SignalAction::Sell,
            Action::Hold => return Ok(None),
        };
        // A decision of this moment on a signal of yesterday is one of yesterday: somebody meant that moment.
        let signalled = claim.execution.signal.as_ref().map(|signal| signal.generated_at);
        let since = signalled.map_or(decision.decided_at, |signalled| signalled.min(decision.decided_at));
        return Ok(Some(Wanted { action, since, reason: Some(&decision.reason) }));
    }
    let Some(signal) = &claim.execution.signal else {
        let words = "nothing says what to order: there is no decision before it, and no signal";
        return Err(StepError::for_good("no_action", words));
    };
    Ok(Some(Wanted { action: signal.action, since: signal.generated_at, reason: signal.reason.as_deref() }))
}

/// What the step says of its order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) size: Option<&'a OrderSize>,
    pub(super) paper_only: bool,
}

pub(super) async fn place(
    services: &Services,
    claim: &Claim,
    step: &Step,
    ask: Ask<'_>,
    so_far: &SoFar,
    now: DateTime<Utc>,
) -> Result<Done, StepError> {
    let Some(wanted) = wanted(claim, so_far)? else {
        return Ok(Done::new("HOLD: nothing is ordered", serde_json::Value::Null));
    };
    // A position is closed whole, whatever its size is.
    let (quantity, notional) = match ask.size.filter(|_| wanted.action != SignalAction::Close) {
        Some(OrderSize::Quantity(quantity)) => (Some(*quantity), None),
        Some(OrderSize::Notional(notional)) => (None, Some(*notional)),
        None => (None, None),
    };
    let execution = &claim.execution;
    let snapshot = so_far.snapshot.as_ref();
    let of_signal = execution.signal.as_ref().and_then(|signal| signal.price);
    let text = |text: &str| text.chars().filter(|c| *c != '\0').take(MAX_COMMENT).collect::<String>();
    let signal = Signal {
        signal_id: signal_id(&execution.execution_id, &step.name),
        source: SignalSource::Pipeline,
        hook: Some(text(&claim.pipeline.name)),
        symbol: execution.symbol.clone(),
        action: wanted.action,
        quantity,
        notional,
        limit_price: None,
        seen_price: snapshot.map(|snapshot| snapshot.market.price.price).or(of_signal),
        sender_order_id: Some(execution.execution_id.to_string()),
        comment: wanted.reason.map(text),
        interval: snapshot.map(|snapshot| snapshot.market.candles.interval.to_string()),
        // What was decided long ago, before an outage or a replay, is not traded: order-service has a limit for that.
        paper_only: ask.paper_only,
        alerted_at: Some(wanted.since),
        received_at: now,
    };
    tracing::Span::current().record("decision.id", signal.signal_id.as_str());
    let outcome = services.order(&signal).await?;
    done(&outcome)
}

fn done(outcome: &SignalOutcome) -> Result<Done, StepError> {
    match (outcome.result, &outcome.order, &outcome.refusal) {
        (SignalResult::Refused, _, Some(refusal)) => {
            let words = format!("{ORDER} refused it ({}): {}", refusal.code, refusal.detail);
            Ok(Done::stopped(words, json!(outcome)))
        }
        (SignalResult::Ordered | SignalResult::AwaitingConfirmation, Some(order), _) => {
            tracing::Span::current().record("order.id", order.id.as_str());
            tracing::Span::current().record("order.status", order.status.as_str());
            Ok(Done::new(in_words(order), json!(outcome)))
        }
        (result, ..) => {
            let words = format!("{ORDER} answered with an outcome that says {result:?} and not which");
            Err(StepError::passing("malformed", words))
        }
    }
}

fn in_words(order: &TradeOrder) -> String {
    let side = order.side.as_str().to_uppercase();
    let status = match order.awaits_confirmation() {
        true => "waits for somebody to confirm it",
        false => order.status.as_str(),
    };
    let reason = order.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    let (quantity, mode) = (order.quantity.normalize(), order.mode.as_str());
    format!("{side} {quantity} {} ({mode}) {status}{reason}, order {}", order.symbol, order.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_an_execution_has_one_id_for_ever() {
        let execution = DecisionId::from_bytes([7; 16]);
        let id = signal_id(&execution, "order");
        // Pinned: with another id, an execution that goes on after an update would order twice.
        assert_eq!(id.as_str(), "c096051a9ff2f58a84987b2247d2a4ae");
        assert_ne!(id, signal_id(&execution, "other"));
        assert_ne!(id, signal_id(&DecisionId::from_bytes([8; 16]), "order"));
    }
}
