//! What all of trading works with, and the steps that it has in common.

use std::sync::Arc;

use domain::trading::{Actor, OrderStatus, Refusal, RefusalCode, TradeOrder};
use domain::{DecisionId, Symbol};
use opentelemetry::Context;
use storage::{Database, outbox};
use telemetry::metrics::trading::REFUSALS;
use tokio::sync::Notify;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::error::TradingError;
use super::exchange::Exchange;
use super::fees::LateFees;
use super::lookups;
use super::missing::Missing;
use super::moves::{self, Told, Written};
use super::prices::Prices;
use super::rules::Rules;
use super::table::Kept;
use super::telling::Telling;
use crate::NAME;

/// Trading. Clones are the same.
#[derive(Clone)]
pub(crate) struct Trading {
    pub(crate) core: Arc<Core>,
}

/// What trading works with.
pub(crate) struct Core {
    pub(crate) database: Database,
    pub(crate) rules: Rules,
    pub(crate) exchange: Box<dyn Exchange>,
    pub(crate) prices: Prices,
    pub(crate) telling: Telling,
    /// There is something to look after before the next round.
    pub(crate) kick: Notify,
    /// What is at its end, and was filled at no fee.
    pub(crate) fees: LateFees,
    /// What the exchange had and does not know.
    pub(crate) missing: Missing,
}

/// Whoever does what nobody asked for.
pub(crate) fn ourselves() -> Actor {
    Actor::named("service", NAME)
}

/// Whoever says what has become of an order.
pub(crate) fn the_exchange() -> Actor {
    Actor::named("exchange", "bingx")
}

impl Trading {
    /// The order with this id.
    pub(crate) async fn find(&self, id: &DecisionId) -> Result<Kept, TradingError> {
        lookups::find(&self.core.database, id).await?.ok_or_else(|| TradingError::NoSuchOrder(id.clone()))
    }

    /// The same, if it is one of the account that is traded here.
    pub(super) async fn find_ours(&self, id: &DecisionId) -> Result<Kept, TradingError> {
        let kept = self.find(id).await?;
        let mode = kept.order.mode;
        if mode == self.core.rules.mode { Ok(kept) } else { Err(TradingError::OtherMode { id: id.clone(), mode }) }
    }

    /// Writes what has become of an order; nothing, when somebody else has changed it since.
    pub(super) async fn write(
        &self,
        before: &Kept,
        change: impl FnOnce(&mut Kept),
        told: Told,
    ) -> Result<Option<Kept>, TradingError> {
        let mut after = before.clone();
        change(&mut after);
        let mut transaction = self.core.database.begin().await?;
        let written = moves::write(&mut transaction, &self.core.telling, before, after, told).await?;
        let Some(written) = written else {
            transaction.rollback().await?;
            return Ok(None);
        };
        transaction.commit().await?;
        Ok(Some(self.counted(written)))
    }

    /// Counts what was written and committed, and sees that what is open is looked after.
    pub(super) fn counted(&self, written: Written) -> Kept {
        let kept = written.count(&self.core.rules);
        if kept.order.status.is_final() {
            self.core.missing.forget(kept.id());
        }
        if self.core.fees.note(&kept.order) || !kept.order.status.is_final() {
            self.core.kick.notify_one();
        }
        kept
    }

    /// Moves an order to a status in which nothing comes after it.
    pub(super) async fn end(
        &self,
        kept: &Kept,
        status: OrderStatus,
        reason: String,
        by: Actor,
    ) -> Result<Option<Kept>, TradingError> {
        let change = |after: &mut Kept| {
            after.order.status = status;
            after.order.reason = Some(reason);
            after.claim = None;
        };
        self.write(kept, change, Told::moved(by)).await
    }

    /// Counts a refusal, and puts it onto the span.
    pub(super) fn count_refusal(&self, symbol: &Symbol, refusal: &Refusal) {
        REFUSALS.add(1, &[("symbol", self.core.rules.label(symbol)), ("reason", refusal.code.as_str())]);
        Span::current().record("refusal.code", refusal.code.as_str());
    }
}

/// A limit that may let the same order through a moment later.
pub(crate) const fn is_of_the_moment(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::TooManyOrders | RefusalCode::PriceTooOld)
}

/// Puts an order onto the current span, which has these fields.
pub(crate) fn show(order: &TradeOrder) {
    let span = Span::current();
    span.record("order.id", order.id.as_str());
    span.record("order.status", order.status.as_str());
    span.record("order.side", order.side.as_str());
    span.record("order.quantity", tracing::field::display(order.quantity));
    span.record("exchange.order_id", order.exchange_order_id.as_deref());
}

/// The current trace and baggage, to go on in later.
pub(crate) fn context_now() -> String {
    outbox::store_context(&Context::current())
}

/// Makes a span part of the trace in which an order was made.
pub(crate) fn continue_trace(span: &Span, kept: &Kept) {
    // Fails only where no OpenTelemetry layer listens, and then there is nothing to connect.
    let _ = span.set_parent(outbox::restore_context(&kept.context));
}
