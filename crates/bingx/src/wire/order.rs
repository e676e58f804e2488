//! Orders on the wire.

use domain::Symbol;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Loose;
use crate::symbol::from_bingx;
use crate::{OrderReport, OrderStatus, PlacedOrder, Side};

/// `data` of an answer about one order.
#[derive(Deserialize)]
struct Data {
    order: Order,
}

/// An order; both spellings of the ids occur, sometimes side by side.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Order {
    symbol: Loose,
    #[serde(rename = "orderId")]
    order_id: Loose,
    #[serde(rename = "orderID")]
    order_id_text: Loose,
    #[serde(rename = "clientOrderId")]
    client_order_id: Loose,
    #[serde(rename = "clientOrderID")]
    client_order_id_other: Loose,
    side: Loose,
    status: Loose,
    #[serde(rename = "origQty")]
    original_quantity: Loose,
    #[serde(rename = "executedQty")]
    executed_quantity: Loose,
    #[serde(rename = "avgPrice")]
    average_price: Loose,
    price: Loose,
    commission: Loose,
    profit: Loose,
    time: Loose,
    #[serde(rename = "updateTime")]
    update_time: Loose,
}

impl Order {
    fn read(data: &RawValue) -> Result<Self, String> {
        serde_json::from_str::<Data>(data.get())
            .map(|data| data.order)
            .map_err(|_| "there is no order in it as documented".to_owned())
    }

    /// BingX's id, from the text where there is one: the number beside it may have been rounded on its way.
    fn exchange_order_id(&self) -> Result<String, String> {
        let id = self.order_id_text.text().or(self.order_id.text()).filter(|id| id.bytes().any(|digit| digit != b'0'));
        id.map(str::to_owned).ok_or_else(|| "there is no order id in it".to_owned())
    }

    fn client_order_id(&self) -> String {
        let id = self.client_order_id.text().or(self.client_order_id_other.text());
        id.unwrap_or_default().to_ascii_lowercase()
    }

    /// Whether it is about the order of this client id, as far as it says: the real exchange leaves the id out at times.
    fn check_is(&self, symbol: &Symbol, client_order_id: &str) -> Result<(), String> {
        let id = self.client_order_id();
        if !id.is_empty() && !id.eq_ignore_ascii_case(client_order_id) {
            return Err("it is about another order".to_owned());
        }
        match self.symbol.text() {
            Some(text) if from_bingx(text).as_ref() != Some(symbol) => Err("it is about another symbol".to_owned()),
            _ => Ok(()),
        }
    }
}

/// The order that was placed; an `Err` says why the answer cannot be one about it.
pub(crate) fn placed(data: &RawValue, symbol: &Symbol, client_order_id: &str) -> Result<PlacedOrder, String> {
    let order = Order::read(data)?;
    order.check_is(symbol, client_order_id)?;
    Ok(PlacedOrder {
        exchange_order_id: order.exchange_order_id()?,
        client_order_id: client_order_id.to_ascii_lowercase(),
        symbol: symbol.clone(),
        status: order.status.text().map(OrderStatus::read),
    })
}

/// The order that was asked for; an `Err` says why the answer cannot be one about it.
pub(crate) fn report(data: &RawValue, symbol: &Symbol, client_order_id: &str) -> Result<OrderReport, String> {
    let order = Order::read(data)?;
    order.check_is(symbol, client_order_id)?;
    let side = match order.side.text().map(str::to_ascii_uppercase).as_deref() {
        Some("BUY") => Side::Buy,
        Some("SELL") => Side::Sell,
        _ => return Err("there is no side in it".to_owned()),
    };
    let status = order.status.text().map(OrderStatus::read).ok_or("there is no status in it")?;
    let quantity = |name: &str, value: &Loose| match value.decimal()? {
        Some(quantity) if quantity >= Decimal::ZERO => Ok(Some(quantity)),
        Some(quantity) => Err(format!("{name} is {quantity}")),
        None => Ok(None),
    };
    let executed = quantity("executedQty", &order.executed_quantity)?;
    if executed.is_none() && matches!(status, OrderStatus::Filled | OrderStatus::PartiallyFilled) {
        return Err("it says that the order was filled, not how much of it".to_owned());
    }
    let executed_quantity = executed.unwrap_or_default();
    let positive = |value: &Loose| value.decimal().map(|price| price.filter(|price| *price > Decimal::ZERO));
    Ok(OrderReport {
        exchange_order_id: order.exchange_order_id()?,
        client_order_id: order.client_order_id(),
        symbol: symbol.clone(),
        side,
        status,
        original_quantity: quantity("origQty", &order.original_quantity)?.unwrap_or(executed_quantity),
        executed_quantity,
        average_price: positive(&order.average_price)?,
        price: positive(&order.price)?,
        // Zero has no sign.
        commission: Decimal::ZERO - order.commission.decimal_or_zero()?,
        realised_profit: order.profit.decimal_or_zero()?,
        update_time: order.update_time.time().or(order.time.time()),
    })
}
