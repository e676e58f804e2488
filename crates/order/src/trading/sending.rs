//! Sending an order, never twice.
//!
//! An order is written down before it is sent, and claimed: a claim names a time until which nobody else may send it. It is
//! made in the transaction in which the limits are asked. Whoever dies with a claim leaves an order of which it is not
//! known whether the exchange has it: it becomes `unknown`, and the exchange is asked before anything else is done
//! (recovery.rs). And should all of that fail, the exchange itself takes a client order id once.

use domain::trading::{OrderStatus, Refusal, RefusalCode, TradingState};
use serde_json::json;
use telemetry::metrics::trading::SIGNAL_TO_SUBMIT;

use super::admission::{self, Behind};
use super::clock::now;
use super::core::{Trading, is_of_the_moment, ourselves, the_exchange};
use super::error::TradingError;
use super::exchange::{NewOrder, PlaceFailure};
use super::moves::{self, Told};
use super::prices::Quote;
use super::state;
use super::table::{Claim, Kept};

/// How often a write is tried again that somebody else was quicker with.
const TRIES: usize = 5;

impl Trading {
    /// Sends an order that is written down and nobody sends, if the limits still allow it.
    pub(super) async fn send_again(&self, kept: Kept) -> Result<Kept, TradingError> {
        let quote = self.core.prices.of(&kept.order.symbol).await;
        let told = Told::noted(ourselves(), "order.sending");
        match Box::pin(self.claim(&kept, quote, |_| Ok(()), told)).await? {
            Some(claimed) if claimed.claim.is_some() => Box::pin(self.send_claimed(claimed)).await,
            Some(ended) => Ok(ended),
            None => Err(TradingError::Contended),
        }
    }

    /// Asks the limits about an order that is written down, and claims it if they let it pass; else it ends here. With
    /// it, `change` is written, and told as `told`. Nothing is written when somebody else was quicker.
    ///
    /// # Errors
    /// [`TradingError::HeldBack`] when a limit of the moment is in the way, [`TradingError::Uncertain`] while nobody knows
    /// what has become of another order of the symbol, so that it is tried again; those of `change`,
    /// which is asked behind the lock; and as [`TradingError`] says.
    pub(super) async fn claim(
        &self,
        kept: &Kept,
        quote: Result<Quote, TradingError>,
        change: impl FnOnce(&mut Kept) -> Result<(), TradingError>,
        told: Told,
    ) -> Result<Option<Kept>, TradingError> {
        let core = &*self.core;
        let order = &kept.order;
        // Only what is written down and on nobody's way; that it still is, its revision says.
        if !kept.is_idle() {
            return Ok(None);
        }
        let mut transaction = core.database.begin().await?;
        let behind = admission::behind_lock(&mut transaction, &core.rules, &order.symbol, &order.id).await?;
        let mut after = kept.clone();
        if let Err(error) = change(&mut after) {
            transaction.rollback().await?;
            return Err(error);
        }
        let told = match self.admitted(&behind, kept, quote) {
            _ if let Some(by) = &kept.cancel_by => {
                after.order.status = OrderStatus::Cancelled;
                after.order.reason = Some(format!("cancelled by {by}"));
                Told::moved(by.clone())
            }
            Ok(Ok(only_reducing)) if behind.uncertain && !(only_reducing || order.reduce_only) => {
                transaction.rollback().await?;
                return Err(TradingError::Uncertain(order.symbol.clone()));
            }
            Ok(Ok(only_reducing)) => {
                let at = now();
                after.order.reduce_only |= only_reducing;
                after.claim = Some(Claim { since: at, until: at + core.rules.times.claim() });
                after.sent_at = Some(at);
                told
            }
            Ok(Err(refusal)) => {
                after.order.status = match refusal.code {
                    RefusalCode::SignalTooOld => OrderStatus::Expired,
                    _ => OrderStatus::Cancelled,
                };
                after.order.reason = Some(refusal.detail.clone());
                self.count_refusal(&order.symbol, &refusal);
                let data = json!({"code": refusal.code, "asked": told.action});
                Told::moved(told.actor).with(data)
            }
            Err(error) => {
                transaction.rollback().await?;
                return Err(error);
            }
        };
        let written = moves::write(&mut transaction, &core.telling, kept, after, told).await?;
        let Some(written) = written else {
            transaction.rollback().await?;
            return Ok(None);
        };
        transaction.commit().await?;
        Ok(Some(self.counted(written)))
    }

    /// Whether an order may go out; then, whether it may only reduce.
    fn admitted(
        &self,
        behind: &Behind,
        kept: &Kept,
        quote: Result<Quote, TradingError>,
    ) -> Result<Result<bool, Refusal>, TradingError> {
        let rules = &self.core.rules;
        let error = match quote {
            Ok(quote) => match behind.admit_order(rules, kept, &quote) {
                Err(refusal) if is_of_the_moment(refusal.code) => TradingError::HeldBack(refusal),
                admitted => return Ok(admitted),
            },
            Err(error) => error,
        };
        // Without a price nothing is sent, but there may be a reason to give it up that needs none.
        match behind.admit_signal(rules, &kept.signal, None) {
            Err(refusal) => Ok(Err(refusal)),
            Ok(_) => Err(error),
        }
    }

