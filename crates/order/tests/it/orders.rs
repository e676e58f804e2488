//! Making and reading orders.

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use serde_json::{Value, json};
use storage::testing::TestDatabase;
use web::testing::{get, post, post_text, url};

use crate::world::{Market, Next, order_of, order_service, rows};

fn decimal(value: &Value) -> Decimal {
    value.as_str().unwrap_or_else(|| panic!("{value} is no decimal in a string")).parse().unwrap()
}

pub(crate) async fn items_are_priced_and_added_up_exactly(database: TestDatabase) {
    let market = Market::start().await;
    let next = Next::default();
    let server = order_service(&database, &market, Some(next.start())).await;
    let request = json!({
        "user_id": 7, "action": "purchase", "decision_id": "0123456789abcdef0123456789abcdef",
        "items": [
            {"symbol": "BTCUSDT", "quantity": "0.12345678"}, {"symbol": "ethusdt", "quantity": 2},
            {"symbol": "SOLUSDT", "quantity": 0.1}, {"symbol": "BTCUSDT", "quantity": "1000000000"},
        ],
    });
    let reply = post(&url(&server, "/process"), &request).await.ok();
    let order = order_of(&reply);
    let items = order["items"].as_array().unwrap();
    let named: Vec<_> =
        items.iter().map(|item| (item["symbol"].as_str().unwrap(), decimal(&item["quantity"]).to_string())).collect();
    assert_eq!(
        named,
        [
            ("BTCUSDT", "0.12345678".to_owned()),
            ("ETHUSDT", "2".to_owned()),
            ("SOLUSDT", "0.1".to_owned()),
            ("BTCUSDT", "1000000000".to_owned())
        ],
        "in the order they were named"
    );
    let mut total = Decimal::ZERO;
    for item in items {
        let own = decimal(&item["quantity"]) * decimal(&item["unit_price"]);
        assert_eq!(decimal(&item["total"]), own, "{item}");
        total += own;
    }
    assert_eq!(decimal(&order["total"]), total);
    assert_eq!(order["currency"], "USDT");
    // What goes on, and what is kept, is the same to the last digit.
    assert_eq!(&reply["parts"][1]["data"]["context"]["order"], order);
    let mut kept = get(&url(&server, &format!("/orders/{}", order["id"].as_str().unwrap()))).await.ok();
    let (made_at, kept_at) = (order["created_at"].clone(), kept["created_at"].take());
    assert!(made_at.as_str().unwrap().starts_with(&kept_at.as_str().unwrap()[..23]), "{made_at} {kept_at}");
    for member in ["id", "user_id", "action", "total", "currency", "decision_id", "trace_id"] {
        assert_eq!(kept[member], order[member], "{member}");
    }
    for (kept, made) in kept["items"].as_array().unwrap().iter().zip(items) {
        for member in ["symbol", "quantity", "unit_price", "total"] {
            assert_eq!(kept[member], made[member], "{member}");
        }
    }
    server.stop().await;
    market.stop().await;
}

pub(crate) async fn an_action_without_items_means_something(database: TestDatabase) {
    let market = Market::start().await;
    let server = order_service(&database, &market, None).await;
    let purchase = post(&url(&server, "/process"), &json!({"user_id": 7, "action": "Purchase"})).await.ok();
    let items = order_of(&purchase)["items"].as_array().unwrap().clone();
    assert_eq!(
        (items.len(), items[0]["symbol"].as_str(), items[0]["quantity"].as_str()),
        (1, Some("BTCUSDT"), Some("0.001"))
    );
    let other = post(&url(&server, "/process"), &json!({"user_id": 7, "action": "test_trace"})).await.ok();
    assert_eq!(order_of(&other)["items"], json!([]));
    assert_eq!((order_of(&other)["total"].as_str(), &order_of(&other)["currency"]), (Some("0"), &Value::Null));
    server.stop().await;
    market.stop().await;
}

fn keyed(key: &str) -> Value {
    json!({"user_id": 7, "action": "purchase", "context": {"idempotency_key": key}})
}

pub(crate) async fn a_key_makes_one_order(database: TestDatabase) {
    let market = Market::start().await;
    let next = Next::default();
    let address = next.start();
    let server = order_service(&database, &market, Some(address.clone())).await;
    let first = post(&url(&server, "/process"), &keyed("k")).await;
    assert_eq!(first.header("idempotent-replayed"), "");
    let first = first.ok();
    // After a restart too, and in another process.
    server.stop().await;
    let server = order_service(&database, &market, Some(address)).await;
    let again = post(&url(&server, "/process"), &keyed("k")).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(order_of(&again.ok())["id"], order_of(&first)["id"]);
    assert_eq!(rows(&server, "/orders").await.len(), 1);
    // Another request with the key is refused, and nothing of it is done.
    let mut other = keyed("k");
    other["user_id"] = json!(8);
    let _ = post(&url(&server, "/process"), &other).await.problem(422, "key_mismatch");
    assert!(rows(&server, "/orders?user_id=8").await.is_empty());
    drop(post(&url(&server, "/process"), &keyed("other")).await.ok());
    assert_eq!(rows(&server, "/orders").await.len(), 2);
    server.stop().await;
    market.stop().await;
}

