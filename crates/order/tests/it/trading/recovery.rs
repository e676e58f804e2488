//! The exchange on a bad day: whatever it does, an order is there once, or it is said that it is not.

use serde_json::{Value, json};
use storage::testing::TestDatabase;
use web::testing::{eventually, get, url};

use super::desk::{Desk, comes_to, decide, deliver, id_of, order, send, signal, signal_with, statuses};

pub(crate) async fn a_lost_answer_is_asked_for_and_found(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    for fault in ["accepted_then_timeout", "accepted_then_drop", "malformed"] {
        desk.bingx_fault(fault).await;
        let signal = signal("buy");
        let id = id_of(&signal);
        // Placed, and nobody heard: with questions answered it is found at once, else while it is asked again.
        let reply = send(&server, &signal).await;
        assert!(matches!(reply.status, 200 | 503), "{fault}: {}", reply.text);
        desk.faults_off().await;
        let filled = comes_to(&server, &id, "filled").await;
        assert_eq!(deliver(&server, &signal).await["order"]["status"], "filled");
        let had = statuses(&filled);
        assert_eq!((had[0].as_str(), had[1].as_str()), ("new", "unknown"), "{fault}: {had:?}");
        assert_eq!(desk.seen(&id).await, (1, 1), "{fault}: it came once");
    }
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn what_never_arrived_is_sent_again_once(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    for fault in
        [json!({"target": "bingx", "kind": "server_error", "status": 504}), json!({"target": "bingx", "kind": "drop"})]
    {
        desk.fault(fault.clone()).await;
        let signal = signal("buy");
        let id = id_of(&signal);
        let _ = send(&server, &signal).await.problem(503, "order_unknown");
        assert_eq!(order(&server, &id).await["status"], "unknown");
        // While nobody knows, whoever comes again is told so, and nothing is sent.
        let _ = send(&server, &signal).await.problem(503, "order_unknown");
        assert_eq!(desk.seen(&id).await.1, 0);
        desk.faults_off().await;
        // The exchange says that it has none; only once it could not come any more is it sent again.
        let filled = comes_to(&server, &id, "filled").await;
        assert_eq!(statuses(&filled), ["new", "unknown", "new", "submitted", "filled"], "{fault}");
        assert_eq!(desk.seen(&id).await.1, 1, "{fault}: it was taken once");
        assert_eq!(deliver(&server, &signal).await["replayed"], true);
    }
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn a_slow_exchange_is_not_asked_twice(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |settings| settings.bingx_recv_window_ms = 5_000).await;
    // Slower than we wait, and not too slow for the exchange to take it in the end.
    desk.fault(json!({"target": "bingx", "kind": "latency", "latency_ms": 1_500})).await;
    let signal = signal("buy");
    let id = id_of(&signal);
    let reply = send(&server, &signal).await;
    assert!(matches!(reply.status, 200 | 503), "{}", reply.text);
    let filled = comes_to(&server, &id, "filled").await;
    desk.faults_off().await;
    let had = statuses(&filled);
    assert_eq!((had[0].as_str(), had[1].as_str()), ("new", "unknown"), "its answer came too late: {had:?}");
    assert_eq!(desk.seen(&id).await, (1, 1), "it came once");
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn what_was_not_sent_comes_again(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    for fault in ["too_many_requests", "clock_skew"] {
        desk.bingx_fault(fault).await;
        let signal = signal("buy");
        let id = id_of(&signal);
        let _ = send(&server, &signal).await.problem(503, "exchange_unavailable");
        assert_eq!(statuses(&order(&server, &id).await), ["new"], "{fault}: it is known not to be there");
        desk.faults_off().await;
        assert_eq!(deliver(&server, &signal).await["result"], "ordered");
        comes_to(&server, &id, "filled").await;
        assert_eq!(desk.seen(&id).await.1, 1, "{fault}");
    }
    server.stop().await;
    // Nobody comes again: it goes on by itself. There is nothing at the exchange's address.
    let server = desk.with(&database, |settings| settings.bingx_api_url = "http://127.0.0.1:1/".parse().unwrap()).await;
    let signal = signal("buy");
    let id = id_of(&signal);
    let _ = send(&server, &signal).await.problem(503, "exchange_unavailable");
    server.stop().await;
    let server = desk.with(&database, |_| {}).await;
    comes_to(&server, &id, "filled").await;
    assert_eq!(desk.seen(&id).await, (1, 1));
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn what_the_exchange_refuses_ends(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    for (fault, words) in [("insufficient_margin", "101204"), ("reject", "")] {
        desk.bingx_fault(fault).await;
        let signal = signal("buy");
        let id = id_of(&signal);
        assert_eq!(deliver(&server, &signal).await["result"], "ordered", "there is an order, and it has ended");
        let rejected = comes_to(&server, &id, "rejected").await;
        assert!(rejected["reason"].as_str().unwrap_or_default().contains(words), "{rejected}");
        assert_eq!(rejected["filled_quantity"], "0");
        desk.faults_off().await;
        assert_eq!(deliver(&server, &signal).await["order"]["status"], "rejected", "it is not tried again");
    }
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn a_part_is_filled_and_then_the_rest(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    desk.bingx_fault("partial_fill").await;
    let signal = signal_with("buy", json!({"quantity": "0.002"}));
    let id = id_of(&signal);
    deliver(&server, &signal).await;
    let half = comes_to(&server, &id, "partially_filled").await;
    assert_eq!(half["filled_quantity"], "0.001");
    let positions = get(&url(&server, "/v1/trading/positions")).await.ok();
    assert_eq!((&positions[0]["symbol"], &positions[0]["quantity"]), (&json!("BTCUSDT"), &json!("0.001")));
    desk.faults_off().await;
    let filled = comes_to(&server, &id, "filled").await;
    assert_eq!(filled["filled_quantity"], "0.002");
    let had = statuses(&filled);
    assert_eq!(had.iter().filter(|status| *status == "partially_filled").count(), 1, "{had:?}");
    let fees: rust_decimal::Decimal = filled["fee"].as_str().unwrap().parse().unwrap();
    let theirs: rust_decimal::Decimal = desk.exchange().await["account"]["fees"].as_str().unwrap().parse().unwrap();
    assert_eq!(fees, theirs);
    server.stop().await;
    desk.stop().await;
}

/// A process ends while the exchange has the order and nobody has heard its answer.
pub(crate) async fn a_process_that_ends_leaves_its_order_to_the_next(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let mut signals = Vec::new();
    // Of two symbols: an order waits for one of its own symbol that nobody knows about.
    for (fault, symbol) in [("accepted_then_timeout", "BTCUSDT"), ("server_error", "ETHUSDT")] {
        let server = desk.with(&database, |_| {}).await;
        desk.fault(json!({"target": "bingx", "kind": fault})).await;
        // Nothing is answered after that, either.
        desk.fault(json!({"target": "bingx", "kind": "server_error", "status": 503})).await;
        let signal = signal_with("buy", json!({"symbol": symbol}));
        let _ = send(&server, &signal).await.problem(503, "order_unknown");
        server.stop().await;
        desk.faults_off().await;
        signals.push(id_of(&signal));
    }
    // Nobody comes again: the next process finds out by itself.
    let (one, other) = (desk.with(&database, |_| {}).await, desk.with(&database, |_| {}).await);
    for id in &signals {
        comes_to(&one, id, "filled").await;
        assert_eq!(desk.seen(id).await.1, 1);
    }
    one.stop().await;
    other.stop().await;
    desk.stop().await;
}

pub(crate) async fn what_somebody_wants_back_is_not_sent_again(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    desk.fault(json!({"target": "bingx", "kind": "server_error", "status": 504})).await;
    let signal = signal("buy");
    let id = id_of(&signal);
    let _ = send(&server, &signal).await.problem(503, "order_unknown");
    let reply = decide(&server, &id, "cancel").await;
    assert_eq!(reply.status, 503, "{}", reply.text);
    desk.faults_off().await;
    let cancelled = comes_to(&server, &id, "cancelled").await;
    assert_eq!(cancelled["reason"], "cancelled by telegram:1001");
    assert_eq!(desk.seen(&id).await.1, 0, "it never came");
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn a_recovery_belongs_to_the_signal_s_trace(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    desk.fault(json!({"target": "bingx", "kind": "server_error", "status": 504})).await;
    let signal = signal("buy");
    let id = id_of(&signal);
    let unknown = send(&server, &signal).await.problem(503, "order_unknown");
    let trace = unknown["trace_id"].as_str().unwrap().to_owned();
    desk.faults_off().await;
    comes_to(&server, &id, "filled").await;
    let recovered = eventually("the recovery's span", async || {
        telemetry::testing::finished_spans().into_iter().find(|span| {
            span.name == "OrderService.recover_order"
                && telemetry::testing::attribute(span, "order.id").as_deref() == Some(id.as_str())
                && telemetry::testing::attribute(span, "order.status").as_deref() == Some("filled")
        })
    })
    .await;
    assert_eq!(recovered.span_context.trace_id().to_string(), trace);
    // So do the messages about it.
    let told = eventually("people are told", async || {
        let told = desk.notices.of(&id);
        (told.last()?["event"]["order"]["status"] == "filled").then_some(told)
    })
    .await;
    assert!(told.iter().all(|notice: &Value| notice["trace_id"] == json!(trace)), "{told:?}");
    server.stop().await;
    desk.stop().await;
}

/// The exchange is set back, and forgets what it had: that is said, and ends when a person says so.
pub(crate) async fn what_the_exchange_forgets_is_unknown_until_a_person_gives_it_up(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let mut config = simulator::Config::ephemeral();
    let exchange = simulator::start(config.clone()).await.unwrap();
    let address = exchange.base_url();
    config.server.port = Some(exchange.addr().port());
    let server = desk.with(&database, |settings| settings.bingx_api_url = address).await;
    let waits = signal_with("buy", json!({"limit_price": "1000"}));
    deliver(&server, &waits).await;
    let id = id_of(&waits);
    assert_eq!(order(&server, &id).await["status"], "submitted");
    exchange.stop().await;
    let exchange = simulator::start(config).await.unwrap();
    // One such answer is no proof.
    let reply = get(&url(&server, &format!("/v1/trading/orders/{id}"))).await.ok();
    assert_eq!(reply["status"], "submitted");
    let unknown = comes_to(&server, &id, "unknown").await;
    assert_eq!(unknown["reason"], "the exchange no longer knows it");
    assert!(unknown["exchange_order_id"].is_string(), "{unknown}");
    assert_eq!(super::desk::state(&server).await["unknown_orders"], 1);
    eventually("it is counted", async || {
        (telemetry::testing::metric_values("trading_open_orders", &[("status", "unknown")]) == [1.0]).then_some(())
    })
    .await;
    let cancelled = decide(&server, &id, "cancel").await.ok();
    assert_eq!(
        (&cancelled["status"], &cancelled["reason"]),
        (&json!("cancelled"), &json!("the exchange no longer knows it"))
    );
    assert_eq!(statuses(&order(&server, &id).await), ["new", "submitted", "unknown", "cancelled"]);
    let seen = get(&url(&exchange, "/control/bingx")).await.ok()["client_order_ids"][&id].clone();
    assert!(seen.is_null(), "it is not sent again: {seen}");
    server.stop().await;
    exchange.stop().await;
    desk.stop().await;
}
