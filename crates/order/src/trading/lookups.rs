//! Reading the table of orders.

use chrono::{DateTime, Utc};
use domain::trading::{OrderStatus, Side, TradeOrder, Transition};
use domain::{DecisionId, Page, PageQuery, Symbol, TradingMode};
use rust_decimal::Decimal;
use storage::{Database, FromRow, Money, QueryType, Statement, Transaction};

use super::error::TradingError;
use super::table::{Kept, Row, TABLE};

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

// Asked while no other order can be made: each by an index, so that it does not take longer as orders become more. What
// makes SQLite take the index of open orders is its very condition.
const UNKNOWN: &str = "SELECT number FROM trade_orders WHERE mode = $1 AND symbol = $2 AND id <> $3 AND status = 'unknown' \
    AND status IN ('new', 'submitted', 'partially_filled', 'unknown') LIMIT 1";
const STILL_COMING: &str = "SELECT quantity, filled_quantity FROM trade_orders WHERE mode = $1 AND symbol = $2 AND side = $3 \
    AND id <> $4 AND NOT reduce_only AND status IN ('new', 'submitted', 'partially_filled', 'unknown')";
const CHANGING: &str = "SELECT number FROM trade_orders WHERE mode = $1 AND symbol = $2 AND id <> $3 AND NOT reduce_only \
    AND (status = 'unknown' OR sending_since IS NOT NULL \
    OR (status IN ('submitted', 'partially_filled') AND (limit_price IS NULL OR submitted_at > $4))) \
    AND status IN ('new', 'submitted', 'partially_filled', 'unknown') LIMIT 1";
const STILL_TO_SEND: &str = select!(
    "WHERE mode = $1 AND symbol = $2 AND NOT reduce_only AND status = 'new' AND sending_since IS NULL \
     AND (confirmation IS NULL OR confirmation <> 'pending') \
     AND status IN ('new', 'submitted', 'partially_filled', 'unknown')"
);
const OPEN_OF_SYMBOL: &str = "SELECT number FROM trade_orders WHERE mode = $1 AND symbol = $2 \
    AND status IN ('new', 'submitted', 'partially_filled', 'unknown') LIMIT 1";
const GOING_SINCE: &str = "SELECT COUNT(*) FROM trade_orders WHERE mode = $2 AND COALESCE(sent_at, created_at) > $1 \
    AND id <> $3";

/// Whether nobody knows what has become of another order of a symbol.
pub(super) async fn is_unknown(
    transaction: &mut Transaction,
    mode: TradingMode,
    symbol: &Symbol,
    but: &DecisionId,
) -> Result<bool, TradingError> {
    let statement =
        Statement::new(QueryType::Select, TABLE, UNKNOWN).bind(mode.as_str()).bind(symbol.as_str()).bind(but.as_str());
    Ok(transaction.fetch_optional::<(i64,)>(statement).await?.is_some())
}

/// Whether another order of a symbol, which may make the position larger, may be doing so just now: it is unknown, being
/// sent, or at the exchange and not at its end. A limit order that got there before `resting` rests, and one that waits for
/// a person's yes waits.
pub(super) async fn is_changing(
    transaction: &mut Transaction,
    mode: TradingMode,
    symbol: &Symbol,
    but: &DecisionId,
    resting: DateTime<Utc>,
) -> Result<bool, TradingError> {
    let statement = Statement::new(QueryType::Select, TABLE, CHANGING)
        .bind(mode.as_str())
        .bind(symbol.as_str())
        .bind(but.as_str())
        .bind(resting);
    Ok(transaction.fetch_optional::<(i64,)>(statement).await?.is_some())
}

/// Orders of a symbol that may make the position larger, wait for nobody's yes, and are on nobody's way.
pub(super) async fn still_to_send(
    transaction: &mut Transaction,
    mode: TradingMode,
    symbol: &Symbol,
) -> Result<Vec<Kept>, TradingError> {
    let statement = Statement::new(QueryType::Select, TABLE, STILL_TO_SEND).bind(mode.as_str()).bind(symbol.as_str());
    transaction.fetch_all::<Row>(statement).await?.into_iter().map(Kept::try_from).collect()
}

#[derive(FromRow)]
struct Coming {
    quantity: Money,
    filled_quantity: Money,
}

/// What the other orders of a symbol on this side can still fill, those left out that only make a position smaller.
pub(super) async fn still_coming(
    transaction: &mut Transaction,
    mode: TradingMode,
    symbol: &Symbol,
    side: Side,
    but: &DecisionId,
) -> Result<Decimal, TradingError> {
    let statement = Statement::new(QueryType::Select, TABLE, STILL_COMING)
        .bind(mode.as_str())
        .bind(symbol.as_str())
        .bind(side.as_str())
        .bind(but.as_str());
    let coming = transaction.fetch_all::<Coming>(statement).await?;
    Ok(coming.iter().map(|of| (of.quantity.0 - of.filled_quantity.0).max(Decimal::ZERO)).sum())
}

/// Whether an order of a symbol is not at its end.
pub(super) async fn is_open(
    transaction: &mut Transaction,
    mode: TradingMode,
    symbol: &Symbol,
) -> Result<bool, TradingError> {
    let statement = Statement::new(QueryType::Select, TABLE, OPEN_OF_SYMBOL).bind(mode.as_str()).bind(symbol.as_str());
    Ok(transaction.fetch_optional::<(i64,)>(statement).await?.is_some())
}

/// Orders that were made, or went out, since then; `but` not counted.
pub(super) async fn count_since(
    transaction: &mut Transaction,
    mode: TradingMode,
    since: DateTime<Utc>,
    but: &DecisionId,
) -> Result<u32, TradingError> {
    let statement =
        Statement::new(QueryType::Select, TABLE, GOING_SINCE).bind(since).bind(mode.as_str()).bind(but.as_str());
    let (count,): (i64,) = transaction.fetch_one(statement).await?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

    use super::*;

    /// However many orders there have been.
    #[actix_web::test]
    async fn what_every_order_asks_for_is_found_by_an_index() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        for migration in crate::migrations() {
            sqlx::raw_sql(AssertSqlSafe(migration.sqlite)).execute(&mut connection).await.unwrap();
        }
        for (sql, index) in [
            (UNKNOWN, "USING INDEX trade_orders_open_by_symbol (mode=? AND symbol=?)"),
            (STILL_COMING, "USING INDEX trade_orders_open_by_symbol (mode=? AND symbol=? AND side=?)"),
            (CHANGING, "USING INDEX trade_orders_open_by_symbol (mode=? AND symbol=?)"),
            (STILL_TO_SEND, "USING INDEX trade_orders_open_by_symbol (mode=? AND symbol=?)"),
            (OPEN_OF_SYMBOL, "INDEX trade_orders_open_by_symbol (mode=? AND symbol=?)"),
            (GOING_SINCE, "USING COVERING INDEX trade_orders_by_going (mode=? AND <expr>>?)"),
        ] {
            let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
                .fetch_all(&mut connection)
                .await
                .unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
            assert!(plan.len() == 1 && plan[0].contains(index), "{sql}: {plan:?}");
        }
    }
}
