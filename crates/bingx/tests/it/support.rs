//! Clients and orders of tests.

use bingx::{Client, NewOrder, OrderKind, PositionSide, Settings, Side};
use rust_decimal::Decimal;
use url::Url;

/// A client id as the product makes them: a decision's.
pub(crate) const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// Nobody's keys, which no span and no error may show.
pub(crate) const API_KEY: &str = "an-api-key-of-this-test";
pub(crate) const SECRET_KEY: &str = "a-secret-key-of-this-test";

pub(crate) fn settings(base_url: Url) -> Settings {
    telemetry::testing::init();
    Settings::new(base_url, API_KEY.into(), SECRET_KEY.into())
}

pub(crate) fn client(base_url: Url) -> Client {
    Client::new(settings(base_url)).unwrap()
}

pub(crate) fn market(symbol: &str, side: Side, quantity: Decimal, id: &str) -> NewOrder {
    NewOrder {
        symbol: symbol.parse().unwrap(),
        side,
        position_side: PositionSide::Both,
        kind: OrderKind::Market,
        quantity,
        reduce_only: false,
        client_order_id: id.to_owned(),
    }
}
