//! `POST /v1/ask` and its neighbours with everything well, and with bad input.

use std::collections::HashSet;

use serde_json::{Value, json};
use storage::testing::TestDatabase;

use crate::world::{World, get, post, post_text, url};

async fn ask(world: &World, body: Value) -> crate::world::Reply {
    post(&url(&world.notifier, "/v1/ask"), &body).await
}

pub(crate) async fn an_ask_is_answered_from_the_recorded_month(database: TestDatabase) {
    let world = World::start(&database).await;
    let reply = ask(&world, json!({})).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let body = reply.json();
    let answer = &body["outcomes"][0]["answer"];
    assert_eq!(answer["symbol"], "BTCUSDT", "the default symbol");
    assert!(["BUY", "SELL", "HOLD"].contains(&answer["action"].as_str().unwrap()), "{answer}");
    // January 2022.
    let price: f64 = answer["price"].as_str().unwrap().parse().unwrap();
    assert!((30_000.0..50_000.0).contains(&price), "{answer}");
    assert_eq!((answer["mode"].as_str(), answer["strategy"].as_str()), (Some("paper"), Some("technical")));
    assert_eq!(answer["decision_id"].as_str().unwrap().len(), 32);
    assert_eq!(body["trace_id"].as_str().unwrap().len(), 32);

    let words = ask(&world, json!({"question": "what about solana and btc?"})).await.json();
    let named: Vec<&str> = words["outcomes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|outcome| outcome["answer"]["symbol"].as_str().unwrap())
        .collect();
    assert_eq!(named, ["SOLUSDT", "BTCUSDT"]);

    let random = ask(&world, json!({"symbols": ["ethusdt"], "strategy": "random"})).await.json();
    assert_eq!(random["outcomes"][0]["answer"]["strategy"], "random");
    world.stop().await;
}

pub(crate) async fn one_unknown_symbol_of_several_is_refused_beside_the_answers(database: TestDatabase) {
    let world = World::start(&database).await;
    let body = ask(&world, json!({"symbols": ["BTCUSDT", "NOPEUSDT", "BTCUSDT"]})).await.json();
    let outcomes = body["outcomes"].as_array().unwrap();
    assert_eq!(outcomes.len(), 2, "a symbol is asked about once");
    assert_eq!(outcomes[0]["answer"]["symbol"], "BTCUSDT");
    assert_eq!(outcomes[1]["refusal"]["code"], "unknown_symbol", "{body}");

    let alone = ask(&world, json!({"symbols": ["NOPEUSDT"]})).await.problem(404, "unknown_symbol");
    assert!(alone["detail"].as_str().unwrap().contains("ETHUSDT"), "the served ones are named: {alone}");
    let both = ask(&world, json!({"symbols": ["NOPEUSDT", "NEINUSDT"]})).await.problem(404, "unknown_symbol");
    let sentence = both["detail"].as_str().unwrap();
    assert!(sentence.contains("NOPEUSDT") && sentence.contains("NEINUSDT"), "each is named: {both}");
    world.stop().await;
}

pub(crate) async fn bad_input_gets_a_sentence(database: TestDatabase) {
    let world = World::start(&database).await;
    let address = url(&world.notifier, "/v1/ask");
    let unknown = ask(&world, json!({"question": "tell me a joke"})).await.problem(400, "unknown_question");
    assert!(unknown["detail"].as_str().unwrap().contains("btc and eth"), "{unknown}");
    let many: Vec<String> = (0..11).map(|n| format!("COIN{n}USDT")).collect();
    ask(&world, json!({"symbols": ["ETHUSDT"], "question": "btc?"})).await.problem(400, "symbols_and_question");
    ask(&world, json!({"symbols": many})).await.problem(400, "too_many_symbols");
    ask(&world, json!({"question": "btc ".repeat(300)})).await.problem(400, "question_too_long");
    let json_type = [("content-type", "application/json")];
    for (body, why) in [
        ("", "no body"),
        ("{", "no JSON"),
        ("\"btc\"", "no object"),
        (r#"{"symbols":"BTCUSDT"}"#, "wrong type"),
        (r#"{"symbols":["BTC/USDT"]}"#, "no symbol"),
        (r#"{"strategy":"astrology"}"#, "no strategy"),
        (r#"{"coin":"btc"}"#, "unknown field"),
    ] {
        let reply = post_text(&address, &json_type, body).await;
        assert_eq!(reply.status, 400, "{why}: {}", reply.text);
        assert_eq!(reply.header("content-type"), "application/problem+json", "{why}");
    }
    let huge = format!(r#"{{"question":"{}"}}"#, "x".repeat(2 * 1024 * 1024));
    assert_eq!(post_text(&address, &json_type, &huge).await.status, 413);
    assert_eq!(get(&address).await.status, 405);
    world.stop().await;
}

pub(crate) async fn the_service_describes_and_measures_itself(database: TestDatabase) {
    let world = World::start(&database).await;
    assert_eq!(ask(&world, json!({})).await.status, 200);
    let symbols = get(&url(&world.notifier, "/v1/symbols")).await.json();
    assert_eq!(symbols["symbols"].as_array().unwrap().len(), 3);

    let health = get(&url(&world.notifier, "/health/ready")).await.json();
    let names: HashSet<&str> =
        health["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        HashSet::from(["market-data-service", "decision-service", "order-service", "database", "telegram (polling)"])
    );

    let api = get(&url(&world.notifier, "/openapi.json")).await.json();
    for path in ["/v1/ask", "/v1/symbols", "/v1/notices", "/telegram/webhook"] {
        assert!(api["paths"].get(path).is_some(), "{path} is not described");
    }
    // The page and what it reads are api-gateway's.
    for path in ["/", "/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736"] {
        get(&url(&world.notifier, path)).await.problem(404, "not_found");
    }

    let metrics = get(&url(&world.notifier, "/metrics")).await.text;
    for line in [
        "asks_total{",
        "ask_duration_seconds_bucket{",
        "tvtelegrambingx_bot_backend_requests_total{",
        "tvtelegrambingx_bot_backend_request_duration_seconds_bucket{",
        "telegram_up{",
    ] {
        assert!(metrics.lines().any(|metric| metric.starts_with(line)), "{line} is not in\n{metrics}");
    }
    let backend = |name: &str| format!("tvtelegrambingx_bot_backend_requests_total{{backend=\"{name}\",outcome=\"ok\"");
    assert!(
        metrics.contains(&backend("market-data-service")) && metrics.contains(&backend("decision-service")),
        "{metrics}"
    );
    world.stop().await;
}
