//! The table of orders: rows as orders, and the writing of them.

use chrono::{DateTime, Utc};
use domain::trading::{
    Actor, Confirmation, ConfirmationState, OrderKind, OrderStatus, Signal, TradeOrder, TradingState, Transition,
};
use domain::{DecisionId, TradingMode};
use storage::{FromRow, Money, QueryType, Statement, Transaction};

use super::error::TradingError;

pub(crate) const TABLE: &str = "trade_orders";

/// That a process is sending an order, or was when it died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) since: DateTime<Utc>,
    /// Until when nobody else may send it.
    pub(crate) until: DateTime<Utc>,
}

/// An order, and what only this service knows of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    /// Its place in the list.
    pub(crate) number: i64,
    pub(crate) order: TradeOrder,
    pub(crate) signal: Signal,
    /// Trace and baggage in which it was made.
    pub(crate) context: String,
    pub(crate) claim: Option<Claim>,
    /// When it was last on its way to the exchange.
    pub(crate) sent_at: Option<DateTime<Utc>>,
    /// Who wants it back, while it is not known where it is.
    pub(crate) cancel_by: Option<Actor>,
}

impl Kept {
    /// Whether it is written down and nobody sends it: it can be sent, or given up, by whoever claims it.
    pub(crate) fn is_idle(&self) -> bool {
        self.order.status == OrderStatus::New && self.claim.is_none()
    }

    /// Whether it is not to stay open in this state: nothing while trading is halted; while it is paused nothing that the
    /// exchange may have and that can make a position larger. What has not been sent is asked about by the limits.
    pub(crate) fn is_unwanted(&self, state: TradingState) -> bool {
        match state {
            TradingState::Running => false,
            TradingState::Reducing => !self.order.reduce_only && self.order.status != OrderStatus::New,
            TradingState::Halted => true,
        }
    }

    pub(crate) fn id(&self) -> &DecisionId {
        &self.order.id
    }
}

#[derive(FromRow)]
pub(super) struct Row {
    number: i64,
    id: String,
    revision: i64,
    mode: String,
    symbol: String,
    side: String,
    limit_price: Option<Money>,
    reduce_only: bool,
    quantity: Money,
    reference_price: Money,
    price_observed_at: DateTime<Utc>,
    status: String,
    reason: Option<String>,
    confirmation: Option<String>,
    confirm_until: Option<DateTime<Utc>>,
    confirmed_by: Option<String>,
    exchange_order_id: Option<String>,
    filled_quantity: Money,
    average_price: Option<Money>,
    fee: Money,
    realised_pnl: Money,
    signal: serde_json::Value,
    trace_id: Option<String>,
    context: String,
    sending_since: Option<DateTime<Utc>>,
    send_until: Option<DateTime<Utc>>,
    sent_at: Option<DateTime<Utc>>,
    cancel_by: Option<String>,
    received_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    submitted_at: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
}

/// The mode of a text in the database.
pub(crate) fn mode_of(text: &str) -> Result<TradingMode, TradingError> {
    [TradingMode::Paper, TradingMode::Live]
        .into_iter()
        .find(|mode| mode.as_str() == text)
        .ok_or(TradingError::Kept("a trading mode"))
}

impl TryFrom<Row> for Kept {
    type Error = TradingError;

    fn try_from(row: Row) -> Result<Self, TradingError> {
        let signal: Signal = serde_json::from_value(row.signal)?;
        let confirmation = match (row.confirmation, row.confirm_until) {
            (Some(state), Some(expires_at)) => Some(Confirmation {
                state: state.parse::<ConfirmationState>().map_err(|_| TradingError::Kept("a confirmation"))?,
                expires_at,
                by: row.confirmed_by,
            }),
            _ => None,
        };
        let order = TradeOrder {
            id: row.id.parse().map_err(|_| TradingError::Kept("an order's id"))?,
            revision: row.revision,
            source: signal.source,
            hook: signal.hook.clone(),
            comment: signal.comment.clone(),
            symbol: row.symbol.parse().map_err(|_| TradingError::Kept("a symbol"))?,
            side: row.side.parse().map_err(|_| TradingError::Kept("a side"))?,
            kind: row.limit_price.map_or(OrderKind::Market, |price| OrderKind::Limit { price: price.0 }),
            reduce_only: row.reduce_only,
            quantity: row.quantity.0,
            reference_price: row.reference_price.0,
            price_observed_at: row.price_observed_at,
            mode: mode_of(&row.mode)?,
            status: row.status.parse().map_err(|_| TradingError::Kept("a status"))?,
            reason: row.reason,
            confirmation,
            exchange_order_id: row.exchange_order_id,
            filled_quantity: row.filled_quantity.0,
            average_price: row.average_price.map(|price| price.0),
            fee: row.fee.0,
            realised_pnl: row.realised_pnl.0,
            trace_id: row.trace_id,
            received_at: row.received_at,
            created_at: row.created_at,
            submitted_at: row.submitted_at,
            updated_at: row.updated_at,
            history: Vec::new(),
        };
        let claim = row.sending_since.zip(row.send_until).map(|(since, until)| Claim { since, until });
        let cancel_by = row.cancel_by.map(|by| by.parse()).transpose().map_err(|_| TradingError::Kept("an actor"))?;
        Ok(Self { number: row.number, order, signal, context: row.context, claim, sent_at: row.sent_at, cancel_by })
    }
}

