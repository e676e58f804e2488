//! A signal becomes an order, once, or is refused, once.

use domain::trading::{
    Actor, Confirmation, ConfirmationState, OrderKind, OrderStatus, Refusal, RefusalCode, Signal, SignalAction,
    SignalOutcome, SignalResult, TradeEvent, TradeOrder,
};
use rust_decimal::Decimal;
use serde_json::json;
use storage::{FromRow, QueryType, Statement, Transaction};
use tracing::Instrument as _;
use tracing::field::Empty;
use web::UpstreamErrorKind;

use super::admission::{self, Sized};
use super::clock::now;
use super::core::{Trading, context_now, show};
use super::error::TradingError;
use super::lookups;
use super::moves::{self, Told, Written};
use super::prices::Quote;
use super::table::{Claim, Kept, TABLE};
use super::telling::Happened;

const REFUSED: &str = "trade_refusals";

/// What was decided about a signal.
enum Decided {
    /// There is an order, just made; claimed for us to send unless it waits for somebody.
    Made(Box<Kept>),
    Refused(Refusal),
    /// Another try of the same signal was first.
    Known,
}

#[derive(FromRow)]
struct RefusalRow {
    code: String,
    detail: String,
}

impl Trading {
    /// Handles a signal: the same one has the same outcome, however often it comes.
    pub(crate) async fn handle_signal(&self, mut signal: Signal) -> Result<SignalOutcome, TradingError> {
        let span = tracing::info_span!(
            "OrderService.handle_signal",
            crypto.symbol = signal.symbol.as_str(),
            signal.id = signal.signal_id.as_str(),
            signal.action = signal.action.as_str(),
            signal.source = signal.source.as_str(),
            decision.id = signal.signal_id.as_str(),
            trading.mode = self.core.rules.mode.as_str(),
            order.id = Empty,
            order.status = Empty,
            order.side = Empty,
            order.quantity = Empty,
            exchange.order_id = Empty,
            refusal.code = Empty,
            idempotency.replayed = Empty,
        );
        async {
            let outcome = async {
                signal.check()?;
                // Nobody's clock makes a signal younger than it is.
                signal.received_at = signal.received_at.min(now());
                self.outcome(&signal).await
            }
            .await;
            match &outcome {
                Ok(outcome) => {
                    tracing::Span::current().record("idempotency.replayed", outcome.replayed);
                    if let Some(order) = &outcome.order {
                        show(order);
                    }
                }
                Err(error) => {
                    error.show();
                    // There may be an order nevertheless, which goes on by itself.
                    if error.is_failure()
                        && let Ok(kept) = self.find(&signal.signal_id).await
                    {
                        show(&kept.order);
                    }
                }
            }
            outcome
        }
        .instrument(span)
        .await
    }

    async fn outcome(&self, signal: &Signal) -> Result<SignalOutcome, TradingError> {
        if let Some(outcome) = self.known(signal).await? {
            return Ok(outcome);
        }
        let quote = self.core.prices.of(&signal.symbol).await;
        match self.decide(signal, quote).await? {
            Decided::Refused(refusal) => Ok(refused(signal, refusal, false)),
            Decided::Made(kept) => {
                let kept = if kept.claim.is_some() { Box::pin(self.send_claimed(*kept)).await? } else { *kept };
                Ok(ordered(signal, kept.order, false))
            }
            Decided::Known => {
                let outcome = self.known(signal).await?;
                outcome.ok_or(TradingError::Contended)
            }
        }
    }

    /// What became of a signal that has been here before. What is not finished is gone on with.
    async fn known(&self, signal: &Signal) -> Result<Option<SignalOutcome>, TradingError> {
        if let Some(kept) = lookups::find(&self.core.database, &signal.signal_id).await? {
            let kept = Box::pin(self.go_on(kept)).await?;
            return Ok(Some(ordered(signal, kept.order, true)));
        }
        let statement =
            Statement::new(QueryType::Select, REFUSED, "SELECT code, detail FROM trade_refusals WHERE signal_id = $1")
                .bind(signal.signal_id.as_str());
        let Some(row) = self.core.database.fetch_optional::<RefusalRow>(statement).await? else { return Ok(None) };
        let code = RefusalCode::ALL.into_iter().find(|code| code.as_str() == row.code);
        let code = code.ok_or(TradingError::Kept("a refusal's code"))?;
        tracing::Span::current().record("refusal.code", code.as_str());
        Ok(Some(refused(signal, Refusal::new(code, row.detail), true)))
    }

