//! Positions, fees and profit, held against what the exchange itself counts.

use rust_decimal::Decimal;
use serde_json::{Value, json};
use storage::testing::TestDatabase;
use telemetry::testing::metric_values;
use web::RunningServer;
use web::testing::{eventually, get, url};

use super::desk::{Desk, comes_to, deliver, id_of, signal_with, state};

fn number(value: &Value) -> Decimal {
    value.as_str().unwrap_or_else(|| panic!("{value} is no decimal in a string")).parse().unwrap()
}

async fn trade(server: &RunningServer, action: &str, symbol: &str, quantity: Option<&str>) -> Value {
    let signal = signal_with(action, json!({"symbol": symbol, "quantity": quantity}));
    deliver(server, &signal).await;
    comes_to(server, &id_of(&signal), "filled").await
}

pub(crate) async fn profit_is_what_the_exchange_counts(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    let mut orders = Vec::new();
    for (action, symbol, quantity) in [
        ("buy", "BTCUSDT", Some("0.002")),
        ("buy", "ETHUSDT", Some("0.02")),
        ("buy", "BTCUSDT", Some("0.001")),
        ("sell", "BTCUSDT", Some("0.0015")),
        // Through zero, to the other side.
        ("sell", "BTCUSDT", Some("0.0035")),
        ("close", "BTCUSDT", None),
        ("sell", "ETHUSDT", Some("0.01")),
    ] {
        orders.push(trade(&server, action, symbol, quantity).await);
    }
    let theirs = desk.exchange().await;
    let profit = get(&url(&server, "/v1/trading/profit")).await.ok();
    let close = |ours: &Value, theirs: &Value| {
        let difference = (number(ours) - number(theirs)).abs();
        assert!(difference < "0.000001".parse().unwrap(), "{ours} and {theirs}");
    };
    close(&profit["fees"], &theirs["account"]["fees"]);
    close(&profit["realised_pnl"], &theirs["account"]["realised_profit"]);
    // Every way to add it up comes to the same.
    let sum = |values: &[Value], name: &str| values.iter().map(|value| number(&value[name])).sum::<Decimal>();
    let symbols = profit["symbols"].as_array().unwrap();
    let named: Vec<_> = symbols.iter().map(|symbol| symbol["symbol"].as_str().unwrap()).collect();
    assert_eq!(named, ["BTCUSDT", "ETHUSDT"]);
    let days = profit["days"].as_array().unwrap();
    for (name, total) in [("realised_pnl", &profit["realised_pnl"]), ("fees", &profit["fees"])] {
        assert_eq!(sum(symbols, name), number(total));
        assert_eq!(sum(days, name), number(total));
    }
    assert_eq!(sum(&orders, "realised_pnl"), number(&profit["realised_pnl"]));
    let fills: u64 = days.iter().map(|day| day["fills"].as_u64().unwrap()).sum();
    assert_eq!(fills, 7);
    // What is left is what the exchange holds.
    let positions = get(&url(&server, "/v1/trading/positions")).await.ok();
    assert_eq!(positions.as_array().unwrap().len(), 1, "{positions}");
    assert_eq!(theirs["positions"][0]["symbol"], "ETH-USDT");
    close(&positions[0]["quantity"], &theirs["positions"][0]["amount"]);
    close(&positions[0]["average_price"], &theirs["positions"][0]["average_price"]);
    assert!(positions[0]["price"].is_string() && positions[0]["unrealised_pnl"].is_string(), "{positions}");
    let balance = get(&url(&server, "/v1/trading/balance")).await.ok();
    close(&balance["balance"], &theirs["account"]["balance"]);
    assert_eq!((&balance["asset"], &balance["mode"]), (&json!("USDT"), &json!("paper")));
    assert_eq!(balance["positions"].as_array().unwrap().len(), 1);
    let today = number(&state(&server).await["realised_today"]);
    assert_eq!(today, number(&profit["realised_pnl"]) - number(&profit["fees"]));
    // Charts see it after a restart, too.
    server.stop().await;
    let server = desk.with(&database, |_| {}).await;
    assert_eq!(get(&url(&server, "/v1/trading/profit?days=1")).await.ok()["fees"], profit["fees"]);
    eventually("the figures are set", async || {
        (metric_values("trading_position_quantity", &[("symbol", "ETHUSDT")]) == [0.01]).then_some(())
    })
    .await;
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn what_brings_nothing_costs_nothing(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    let profit = get(&url(&server, "/v1/trading/profit")).await.ok();
    assert_eq!((&profit["realised_pnl"], &profit["fees"], &profit["days"]), (&json!("0"), &json!("0"), &json!([])));
    assert_eq!(get(&url(&server, "/v1/trading/positions")).await.ok(), json!([]));
    for query in ["days=0", "days=367", "days=x", "days=%00"] {
        let _ = get(&url(&server, &format!("/v1/trading/profit?{query}"))).await.problem(400, "bad_query");
    }
    desk.bingx_fault("server_error").await;
    let _ = get(&url(&server, "/v1/trading/balance")).await.problem(503, "exchange_unavailable");
    server.stop().await;
    desk.stop().await;
}
