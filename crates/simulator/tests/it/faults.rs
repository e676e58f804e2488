use awc::http::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Answer, Simulator, eventually, read};

const KLINES: &str = "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=3";

async fn chat(sim: &Simulator) -> Answer {
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hello" }] });
    let request = sim.client.post(sim.url("/v1/chat/completions")).bearer_auth("key");
    read(request.send_json(&body).await.unwrap()).await
}

#[actix_web::test]
async fn too_many_requests_in_everyones_own_words() {
    let sim = Simulator::start().await;
    for target in ["binance_rest", "telegram", "llm"] {
        sim.fault(json!({ "target": target, "kind": "too_many_requests", "retry_after_s": 7 })).await;
    }
    let binance = sim.get(KLINES).await;
    assert_eq!((binance.status.as_u16(), binance.header("retry-after")), (429, "7"));
    assert_eq!(binance.json, json!({ "code": -1003, "msg": "Too many requests queued." }));
    let telegram = sim.bot("getMe", json!({})).await;
    assert_eq!((telegram.status.as_u16(), telegram.header("retry-after")), (429, "7"));
    assert_eq!(
        telegram.json,
        json!({ "ok": false, "error_code": 429, "description": "Too Many Requests: retry after 7", "parameters": { "retry_after": 7 } })
    );
    let llm = chat(&sim).await;
    assert_eq!((llm.status.as_u16(), llm.header("retry-after")), (429, "7"));
    assert_eq!(llm.json["error"]["code"], "rate_limit_exceeded");
    sim.delete("/control/faults").await.ok();

    sim.fault(json!({ "target": "binance_rest", "kind": "too_many_requests", "status": 418, "retry_after_s": 120 }))
        .await;
    let banned = sim.get(KLINES).await;
    assert_eq!(banned.status, 418);
    assert!(banned.json["msg"].as_str().unwrap().contains("IP banned until"));
    sim.stop().await;
}

#[actix_web::test]
async fn server_errors_in_everyones_own_words() {
    let sim = Simulator::start().await;
    for target in ["binance_rest", "telegram", "llm"] {
        sim.fault(json!({ "target": target, "kind": "server_error", "status": 502 })).await;
    }
    let binance = sim.get(KLINES).await;
    assert_eq!((binance.status.as_u16(), &binance.json["code"]), (502, &json!(-1000)));
    let telegram = sim.bot("getMe", json!({})).await;
    assert_eq!(telegram.json, json!({ "ok": false, "error_code": 502, "description": "Bad Gateway" }));
    let llm = chat(&sim).await;
    assert_eq!((llm.status.as_u16(), &llm.json["error"]["type"]), (502, &json!("server_error")));
    sim.stop().await;
}

#[actix_web::test]
async fn malformed_answers_are_halves_of_real_ones() {
    let sim = Simulator::start().await;
    for target in ["binance_rest", "telegram", "llm"] {
        sim.fault(json!({ "target": target, "kind": "malformed" })).await;
    }
    for (answer, begin) in
        [(sim.get(KLINES).await, "[["), (sim.bot("getMe", json!({})).await, "{\"ok\":true"), (chat(&sim).await, "{")]
    {
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.text.starts_with(begin), "{}", answer.text);
        assert!(serde_json::from_str::<Value>(&answer.text).is_err());
    }
    sim.stop().await;
}

