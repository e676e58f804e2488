//! The table of orders: rows as orders, and the reading of them.

use chrono::{DateTime, Utc};
use domain::trading::{Actor, Confirmation, ConfirmationState, OrderKind, OrderStatus, Signal, TradeOrder, Transition};
use domain::{DecisionId, Page, PageQuery, Symbol, TradingMode};
use storage::{Database, FromRow, Money, QueryType, Statement, Transaction};

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

    pub(crate) fn id(&self) -> &DecisionId {
        &self.order.id
    }
}

#[derive(FromRow)]
struct Row {
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

/// Every column by name: a column that a later program adds changes no result here.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT number, id, revision, mode, symbol, side, limit_price, reduce_only, quantity, reference_price, \
             price_observed_at, status, reason, confirmation, confirm_until, confirmed_by, exchange_order_id, \
             filled_quantity, average_price, fee, realised_pnl, signal, trace_id, context, sending_since, send_until, \
             sent_at, cancel_by, received_at, created_at, submitted_at, updated_at FROM trade_orders ",
            $rest
        )
    };
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

/// The order with this id.
pub(crate) async fn find(database: &Database, id: &DecisionId) -> Result<Option<Kept>, TradingError> {
    let statement = Statement::new(QueryType::Select, TABLE, select!("WHERE id = $1")).bind(id.as_str());
    database.fetch_optional::<Row>(statement).await?.map(Kept::try_from).transpose()
}

/// Every order that is not at its end, oldest first.
pub(crate) async fn open(database: &Database, mode: TradingMode) -> Result<Vec<Kept>, TradingError> {
    let statement = Statement::new(
        QueryType::Select,
        TABLE,
        select!("WHERE mode = $1 AND status IN ('new', 'submitted', 'partially_filled', 'unknown') ORDER BY number"),
    )
    .bind(mode.as_str());
    database.fetch_all::<Row>(statement).await?.into_iter().map(Kept::try_from).collect()
}

/// Which orders a list is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StatusFilter {
    Any,
    Open,
    One(OrderStatus),
}

/// Orders, newest first.
pub(crate) async fn list(
    database: &Database,
    query: &PageQuery,
    symbol: Option<&Symbol>,
    status: &StatusFilter,
) -> Result<Page<TradeOrder>, TradingError> {
    let limit = query.limit()?;
    // A statement for each filter, so that each reads along its index.
    let sql = match (symbol, status) {
        (None, StatusFilter::Any) => select!("WHERE number < $1 ORDER BY number DESC LIMIT $2"),
        (Some(_), StatusFilter::Any) => {
            select!("WHERE number < $1 AND symbol = $3 ORDER BY number DESC LIMIT $2")
        }
        (None, StatusFilter::Open) => {
            select!(
                "WHERE number < $1 \
             AND status IN ('new', 'submitted', 'partially_filled', 'unknown') ORDER BY number DESC LIMIT $2"
            )
        }
        (Some(_), StatusFilter::Open) => {
            select!(
                "WHERE number < $1 AND symbol = $3 \
             AND status IN ('new', 'submitted', 'partially_filled', 'unknown') ORDER BY number DESC LIMIT $2"
            )
        }
        (None, StatusFilter::One(_)) => {
            select!("WHERE number < $1 AND status = $3 ORDER BY number DESC LIMIT $2")
        }
        (Some(_), StatusFilter::One(_)) => {
            select!("WHERE number < $1 AND symbol = $3 AND status = $4 ORDER BY number DESC LIMIT $2")
        }
    };
    let mut statement = Statement::new(QueryType::Select, TABLE, sql).bind(query.before()?).bind(i64::from(limit) + 1);
    if let Some(symbol) = symbol {
        statement = statement.bind(symbol.as_str());
    }
    if let StatusFilter::One(status) = status {
        statement = statement.bind(status.as_str());
    }
    let rows = database.fetch_all::<Row>(statement).await?;
    let kept = rows.into_iter().map(Kept::try_from).collect::<Result<Vec<_>, _>>()?;
    let page = Page::of(kept, limit, |kept| kept.number);
    Ok(Page {
        items: page.items.into_iter().map(|kept| kept.order).collect(),
        next_cursor: page.next_cursor,
        trace_id: telemetry::trace_id(),
    })
}

#[derive(FromRow)]
struct TransitionRow {
    from_status: Option<String>,
    to_status: String,
    reason: Option<String>,
    at: DateTime<Utc>,
}

/// Every status that an order had, oldest first.
pub(crate) async fn history(database: &Database, number: i64) -> Result<Vec<Transition>, TradingError> {
    let statement = Statement::new(
        QueryType::Select,
        "trade_transitions",
        "SELECT from_status, to_status, reason, at FROM trade_transitions WHERE order_number = $1 ORDER BY revision",
    )
    .bind(number);
    let wrong = |_| TradingError::Kept("a status");
    let rows = database.fetch_all::<TransitionRow>(statement).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Transition {
                from: row.from_status.map(|status| status.parse()).transpose().map_err(wrong)?,
                to: row.to_status.parse().map_err(wrong)?,
                at: row.at,
                reason: row.reason,
            })
        })
        .collect()
}

/// Orders that were made, or went out, since then; `but` not counted.
pub(super) async fn count_since(
    transaction: &mut Transaction,
    mode: TradingMode,
    since: DateTime<Utc>,
    but: &DecisionId,
) -> Result<u32, TradingError> {
    let statement = Statement::new(
        QueryType::Select,
        TABLE,
        "SELECT COUNT(*) FROM (SELECT id FROM trade_orders WHERE created_at > $1 AND mode = $2 AND id <> $3 \
         UNION SELECT id FROM trade_orders WHERE sent_at > $1 AND mode = $2 AND id <> $3) AS made",
    )
    .bind(since)
    .bind(mode.as_str())
    .bind(but.as_str());
    let (count,): (i64,) = transaction.fetch_one(statement).await?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}
