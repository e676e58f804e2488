//! People decide about an order: it is confirmed or declined, once and in time, or taken back.

use domain::DecisionId;
use domain::trading::{Actor, ConfirmationState, OrderStatus, TradeOrder};
use tracing::Instrument as _;
use tracing::field::Empty;

use super::clock::now;
use super::core::{Trading, ourselves, show};
use super::error::TradingError;
use super::exchange::AskFailure;
use super::moves::Told;
use super::table::Kept;

/// How often a decision is made again about an order that somebody else has changed meanwhile.
const TRIES: usize = 5;

impl Trading {
    /// Confirms an order that waits for it, and sends it.
    pub(crate) async fn confirm(&self, id: &DecisionId, by: &Actor) -> Result<TradeOrder, TradingError> {
        let span = decision_span("OrderService.confirm_order", id, by);
        shown(span, Box::pin(self.confirm_once(id, by))).await
    }

    /// Declines an order that waits to be confirmed.
    pub(crate) async fn decline(&self, id: &DecisionId, by: &Actor) -> Result<TradeOrder, TradingError> {
        let span = decision_span("OrderService.decline_order", id, by);
        let work = async {
            let kept = self.pending(id).await?;
            let change = |after: &mut Kept| {
                decide(after, ConfirmationState::Declined, by);
                after.order.status = OrderStatus::Cancelled;
                after.order.reason = Some(format!("declined by {by}"));
            };
            match self.write(&kept, change, Told::moved(by.clone())).await? {
                Some(declined) => Ok(declined),
                None => self.pending(id).await.and(Err(TradingError::Contended)),
            }
        };
        shown(span, Box::pin(work)).await
    }

    /// Takes an order back, wherever it is.
    pub(crate) async fn cancel(&self, id: &DecisionId, by: &Actor) -> Result<TradeOrder, TradingError> {
        let span = decision_span("OrderService.cancel_order", id, by);
        let reason = format!("cancelled by {by}");
        let work = async {
            match Box::pin(self.take_back(id, by, &reason)).await {
                // Nobody but a person gives up an order that the exchange had.
                Err(TradingError::Missing(_)) => self.end_missing(id, by).await,
                taken => taken,
            }
        };
        shown(span, Box::pin(work)).await
    }

    async fn confirm_once(&self, id: &DecisionId, by: &Actor) -> Result<Kept, TradingError> {
        let kept = self.pending(id).await?;
        let quote = self.core.prices.of(&kept.order.symbol).await;
        // Behind the lock, time has gone on; and only one write of this revision succeeds: the claim is the decision.
        let change = |after: &mut Kept| {
            still_pending(after)?;
            decide(after, ConfirmationState::Confirmed, by);
            Ok(())
        };
        let told = Told { notice: true, ..Told::noted(by.clone(), "order.confirmed") };
        let claimed = Box::pin(self.claim(&kept, quote, change, told)).await.map_err(TradingError::of_a_yes)?;
        let Some(claimed) = claimed else {
            return self.pending(id).await.and(Err(TradingError::Contended));
        };
        if claimed.claim.is_none() {
            return Ok(claimed);
        }
        match Box::pin(self.send_claimed(claimed)).await {
            // It is confirmed, and goes on by itself, also where a limit of the moment holds its second try back.
            Err(
                error @ (TradingError::Unknown(_)
                | TradingError::Exchange(_)
                | TradingError::Contended
                | TradingError::HeldBack(_)
                | TradingError::Uncertain(_)),
            ) => {
                error.show();
                self.find(id).await
            }
            sent => sent,
        }
    }

    /// The order, which waits for somebody to confirm it.
    async fn pending(&self, id: &DecisionId) -> Result<Kept, TradingError> {
        let kept = self.find_ours(id).await?;
        match still_pending(&kept) {
            Ok(()) => Ok(kept),
            Err(TradingError::ConfirmationExpired(id)) => {
                // Nobody has written it down yet: it ends now.
                self.expire_unconfirmed(kept).await?;
                Err(TradingError::ConfirmationExpired(id))
            }
            Err(error) => Err(error),
        }
    }

    /// Ends an order whose confirmation has run out; one that still waits stays as it is.
    pub(super) async fn expire_unconfirmed(&self, kept: Kept) -> Result<Kept, TradingError> {
        let over = kept.order.confirmation.as_ref().is_some_and(|confirmation| confirmation.expires_at <= now());
        if !over {
            return Ok(kept);
        }
        let change = |after: &mut Kept| {
            if let Some(confirmation) = &mut after.order.confirmation {
                confirmation.state = ConfirmationState::Expired;
            }
            after.order.status = OrderStatus::Expired;
            after.order.reason = Some("nobody confirmed it in time".to_owned());
        };
        match self.write(&kept, change, Told::moved(ourselves())).await? {
            Some(expired) => Ok(expired),
            None => self.find(kept.id()).await,
        }
    }

