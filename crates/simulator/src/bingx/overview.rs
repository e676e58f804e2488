//! The account and its orders, as `/control/bingx` shows them. Our own form: numbers are texts, times are RFC 3339.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Serialize;

use super::account::LEVERAGE;
use super::exchange::Bingx;
use super::order::{Order, Side, Status};
use super::state::Seen;

/// The paper account of the simulated BingX.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct BingxState {
    /// Its money.
    account: AccountState,
    /// Open positions, by symbol.
    positions: Vec<PositionState>,
    /// Newest first.
    orders: Vec<OrderState>,
    /// Orders that were accepted since the account began.
    accepted: u64,
    /// How often each client order id came, and how many orders it made: more than one accepted is one too many.
    client_order_ids: BTreeMap<String, Seen>,
    /// When all open orders are cancelled, while `cancelAllAfter` is on.
    cancel_all_at: Option<DateTime<Utc>>,
    /// Where the prices of fills come from.
    price_source: String,
    /// Whether a restart keeps all this.
    kept: bool,
}

/// Money of the account, in USDT.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct AccountState {
    /// Without what is not realised.
    #[schema(value_type = String)]
    balance: Decimal,
    /// What new orders may bind.
    #[schema(value_type = String)]
    available_margin: Decimal,
    /// Bound by positions.
    #[schema(value_type = String)]
    used_margin: Decimal,
    /// Bound by waiting orders.
    #[schema(value_type = String)]
    frozen_margin: Decimal,
    /// By all positions there were, before fees.
    #[schema(value_type = String)]
    realised_profit: Decimal,
    /// Paid.
    #[schema(value_type = String)]
    fees: Decimal,
    /// Times the margin.
    leverage: u32,
}

/// A position.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct PositionState {
    /// In BingX's spelling.
    symbol: String,
    /// In coins: above 0 is long, below short.
    #[schema(value_type = String)]
    amount: Decimal,
    /// Of entry.
    #[schema(value_type = String)]
    average_price: Decimal,
    /// So far, before fees.
    #[schema(value_type = String)]
    realised_profit: Decimal,
}

/// An order.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct OrderState {
    /// A number above 2^53.
    order_id: String,
    /// Lower case.
    client_order_id: Option<String>,
    /// In BingX's spelling.
    symbol: String,
    /// `BUY` or `SELL`.
    #[schema(value_type = String)]
    side: Side,
    /// `MARKET` or `LIMIT`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// `PENDING`, `PARTIALLY_FILLED`, `FILLED`, `CANCELLED` or `REJECTED`.
    #[schema(value_type = String)]
    status: Status,
    /// In coins.
    #[schema(value_type = String)]
    quantity: Decimal,
    /// In coins.
    #[schema(value_type = String)]
    executed_quantity: Decimal,
    /// Of a limit order.
    #[schema(value_type = Option<String>)]
    price: Option<Decimal>,
    /// 0 while nothing is filled.
    #[schema(value_type = String)]
    average_price: Decimal,
    /// Paid.
    #[schema(value_type = String)]
    fee: Decimal,
    /// Before fees.
    #[schema(value_type = String)]
    realised_profit: Decimal,
    /// Whether it may only make a position smaller.
    reduce_only: bool,
    /// When it was accepted.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

fn time(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

impl From<Order> for OrderState {
    fn from(order: Order) -> Self {
        Self {
            order_id: order.id.to_string(),
            average_price: order.average_price(),
            client_order_id: order.client_id,
            symbol: order.symbol,
            side: order.side,
            kind: order.kind.as_str(),
            status: order.status,
            quantity: order.quantity,
            executed_quantity: order.executed,
            price: order.kind.limit_price(),
            fee: order.commission,
            realised_profit: order.profit,
            reduce_only: order.reduce_only,
            created_at: time(order.created_ms),
            updated_at: time(order.updated_ms),
        }
    }
}

impl Bingx {
    /// The account now.
    pub(crate) fn show(&self) -> BingxState {
        let overview = self.overview();
        let account = overview.books.account;
        let positions = account.positions.iter().map(|(symbol, position)| PositionState {
            symbol: symbol.clone(),
            amount: position.amount,
            average_price: position.average_price,
            realised_profit: position.realised,
        });
        BingxState {
            positions: positions.collect(),
            account: AccountState {
                used_margin: account.used_margin(),
                balance: account.balance,
                available_margin: overview.books.available,
                frozen_margin: overview.books.frozen,
                realised_profit: account.realised,
                fees: account.fees,
                leverage: LEVERAGE,
            },
            orders: overview.orders.into_iter().rev().map(OrderState::from).collect(),
            accepted: overview.accepted,
            client_order_ids: overview.seen,
            cancel_all_at: overview.cancel_all_ms.map(time),
            price_source: self.prices.name(),
            kept: overview.kept,
        }
    }
}
