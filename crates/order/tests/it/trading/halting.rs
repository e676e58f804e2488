//! The trading state, and what a halt does.

use serde_json::{Value, json};
use storage::testing::TestDatabase;
use telemetry::testing::metric_values;
use web::testing::{eventually, get, url};

use super::desk::{Desk, comes_to, deliver, id_of, order, put, put_state, send, signal, signal_with, state, statuses};

pub(crate) async fn the_state_stays_over_restarts_and_counts_for_everybody(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let (server, other) = (desk.with(&database, |_| {}).await, desk.with(&database, |_| {}).await);
    let begin = state(&server).await;
    assert_eq!((&begin["state"], &begin["mode"], &begin["by"]), (&json!("running"), &json!("paper"), &Value::Null));
    assert_eq!(begin["limits"]["max_order_notional_usd"], "1000");
    let changed = put_state(&server, "halted").await;
    assert_eq!(
        (&changed["state"], &changed["changed"], &changed["by"]),
        (&json!("halted"), &json!(true), &json!("telegram:1001"))
    );
    assert_eq!(put_state(&server, "halted").await["changed"], false);
    assert_eq!(send(&other, &signal("buy")).await.ok()["refusal"]["code"], "trading_halted");
    server.stop().await;
    other.stop().await;
    let server = desk.with(&database, |_| {}).await;
    let kept = state(&server).await;
    assert_eq!((&kept["state"], &kept["reason"]), (&json!("halted"), &json!("a test")));
    eventually("it is counted", async || {
        (metric_values("trading_state", &[("state", "halted")]) == [1.0]).then_some(())
    })
    .await;
    let notices = eventually("people are told", async || {
        let told = desk.notices.of("state:");
        (!told.is_empty()).then_some(told)
    })
    .await;
    assert_eq!(notices.len(), 1, "of the change, and not of the repetition");
    let change = &notices[0]["event"]["change"];
    assert_eq!((&change["from"], &change["to"]), (&json!("running"), &json!("halted")));
    let events = eventually("the trail is written", async || {
        let events = get(&url(&desk.audit, "/v1/events")).await.ok()["items"].as_array().unwrap().clone();
        events.iter().any(|event| event["action"] == "state.changed").then_some(events)
    })
    .await;
    let event = events.iter().find(|event| event["action"] == "state.changed").unwrap();
    assert_eq!((&event["actor"], &event["data"]["to"]), (&json!("telegram:1001"), &json!("halted")));
    put_state(&server, "running").await;
    assert_eq!(deliver(&server, &signal("buy")).await["result"], "ordered");
    for body in
        [json!({"state": "going", "by": "cli"}), json!({"state": "halted"}), json!({"state": "halted", "by": "a b"})]
    {
        let _ = put(&server, "/v1/trading/state", &body).await.problem(400, "bad_body");
    }
    let long = json!({"state": "halted", "by": "cli", "reason": "x".repeat(501)});
    let _ = put(&server, "/v1/trading/state", &long).await.problem(400, "bad_reason");
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn a_halt_takes_back_what_is_open(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    let waits = signal_with("buy", json!({"limit_price": "1000"}));
    deliver(&server, &waits).await;
    let id = id_of(&waits);
    // The exchange cannot be reached: that is said, and tried again.
    desk.bingx_fault("server_error").await;
    let halted = put_state(&server, "halted").await;
    assert_eq!((&halted["state"], &halted["cancelled"]), (&json!("halted"), &json!([])));
    assert_eq!(halted["not_cancelled"][0]["order_id"], json!(id), "{halted}");
    desk.faults_off().await;
    let cancelled = comes_to(&server, &id, "cancelled").await;
    assert_eq!(cancelled["reason"], "cancelled by telegram:1001");
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn a_halt_stops_what_waits_to_be_sent(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    // The exchange asks for fewer calls: the order is written down, and is not there.
    desk.bingx_fault("too_many_requests").await;
    let signal = signal("buy");
    let id = id_of(&signal);
    let _ = send(&server, &signal).await.problem(503, "exchange_unavailable");
    assert_eq!(order(&server, &id).await["status"], "new");
    let halted = put_state(&server, "halted").await;
    assert!(halted["cancelled"] == json!([id]) || order(&server, &id).await["status"] != "new", "{halted}");
    desk.faults_off().await;
    let cancelled = comes_to(&server, &id, "cancelled").await;
    assert_eq!(statuses(&cancelled), ["new", "cancelled"]);
    assert_eq!(desk.seen(&id).await.1, 0);
    // The signal has its outcome, and running again changes nothing about it.
    put_state(&server, "running").await;
    assert_eq!(deliver(&server, &signal).await["order"]["status"], "cancelled");
    assert_eq!(desk.seen(&id).await.1, 0);
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn a_pause_lets_positions_become_smaller(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    let buy = signal("buy");
    deliver(&server, &buy).await;
    comes_to(&server, &id_of(&buy), "filled").await;
    put_state(&server, "reducing").await;
    let sell = signal_with("sell", json!({"quantity": "0.0004"}));
    deliver(&server, &sell).await;
    let sold = comes_to(&server, &id_of(&sell), "filled").await;
    assert_eq!(sold["reduce_only"], true, "the exchange is told so, too");
    assert_eq!(
        send(&server, &signal_with("sell", json!({"quantity": "0.0007"}))).await.ok()["refusal"]["code"],
        "reducing_only"
    );
    server.stop().await;
    desk.stop().await;
}

/// Whoever is told that trading is halted can rely on it: no order is made after that, by any process. What was on its way
/// to the exchange just then is named, and is taken back once it is there.
pub(crate) async fn a_halt_is_immediate(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let (one, other) = (desk.with(&database, |_| {}).await, desk.with(&database, |_| {}).await);
    // Long enough for orders to be on their way.
    desk.fault(json!({"target": "bingx", "kind": "latency", "latency_ms": 300})).await;
    let tries: Vec<_> = (0..40)
        .map(|number| {
            let address = url(if number % 2 == 0 { &one } else { &other }, "/v1/signals");
            let rests = signal_with("buy", json!({"limit_price": "1000"}));
            actix_web::rt::spawn(async move { web::testing::post(&address, &rests).await.status })
        })
        .collect();
    eventually("some are made", async || {
        let page = get(&url(&one, "/v1/trading/orders")).await.ok();
        (page["items"].as_array().unwrap().len() >= 3).then_some(())
    })
    .await;
    let halted = put_state(&other, "halted").await;
    let told = chrono::Utc::now();
    for attempt in tries {
        assert!(matches!(attempt.await.unwrap(), 200 | 503));
    }
    desk.faults_off().await;
    let orders = async || {
        let page = get(&url(&one, "/v1/trading/orders?limit=200")).await.ok();
        page["items"].as_array().unwrap().clone()
    };
    let orders = eventually("all are at their end", async || {
        let orders = orders().await;
        let open = ["new", "submitted", "partially_filled", "unknown"];
        orders.iter().all(|order| !open.contains(&order["status"].as_str().unwrap())).then_some(orders)
    })
    .await;
    let time = |value: &Value| chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap();
    assert!(orders.len() >= 3 && orders.iter().all(|order| time(&order["created_at"]) < time(&halted["since"])));
    assert!(orders.iter().all(|order| order["status"] == "cancelled"), "nothing of them was filled: {orders:?}");
    let not_cancelled = halted["not_cancelled"].as_array().unwrap();
    let named = |id: &Value| not_cancelled.iter().any(|order| order["order_id"] == *id);
    for accepted in desk.exchange().await["orders"].as_array().unwrap() {
        assert_eq!(accepted["status"], "CANCELLED", "{accepted}");
        let later = time(&accepted["created_at"]) > told;
        assert!(!later || named(&accepted["client_order_id"]), "nobody was told of {accepted}: {halted}");
    }
    assert_eq!(send(&one, &signal("buy")).await.ok()["refusal"]["code"], "trading_halted");
    one.stop().await;
    other.stop().await;
    desk.stop().await;
}

/// Limits are those of the account, not of a process.
pub(crate) async fn processes_share_their_limits(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let one = desk.with(&database, |settings| settings.max_orders_per_minute = 3).await;
    let other = desk.with(&database, |settings| settings.max_orders_per_minute = 3).await;
    let tries: Vec<_> = (0..12)
        .map(|number| {
            let address = url(if number % 2 == 0 { &one } else { &other }, "/v1/signals");
            actix_web::rt::spawn(async move { web::testing::post(&address, &signal("buy")).await })
        })
        .collect();
    let mut results = Vec::new();
    for attempt in tries {
        results.push(attempt.await.unwrap().ok()["result"].as_str().unwrap().to_owned());
    }
    let ordered = results.iter().filter(|result| *result == "ordered").count();
    assert_eq!((ordered, results.len()), (3, 12), "{results:?}");
    assert_eq!(desk.exchange().await["accepted"], 3);
    one.stop().await;
    other.stop().await;
    desk.stop().await;
}

/// What rests at the exchange and could make a position larger is taken back; what only makes it smaller stays.
pub(crate) async fn a_pause_takes_back_what_makes_positions_larger(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |settings| settings.reconcile_interval_seconds = 3_600).await;
    let buy = signal("buy");
    deliver(&server, &buy).await;
    comes_to(&server, &id_of(&buy), "filled").await;
    let larger = signal_with("buy", json!({"limit_price": "1000"}));
    let smaller = signal_with("close", json!({"limit_price": "400000"}));
    for waits in [&larger, &smaller] {
        deliver(&server, waits).await;
        comes_to(&server, &id_of(waits), "submitted").await;
    }
    let paused = put_state(&server, "reducing").await;
    assert_eq!((&paused["cancelled"], &paused["not_cancelled"]), (&json!([id_of(&larger)]), &json!([])));
    let taken = order(&server, &id_of(&larger)).await;
    assert_eq!((&taken["status"], &taken["reason"]), (&json!("cancelled"), &json!("cancelled by telegram:1001")));
    let stays = order(&server, &id_of(&smaller)).await;
    assert_eq!((&stays["status"], &stays["reduce_only"]), (&json!("submitted"), &json!(true)));
    server.stop().await;
    desk.stop().await;
}