    /// Takes an order back: here, when the exchange has not got it, else there.
    pub(super) async fn take_back(&self, id: &DecisionId, by: &Actor, reason: &str) -> Result<Kept, TradingError> {
        for _ in 0..TRIES {
            let mut kept = self.find_ours(id).await?;
            let status = kept.order.status;
            if status.is_final() {
                return Err(TradingError::AlreadyFinal { id: id.clone(), status });
            }
            if kept.is_idle() {
                // Whoever wanted it back first is who took it back.
                let (reason, by) = match &kept.cancel_by {
                    Some(first) => (format!("cancelled by {first}"), first),
                    None => (reason.to_owned(), by),
                };
                if let Some(ended) = self.end(&kept, OrderStatus::Cancelled, reason, by.clone()).await? {
                    return Ok(ended);
                }
                continue;
            }
            // From now on nobody sends it again, whatever becomes of this try.
            if kept.cancel_by.is_none() {
                let told = Told::noted(by.clone(), "order.cancel_requested");
                let Some(noted) = self.write(&kept, |after| after.cancel_by = Some(by.clone()), told).await? else {
                    continue;
                };
                kept = noted;
            }
            match kept.claim {
                Some(claim) if claim.until > now() => return Err(TradingError::Unknown(id.clone())),
                Some(_) => kept = self.lost(&kept).await?,
                None => {}
            }
            let asked = Box::pin(self.take_back_there(kept)).await?;
            // One that the exchange never got is taken back here.
            if !asked.is_idle() {
                return Ok(asked);
            }
        }
        Err(TradingError::Contended)
    }

    /// Takes an order back at the exchange, and asks what has become of it.
    pub(super) async fn take_back_there(&self, kept: Kept) -> Result<Kept, TradingError> {
        match self.core.exchange.cancel(&kept.order.symbol, kept.id()).await {
            // What is final there already, or never was there, is told by the question that follows.
            Ok(()) | Err(AskFailure::NoSuchOrder(_) | AskFailure::Refused(_)) => Box::pin(self.ask_only(kept)).await,
            Err(AskFailure::Unavailable(reason)) => Err(TradingError::Exchange(reason)),
        }
    }
}

/// Does what somebody has decided within its span, which has the order as it is then, or what failed.
async fn shown(
    span: tracing::Span,
    work: impl Future<Output = Result<Kept, TradingError>>,
) -> Result<TradeOrder, TradingError> {
    async {
        let outcome = work.await;
        match &outcome {
            Ok(kept) => show(&kept.order),
            Err(error) => error.show(),
        }
        outcome.map(|kept| kept.order)
    }
    .instrument(span)
    .await
}

/// Whether an order waits for somebody to confirm it.
fn still_pending(kept: &Kept) -> Result<(), TradingError> {
    let id = kept.id().clone();
    let Some(confirmation) = &kept.order.confirmation else { return Err(TradingError::NoConfirmation(id)) };
    match confirmation.state {
        ConfirmationState::Expired => Err(TradingError::ConfirmationExpired(id)),
        ConfirmationState::Pending if kept.order.status != OrderStatus::New => {
            Err(TradingError::AlreadyDecided { id, decided: kept.order.status.as_str() })
        }
        ConfirmationState::Pending if confirmation.expires_at <= now() => Err(TradingError::ConfirmationExpired(id)),
        ConfirmationState::Pending => Ok(()),
        decided => Err(TradingError::AlreadyDecided { id, decided: decided.as_str() }),
    }
}

fn decide(after: &mut Kept, state: ConfirmationState, by: &Actor) {
    if let Some(confirmation) = &mut after.order.confirmation {
        confirmation.state = state;
        confirmation.by = Some(by.to_string());
    }
}

fn decision_span(name: &'static str, id: &DecisionId, by: &Actor) -> tracing::Span {
    tracing::info_span!(
        "decide_order",
        otel.name = name,
        decision.id = id.as_str(),
        decision.by = by.as_str(),
        order.id = id.as_str(),
        order.status = Empty,
        order.side = Empty,
        order.quantity = Empty,
        exchange.order_id = Empty,
        refusal.code = Empty,
    )
}
