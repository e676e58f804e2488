//! How far candles have been looked at, and random signals drawn. Each is moved on by whoever knows where it stands: of
//! two generators one does.

use chrono::{DateTime, Utc};
use domain::{Interval, Symbol};
use storage::{Database, FromRow, QueryType, Statement, StorageError, Transaction};

const PROGRESS: &str = "progress";
const NUMBERS: &str = "mock_numbers";

/// How far the candles of a symbol have been looked at.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct Progress {
    /// When the last one opened that has been looked at.
    pub(crate) last_candle: DateTime<Utc>,
    /// Id of the last signal that was found.
    pub(crate) last_signal: Option<String>,
}

/// None where nobody has looked yet.
pub(crate) async fn find(
    database: &Database,
    symbol: &Symbol,
    interval: Interval,
) -> Result<Option<Progress>, StorageError> {
    let statement = Statement::new(
        QueryType::Select,
        PROGRESS,
        "SELECT last_candle, last_signal FROM progress WHERE symbol = $1 AND candle_interval = $2",
    )
    .bind(symbol.as_str())
    .bind(interval.as_str());
    Ok(database.quietly(statement).await?.into_iter().next())
}

/// Begins at a candle, unless somebody has begun.
pub(crate) async fn begin(
    database: &Database,
    symbol: &Symbol,
    interval: Interval,
    at: DateTime<Utc>,
) -> Result<(), StorageError> {
    let statement = Statement::new(
        QueryType::Insert,
        PROGRESS,
        "INSERT INTO progress (symbol, candle_interval, last_candle) VALUES ($1, $2, $3) \
         ON CONFLICT (symbol, candle_interval) DO NOTHING",
    )
    .bind(symbol.as_str())
    .bind(interval.as_str())
    .bind(at);
    database.execute_quietly(statement).await.map(drop)
}

/// Moves on without a signal. False where somebody else has.
pub(crate) async fn pass(
    database: &Database,
    symbol: &Symbol,
    interval: Interval,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<bool, StorageError> {
    let statement = Statement::new(
        QueryType::Update,
        PROGRESS,
        "UPDATE progress SET last_candle = $4 WHERE symbol = $1 AND candle_interval = $2 AND last_candle = $3",
    )
    .bind(symbol.as_str())
    .bind(interval.as_str())
    .bind(from)
    .bind(to);
    Ok(database.execute_quietly(statement).await? > 0)
}

/// Moves on to the candle of a signal, with it. False where somebody else has.
pub(crate) async fn pass_with(
    transaction: &mut Transaction,
    symbol: &Symbol,
    interval: Interval,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    signal_id: &str,
) -> Result<bool, StorageError> {
    let statement = Statement::new(
        QueryType::Update,
        PROGRESS,
        "UPDATE progress SET last_candle = $4, last_signal = $5 \
         WHERE symbol = $1 AND candle_interval = $2 AND last_candle = $3",
    )
    .bind(symbol.as_str())
    .bind(interval.as_str())
    .bind(from)
    .bind(to)
    .bind(signal_id);
    Ok(transaction.execute(statement).await? > 0)
}

#[derive(FromRow)]
struct Next {
    next_number: i64,
}

/// The next number of a seed; the first is 0.
pub(crate) async fn number(database: &Database, seed: u64) -> Result<i64, StorageError> {
    let statement = Statement::new(QueryType::Select, NUMBERS, "SELECT next_number FROM mock_numbers WHERE seed = $1")
        .bind(seed.to_string());
    let rows: Vec<Next> = database.quietly(statement).await?;
    Ok(rows.first().map_or(0, |row| row.next_number))
}

/// Takes the numbers of a seed from one to before another. False where somebody else has.
pub(crate) async fn take_numbers(
    transaction: &mut Transaction,
    seed: u64,
    from: i64,
    to: i64,
) -> Result<bool, StorageError> {
    let statement = Statement::new(
        QueryType::Insert,
        NUMBERS,
        // Who finds no row begins at 0, and so does only the first.
        "INSERT INTO mock_numbers (seed, next_number) VALUES ($1, $3) \
         ON CONFLICT (seed) DO UPDATE SET next_number = excluded.next_number WHERE mock_numbers.next_number = $2",
    )
    .bind(seed.to_string())
    .bind(from)
    .bind(to);
    Ok(transaction.execute(statement).await? > 0)
}
