//! The tables of positions, days and fills.

use chrono::NaiveDate;
use domain::trading::{DayProfit, Position};
use domain::{Symbol, TradingMode};
use rust_decimal::Decimal;
use storage::{Database, FromRow, Money, QueryType, Statement, Transaction};

use super::booking::{Booking, Ledger};
use super::clock::now;
use super::error::TradingError;
use super::table::Kept;

const POSITIONS: &str = "trading_positions";
const DAYS: &str = "trading_days";

#[derive(FromRow)]
struct Row {
    symbol: String,
    quantity: Money,
    cost: Money,
    realised_pnl: Money,
    fees: Money,
    last_order: Option<String>,
    base_quantity: Money,
    base_cost: Money,
    base_filled: Money,
    base_paid: Money,
    base_realised: Money,
}

impl TryFrom<Row> for (Symbol, Ledger) {
    type Error = TradingError;

    fn try_from(row: Row) -> Result<Self, TradingError> {
        let last_order = row.last_order.map(|id| id.parse()).transpose();
        let ledger = Ledger {
            position: Position { quantity: row.quantity.0, cost: row.cost.0 },
            realised: row.realised_pnl.0,
            fees: row.fees.0,
            last_order: last_order.map_err(|_| TradingError::Kept("an order's id"))?,
            base: Position { quantity: row.base_quantity.0, cost: row.base_cost.0 },
            base_filled: row.base_filled.0,
            base_paid: row.base_paid.0,
            base_realised: row.base_realised.0,
        };
        Ok((row.symbol.parse().map_err(|_| TradingError::Kept("a symbol"))?, ledger))
    }
}

/// Every symbol's position, in their order.
pub(crate) async fn all(database: &Database, mode: TradingMode) -> Result<Vec<(Symbol, Ledger)>, TradingError> {
    let statement = Statement::new(
        QueryType::Select,
        POSITIONS,
        "SELECT symbol, quantity, cost, realised_pnl, fees, last_order, base_quantity, base_cost, base_filled, \
         base_paid, base_realised FROM trading_positions WHERE mode = $1 ORDER BY symbol",
    )
    .bind(mode.as_str());
    database.fetch_all::<Row>(statement).await?.into_iter().map(TryFrom::try_from).collect()
}

/// What is held of a symbol.
pub(super) async fn held(
    transaction: &mut Transaction,
    mode: TradingMode,
    symbol: &Symbol,
) -> Result<Decimal, TradingError> {
    let statement = Statement::new(
        QueryType::Select,
        POSITIONS,
        "SELECT quantity FROM trading_positions WHERE mode = $1 AND symbol = $2",
    )
    .bind(mode.as_str())
    .bind(symbol.as_str());
    let held: Option<(Money,)> = transaction.fetch_optional(statement).await?;
    Ok(held.map_or(Decimal::ZERO, |(quantity,)| quantity.0))
}

/// A symbol's position, which nobody else books to before the transaction has ended.
pub(super) async fn lock(
    transaction: &mut Transaction,
    mode: TradingMode,
    symbol: &Symbol,
) -> Result<Ledger, TradingError> {
    let statement = Statement::new(
        QueryType::Insert,
        POSITIONS,
        "INSERT INTO trading_positions (mode, symbol, quantity, cost, realised_pnl, fees, base_quantity, base_cost, \
         base_filled, base_paid, base_realised, locked) VALUES ($1, $2, $3, $3, $3, $3, $3, $3, $3, $3, $3, 0) \
         ON CONFLICT (mode, symbol) DO UPDATE SET locked = trading_positions.locked + 1 \
         RETURNING symbol, quantity, cost, realised_pnl, fees, last_order, base_quantity, base_cost, base_filled, \
         base_paid, base_realised",
    )
    .bind(mode.as_str())
    .bind(symbol.as_str())
    .bind(Money(Decimal::ZERO));
    let row: Row = transaction.fetch_one(statement).await?;
    <(Symbol, Ledger)>::try_from(row).map(|(_, ledger)| ledger)
}

/// Writes a symbol's position, whose row is locked.
pub(super) async fn set(
    transaction: &mut Transaction,
    mode: TradingMode,
    symbol: &Symbol,
    ledger: &Ledger,
) -> Result<(), TradingError> {
    let statement = Statement::new(
        QueryType::Update,
        POSITIONS,
        "UPDATE trading_positions SET quantity = $3, cost = $4, realised_pnl = $5, fees = $6, last_order = $7, \
         base_quantity = $8, base_cost = $9, base_filled = $10, base_paid = $11, base_realised = $12 \
         WHERE mode = $1 AND symbol = $2",
    )
    .bind(mode.as_str())
    .bind(symbol.as_str())
    .bind(Money(ledger.position.quantity))
    .bind(Money(ledger.position.cost))
    .bind(Money(ledger.realised))
    .bind(Money(ledger.fees))
    .bind(ledger.last_order.clone().map(String::from))
    .bind(Money(ledger.base.quantity))
    .bind(Money(ledger.base.cost))
    .bind(Money(ledger.base_filled))
    .bind(Money(ledger.base_paid))
    .bind(Money(ledger.base_realised));
    transaction.execute(statement).await?;
    Ok(())
}

