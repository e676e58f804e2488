//! Reading orders, and the description of the API.

use serde_json::{Value, json};
use storage::testing::TestDatabase;
use web::testing::{get, url};

use super::desk::{Desk, comes_to, deliver, id_of, signal_with};

pub(crate) async fn orders_are_read_in_pages_and_by_what_they_are(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    let mut made = Vec::new();
    for number in 0..5 {
        let symbol = if number % 2 == 0 { "BTCUSDT" } else { "SOLUSDT" };
        let waits = (number == 4).then_some("1000");
        let signal = signal_with("buy", json!({"symbol": symbol, "quantity": null, "limit_price": waits}));
        deliver(&server, &signal).await;
        if waits.is_none() {
            comes_to(&server, &id_of(&signal), "filled").await;
        }
        made.push(id_of(&signal));
    }
    made.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&url(&server, &format!("/v1/trading/orders?limit=2{cursor}"))).await.ok();
        seen.extend(page["items"].as_array().unwrap().iter().map(|order| order["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, made, "newest first, each once");
    let ids = async |query: &str| {
        let page = get(&url(&server, &format!("/v1/trading/orders?{query}"))).await.ok();
        let items = page["items"].as_array().unwrap();
        items.iter().map(|order| order["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids("symbol=solusdt").await, [made[1].clone(), made[3].clone()]);
    assert_eq!(ids("status=open").await, [made[0].clone()]);
    assert_eq!(ids("status=filled").await, made[1..]);
    assert_eq!(ids("status=open&symbol=SOLUSDT").await, Vec::<String>::new());
    assert_eq!(ids("status=filled&symbol=BTCUSDT").await, [made[2].clone(), made[4].clone()]);
    for (query, code) in [
        ("status=done", "bad_query"),
        ("symbol=%00", "bad_query"),
        ("limit=0", "bad_limit"),
        ("cursor=x", "bad_cursor"),
    ] {
        let _ = get(&url(&server, &format!("/v1/trading/orders?{query}"))).await.problem(400, code);
    }
    for id in ["1", "%00", &"G".repeat(32)] {
        let _ = get(&url(&server, &format!("/v1/trading/orders/{id}"))).await.problem(400, "bad_order_id");
    }
    let _ = get(&url(&server, &format!("/v1/trading/orders/{}", "0".repeat(32)))).await.problem(404, "unknown_order");
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn all_of_it_is_described(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    let described = get(&url(&server, "/openapi.json")).await.ok();
    for (path, method, statuses) in [
        ("/v1/signals", "post", &["200", "400", "403", "404", "408", "413", "415", "502", "503", "504"][..]),
        ("/v1/trading/orders", "get", &["200", "400", "403", "404", "503", "504"]),
        ("/v1/trading/orders/{id}", "get", &["200", "400", "403", "404", "503", "504"]),
        (
            "/v1/trading/orders/{id}/confirm",
            "post",
            &["200", "400", "403", "404", "408", "409", "410", "413", "415", "502", "503", "504"],
        ),
        (
            "/v1/trading/orders/{id}/decline",
            "post",
            &["200", "400", "403", "404", "408", "409", "410", "413", "415", "503", "504"],
        ),
        (
            "/v1/trading/orders/{id}/cancel",
            "post",
            &["200", "400", "403", "404", "408", "409", "413", "415", "503", "504"],
        ),
        ("/v1/trading/state", "get", &["200", "403", "404", "503", "504"]),
        ("/v1/trading/state", "put", &["200", "400", "403", "404", "408", "413", "415", "503", "504"]),
        ("/v1/trading/positions", "get", &["200", "403", "404", "503", "504"]),
        (
            "/v1/trading/positions/{symbol}/adopt",
            "put",
            &["200", "400", "403", "404", "408", "409", "413", "415", "503", "504"],
        ),
        ("/v1/trading/balance", "get", &["200", "403", "404", "503", "504"]),
        ("/v1/trading/profit", "get", &["200", "400", "403", "404", "503", "504"]),
        ("/v1/trading/alerts", "post", &["200", "400", "403", "404", "408", "413", "415", "503", "504"]),
    ] {
        let answers = described["paths"][path][method]["responses"].as_object();
        let answers = answers.unwrap_or_else(|| panic!("{method} {path} is not described"));
        assert_eq!(answers.keys().collect::<Vec<_>>(), statuses, "{method} {path}");
    }
    // Every schema that is named is there.
    let text = described.to_string();
    let schemas = described["components"]["schemas"].as_object().unwrap();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is named and not described");
    }
    assert!(matches!(&schemas["StateOutcome"], Value::Object(_)));
    server.stop().await;
    desk.stop().await;
}

/// A page of somebody else's, whose name suddenly leads to this machine, trades nothing and reads nothing.
pub(crate) async fn only_names_of_this_machine_are_answered(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    let foreign = [("host", "rebound.example.org:5002"), ("content-type", "application/json")];
    let signal = super::desk::signal("buy");
    for (path, body) in [
        ("/v1/signals", signal.clone()),
        ("/v1/trading/alerts", json!({"alerts": []})),
        ("/v1/trading/state", json!({})),
        ("/process", json!({"user_id": 1, "action": "view"})),
    ] {
        let reply = web::testing::post_text(&url(&server, path), &foreign, &body.to_string()).await;
        let _ = reply.problem(403, "foreign_host");
    }
    let id = id_of(&signal);
    let _ = get(&url(&server, &format!("/v1/trading/orders/{id}"))).await.problem(404, "unknown_order");
    let near = format!("http://localhost:{}/v1/trading/state", server.addr().port());
    assert_eq!(get(&near).await.ok()["state"], "running");
    server.stop().await;
    desk.stop().await;
}
