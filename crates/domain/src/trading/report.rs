//! What traders ask about their account.

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Actor;
use crate::{Symbol, TradingMode};

/// A position, and what it is worth now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PositionView {
    /// What is held.
    pub symbol: Symbol,
    /// In the base currency: above zero is long, below zero short.
    #[schema(value_type = String)]
    pub quantity: Decimal,
    /// Average price, in the quote currency.
    #[schema(value_type = String)]
    pub average_price: Decimal,
    /// Price of the moment; none when there is none that is fresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub price: Option<Decimal>,
    /// What closing it at that price would realise, fees not taken off, in the quote currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub unrealised_pnl: Option<Decimal>,
}

/// Body of `PUT /v1/trading/positions/{symbol}/adopt`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AdoptRequest {
    /// Who does it.
    pub by: Actor,
    /// Why, in at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How much of a symbol is held, and at which average price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HeldPosition {
    /// In the base currency: above zero is long, below zero short.
    #[schema(value_type = String)]
    pub quantity: Decimal,
    /// In the quote currency; absent while nothing is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub average_price: Option<Decimal>,
}

/// Reply of `PUT /v1/trading/positions/{symbol}/adopt`: the exchange's position, which is ours now. Nothing is realised by
/// it: what was won or lost where it came about is not known here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AdoptedPosition {
    /// Of which symbol.
    pub symbol: Symbol,
    /// What was counted here.
    pub before: HeldPosition,
    /// What is counted here now.
    pub after: HeldPosition,
    /// Trace of the request that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// The account at the exchange. `GET /v1/trading/balance` of order-service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Balance {
    /// Whether it is real money.
    pub mode: TradingMode,
    /// Currency of the account, `USDT`.
    pub asset: String,
    /// Everything, open positions not counted.
    #[schema(value_type = String)]
    pub balance: Decimal,
    /// Everything, open positions counted at the price of the moment.
    #[schema(value_type = String)]
    pub equity: Decimal,
    /// What can be used for new positions.
    #[schema(value_type = String)]
    pub available: Decimal,
    /// The positions, as this platform counts them.
    pub positions: Vec<PositionView>,
    /// When the exchange said so.
    pub as_of: DateTime<Utc>,
    /// Trace of the request that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// What one symbol brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SymbolProfit {
    /// Which.
    pub symbol: Symbol,
    /// Realised, fees not taken off, in the quote currency.
    #[schema(value_type = String)]
    pub realised_pnl: Decimal,
    /// Fees, in the quote currency.
    #[schema(value_type = String)]
    pub fees: Decimal,
}

/// What one day (UTC) brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DayProfit {
    /// Which.
    pub date: NaiveDate,
    /// Realised, fees not taken off, in the quote currency.
    #[schema(value_type = String)]
    pub realised_pnl: Decimal,
    /// Fees, in the quote currency.
    #[schema(value_type = String)]
    pub fees: Decimal,
    /// Fills.
    pub fills: u64,
}

/// Profit and loss. `GET /v1/trading/profit` of order-service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProfitReport {
    /// Whether it is real money.
    pub mode: TradingMode,
    /// Realised since the beginning, fees not taken off, in the quote currency.
    #[schema(value_type = String)]
    pub realised_pnl: Decimal,
    /// Fees since the beginning, in the quote currency.
    #[schema(value_type = String)]
    pub fees: Decimal,
    /// By symbol, in their order.
    pub symbols: Vec<SymbolProfit>,
    /// By day, newest first; days without a fill are left out.
    pub days: Vec<DayProfit>,
    /// Trace of the request that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}
