//! The API.

use serde_json::{Value, json};
use storage::testing::TestDatabase;
use web::testing::{eventually, post_text, url};

use crate::month::month;
use crate::world::{Market, World};

pub(crate) async fn a_signal_is_made_by_hand(database: TestDatabase) {
    let world = World::idle(&database, |_| {}).await;
    let made = world.post(&[], &json!({"symbol": "btcusdt", "action": "sell"})).await;
    assert_eq!(made.status, 202, "{}", made.text);
    let body = made.json();
    let signal = &body["signal"];
    assert_eq!(
        (&signal["symbol"], &signal["action"], &signal["signal_type"], &signal["source"], &signal["confidence"]),
        (&json!("BTCUSDT"), &json!("sell"), &json!("mock"), &json!("by_hand"), &json!("1"))
    );
    assert!(["waiting", "published"].contains(&body["status"].as_str().unwrap()), "{body}");
    let id = signal["signal_id"].as_str().unwrap();
    assert_eq!(made.header("location"), format!("/v1/signals/{id}"));
    let published = world.published(1).await;
    assert_eq!(serde_json::to_value(&published[0].event).unwrap(), *signal);
    assert_eq!(published[0].trace_id.as_deref(), body["trace_id"].as_str(), "in the trace of the request");

    let all = json!({"symbol": "ETHUSDT", "action": "close", "confidence": "0.25", "signal_type": "made_up",
        "reason": "to see what happens"});
    let made = world.post(&[], &all).await;
    assert_eq!(made.status, 202, "{}", made.text);
    for (name, value) in all.as_object().unwrap() {
        assert_eq!(&made.json()["signal"][name], value, "{name}");
    }
    let found = world.get(&format!("/v1/signals/{}", made.json()["signal"]["signal_id"].as_str().unwrap())).await.ok();
    assert_eq!(found["signal"], made.json()["signal"]);
    world.stop().await;
}

pub(crate) async fn a_key_makes_one_signal(database: TestDatabase) {
    let world = World::idle(&database, |_| {}).await;
    let asked = json!({"symbol": "BTCUSDT", "action": "buy", "confidence": "0.70"});
    let key = [("idempotency-key", "one-of-a-kind")];
    let answers = futures_util::future::join_all((0..8).map(|_| world.post(&key, &asked))).await;
    let mut ids: Vec<Value> = answers.iter().map(|answer| answer.json()["signal"]["signal_id"].clone()).collect();
    ids.dedup();
    assert_eq!((ids.len(), answers.iter().filter(|answer| answer.status == 202).count()), (1, 8), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.header("idempotent-replayed") == "true").count(), 7);
    let other = json!({"symbol": "BTCUSDT", "action": "sell", "confidence": "0.70"});
    drop(world.post(&key, &other).await.problem(422, "key_mismatch"));
    drop(world.published(1).await);
    assert_eq!(world.get("/v1/signals").await.ok()["items"].as_array().unwrap().len(), 1);
    world.stop().await;
}

pub(crate) async fn what_is_wrong_is_said(database: TestDatabase) {
    let world = World::idle(&database, |_| {}).await;
    let good = json!({"symbol": "BTCUSDT", "action": "buy"});
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for (body, status, code) in [
        (json!({"symbol": "BTCUSDT"}), 400, "bad_body"),
        (with("action", json!("hold")), 400, "bad_body"),
        (with("symbol", json!("B")), 400, "bad_body"),
        (with("signal_type", json!("No Word")), 400, "bad_body"),
        (with("quantity", json!("1")), 400, "bad_body"),
        (with("confidence", json!("1.01")), 422, "bad_signal"),
        (with("confidence", json!("-0.1")), 422, "bad_signal"),
        (with("reason", json!("x".repeat(1_001))), 422, "bad_signal"),
        (with("reason", json!("a\0b")), 422, "bad_signal"),
    ] {
        drop(world.post(&[], &body).await.problem(status, code));
    }
    let path = url(&world.server, "/v1/signals");
    drop(post_text(&path, &[("content-type", "text/plain")], "{}").await.problem(415, "unsupported_media_type"));
    drop(world.post(&[("idempotency-key", "a b")], &good).await.problem(400, "bad_idempotency_key"));
    drop(world.post(&[("idempotency-key", &"x".repeat(129))], &good).await.problem(400, "bad_idempotency_key"));
    drop(world.post(&[("host", "evil.example")], &good).await.problem(403, "foreign_host"));
    for (path, status, code) in [
        ("/v1/signals?limit=0", 400, "bad_limit"),
        ("/v1/signals?cursor=x", 400, "bad_cursor"),
        ("/v1/signals?symbol=B", 400, "bad_query"),
        ("/v1/signals?signal_type=No", 400, "bad_query"),
        ("/v1/signals/x", 400, "bad_id"),
        ("/v1/signals/00000000000000000000000000000000", 404, "unknown_signal"),
    ] {
        drop(world.get(path).await.problem(status, code));
    }
    assert_eq!(world.get("/v1/signals").await.ok()["items"], json!([]));
    let described = world.get("/openapi.json").await.ok();
    for (path, method) in
        [("/v1/generators", "get"), ("/v1/signals", "get"), ("/v1/signals", "post"), ("/v1/signals/{id}", "get")]
    {
        assert!(described["paths"][path][method]["responses"]["403"].is_object(), "{method} {path}");
    }
    world.stop().await;
}