/// Writes a booking: the position, the day, the fill. The order itself has been written in the same transaction.
pub(super) async fn write(transaction: &mut Transaction, after: &Kept, booking: &Booking) -> Result<(), TradingError> {
    let (order, ledger) = (&after.order, &booking.ledger);
    set(transaction, order.mode, &order.symbol, ledger).await?;
    write_day(transaction, after, booking).await?;
    let statement = Statement::new(
        QueryType::Insert,
        "trade_fills",
        "INSERT INTO trade_fills (order_number, revision, quantity, price, fee, realised_pnl, at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(after.number)
    .bind(order.revision)
    .bind(Money(booking.fill.map_or(Decimal::ZERO, |(quantity, _)| quantity)))
    .bind(booking.fill.map(|(_, price)| Money(price)))
    .bind(Money(booking.fee))
    .bind(Money(booking.realised))
    .bind(order.updated_at);
    transaction.execute(statement).await?;
    Ok(())
}

#[derive(FromRow)]
struct DayRow {
    realised_pnl: Money,
    fees: Money,
    fills: i64,
}

/// Sums are made here and not by the database, which would make floats of them. The position's row is locked, so nobody
/// else writes this symbol's day.
async fn write_day(transaction: &mut Transaction, after: &Kept, booking: &Booking) -> Result<(), TradingError> {
    let order = &after.order;
    let (mode, day) = (order.mode.as_str(), day_of(now().date_naive()));
    let statement = Statement::new(
        QueryType::Insert,
        DAYS,
        "INSERT INTO trading_days (mode, day, symbol, realised_pnl, fees, fills, locked) \
         VALUES ($1, $2, $3, $4, $4, 0, 0) \
         ON CONFLICT (mode, day, symbol) DO UPDATE SET locked = trading_days.locked + 1 \
         RETURNING realised_pnl, fees, fills",
    )
    .bind(mode)
    .bind(day.as_str())
    .bind(order.symbol.as_str())
    .bind(Money(Decimal::ZERO));
    let before: DayRow = transaction.fetch_one(statement).await?;
    let statement = Statement::new(
        QueryType::Update,
        DAYS,
        "UPDATE trading_days SET realised_pnl = $4, fees = $5, fills = $6 WHERE mode = $1 AND day = $2 AND symbol = $3",
    )
    .bind(mode)
    .bind(day)
    .bind(order.symbol.as_str())
    .bind(Money(before.realised_pnl.0 + booking.realised))
    .bind(Money(before.fees.0 + booking.fee))
    .bind(before.fills + i64::from(booking.fill.is_some()));
    transaction.execute(statement).await?;
    Ok(())
}

/// Realised on a day (UTC), fees taken off, in the quote currency.
pub(super) async fn realised_on(
    transaction: &mut Transaction,
    mode: TradingMode,
    day: NaiveDate,
) -> Result<Decimal, TradingError> {
    let rows: Vec<DayRow> = transaction.fetch_all(of_day(mode, day)).await?;
    Ok(net(&rows))
}

/// The same, outside of a transaction.
pub(crate) async fn realised_today(database: &Database, mode: TradingMode) -> Result<Decimal, TradingError> {
    let rows: Vec<DayRow> = database.fetch_all(of_day(mode, now().date_naive())).await?;
    Ok(net(&rows))
}

fn of_day(mode: TradingMode, day: NaiveDate) -> Statement {
    let sql = "SELECT realised_pnl, fees, fills FROM trading_days WHERE mode = $1 AND day = $2";
    Statement::new(QueryType::Select, DAYS, sql).bind(mode.as_str()).bind(day_of(day))
}

fn net(rows: &[DayRow]) -> Decimal {
    rows.iter().map(|row| row.realised_pnl.0 - row.fees.0).sum()
}

/// Of one length, so that texts sort as days do.
fn day_of(day: NaiveDate) -> String {
    day.format("%Y-%m-%d").to_string()
}

#[derive(FromRow)]
struct DatedRow {
    day: String,
    realised_pnl: Money,
    fees: Money,
    fills: i64,
}

/// What each day brought, newest first, since this one.
pub(crate) async fn days(
    database: &Database,
    mode: TradingMode,
    since: NaiveDate,
) -> Result<Vec<DayProfit>, TradingError> {
    let statement = Statement::new(
        QueryType::Select,
        DAYS,
        "SELECT day, realised_pnl, fees, fills FROM trading_days WHERE mode = $1 AND day >= $2 ORDER BY day DESC",
    )
    .bind(mode.as_str())
    .bind(day_of(since));
    let mut days: Vec<DayProfit> = Vec::new();
    for row in database.fetch_all::<DatedRow>(statement).await? {
        let date: NaiveDate = row.day.parse().map_err(|_| TradingError::Kept("a day"))?;
        let fills = u64::try_from(row.fills).unwrap_or_default();
        match days.last_mut().filter(|day| day.date == date) {
            Some(day) => {
                day.realised_pnl += row.realised_pnl.0;
                day.fees += row.fees.0;
                day.fills += fills;
            }
            None => days.push(DayProfit { date, realised_pnl: row.realised_pnl.0, fees: row.fees.0, fills }),
        }
    }
    Ok(days)
}