    /// Sends an order that is claimed by us, and writes down what has become of it.
    pub(super) async fn send_claimed(&self, kept: Kept) -> Result<Kept, TradingError> {
        if self.is_overtaken(&kept).await? {
            let told =
                || Told::noted(ourselves(), "order.not_sent").with(json!({"why": "it was changed before it was sent"}));
            self.while_ours(kept, |_| {}, told).await?;
            // Whoever looks after it now sees what has changed.
            return Err(TradingError::Contended);
        }
        // Last of all: reading takes time, too.
        let order = &kept.order;
        let late = kept.claim.is_none_or(|claim| {
            (now() - claim.since).to_std().is_ok_and(|since| since > self.core.rules.times.before_sending())
        });
        let outcome = if late {
            // A call that is stamped much later than its claim could reach the exchange when nobody expects it any more.
            Err(PlaceFailure::NotSent("writing the order down took too long to send it safely".to_owned()))
        } else {
            let new = NewOrder {
                id: order.id.clone(),
                symbol: order.symbol.clone(),
                side: order.side,
                kind: order.kind,
                quantity: order.quantity,
                reduce_only: order.reduce_only,
            };
            self.core.exchange.place(&new).await
        };
        self.settle(kept, outcome).await
    }

    /// Whether, since the claim was written, somebody has changed the order, or trading has become what does not want it:
    /// whoever was told of that can rely on it. What is between this question and the exchange just then is still claimed:
    /// whoever halts trading is told of it by name, and it is taken back once it is there. Closing that gap, too, would take
    /// the lock of the state for as long as the exchange takes to answer, and a halt would wait for it.
    async fn is_overtaken(&self, kept: &Kept) -> Result<bool, TradingError> {
        let now = self.find(kept.id()).await?;
        if now.order.revision != kept.order.revision {
            return Ok(true);
        }
        let state = state::read(&self.core.database).await?.state;
        Ok(state == TradingState::Halted || (state == TradingState::Reducing && !kept.order.reduce_only))
    }

    /// Writes down what the exchange has said about an order, and goes on from there.
    async fn settle(&self, kept: Kept, outcome: Result<String, PlaceFailure>) -> Result<Kept, TradingError> {
        match outcome {
            Ok(exchange_order_id) => {
                let kept = self.submitted(kept, &exchange_order_id).await?;
                // What it was filled at is known a moment later; if nobody can say so now, it is asked again.
                match Box::pin(self.ask(kept.clone())).await {
                    Ok(asked) => Ok(asked),
                    Err(error) => {
                        tracing::warn!(error = %error, order.id = %kept.order.id, "what was filled is asked later");
                        Ok(kept)
                    }
                }
            }
            Err(PlaceFailure::Refused(reason)) => {
                let change = |after: &mut Kept| {
                    after.order.status = OrderStatus::Rejected;
                    after.order.reason = Some(reason.clone());
                };
                self.while_ours(kept, change, || Told::moved(the_exchange())).await
            }
            Err(PlaceFailure::Duplicate(reason) | PlaceFailure::Unknown(reason)) => {
                let change = |after: &mut Kept| {
                    after.order.status = OrderStatus::Unknown;
                    after.order.reason = Some(reason.clone());
                };
                let kept = self.while_ours(kept, change, || Told::moved(ourselves())).await?;
                if kept.order.status == OrderStatus::Unknown { Box::pin(self.ask(kept)).await } else { Ok(kept) }
            }
            Err(PlaceFailure::NotSent(reason)) => {
                let told = || Told::noted(ourselves(), "order.not_sent").with(json!({"why": reason}));
                self.while_ours(kept, |_| {}, told).await?;
                Err(TradingError::Exchange(reason))
            }
        }
    }

    /// The exchange has it: that is written whoever has changed the order since.
    async fn submitted(&self, mut kept: Kept, exchange_order_id: &str) -> Result<Kept, TradingError> {
        let at = now();
        let confirmed = kept.order.confirmation.is_some();
        for _ in 0..TRIES {
            if !kept.order.status.may_become(OrderStatus::Submitted) {
                return Ok(kept);
            }
            let change = |after: &mut Kept| {
                after.order.status = OrderStatus::Submitted;
                after.order.reason = None;
                after.order.exchange_order_id = Some(exchange_order_id.to_owned());
                after.order.submitted_at.get_or_insert(at);
                after.claim = None;
            };
            if let Some(written) = self.write(&kept, change, Told::moved(the_exchange())).await? {
                if let Ok(taken) = (at - written.order.received_at).to_std()
                    && !confirmed
                {
                    SIGNAL_TO_SUBMIT.record(taken.as_secs_f64(), &[]);
                }
                return Ok(written);
            }
            kept = self.find(kept.id()).await?;
        }
        Err(TradingError::Contended)
    }

    /// Writes what has become of an order that we have sent, and gives our claim back. Once somebody else has it, because
    /// we took too long, it is theirs.
    async fn while_ours(
        &self,
        mut kept: Kept,
        change: impl Fn(&mut Kept),
        told: impl Fn() -> Told,
    ) -> Result<Kept, TradingError> {
        let ours = kept.claim;
        for _ in 0..TRIES {
            let change = |after: &mut Kept| {
                change(after);
                after.claim = None;
            };
            if let Some(written) = self.write(&kept, change, told()).await? {
                return Ok(written);
            }
            kept = self.find(kept.id()).await?;
            if kept.claim != ours {
                return Ok(kept);
            }
        }
        Err(TradingError::Contended)
    }
}
