//! What happens in trading.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use storage::testing::TestDatabase;
use web::RunningServer;
use web::testing::{get, post, post_text, url};

use crate::trail::{run, start};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// As order-service tells it.
fn event(id: &str) -> Value {
    json!({
        "event_id": id, "actor": "telegram:1001", "action": "order.confirmed", "symbol": "BTCUSDT",
        "decision_id": "0123456789abcdef0123456789abcdef", "trace_id": TRACE, "at": "2026-01-01T00:00:00.123456Z",
        "data": {"quantity": "0.001", "reason": "an \u{e4}", "nested": [1, {"two": null}]},
    })
}

async fn events(server: &RunningServer, query: &str) -> Vec<Value> {
    get(&url(server, &format!("/v1/events{query}"))).await.ok()["items"].as_array().unwrap().clone()
}

pub(crate) async fn an_event_is_recorded_once_with_all_of_it(database: TestDatabase) {
    let (one, other) = (start(&database).await, start(&database).await);
    let first = post(&url(&one, "/v1/events"), &event("order:1:1")).await;
    assert_eq!(first.header("idempotent-replayed"), "");
    let first = first.ok();
    for (member, value) in event("order:1:1").as_object().unwrap() {
        assert_eq!(&first[member], value, "{member}");
    }
    // What comes again finds its row, also when somebody says it in other words.
    let mut changed = event("order:1:1");
    changed["data"] = json!({"something": "else"});
    let again = post(&url(&other, "/v1/events"), &changed).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.ok(), first);
    let calls: Vec<_> = (0..12)
        .map(|number| {
            let address = url(if number % 2 == 0 { &one } else { &other }, "/v1/events");
            actix_web::rt::spawn(async move { post(&address, &event("at-once")).await.ok()["id"].as_i64().unwrap() })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for call in calls {
        ids.insert(call.await.unwrap());
    }
    assert_eq!((ids.len(), events(&one, "").await.len()), (1, 2));
    one.stop().await;
    other.stop().await;
}

pub(crate) async fn events_are_never_changed(database: TestDatabase) {
    let server = start(&database).await;
    post(&url(&server, "/v1/events"), &event("order:1:1")).await.ok();
    for statement in ["UPDATE trading_events SET actor = 'nobody'", "DELETE FROM trading_events"] {
        let refused = run(&database, statement).await.unwrap_err().to_string();
        assert!(refused.contains("never"), "{statement}: {refused}");
    }
    if database.engine() == "postgresql" {
        let refused = run(&database, "TRUNCATE trading_events").await.unwrap_err().to_string();
        assert!(refused.contains("never"), "{refused}");
    } else {
        let replace = "INSERT OR REPLACE INTO trading_events (id, event_id, actor, action, at, data, recorded_at) \
                       SELECT id, event_id, 'nobody', action, at, data, recorded_at FROM trading_events";
        run(&database, replace).await.unwrap();
    }
    assert_eq!(events(&server, "").await[0]["actor"], "telegram:1001");
    server.stop().await;
}

pub(crate) async fn events_are_read_in_pages_and_by_what_they_are_about(database: TestDatabase) {
    let server = start(&database).await;
    for number in 1..=5_u32 {
        let mut event = event(&format!("order:{number}:1"));
        event["decision_id"] = json!(format!("{:032x}", number % 2));
        if number == 5 {
            event["trace_id"] = Value::Null;
            event["symbol"] = Value::Null;
        }
        post(&url(&server, "/v1/events"), &event).await.ok();
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&url(&server, &format!("/v1/events?limit=2{cursor}"))).await.ok();
        seen.extend(page["items"].as_array().unwrap().iter().map(|event| event["event_id"].clone()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, (1..=5).rev().map(|number| json!(format!("order:{number}:1"))).collect::<Vec<_>>());
    let odd = format!("{:032x}", 1);
    assert_eq!(events(&server, &format!("?decision_id={odd}")).await.len(), 3);
    assert_eq!(events(&server, &format!("?trace_id={}", TRACE.to_uppercase())).await.len(), 4);
    assert_eq!(events(&server, &format!("?trace_id={TRACE}&decision_id={odd}")).await.len(), 2);
    server.stop().await;
}

pub(crate) async fn what_cannot_be_kept_gets_a_sentence(database: TestDatabase) {
    let server = start(&database).await;
    let address = url(&server, "/v1/events");
    for (member, value) in [
        ("event_id", json!("")),
        ("event_id", json!("two words")),
        ("action", json!("Order")),
        ("trace_id", json!("xyz")),
        ("data", json!([1])),
        ("data", json!({"text": "\u{0}"})),
    ] {
        let mut event = event("order:1:1");
        event[member] = value;
        let _ = post(&address, &event).await.problem(400, "bad_event");
    }
    for (member, value) in [("actor", json!("")), ("symbol", json!("BTC/USDT")), ("decision_id", json!("1"))] {
        let mut event = event("order:1:1");
        event[member] = value;
        let _ = post(&address, &event).await.problem(400, "bad_body");
    }
    let _ = post_text(&address, &[("content-type", "application/json")], "[]").await.problem(400, "bad_body");
    for (query, code) in [
        ("limit=0", "bad_limit"),
        ("cursor=x", "bad_cursor"),
        ("decision_id=1", "bad_query"),
        ("trace_id=%00", "bad_query"),
    ] {
        let _ = get(&url(&server, &format!("/v1/events?{query}"))).await.problem(400, code);
    }
    assert!(events(&server, "").await.is_empty());
    let described = get(&url(&server, "/openapi.json")).await.ok();
    assert!(described["paths"]["/v1/events"]["post"]["responses"]["400"].is_object(), "it is described");
    server.stop().await;
}

/// A page of somebody else's, whose name suddenly leads to this machine, writes nothing into the trail.
pub(crate) async fn only_names_of_this_machine_are_answered(database: TestDatabase) {
    let server = start(&database).await;
    let foreign = [("host", "rebound.example.org:5003"), ("content-type", "application/json")];
    let reply = post_text(&url(&server, "/v1/events"), &foreign, &event("order:1:1").to_string()).await;
    let _ = reply.problem(403, "foreign_host");
    assert!(events(&server, "").await.is_empty());
    server.stop().await;
}
