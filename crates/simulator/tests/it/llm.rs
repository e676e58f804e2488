use awc::http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Answer, Simulator, fields, read};

async fn ask(sim: &Simulator, key: Option<&str>, body: &Value) -> Answer {
    let mut request = sim.client.post(sim.url("/v1/chat/completions"));
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    read(request.send_json(body).await.unwrap()).await
}

fn prompt(fast: &str, slow: &str, rsi: &str) -> Value {
    json!({
        "model": "some-model",
        "messages": [
            { "role": "system", "content": "You decide." },
            { "role": "user", "content": format!("Market:\n{{\"symbol\":\"BTCUSDT\",\"price\":\"100\",\"sma_fast\":\"{fast}\",\"sma_slow\":\"{slow}\",\"rsi\":\"{rsi}\"}}") },
        ],
        "response_format": { "type": "json_schema", "json_schema": { "name": "decision", "strict": true, "schema": {
            "type": "object",
            "properties": {
                "action": { "type": "string", "enum": ["BUY", "SELL", "HOLD"] },
                "confidence": { "type": "number" },
                "reason": { "type": "string" },
            },
            "required": ["action", "confidence", "reason"],
            "additionalProperties": false,
        } } },
        "max_completion_tokens": 200,
        "temperature": 0,
    })
}

fn content(answer: &Value) -> Value {
    serde_json::from_str(answer["choices"][0]["message"]["content"].as_str().unwrap()).unwrap()
}

#[actix_web::test]
async fn the_rule_answers_in_the_schema_and_in_the_real_shape() {
    let sim = Simulator::start().await;
    let answer = ask(&sim, Some("key"), &prompt("101", "100", "55")).await.ok();
    assert_eq!(
        fields(&answer),
        ["choices", "created", "id", "model", "object", "service_tier", "system_fingerprint", "usage"]
    );
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!("some-model")));
    assert!(answer["system_fingerprint"].as_str().unwrap().contains("simulated"));
    let choice = &answer["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["refusal"]), (&json!("stop"), &Value::Null));
    let decision = content(&answer);
    assert_eq!(fields(&decision), ["action", "confidence", "reason"]);
    assert_eq!(decision["action"], "BUY");
    assert!(decision["reason"].as_str().unwrap().contains("above the slow one"));
    let usage = &answer["usage"];
    let count = |name: &str| usage[name].as_u64().unwrap();
    assert!(count("prompt_tokens") > 20 && count("completion_tokens") > 5);
    assert_eq!(count("total_tokens"), count("prompt_tokens") + count("completion_tokens"));
    for (fast, slow, rsi, action) in
        [("99", "100", "50", "SELL"), ("100", "100", "50", "HOLD"), ("101", "100", "80", "HOLD")]
    {
        let answer = ask(&sim, Some("key"), &prompt(fast, slow, rsi)).await.ok();
        assert_eq!(content(&answer)["action"], action);
    }
    sim.stop().await;
}

#[actix_web::test]
async fn a_small_token_limit_cuts_the_answer() {
    let sim = Simulator::start().await;
    let mut body = prompt("101", "100", "55");
    body["max_completion_tokens"] = json!(5);
    let answer = ask(&sim, Some("key"), &body).await.ok();
    assert_eq!(
        (&answer["choices"][0]["finish_reason"], &answer["usage"]["completion_tokens"]),
        (&json!("length"), &json!(5))
    );
    sim.stop().await;
}

#[actix_web::test]
async fn a_schema_is_ignored_when_the_fault_says_so() {
    let sim = Simulator::start().await;
    sim.fault(json!({ "target": "llm", "kind": "schema_ignored" })).await;
    let answer = ask(&sim, Some("key"), &prompt("101", "100", "55")).await.ok();
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(text.starts_with("I would BUY"), "{text}");
    sim.stop().await;
}

#[actix_web::test]
async fn keys_are_asked_for() {
    let sim = Simulator::with(|config| config.llm_api_key = Some("right".into())).await;
    let body = prompt("1", "1", "1");
    let none = ask(&sim, None, &body).await;
    assert_eq!(none.status, StatusCode::UNAUTHORIZED);
    assert!(none.json["error"]["message"].as_str().unwrap().contains("didn't provide an API key"));
    let wrong = ask(&sim, Some("wrong"), &body).await;
    assert_eq!((wrong.status.as_u16(), &wrong.json["error"]["code"]), (401, &json!("invalid_api_key")));
    assert!(!wrong.text.contains("wrong"), "a key is never repeated");
    ask(&sim, Some("right"), &body).await.ok();
    sim.stop().await;
}

#[actix_web::test]
async fn bad_requests_are_refused_in_openais_shape() {
    let sim = Simulator::start().await;
    let good = prompt("1", "1", "1");
    let changed = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let mut loose = good.clone();
    loose["response_format"]["json_schema"]["schema"]["additionalProperties"] = json!(true);
    for (body, param) in [
        (changed("stream", json!(true)), json!("stream")),
        (changed("messages", json!([])), json!("messages")),
        (changed("model", Value::Null), Value::Null),
        (changed("temperature", json!(3)), json!("temperature")),
        (changed("messages", json!([{ "role": "ghost", "content": "boo" }])), json!("messages[0].role")),
        (changed("messages", json!("hello")), Value::Null),
        (changed("response_format", json!({ "type": "xml" })), json!("response_format.type")),
        (loose, json!("response_format")),
    ] {
        let answer = ask(&sim, Some("key"), &body).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert_eq!(fields(&answer.json["error"]), ["code", "message", "param", "type"]);
        assert_eq!(
            (&answer.json["error"]["type"], &answer.json["error"]["param"]),
            (&json!("invalid_request_error"), &param),
            "{}",
            answer.text
        );
    }
    let wrong_method = sim.get("/v1/chat/completions").await;
    assert_eq!(
        (wrong_method.status.as_u16(), &wrong_method.json["error"]["type"]),
        (405, &json!("invalid_request_error"))
    );
    sim.stop().await;
}