    /// Asks the limits, and writes what they say, in one transaction.
    async fn decide(&self, signal: &Signal, quote: Result<Quote, TradingError>) -> Result<Decided, TradingError> {
        let core = &*self.core;
        let mut transaction = core.database.begin().await?;
        let behind = admission::behind_lock(&mut transaction, &core.rules, &signal.symbol, &signal.signal_id).await?;
        // Whoever writes an order or a refusal holds the lock: a signal has one of them, and one only.
        if is_known(&mut transaction, signal).await? {
            transaction.rollback().await?;
            return Ok(Decided::Known);
        }
        if behind.holds_back(&core.rules, signal) {
            transaction.rollback().await?;
            return Err(TradingError::Uncertain(signal.symbol.clone()));
        }
        let admitted = match (behind.admit_signal(&core.rules, signal, quote.as_ref().ok()), quote) {
            (Err(refusal), _) => Err(refusal),
            (Ok(Some(sized)), Ok(quote)) => Ok((sized, quote)),
            (Ok(_), Err(TradingError::Price(error))) if is_unknown_symbol(&error.kind) => {
                let detail =
                    format!("There are no prices of {}: market-data-service does not serve it.", signal.symbol);
                Err(Refusal::new(RefusalCode::UnknownSymbol, detail))
            }
            (Ok(_), Err(error)) => {
                transaction.rollback().await?;
                return Err(error);
            }
            (Ok(None), Ok(_)) => {
                transaction.rollback().await?;
                return Err(TradingError::Contended);
            }
        };
        // What is held may be something else. Nothing is written, so that the signal keeps its place before those that come
        // later; what waits for a person anyway is sent when that is known.
        if let Ok((sized, _)) = &admitted
            && behind.uncertain
            && !sized.reduce_only
            && core.rules.confirm_within.is_none()
        {
            transaction.rollback().await?;
            return Err(TradingError::Uncertain(signal.symbol.clone()));
        }
        let closes = signal.action == SignalAction::Close
            && admitted.as_ref().err().is_none_or(|refusal| refusal.code == RefusalCode::NothingToClose);
        let ended = if closes { self.end_overtaken(&mut transaction, signal).await? } else { Vec::new() };
        match admitted {
            Ok((sized, quote)) => {
                let kept = self.new_order(signal, sized, &quote);
                let told = Told::moved(sender(signal)).with(json!({"action": signal.action, "hook": signal.hook}));
                let written = moves::create(&mut transaction, &core.telling, kept, told).await?;
                transaction.commit().await?;
                ended.into_iter().for_each(|ended| drop(self.counted(ended)));
                Ok(Decided::Made(Box::new(self.counted(written))))
            }
            Err(refusal) => {
                self.refuse(&mut transaction, signal, &refusal).await?;
                transaction.commit().await?;
                ended.into_iter().for_each(|ended| drop(self.counted(ended)));
                self.count_refusal(&signal.symbol, &refusal);
                Ok(Decided::Refused(refusal))
            }
        }
    }

    /// Ends the orders of a signal's symbol that could still be sent and open what the signal closes. What waits for a
    /// person's yes stays: a person sees both.
    ///
    /// # Errors
    /// [`TradingError::Contended`] when somebody else is changing one of them.
    async fn end_overtaken(
        &self,
        transaction: &mut Transaction,
        signal: &Signal,
    ) -> Result<Vec<Written>, TradingError> {
        let core = &*self.core;
        let mut ended = Vec::new();
        for kept in lookups::still_to_send(transaction, core.rules.mode, &signal.symbol).await? {
            let mut after = kept.clone();
            after.order.status = OrderStatus::Cancelled;
            after.order.reason = Some("a later signal closes the position".to_owned());
            let told = Told::moved(sender(signal)).with(json!({"closed_by": signal.signal_id}));
            let written = moves::write(transaction, &core.telling, &kept, after, told).await?;
            ended.push(written.ok_or(TradingError::Contended)?);
        }
        Ok(ended)
    }

