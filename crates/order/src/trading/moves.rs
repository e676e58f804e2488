//! The one place that writes an order: every status passes here, with its move checked against the domain's table, its
//! revision, its row of history, and what is told of it, all in one transaction.

use domain::trading::{Actor, ConfirmationState, OrderStatus, TradeEvent, Transition};
use serde_json::{Value, json};
use storage::Transaction;
use telemetry::metrics::trading::TRANSITIONS;

use super::clock::now;
use super::error::TradingError;
use super::rules::Rules;
use super::table::{self, Kept};
use super::telling::{Happened, Telling};

/// What is told of a write, beside the order itself.
pub(crate) struct Told {
    pub(crate) actor: Actor,
    /// What was done, where the status does not say it.
    pub(crate) action: Option<&'static str>,
    /// Whether people are told, too.
    pub(crate) notice: bool,
    /// What else the trail keeps: members of an object.
    pub(crate) data: Value,
}

impl Told {
    /// A move of the status, which people are told of.
    pub(crate) fn moved(actor: Actor) -> Self {
        Self { actor, action: None, notice: true, data: json!({}) }
    }

    /// Something that is only for the trail.
    pub(crate) fn noted(actor: Actor, action: &'static str) -> Self {
        Self { actor, action: Some(action), notice: false, data: json!({}) }
    }

    pub(crate) fn with(mut self, data: Value) -> Self {
        self.data = data;
        self
    }
}

/// An order as it was written. It counts once the transaction is committed.
#[must_use = "what is not counted is missing in the metrics"]
pub(crate) struct Written {
    pub(crate) kept: Kept,
    moved: bool,
}

impl Written {
    /// Counts the move, and logs it.
    pub(crate) fn count(self, rules: &Rules) -> Kept {
        let order = &self.kept.order;
        if self.moved {
            let labels = [("symbol", rules.label(&order.symbol)), ("status", order.status.as_str())];
            TRANSITIONS.add(1, &labels);
            tracing::info!(
                order.id = %order.id,
                crypto.symbol = %order.symbol,
                order.status = %order.status,
                reason = order.reason.as_deref(),
                "order {}",
                order.status
            );
        }
        self.kept
    }
}

/// Writes a new order.
///
/// # Errors
/// [`storage::StorageError::Conflict`] when there is one with this id.
pub(super) async fn create(
    transaction: &mut Transaction,
    telling: &Telling,
    mut kept: Kept,
    told: Told,
) -> Result<Written, TradingError> {
    kept.number = table::insert(transaction, &kept).await?;
    note(transaction, telling, &kept, None, told).await?;
    Ok(Written { kept, moved: true })
}

/// Writes what has become of an order: `after` in place of `before`, or nothing when somebody else has changed it since.
///
/// # Errors
/// [`TradingError::ForbiddenMove`] when its status may not become that, whoever asks for it.
pub(super) async fn write(
    transaction: &mut Transaction,
    telling: &Telling,
    before: &Kept,
    mut after: Kept,
    told: Told,
) -> Result<Option<Written>, TradingError> {
    let (from, to) = (before.order.status, after.order.status);
    if from != to && !from.may_become(to) {
        return Err(TradingError::ForbiddenMove { from, to });
    }
    // Whoever ends an order that waits for a yes has said no.
    if to.is_final()
        && let Some(confirmation) = &mut after.order.confirmation
        && confirmation.state == ConfirmationState::Pending
    {
        confirmation.state = ConfirmationState::Declined;
        confirmation.by = Some(told.actor.to_string());
    }
    after.order.revision = before.order.revision + 1;
    after.order.updated_at = now();
    if !table::update(transaction, before.order.revision, &after).await? {
        return Ok(None);
    }
    note(transaction, telling, &after, Some(from), told).await?;
    Ok(Some(Written { kept: after, moved: from != to }))
}

/// The row of history where the status has changed, and what is told.
async fn note(
    transaction: &mut Transaction,
    telling: &Telling,
    kept: &Kept,
    from: Option<OrderStatus>,
    told: Told,
) -> Result<(), TradingError> {
    let order = &kept.order;
    if from != Some(order.status) {
        let transition = Transition { from, to: order.status, at: order.updated_at, reason: order.reason.clone() };
        table::insert_transition(transaction, kept.number, order.revision, &transition).await?;
    }
    let mut data = json!({
        "revision": order.revision, "status": order.status, "side": order.side, "quantity": order.quantity,
        "mode": order.mode,
    });
    if let Value::Object(data) = &mut data {
        let more = [
            ("reason", order.reason.as_ref().map(|reason| json!(reason))),
            ("exchange_order_id", order.exchange_order_id.as_ref().map(|id| json!(id))),
        ];
        data.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        if let Value::Object(more) = told.data {
            data.extend(more);
        }
    }
    let happened = Happened {
        key: format!("order:{}:{}", order.id, order.revision),
        group: order.id.to_string(),
        actor: told.actor,
        action: told.action.unwrap_or_else(|| action_of(order.status)),
        symbol: Some(order.symbol.clone()),
        decision_id: Some(order.id.clone()),
        at: order.updated_at,
        data,
    };
    let event = told.notice.then(|| TradeEvent::Order { order: Box::new(order.clone()) });
    telling.put(transaction, happened, event).await
}

const fn action_of(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::New => "order.new",
        OrderStatus::Submitted => "order.submitted",
        OrderStatus::PartiallyFilled => "order.partially_filled",
        OrderStatus::Filled => "order.filled",
        OrderStatus::Rejected => "order.rejected",
        OrderStatus::Cancelled => "order.cancelled",
        OrderStatus::Expired => "order.expired",
        OrderStatus::Unknown => "order.unknown",
    }
}
