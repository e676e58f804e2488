//! Positions that the exchange counts otherwise.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use storage::testing::TestDatabase;
use telemetry::testing::metric_values;
use web::RunningServer;
use web::testing::{eventually, get, url};

use super::desk::{Desk, comes_to, decide, deliver, id_of, put, signal_with};

async fn buys(server: &RunningServer, symbol: &str, quantity: &str) {
    let signal = signal_with("buy", json!({"symbol": symbol, "quantity": quantity}));
    deliver(server, &signal).await;
    comes_to(server, &id_of(&signal), "filled").await;
}

async fn told(desk: &Desk, action: &str, count: usize) -> Vec<Value> {
    eventually(action, async || {
        let told = desk.notices.of(action);
        (told.len() >= count).then_some(told)
    })
    .await
}

/// Different notices: a process that stops while it delivers one leaves it to the next, and notifier-service tells it once.
fn ids(desk: &Desk, action: &str) -> BTreeSet<String> {
    desk.notices.of(action).iter().map(|notice| notice["notice_id"].to_string()).collect()
}

/// Somebody else trades on the same account; meanwhile orders of the symbol, and of another one, rest.
pub(crate) async fn a_difference_is_found_told_once_and_taken_over(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    buys(&server, "BTCUSDT", "0.002").await;
    let rests = signal_with("buy", json!({"symbol": "SOLUSDT", "quantity": "1", "limit_price": "1"}));
    deliver(&server, &rests).await;
    comes_to(&server, &id_of(&rests), "submitted").await;
    let rests_too = signal_with("buy", json!({"limit_price": "1"}));
    deliver(&server, &rests_too).await;
    comes_to(&server, &id_of(&rests_too), "submitted").await;
    let key = secrecy::SecretString::from("simulated-api-key");
    let secret = secrecy::SecretString::from("simulated-secret-key");
    let by_hand = bingx::Client::new(bingx::Settings::new(desk.simulator.base_url(), key, secret)).unwrap();
    let order = bingx::NewOrder {
        symbol: "BTCUSDT".parse().unwrap(),
        side: bingx::Side::Sell,
        position_side: bingx::PositionSide::Both,
        kind: bingx::OrderKind::Market,
        quantity: rust_decimal::Decimal::new(5, 4),
        reduce_only: false,
        client_order_id: "byhand".to_owned(),
    };
    by_hand.place(&order).await.unwrap();
    let begins = told(&desk, "position.differs:BTCUSDT", 1).await;
    let difference = &begins[0]["event"]["difference"];
    assert_eq!((&difference["ours"], &difference["exchange"]), (&json!("0.002"), &json!("0.0015")), "{difference}");
    let gauge = |symbol: &str| metric_values("trading_position_difference", &[("symbol", symbol)]);
    assert_eq!(gauge("BTCUSDT"), [-0.0005]);
    // A process that begins anew finds the same, and tells nobody again.
    server.stop().await;
    let server = desk.with(&database, |_| {}).await;
    let rounds = || metric_values("trading_reconciliations_total", &[("outcome", "ok")]).iter().sum::<f64>();
    let begin = rounds();
    eventually("three more rounds", async || (rounds() >= begin + 3.0).then_some(())).await;
    assert_eq!(ids(&desk, "position.differs").len(), 1);
    let adopt = json!({"by": "telegram:1001", "reason": "sold by hand"});
    for symbol in ["SOLUSDT", "BTCUSDT"] {
        let refused = put(&server, &format!("/v1/trading/positions/{symbol}/adopt"), &adopt).await;
        let _ = refused.problem(409, "orders_open");
    }
    assert_eq!(decide(&server, &id_of(&rests_too), "cancel").await.ok()["status"], "cancelled");
    let _ = put(&server, "/v1/trading/positions/-/adopt", &adopt).await.problem(400, "bad_query");
    let realised = get(&url(&server, "/v1/trading/profit")).await.ok()["realised_pnl"].clone();
    let adopted = put(&server, "/v1/trading/positions/BTCUSDT/adopt", &adopt).await.ok();
    assert_eq!(
        (&adopted["before"]["quantity"], &adopted["after"]["quantity"]),
        (&json!("0.002"), &json!("0.0015")),
        "{adopted}"
    );
    let positions = get(&url(&server, "/v1/trading/positions")).await.ok();
    assert_eq!((&positions[0]["symbol"], &positions[0]["quantity"]), (&json!("BTCUSDT"), &json!("0.0015")));
    assert_eq!(positions[0]["average_price"], adopted["after"]["average_price"]);
    let profit = get(&url(&server, "/v1/trading/profit")).await.ok();
    assert_eq!(profit["realised_pnl"], realised, "nothing is made up");
    let ends = told(&desk, "position.agrees:BTCUSDT", 1).await;
    assert!(ends[0]["event"]["difference"]["ended_at"].is_string(), "{}", ends[0]);
    eventually("the figure is nothing again", async || (gauge("BTCUSDT") == [0.0]).then_some(())).await;
    let trail = eventually("the trail has it", async || {
        let events = get(&url(&desk.audit, "/v1/events?limit=200")).await.ok()["items"].as_array().unwrap().clone();
        events.into_iter().find(|event| event["action"] == "position.adopted")
    })
    .await;
    assert_eq!((&trail["actor"], &trail["data"]["reason"]), (&json!("telegram:1001"), &json!("sold by hand")));
    // What is traded next is counted from there.
    buys(&server, "BTCUSDT", "0.001").await;
    let positions = get(&url(&server, "/v1/trading/positions")).await.ok();
    assert_eq!(positions[0]["quantity"], "0.0025");
    assert_eq!((ids(&desk, "position.differs").len(), ids(&desk, "position.agrees").len()), (1, 1));
    server.stop().await;
    desk.stop().await;
}
