//! From a signal to an order that is filled, and everybody who hears of it.

use serde_json::{Value, json};
use storage::testing::TestDatabase;
use telemetry::testing::metric_values;
use web::testing::{eventually, get, post_text, url};

use super::desk::{Desk, comes_to, deliver, id_of, order, send, signal, signal_with, statuses};

pub(crate) async fn a_signal_becomes_an_order_that_is_filled(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    let signal = signal("buy");
    let id = id_of(&signal);
    let outcome = send(&server, &signal).await.ok();
    assert_eq!((&outcome["result"], &outcome["replayed"]), (&json!("ordered"), &json!(false)), "{outcome}");
    assert_eq!((&outcome["order"]["id"], &outcome["order"]["mode"]), (&json!(id), &json!("paper")));
    assert!(outcome["order"]["exchange_order_id"].is_string(), "the exchange has it: {outcome}");
    let filled = comes_to(&server, &id, "filled").await;
    assert_eq!((&filled["filled_quantity"], &filled["quantity"]), (&json!("0.001"), &json!("0.001")));
    assert!(filled["average_price"].is_string() && filled["submitted_at"].is_string(), "{filled}");
    assert_eq!(statuses(&filled), ["new", "submitted", "filled"]);
    assert_eq!(desk.seen(&id).await, (1, 1));

    // The same signal again, after a restart too: the same order, and nothing is sent.
    server.stop().await;
    let server = desk.with(&database, |_| {}).await;
    let again = send(&server, &signal).await.ok();
    assert_eq!((&again["replayed"], &again["order"]["status"]), (&json!(true), &json!("filled")));
    assert_eq!(desk.seen(&id).await, (1, 1));

    // People are told of each change once, in order; and the trail says who did what.
    let notices = eventually("people are told", async || {
        let told = desk.notices.of(&id);
        (told.last()?["event"]["order"]["status"] == "filled").then_some(told)
    })
    .await;
    let told: Vec<&Value> = notices.iter().map(|notice| &notice["event"]["order"]["status"]).collect();
    assert_eq!(told, [&json!("new"), &json!("submitted"), &json!("filled")]);
    assert!(notices.iter().all(|notice| notice["trace_id"] == outcome["trace_id"]), "in the signal's trace");
    let trail = eventually("the trail is written", async || {
        let trail = desk.trail(&id).await;
        (trail.len() == 3).then_some(trail)
    })
    .await;
    let told: Vec<_> =
        trail.iter().map(|event| (event["action"].as_str().unwrap(), event["actor"].as_str().unwrap())).collect();
    assert_eq!(
        told,
        [("order.new", "tradingview:main"), ("order.submitted", "exchange:bingx"), ("order.filled", "exchange:bingx")]
    );
    assert!(trail.iter().all(|event| event["symbol"] == "BTCUSDT" && event["trace_id"] == outcome["trace_id"]));
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn how_much_is_said_in_coins_or_in_money_or_not_at_all(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |settings| settings.quantity_decimals = "5".parse().unwrap()).await;
    let quantity = async |signal: Value| {
        let outcome = deliver(&server, &signal).await;
        let order = &outcome["order"];
        let number = |name: &str| order[name].as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap();
        (number("quantity"), number("reference_price"))
    };
    let (exact, _) = quantity(signal_with("buy", json!({"quantity": "0.0012399999"}))).await;
    assert_eq!(exact.to_string(), "0.00123", "cut to what the exchange trades");
    for (signal, notional) in [
        (signal_with("buy", json!({"quantity": null, "notional": "250"})), 250),
        (signal_with("buy", json!({"quantity": null})), 100),
    ] {
        let (quantity, price) = quantity(signal).await;
        let worth = quantity * price;
        assert!(worth <= notional.into() && worth > (notional - 1).into(), "{worth} of {notional}");
    }
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn a_pipeline_s_signal_is_traded_in_its_name(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    let signal = signal_with("buy", json!({"source": "pipeline", "hook": "golden cross, twice"}));
    let id = id_of(&signal);
    let outcome = deliver(&server, &signal).await;
    assert_eq!(outcome["order"]["source"], "pipeline");
    let filled = comes_to(&server, &id, "filled").await;
    assert_eq!((&filled["source"], &filled["hook"]), (&json!("pipeline"), &json!("golden cross, twice")));
    assert_eq!(desk.seen(&id).await, (1, 1));
    let trail = eventually("the trail is written", async || {
        let trail = desk.trail(&id).await;
        (trail.len() == 3).then_some(trail)
    })
    .await;
    assert_eq!(trail[0]["actor"], "pipeline:golden_cross,_twice");
    // What is refused is kept, and told, in its name, too.
    let large = signal_with("buy", json!({"source": "pipeline", "hook": "golden cross, twice", "quantity": "1000"}));
    for replayed in [false, true] {
        let outcome = send(&server, &large).await.ok();
        assert_eq!((&outcome["result"], &outcome["replayed"]), (&json!("refused"), &json!(replayed)), "{outcome}");
    }
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn two_processes_get_the_same_signal_at_once(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let (one, other) = (desk.with(&database, |_| {}).await, desk.with(&database, |_| {}).await);
    for _ in 0..5 {
        let signal = signal("buy");
        let tries: Vec<_> = (0..8)
            .map(|number| {
                let (address, signal) =
                    (url(if number % 2 == 0 { &one } else { &other }, "/v1/signals"), signal.clone());
                actix_web::rt::spawn(async move {
                    eventually("an outcome", async || {
                        let reply = web::testing::post(&address, &signal).await;
                        (reply.status == 200).then(|| reply.json())
                    })
                    .await
                })
            })
            .collect();
        let mut made = 0;
        for attempt in tries {
            let outcome = attempt.await.unwrap();
            assert_eq!(outcome["order"]["id"], signal["signal_id"]);
            made += u32::from(outcome["replayed"] == false);
        }
        let id = id_of(&signal);
        assert!(made <= 1, "{made} made it");
        assert_eq!(desk.seen(&id).await, (1, 1));
        assert_eq!(statuses(&comes_to(&one, &id, "filled").await), ["new", "submitted", "filled"]);
    }
    one.stop().await;
    other.stop().await;
    desk.stop().await;
}

pub(crate) async fn nobody_who_is_told_holds_an_order_up(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    desk.notices.away.store(true, std::sync::atomic::Ordering::SeqCst);
    let audit_port = desk.audit.addr().port();
    let Desk { simulator, market_data, audit, notices, .. } = &desk;
    let _ = (simulator, market_data, notices);
    let address = audit.base_url();
    let server = desk.with(&database, |_| {}).await;
    // audit-service is gone, and whoever tells people is away.
    let Desk { simulator, market_data, audit, notices, .. } = desk;
    audit.stop().await;
    let signal = signal("sell");
    let id = id_of(&signal);
    assert_eq!(send(&server, &signal).await.ok()["result"], "ordered");
    comes_to(&server, &id, "filled").await;
    assert!(notices.of(&id).is_empty());
    notices.away.store(false, std::sync::atomic::Ordering::SeqCst);
    let mut config = audit::Config::ephemeral(database.settings(), None);
    config.server.port = Some(audit_port);
    let audit = audit::start(config).await.unwrap();
    assert_eq!(audit.base_url(), address);
    eventually("people are told", async || (notices.of(&id).len() == 3).then_some(())).await;
    eventually("the trail is written", async || {
        let page = get(&url(&audit, &format!("/v1/events?decision_id={id}"))).await;
        (page.status == 200 && page.json()["items"].as_array().unwrap().len() == 3).then_some(())
    })
    .await;
    server.stop().await;
    audit.stop().await;
    market_data.stop().await;
    simulator.stop().await;
}

pub(crate) async fn a_limit_order_waits_at_the_exchange(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    let low = signal_with("buy", json!({"limit_price": "1000"}));
    let outcome = deliver(&server, &low).await;
    assert_eq!(
        (&outcome["order"]["status"], &outcome["order"]["kind"]["price"]),
        (&json!("submitted"), &json!("1000"))
    );
    let open = get(&url(&server, "/v1/trading/orders?status=open&symbol=BTCUSDT")).await.ok();
    assert_eq!(open["items"][0]["id"], low["signal_id"]);
    assert_eq!(super::desk::state(&server).await["open_orders"], 1);
    eventually("it is counted", async || {
        (metric_values("trading_open_orders", &[("status", "submitted")]) == [1.0]).then_some(())
    })
    .await;
    let id = id_of(&low);
    let cancelled = super::desk::decide(&server, &id, "cancel").await.ok();
    assert_eq!(
        (&cancelled["status"], &cancelled["reason"]),
        (&json!("cancelled"), &json!("cancelled by telegram:1001"))
    );
    let _ = super::desk::decide(&server, &id, "cancel").await.problem(409, "already_final");
    assert_eq!(desk.exchange().await["orders"][0]["status"], "CANCELLED");
    assert_eq!(statuses(&order(&server, &id).await), ["new", "submitted", "cancelled"]);
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn bad_signals_get_a_sentence(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    for change in [
        json!({"quantity": "0"}),
        json!({"quantity": "-1"}),
        json!({"quantity": "1", "notional": "1"}),
        json!({"limit_price": "0"}),
        json!({"comment": "nul\u{0}"}),
        json!({"comment": "x".repeat(1_001)}),
        json!({"received_at": "0001-01-01T00:00:00Z"}),
    ] {
        let _ = send(&server, &signal_with("buy", change)).await.problem(400, "bad_signal");
    }
    for change in [
        json!({"signal_id": "1"}),
        json!({"action": "hold"}),
        json!({"symbol": "BTC/USDT"}),
        json!({"quantity": "NaN"}),
        json!({"source": "nobody"}),
        json!({"received_at": "yesterday"}),
    ] {
        let _ = send(&server, &signal_with("buy", change)).await.problem(400, "bad_body");
    }
    let json_type = [("content-type", "application/json")];
    let _ = post_text(&url(&server, "/v1/signals"), &json_type, "[]").await.problem(400, "bad_body");
    assert!(get(&url(&server, "/v1/trading/orders")).await.ok()["items"].as_array().unwrap().is_empty());
    server.stop().await;
    // Switched off, all of it says so.
    let server = desk.order_service(&database, order::trading::TradingSettings::off()).await;
    let _ = send(&server, &signal("buy")).await.problem(404, "trading_off");
    for path in ["state", "orders", "positions", "balance", "profit"] {
        let _ = get(&url(&server, &format!("/v1/trading/{path}"))).await.problem(404, "trading_off");
    }
    server.stop().await;
    desk.stop().await;
}
