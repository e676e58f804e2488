//! What the limits refuse: one outcome, one row, one notice, one line in the trail.

use order::trading::TradingSettings;
use serde_json::{Value, json};
use storage::testing::TestDatabase;
use telemetry::testing::metric_values;
use web::RunningServer;
use web::testing::{eventually, fake, get, url};

use super::desk::{Desk, comes_to, deliver, id_of, put_state, send, signal, signal_with};

/// Sends a signal that must be refused so, and looks at everything that a refusal leaves.
async fn refused(desk: &Desk, server: &RunningServer, signal: &Value, code: &str) {
    let id = id_of(signal);
    let outcome = send(server, signal).await.ok();
    assert_eq!((&outcome["result"], &outcome["refusal"]["code"]), (&json!("refused"), &json!(code)), "{outcome}");
    assert!(outcome["refusal"]["detail"].as_str().unwrap().len() > 15, "no sentence: {outcome}");
    assert_eq!(outcome["order"], Value::Null);
    // Whatever changes, a signal has one outcome.
    let again = send(server, signal).await.ok();
    assert_eq!((&again["replayed"], &again["refusal"]), (&json!(true), &outcome["refusal"]));
    let _ = get(&url(server, &format!("/v1/trading/orders/{id}"))).await.problem(404, "unknown_order");
    assert_eq!(desk.seen(&id).await, (0, 0), "the exchange never hears of it");
    let trail = eventually("the trail is written", async || {
        let trail = desk.trail(&id).await;
        (!trail.is_empty()).then_some(trail)
    })
    .await;
    assert_eq!(trail.len(), 1);
    assert_eq!((&trail[0]["action"], &trail[0]["data"]["code"]), (&json!("signal.refused"), &json!(code)));
    let notices = eventually("people are told", async || {
        let told = desk.notices.of(&id);
        (!told.is_empty()).then_some(told)
    })
    .await;
    assert_eq!(notices.len(), 1);
    let event = &notices[0]["event"];
    assert_eq!((&event["kind"], &event["refusal"]), (&json!("refusal"), &outcome["refusal"]));
    assert_eq!(event["signal"]["signal_id"], signal["signal_id"]);
    assert!(!metric_values("trading_order_refusals_total", &[("reason", code)]).is_empty(), "it is counted");
}

async fn process(desk: &Desk, database: &TestDatabase, change: impl FnOnce(&mut TradingSettings)) -> RunningServer {
    desk.with(database, change).await
}

pub(crate) async fn what_the_limits_refuse_leaves_its_marks(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = process(&desk, &database, |settings| {
        settings.trading_symbols.push("NOPEUSDT".parse().unwrap());
        settings.max_position_notional_usd = "100".parse().unwrap();
    })
    .await;
    refused(&desk, &server, &signal_with("buy", json!({"symbol": "DOGEUSDT"})), "symbol_not_allowed").await;
    refused(&desk, &server, &signal_with("buy", json!({"symbol": "NOPEUSDT"})), "unknown_symbol").await;
    refused(&desk, &server, &signal_with("buy", json!({"quantity": "1"})), "notional_too_large").await;
    refused(&desk, &server, &signal_with("buy", json!({"quantity": "0.00001"})), "quantity_too_small").await;
    refused(&desk, &server, &signal_with("close", json!({"quantity": null})), "nothing_to_close").await;
    let old = chrono::Utc::now() - chrono::TimeDelta::seconds(301);
    refused(&desk, &server, &signal_with("buy", json!({"received_at": old})), "signal_too_old").await;
    refused(&desk, &server, &signal_with("buy", json!({"alerted_at": old})), "signal_too_old").await;
    refused(&desk, &server, &signal_with("buy", json!({"quantity": "0.01"})), "position_too_large").await;
    put_state(&server, "reducing").await;
    refused(&desk, &server, &signal("buy"), "reducing_only").await;
    put_state(&server, "halted").await;
    refused(&desk, &server, &signal("buy"), "trading_halted").await;
    refused(&desk, &server, &signal_with("close", json!({"quantity": null})), "trading_halted").await;
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn too_many_orders_and_too_much_lost(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = process(&desk, &database, |settings| settings.max_orders_per_minute = 1).await;
    let first = signal("buy");
    deliver(&server, &first).await;
    comes_to(&server, &id_of(&first), "filled").await;
    refused(&desk, &server, &signal("buy"), "too_many_orders").await;
    server.stop().await;
    // The fee of one order is more than may be lost now.
    let server = process(&desk, &database, |settings| settings.max_daily_loss_usd = "0.001".parse().unwrap()).await;
    refused(&desk, &server, &signal("buy"), "daily_loss").await;
    let close = signal_with("close", json!({"quantity": null}));
    assert_eq!(deliver(&server, &close).await["result"], "ordered", "what makes a position smaller is still traded");
    let closed = comes_to(&server, &id_of(&close), "filled").await;
    assert_eq!((&closed["side"], &closed["reduce_only"]), (&json!("sell"), &json!(true)));
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn an_old_price_is_no_price(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let prices = fake(|_, _| async move {
        actix_web::HttpResponse::Ok().json(json!({
            "symbol": "BTCUSDT", "price": "40000", "observed_at": chrono::Utc::now(), "age_ms": 10_001, "source": "rest",
        }))
    });
    let mut config = order::Config::ephemeral(database.settings(), prices, None);
    config.trading = desk.settings();
    let server = order::start(config).await.unwrap();
    web::testing::ready(&server).await;
    refused(&desk, &server, &signal("buy"), "price_too_old").await;
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn without_a_price_a_signal_waits_and_a_refusal_does_not(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = process(&desk, &database, |_| {}).await;
    let Desk { simulator, market_data, audit, notices, .. } = desk;
    market_data.stop().await;
    let waiting = signal("buy");
    let reply = send(&server, &waiting).await;
    assert!(matches!(reply.status, 502..=504), "{}", reply.text);
    assert_eq!(reply.json()["upstream"], "market-data-service", "{}", reply.text);
    put_state(&server, "halted").await;
    assert_eq!(send(&server, &waiting).await.ok()["refusal"]["code"], "trading_halted");
    eventually("people are told", async || (!notices.of(&id_of(&waiting)).is_empty()).then_some(())).await;
    server.stop().await;
    audit.stop().await;
    simulator.stop().await;
}
