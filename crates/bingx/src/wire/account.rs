//! Money, positions and time on the wire.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Loose;
use crate::symbol::from_bingx;
use crate::{Balance, Position, Positions, UnreadablePosition};

#[derive(Deserialize)]
struct BalanceData {
    balance: BalanceFields,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct BalanceFields {
    asset: Loose,
    balance: Loose,
    equity: Loose,
    unrealized_profit: Loose,
    realised_profit: Loose,
    available_margin: Loose,
    used_margin: Loose,
    freezed_margin: Loose,
}

/// `data` of `GET /openApi/swap/v2/user/balance`.
pub(crate) fn balance(data: &RawValue) -> Result<Balance, String> {
    let data: BalanceData =
        serde_json::from_str(data.get()).map_err(|_| "there is no balance in it as documented".to_owned())?;
    let fields = data.balance;
    let required = |name: &str, value: &Loose| value.decimal()?.ok_or_else(|| format!("there is no {name} in it"));
    Ok(Balance {
        asset: fields.asset.text().ok_or("there is no asset in it")?.to_owned(),
        balance: required("balance", &fields.balance)?,
        equity: required("equity", &fields.equity)?,
        unrealised_profit: fields.unrealized_profit.decimal_or_zero()?,
        realised_profit: fields.realised_profit.decimal_or_zero()?,
        available_margin: required("availableMargin", &fields.available_margin)?,
        used_margin: fields.used_margin.decimal_or_zero()?,
        frozen_margin: fields.freezed_margin.decimal_or_zero()?,
    })
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PositionFields {
    symbol: Loose,
    position_side: Loose,
    position_amt: Loose,
    avg_price: Loose,
    unrealized_profit: Loose,
    realised_profit: Loose,
    leverage: Loose,
}

/// `data` of `GET /openApi/swap/v2/user/positions`: a list, or `null` for none. A position that cannot be read, of a kind
/// of contract that nobody here trades perhaps, hides no other.
pub(crate) fn positions(data: &RawValue) -> Result<Positions, String> {
    let rows: Option<Vec<PositionFields>> =
        serde_json::from_str(data.get()).map_err(|_| "there are no positions in it as documented".to_owned())?;
    let mut all = Positions::default();
    for row in rows.unwrap_or_default() {
        match position(&row) {
            Ok(position) => all.open.push(position),
            Err(reason) => {
                let symbol = row.symbol.text().and_then(from_bingx);
                all.unreadable.push(UnreadablePosition { symbol, reason });
            }
        }
    }
    Ok(all)
}

fn position(fields: &PositionFields) -> Result<Position, String> {
    let symbol = fields.symbol.text().and_then(from_bingx).ok_or("there is a position without a symbol in it")?;
    let amount = fields.position_amt.decimal()?.ok_or_else(|| format!("the position in {symbol} has no amount"))?;
    // The amount of a short position is positive beside the word, negative in one-way accounts without it.
    let is_short = fields.position_side.text().is_some_and(|side| side.eq_ignore_ascii_case("SHORT"));
    Ok(Position {
        amount: if is_short { Decimal::ZERO - amount.abs() } else { amount },
        average_price: fields
            .avg_price
            .decimal()?
            .ok_or_else(|| format!("the position in {symbol} has no average price"))?,
        symbol,
        unrealised_profit: fields.unrealized_profit.decimal_or_zero()?,
        realised_profit: fields.realised_profit.decimal_or_zero()?,
        leverage: fields.leverage.decimal()?,
    })
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct TimeFields {
    server_time: Loose,
}

/// `data` of `GET /openApi/swap/v2/server/time`.
pub(crate) fn server_time(data: &RawValue) -> Result<DateTime<Utc>, String> {
    let fields: TimeFields =
        serde_json::from_str(data.get()).map_err(|_| "there is no time in it as documented".to_owned())?;
    fields.server_time.time().ok_or_else(|| "there is no time in it".to_owned())
}
