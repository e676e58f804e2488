//! Orders, positions and money in BingX's words.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::account::{LEVERAGE, Position};
use super::exchange::Books;
use super::order::{Kind, Order};

/// What a signed number is on the wire; zero has no sign there.
fn negated(amount: Decimal) -> Decimal {
    Decimal::ZERO - amount
}

/// `order` of the answer to a placing call.
pub(super) fn placed(order: &Order) -> Value {
    let mut json = json!({
        "orderId": order.id,
        "orderID": order.id.to_string(),
        "symbol": order.symbol,
        "positionSide": "BOTH",
        "side": order.side,
        "type": order.kind.as_str(),
        "price": 0,
        "quantity": order.quantity,
        "stopPrice": 0,
        "workingType": "MARK_PRICE",
        "clientOrderID": order.client_id.as_deref().unwrap_or_default(),
        "timeInForce": "",
        "reduceOnly": order.reduce_only,
        "status": order.status,
        "avgPrice": order.average_price(),
    });
    if let Kind::Limit { price, time_in_force } = order.kind {
        json["price"] = json!(price);
        json["timeInForce"] = json!(time_in_force);
    }
    json
}

/// `order` of the answer to a question or a cancellation.
pub(super) fn reported(order: &Order) -> Value {
    json!({
        "symbol": order.symbol,
        "orderId": order.id,
        "side": order.side,
        "positionSide": "BOTH",
        "type": order.kind.as_str(),
        "origQty": order.quantity.to_string(),
        "price": order.kind.limit_price().unwrap_or_default().to_string(),
        "executedQty": order.executed.to_string(),
        "avgPrice": order.average_price().to_string(),
        "cumQuote": order.quote.to_string(),
        "stopPrice": "",
        "profit": order.profit.to_string(),
        // What is paid is negative.
        "commission": negated(order.commission).to_string(),
        "status": order.status,
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "clientOrderId": order.client_id.as_deref().unwrap_or_default(),
        "leverage": format!("{LEVERAGE}X"),
        "workingType": "MARK_PRICE",
        "onlyOnePosition": true,
        "reduceOnly": order.reduce_only,
        "stopGuaranteed": "false",
    })
}

/// A position at a price.
pub(super) fn position(symbol: &str, position: &Position, price: Decimal) -> Value {
    let amount = position.amount.abs().to_string();
    json!({
        "positionId": position.id.to_string(),
        "symbol": symbol,
        "currency": "USDT",
        "positionAmt": amount,
        "availableAmt": amount,
        "positionSide": if position.amount.is_sign_negative() { "SHORT" } else { "LONG" },
        "isolated": false,
        "avgPrice": position.average_price.to_string(),
        "initialMargin": position.margin().to_string(),
        "leverage": LEVERAGE,
        "unrealizedProfit": position.unrealised(price).to_string(),
        "realisedProfit": position.realised.to_string(),
        "liquidationPrice": 0,
        "markPrice": price.to_string(),
        "onlyOnePosition": true,
    })
}

/// The account's money, with what its positions would realise now.
pub(super) fn balance(books: &Books, unrealised: Decimal) -> Value {
    let account = &books.account;
    json!({
        "userId": "1000000001",
        "asset": "USDT",
        "balance": account.balance.to_string(),
        "equity": (account.balance + unrealised).to_string(),
        "unrealizedProfit": unrealised.to_string(),
        "realisedProfit": account.realised.to_string(),
        "availableMargin": books.available.max(Decimal::ZERO).to_string(),
        "usedMargin": account.used_margin().to_string(),
        "freezedMargin": books.frozen.to_string(),
    })
}
