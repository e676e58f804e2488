//! The trading state: one row, which every order locks before it is made or sent, and every change writes.

use chrono::{DateTime, Utc};
use domain::trading::{Actor, StateChange, TradeEvent, TradingState};
use serde_json::json;
use storage::{Database, FromRow, QueryType, Statement, Transaction};
use telemetry::metrics::trading::STATE;

use super::clock::now;
use super::error::TradingError;
use super::telling::{Happened, Telling};

const TABLE: &str = "trading_state";

/// The state, since when, who made it so, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) state: TradingState,
    pub(crate) since: DateTime<Utc>,
    pub(crate) by: Option<String>,
    pub(crate) reason: Option<String>,
    revision: i64,
}

#[derive(FromRow)]
struct Row {
    state: String,
    since: DateTime<Utc>,
    changed_by: Option<String>,
    reason: Option<String>,
    revision: i64,
}

impl TryFrom<Row> for Standing {
    type Error = TradingError;

    fn try_from(row: Row) -> Result<Self, TradingError> {
        let state: TradingState = row.state.parse().map_err(|_| TradingError::Kept("a trading state"))?;
        Ok(Self { state, since: row.since, by: row.changed_by, reason: row.reason, revision: row.revision })
    }
}

/// The state as it is.
pub(crate) async fn read(database: &Database) -> Result<Standing, TradingError> {
    let statement = Statement::new(
        QueryType::Select,
        TABLE,
        "SELECT state, since, changed_by, reason, revision FROM trading_state WHERE id = 1",
    );
    database.fetch_one::<Row>(statement).await?.try_into()
}

/// The state, which nobody else reads this way or changes before the transaction has ended.
pub(super) async fn lock(transaction: &mut Transaction) -> Result<Standing, TradingError> {
    let statement = Statement::new(
        QueryType::Update,
        TABLE,
        "UPDATE trading_state SET locked = locked + 1 WHERE id = 1 RETURNING state, since, changed_by, reason, revision",
    );
    transaction.fetch_one::<Row>(statement).await?.try_into()
}

/// What the state is to become.
pub(crate) enum Wish {
    /// Exactly this.
    To(TradingState),
    /// This, unless it is as strict already.
    AtLeast(TradingState),
}

/// Changes the state; the change, unless there was nothing to change.
pub(crate) async fn change(
    database: &Database,
    telling: &Telling,
    wish: &Wish,
    by: &Actor,
    reason: Option<&str>,
) -> Result<Option<StateChange>, TradingError> {
    let mut transaction = database.begin().await?;
    let before = lock(&mut transaction).await?;
    let to = match wish {
        Wish::To(state) => *state,
        Wish::AtLeast(state) if strictness(*state) > strictness(before.state) => *state,
        Wish::AtLeast(_) => before.state,
    };
    if to == before.state {
        transaction.rollback().await?;
        show(before.state);
        return Ok(None);
    }
    let (at, revision) = (now(), before.revision + 1);
    let statement = Statement::new(
        QueryType::Update,
        TABLE,
        "UPDATE trading_state SET state = $1, since = $2, changed_by = $3, reason = $4, revision = $5 WHERE id = 1",
    )
    .bind(to.as_str())
    .bind(at)
    .bind(by.as_str())
    .bind(reason)
    .bind(revision);
    transaction.execute(statement).await?;
    let change = StateChange { from: before.state, to, by: by.to_string(), reason: reason.map(str::to_owned), at };
    let happened = Happened {
        key: format!("state:{revision}"),
        group: "state".to_owned(),
        actor: by.clone(),
        action: "state.changed",
        symbol: None,
        decision_id: None,
        at,
        data: json!({"from": change.from, "to": change.to, "reason": change.reason}),
    };
    telling.put(&mut transaction, happened, Some(TradeEvent::State { change: change.clone() })).await?;
    transaction.commit().await?;
    tracing::info!(from = %change.from, to = %change.to, by = %by, "the trading state was changed");
    show(to);
    Ok(Some(change))
}

/// How strict a state is: the higher, the less is traded.
pub(crate) const fn strictness(state: TradingState) -> u8 {
    match state {
        TradingState::Running => 0,
        TradingState::Reducing => 1,
        TradingState::Halted => 2,
    }
}

/// Sets the metric.
pub(crate) fn show(now: TradingState) {
    for state in TradingState::ALL {
        STATE.set(if state == now { 1.0 } else { 0.0 }, &[("state", state.as_str())]);
    }
}