#[actix_web::test]
async fn a_dropped_connection_has_no_answer() {
    let sim = Simulator::start().await;
    sim.fault(json!({ "target": "binance_rest", "kind": "drop" })).await;
    let mut stream = tokio::net::TcpStream::connect(sim.address()).await.unwrap();
    stream.write_all(b"GET /api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // A reset is as good as an end.
    drop(stream.read_to_end(&mut answer).await);
    assert_eq!(String::from_utf8_lossy(&answer), "");
    assert!(sim.client.get(sim.url(KLINES)).send().await.is_err());
    sim.delete("/control/faults").await.ok();
    sim.get(KLINES).await.ok();
    sim.stop().await;
}

#[actix_web::test]
async fn latency_delays_the_methods_that_it_is_for() {
    let sim = Simulator::start().await;
    sim.fault(json!({ "target": "telegram", "kind": "latency", "latency_ms": 700, "method": "getme" })).await;
    let begin = std::time::Instant::now();
    sim.bot("getWebhookInfo", json!({})).await.ok();
    let list = sim.get("/control/faults").await.ok();
    assert_eq!(list["faults"][0]["injected"], 0);
    sim.bot("getMe", json!({})).await.ok();
    // Only that it waited is checked: a slow machine may wait longer.
    assert!(begin.elapsed().as_millis() >= 700);
    assert_eq!(sim.get("/control/faults").await.ok()["faults"][0]["injected"], 1);
    sim.stop().await;
}

#[actix_web::test]
async fn frozen_prices_keep_their_time_and_thaw() {
    let sim = Simulator::start().await;
    let ticker = async || {
        let day = sim.get("/api/v3/ticker/24hr?symbol=BTCUSDT").await.ok();
        (day["closeTime"].as_i64().unwrap(), day["lastPrice"].clone())
    };
    let time = async || sim.get("/api/v3/time").await.ok()["serverTime"].as_i64().unwrap();
    let id = sim.fault(json!({ "target": "binance_rest", "kind": "freeze" })).await;
    let frozen = ticker().await;
    let begin = time().await;
    // A second is ten prices here.
    eventually("a second", async || (time().await > begin + 1_000).then_some(())).await;
    assert_eq!(ticker().await, frozen);
    assert_eq!(sim.delete(&format!("/control/faults/{id}")).await.status, StatusCode::NO_CONTENT);
    assert!(ticker().await.0 >= begin + 900);
    sim.stop().await;
}

#[actix_web::test]
async fn the_model_misbehaves_in_its_own_ways() {
    let sim = Simulator::start().await;
    let with = async |kind: &str| {
        let id = sim.fault(json!({ "target": "llm", "kind": kind })).await;
        let answer = chat(&sim).await.ok();
        sim.delete(&format!("/control/faults/{id}")).await;
        answer
    };
    let refusal = with("refusal").await;
    assert_eq!(refusal["choices"][0]["message"]["content"], Value::Null);
    assert!(refusal["choices"][0]["message"]["refusal"].as_str().unwrap().contains("can't help"));
    let cut = with("length").await;
    assert_eq!(cut["choices"][0]["finish_reason"], "length");
    let whole = chat(&sim).await.ok();
    let text = |answer: &Value| answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    assert!(text(&whole).starts_with(&text(&cut)) && text(&cut).len() < text(&whole).len());
    let silent = with("no_usage").await;
    assert!(silent.get("usage").is_none() && whole.get("usage").is_some());
    sim.stop().await;
}

#[actix_web::test]
async fn faults_are_listed_removed_bounded_and_counted() {
    let sim = Simulator::start().await;
    let id = sim
        .fault(json!({ "target": "telegram", "kind": "server_error", "probability": 0.5, "method": "sendMessage" }))
        .await;
    let listed = sim.get("/control/faults").await.ok();
    let fault = &listed["faults"][0];
    assert_eq!((&fault["id"], &fault["probability"], &fault["status"]), (&json!(id), &json!(0.5), &json!(500)));
    assert!(fault["remaining_ms"].as_u64().unwrap() <= 60_000);
    let mut failed = 0;
    for _ in 0..60 {
        failed += u64::from(sim.bot("sendMessage", json!({ "chat_id": 1001, "text": "x" })).await.status == 500);
    }
    assert!((10..=50).contains(&failed), "{failed} of 60 at probability 0.5");
    assert_eq!(sim.get("/control/faults").await.ok()["faults"][0]["injected"], failed);
    let metrics = telemetry::metrics::render().unwrap();
    let counted = |name: &str, labels: &[&str]| {
        metrics.lines().any(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)))
    };
    assert!(counted("simulator_faults_injected_total", &["kind=\"server_error\"", "target=\"telegram\""]), "{metrics}");
    assert!(counted("simulator_requests_total", &["outcome=\"server_error\"", "target=\"telegram\""]), "{metrics}");
    assert_eq!(sim.delete("/control/faults").await.ok(), json!({ "removed": 1 }));
    let gone = sim.delete(&format!("/control/faults/{id}")).await;
    assert_eq!((gone.status.as_u16(), &gone.json["code"]), (404, &json!("unknown_fault")));

    let short = json!({ "target": "telegram", "kind": "server_error", "duration_ms": 1 });
    sim.fault(short).await;
    eventually("the fault's end", async || {
        sim.get("/control/faults").await.json["faults"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
    sim.bot("getMe", json!({})).await.ok();
    sim.stop().await;
}

#[actix_web::test]
async fn bad_faults_are_refused_with_a_sentence() {
    let sim = Simulator::start().await;
    for (body, code, sentence) in [
        (json!({ "target": "telegram", "kind": "drop", "duration_ms": 0 }), "bad_fault", "duration_ms is from 1"),
        (
            json!({ "target": "telegram", "kind": "freeze", "duration_ms": 5 }),
            "bad_fault",
            "telegram cannot have the fault freeze",
        ),
        (json!({ "target": "moon", "kind": "drop", "duration_ms": 5 }), "bad_body", "moon"),
        (json!({ "target": "llm", "kind": "drop", "duration_ms": 5, "typo": 1 }), "bad_body", "typo"),
    ] {
        let answer = sim.post("/control/faults", &body).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.json["code"], code);
        assert!(answer.json["detail"].as_str().unwrap().contains(sentence), "{}", answer.text);
    }
    sim.stop().await;
}