/// Writes a new order; its number.
///
/// # Errors
/// [`storage::StorageError::Conflict`] when there is one with this id.
pub(super) async fn insert(transaction: &mut Transaction, kept: &Kept) -> Result<i64, TradingError> {
    let order = &kept.order;
    let confirmation = order.confirmation.as_ref();
    let statement = Statement::new(
        QueryType::Insert,
        TABLE,
        "INSERT INTO trade_orders (id, revision, mode, symbol, side, limit_price, reduce_only, quantity, \
         reference_price, price_observed_at, status, confirmation, confirm_until, filled_quantity, fee, realised_pnl, \
         signal, trace_id, context, sending_since, send_until, sent_at, received_at, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, \
         $23, $24, $25) RETURNING number",
    )
    .bind(order.id.as_str())
    .bind(order.revision)
    .bind(order.mode.as_str())
    .bind(order.symbol.as_str())
    .bind(order.side.as_str())
    .bind(match order.kind {
        OrderKind::Market => None,
        OrderKind::Limit { price } => Some(Money(price)),
    })
    .bind(order.reduce_only)
    .bind(Money(order.quantity))
    .bind(Money(order.reference_price))
    .bind(order.price_observed_at)
    .bind(order.status.as_str())
    .bind(confirmation.map(|confirmation| confirmation.state.as_str()))
    .bind(confirmation.map(|confirmation| confirmation.expires_at))
    .bind(Money(order.filled_quantity))
    .bind(Money(order.fee))
    .bind(Money(order.realised_pnl))
    .bind(serde_json::to_value(&kept.signal)?)
    .bind(order.trace_id.clone())
    .bind(kept.context.as_str())
    .bind(kept.claim.map(|claim| claim.since))
    .bind(kept.claim.map(|claim| claim.until))
    .bind(kept.sent_at)
    .bind(order.received_at)
    .bind(order.created_at)
    .bind(order.updated_at);
    let (number,): (i64,) = transaction.fetch_one(statement).await?;
    Ok(number)
}

/// Writes what may change of an order, unless somebody else has changed it since; whether it was written.
pub(super) async fn update(transaction: &mut Transaction, seen: i64, kept: &Kept) -> Result<bool, TradingError> {
    let order = &kept.order;
    let confirmation = order.confirmation.as_ref();
    let statement = Statement::new(
        QueryType::Update,
        TABLE,
        "UPDATE trade_orders SET revision = $3, reduce_only = $4, status = $5, reason = $6, confirmation = $7, \
         confirmed_by = $8, exchange_order_id = $9, filled_quantity = $10, average_price = $11, fee = $12, \
         realised_pnl = $13, sending_since = $14, send_until = $15, sent_at = $16, submitted_at = $17, updated_at = $18, \
         cancel_by = $19 \
         WHERE id = $1 AND revision = $2",
    )
    .bind(order.id.as_str())
    .bind(seen)
    .bind(order.revision)
    .bind(order.reduce_only)
    .bind(order.status.as_str())
    .bind(order.reason.clone())
    .bind(confirmation.map(|confirmation| confirmation.state.as_str()))
    .bind(confirmation.and_then(|confirmation| confirmation.by.clone()))
    .bind(order.exchange_order_id.clone())
    .bind(Money(order.filled_quantity))
    .bind(order.average_price.map(Money))
    .bind(Money(order.fee))
    .bind(Money(order.realised_pnl))
    .bind(kept.claim.map(|claim| claim.since))
    .bind(kept.claim.map(|claim| claim.until))
    .bind(kept.sent_at)
    .bind(order.submitted_at)
    .bind(order.updated_at)
    .bind(kept.cancel_by.clone().map(String::from));
    Ok(transaction.execute(statement).await? == 1)
}

/// Writes a move of an order.
pub(super) async fn insert_transition(
    transaction: &mut Transaction,
    number: i64,
    revision: i64,
    transition: &Transition,
) -> Result<(), TradingError> {
    let statement = Statement::new(
        QueryType::Insert,
        "trade_transitions",
        "INSERT INTO trade_transitions (order_number, revision, from_status, to_status, reason, at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(number)
    .bind(revision)
    .bind(transition.from.map(OrderStatus::as_str))
    .bind(transition.to.as_str())
    .bind(transition.reason.clone())
    .bind(transition.at);
    transaction.execute(statement).await?;
    Ok(())
}