    fn new_order(&self, signal: &Signal, sized: Sized, quote: &Quote) -> Kept {
        let (rules, at) = (&self.core.rules, now());
        let confirmation = rules.confirm_within.map(|within| Confirmation {
            state: ConfirmationState::Pending,
            expires_at: at + within,
            by: None,
        });
        // Whoever has nobody to wait for sends it at once: written down and claimed are one step.
        let at_once = confirmation.is_none();
        let claim = at_once.then(|| Claim { since: at, until: at + rules.times.claim() });
        let order = TradeOrder {
            id: signal.signal_id.clone(),
            revision: 1,
            source: signal.source,
            hook: signal.hook.clone(),
            comment: signal.comment.clone(),
            symbol: signal.symbol.clone(),
            side: sized.side,
            kind: signal.limit_price.map_or(OrderKind::Market, |price| OrderKind::Limit { price }),
            reduce_only: sized.reduce_only,
            quantity: sized.quantity,
            reference_price: quote.price,
            price_observed_at: quote.observed_at,
            mode: rules.mode,
            status: OrderStatus::New,
            reason: None,
            confirmation,
            exchange_order_id: None,
            filled_quantity: Decimal::ZERO,
            average_price: None,
            fee: Decimal::ZERO,
            realised_pnl: Decimal::ZERO,
            trace_id: telemetry::trace_id(),
            received_at: signal.received_at,
            created_at: at,
            submitted_at: None,
            updated_at: at,
            history: Vec::new(),
        };
        let (context, sent_at) = (context_now(), claim.map(|claim| claim.since));
        Kept { number: 0, order, signal: signal.clone(), context, claim, sent_at, cancel_by: None }
    }

    /// Writes a refusal and what is told of it.
    async fn refuse(
        &self,
        transaction: &mut Transaction,
        signal: &Signal,
        refusal: &Refusal,
    ) -> Result<(), TradingError> {
        let at = now();
        let statement = Statement::new(
            QueryType::Insert,
            REFUSED,
            "INSERT INTO trade_refusals (signal_id, symbol, code, detail, signal, trace_id, at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(signal.signal_id.as_str())
        .bind(signal.symbol.as_str())
        .bind(refusal.code.as_str())
        .bind(refusal.detail.as_str())
        .bind(serde_json::to_value(signal)?)
        .bind(telemetry::trace_id())
        .bind(at);
        transaction.execute(statement).await?;
        let happened = Happened {
            key: format!("refusal:{}", signal.signal_id),
            group: signal.signal_id.to_string(),
            actor: sender(signal),
            action: "signal.refused",
            symbol: Some(signal.symbol.clone()),
            decision_id: Some(signal.signal_id.clone()),
            at,
            data: json!({"code": refusal.code, "detail": refusal.detail, "action": signal.action}),
        };
        let event = TradeEvent::Refusal { signal: Box::new(signal.clone()), refusal: refusal.clone() };
        self.core.telling.put(transaction, happened, Some(event)).await
    }
}

/// Whoever sent a signal.
fn sender(signal: &Signal) -> Actor {
    Actor::named(signal.source.as_str(), signal.hook.as_deref().unwrap_or("webhook"))
}

async fn is_known(transaction: &mut Transaction, signal: &Signal) -> Result<bool, TradingError> {
    let statement = Statement::new(
        QueryType::Select,
        TABLE,
        "SELECT number FROM trade_orders WHERE id = $1 UNION ALL SELECT number FROM trade_refusals WHERE signal_id = $1",
    )
    .bind(signal.signal_id.as_str());
    Ok(transaction.fetch_optional::<(i64,)>(statement).await?.is_some())
}

const fn is_unknown_symbol(error: &UpstreamErrorKind) -> bool {
    matches!(error, UpstreamErrorKind::Status { status: 404, .. })
}

fn ordered(signal: &Signal, order: TradeOrder, replayed: bool) -> SignalOutcome {
    let result = if order.awaits_confirmation() { SignalResult::AwaitingConfirmation } else { SignalResult::Ordered };
    let signal_id = signal.signal_id.clone();
    let trace_id = telemetry::trace_id();
    SignalOutcome { signal_id, result, order: Some(Box::new(order)), refusal: None, replayed, trace_id }
}

fn refused(signal: &Signal, refusal: Refusal, replayed: bool) -> SignalOutcome {
    SignalOutcome {
        signal_id: signal.signal_id.clone(),
        result: SignalResult::Refused,
        order: None,
        refusal: Some(refusal),
        replayed,
        trace_id: telemetry::trace_id(),
    }
}