pub(crate) async fn signals_are_read_in_pages(database: TestDatabase) {
    let world = World::idle(&database, |_| {}).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(world.make(["BTCUSDT", "ETHUSDT"][number % 2], number).await);
    }
    let odd = world.post(&[], &json!({"symbol": "BTCUSDT", "action": "buy", "signal_type": "odd"})).await.json();
    let odd = odd["signal"]["signal_id"].as_str().unwrap().to_owned();
    let read = async |path: &str| {
        let page = world.get(path).await.ok();
        let ids = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["signal"]["signal_id"].as_str().unwrap().to_owned());
        (ids.collect::<Vec<_>>(), page["next_cursor"].as_str().map(str::to_owned))
    };
    let (first, cursor) = read("/v1/signals?limit=4").await;
    assert_eq!(first, [odd.clone(), ids[4].clone(), ids[3].clone(), ids[2].clone()]);
    let (second, end) = read(&format!("/v1/signals?limit=4&cursor={}", cursor.unwrap())).await;
    assert_eq!((second, end), (vec![ids[1].clone(), ids[0].clone()], None));
    assert_eq!(read("/v1/signals?symbol=ethusdt").await.0, [ids[3].clone(), ids[1].clone()]);
    assert_eq!(read("/v1/signals?signal_type=odd").await.0, std::slice::from_ref(&odd));
    assert_eq!(read("/v1/signals?signal_type=mock&symbol=BTCUSDT&limit=2").await.0, [ids[4].clone(), ids[2].clone()]);
    assert!(read("/v1/signals?signal_type=odd&symbol=ETHUSDT").await.0.is_empty());
    world.stop().await;
}

pub(crate) async fn what_the_generators_do_is_told(database: TestDatabase) {
    let market = Market::default();
    let minute = month(domain::Interval::OneMinute)[..200].to_vec();
    market.serve("BTCUSDT", domain::Interval::OneMinute, &minute, 30, &[10]);
    let world = World::start(&database, &market, |config| {
        config.generator.mock_seed = Some(u64::MAX);
        config.generator.mock_mix = "buy:1,close:2".parse().unwrap();
    })
    .await;
    let told = eventually("all candles have been looked at", async || {
        let told = world.get("/v1/generators").await.ok();
        let last = told["golden_cross"]["series"][0]["last_candle"].as_str()?.to_owned();
        let last: chrono::DateTime<chrono::Utc> = last.parse().unwrap();
        (last == minute[199].open_time).then_some(told)
    })
    .await;
    let newest = world.get("/v1/signals?limit=1").await.ok();
    let series = &told["golden_cross"]["series"][0];
    assert_eq!(series["last_signal"], newest["items"][0]["signal"]["signal_id"]);
    assert_eq!(
        (&series["symbol"], &series["interval"], &series["error"]),
        (&json!("BTCUSDT"), &json!("1m"), &json!(null))
    );
    assert_eq!((&told["golden_cross"]["fast_candles"], &told["golden_cross"]["slow_candles"]), (&json!(9), &json!(21)));
    assert_eq!(told["mock"], json!({"per_minute": 0, "mix": "buy:1,close:2", "seed": u64::MAX}));
    assert_eq!(told["buffer"], 10_000);
    world.stop().await;
}