pub(crate) async fn two_tries_at_once_make_one_order(database: TestDatabase) {
    let market = Market::start().await;
    let next = Next::default();
    let address = next.start();
    let one = order_service(&database, &market, Some(address.clone())).await;
    let other = order_service(&database, &market, Some(address)).await;
    let tries: Vec<_> = (0..16)
        .map(|number| {
            let address = url(if number % 2 == 0 { &one } else { &other }, "/process");
            actix_web::rt::spawn(async move { post(&address, &keyed("k")).await.ok() })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for attempt in tries {
        ids.insert(order_of(&attempt.await.unwrap())["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 1, "everybody is told of the same order");
    assert_eq!(rows(&one, "/orders").await.len(), 1);
    one.stop().await;
    other.stop().await;
    market.stop().await;
}

pub(crate) async fn orders_are_read_in_pages(database: TestDatabase) {
    let market = Market::start().await;
    let server = order_service(&database, &market, None).await;
    let mut made = Vec::new();
    for number in 0..7 {
        let user = if number % 3 == 0 { 8 } else { 7 };
        let reply = post(&url(&server, "/process"), &json!({"user_id": user, "action": "buy"})).await.ok();
        made.push(order_of(&reply)["id"].as_str().unwrap().to_owned());
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(&url(&server, &format!("/orders?limit=3{cursor}"))).await.ok();
        for order in page["items"].as_array().unwrap() {
            assert_eq!(order["items"].as_array().unwrap().len(), 1, "with its own items: {order}");
            seen.push(order["id"].as_str().unwrap().to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    made.reverse();
    assert_eq!(seen, made, "newest first, each once");
    let of_eight = rows(&server, "/orders?user_id=8&limit=2").await;
    assert_eq!(of_eight.len(), 2);
    assert!(of_eight.iter().all(|order| order["user_id"] == 8 && order["items"].as_array().unwrap().len() == 1));
    server.stop().await;
    market.stop().await;
}

pub(crate) async fn bad_input_gets_a_sentence(database: TestDatabase) {
    let market = Market::start().await;
    let server = order_service(&database, &market, None).await;
    let json_type = [("content-type", "application/json")];
    let many = json!({"user_id": 1, "action": "buy", "items": vec![json!({"symbol": "BTCUSDT", "quantity": 1}); 51]});
    for (body, status) in [
        (r#"{"user_id": 1, "action": "buy", "items": [{"symbol": "NOPEUSDT", "quantity": 1}]}"#, 404),
        (r#"{"user_id": 1, "action": "buy", "items": [{"symbol": "BTC/USDT", "quantity": 1}]}"#, 400),
        (r#"{"user_id": 1, "action": "buy", "items": [{"symbol": "BTCUSDT", "quantity": 0}]}"#, 400),
        (r#"{"user_id": 1, "action": "buy", "items": [{"symbol": "BTCUSDT", "quantity": "NaN"}]}"#, 400),
        (r#"{"user_id": 1, "action": "buy", "items": [{"symbol": "BTCUSDT", "quantity": 1e30}]}"#, 400),
        (r#"{"user_id": 1, "action": "buy", "items": [{"symbol": "BTCUSDT"}]}"#, 400),
        (r#"{"user_id": 1, "action": "buy", "items": {}}"#, 400),
        (&many.to_string(), 400),
    ] {
        let reply = post_text(&url(&server, "/process"), &json_type, body).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text);
        assert!(reply.json()["detail"].as_str().unwrap().len() > 15, "{body}: {}", reply.text);
    }
    drop(get(&url(&server, "/orders/1")).await.problem(400, "bad_order_id"));
    drop(get(&url(&server, &format!("/orders/{}", "0".repeat(32)))).await.problem(404, "unknown_order"));
    for (query, code, says) in [
        ("limit=0", "bad_limit", "from 1 to 200"),
        ("limit=1000", "bad_limit", "from 1 to 200"),
        ("limit=999999", "bad_limit", "from 1 to 200"),
        ("cursor=x", "bad_cursor", "next_cursor"),
        ("user_id=0", "bad_query", "user_id is a whole number"),
        ("user_id=x", "bad_query", "user_id is a whole number"),
    ] {
        let problem = get(&url(&server, &format!("/orders?{query}"))).await.problem(400, code);
        assert!(problem["detail"].as_str().unwrap().contains(says), "{query}: {problem}");
    }
    assert!(rows(&server, "/orders").await.is_empty(), "nothing of it was written");
    server.stop().await;
    market.stop().await;
}
