//! `POST /api/v1/process` with fake links behind the gateway.

use serde_json::{Value, json};
use telemetry::testing::attribute;
use web::testing::{Reply, post, post_text, url};

use crate::fake::{Fake, Script, reply};
use crate::support::{Checked as _, gateway, post_with, spans_with};

fn purchase() -> Value {
    json!({"user_id": 1001, "user_name": "John Doe", "user_email": "john@example.com", "action": "purchase"})
}

fn names(reply: &Value) -> Vec<&str> {
    reply["services"].as_array().unwrap().iter().map(|part| part["service"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn each_service_has_its_part_and_the_whole_is_one_trace() {
    let parts = reply(&["user-service", "order-service", "audit-service"]);
    let link = Fake::start(vec![Script::json("/process", parts)]);
    let gateway = gateway(&["--next-service-url", &link.url]).await;
    let answer = post(&url(&gateway, "/api/v1/process"), &purchase()).await;
    let body = answer.ok();
    assert_eq!(names(&body), ["api-gateway", "user-service", "order-service", "audit-service"]);
    assert_eq!((body["status"].as_str(), answer.header("idempotent-replayed")), (Some("done"), ""));
    let request_id = body["request_id"].as_str().unwrap();
    assert_eq!(answer.header("x-request-id"), request_id);
    assert_eq!((answer.header("x-content-type-options"), answer.header("cache-control")), ("nosniff", "no-store"));

    let asked = link.only();
    assert_eq!((asked.method.as_str(), asked.uri.as_str()), ("POST", "/process"));
    let handed_on = asked.json();
    assert_eq!(handed_on["user_email"], "john@example.com");
    let context = &handed_on["context"];
    assert_eq!(context["request_id"], request_id);
    assert!(context.get("idempotency_key").is_none(), "{context}");
    let hops = context["hops"].as_array().unwrap();
    assert_eq!((hops.len(), hops[0]["service"].as_str()), (1, Some("api-gateway")));

    // The link is told the trace of the reply, and whose request it is.
    let trace_id = body["trace_id"].as_str().unwrap();
    let parent: Vec<&str> = asked.header("traceparent").unwrap().split('-').collect();
    assert_eq!(parent[1], trace_id);
    assert_eq!(asked.header("baggage"), Some("user.id=1001"));
    let spans = spans_with(trace_id, "POST /api/v1/process").await;
    let root = spans.iter().find(|span| span.name == "POST /api/v1/process").unwrap();
    let call = spans.iter().find(|span| span.span_context.span_id().to_string() == parent[2]).unwrap();
    assert_eq!((call.name.as_ref(), call.parent_span_id), ("POST /process", root.span_context.span_id()));
    for (name, value) in
        [("user.id", "1001"), ("order.action", "purchase"), ("request.id", request_id), ("idempotency", "false")]
    {
        assert_eq!(attribute(root, name).as_deref(), Some(value), "{name}");
    }
    gateway.stop().await;
}

#[actix_web::test]
async fn the_first_link_is_a_setting() {
    let own = Fake::link("fraud-check");
    let flags = ["--next-service-url", &own.url, "--next-service-name", "fraud-check"];
    let gateway = gateway(&flags).await;
    let body = post(&url(&gateway, "/api/v1/process"), &purchase()).await.ok();
    assert_eq!(names(&body), ["api-gateway", "fraud-check"]);
    gateway.stop().await;
    let without = gateway::Config::ephemeral(&["--next-service-url", "none"]).unwrap();
    let refused = gateway::start(without).await.err().unwrap().to_string();
    assert!(refused.contains("NEXT_SERVICE_URL"), "{refused}");
}

#[actix_web::test]
async fn a_part_that_is_still_to_be_done_shows_in_the_whole() {
    let parts = reply(&["user-service"]).replace("\"done\"", "\"deferred\"");
    let link = Fake::start(vec![Script::json("/process", parts).header("idempotent-replayed", "true")]);
    let gateway = gateway(&["--next-service-url", &link.url]).await;
    let answer = post_with(
        &url(&gateway, "/api/v1/process"),
        &[("idempotency-key", "again"), ("x-request-id", "mine-1")],
        &purchase(),
    )
    .await;
    let body = answer.ok();
    assert_eq!((body["status"].as_str(), body["request_id"].as_str()), (Some("deferred"), Some("mine-1")));
    assert_eq!((answer.header("idempotent-replayed"), answer.header("x-request-id")), ("true", "mine-1"));
    // The key is the client's own: nobody else's request is meant by it.
    assert_eq!(link.only().json()["context"]["idempotency_key"], "anybody:again");
    gateway.stop().await;
}

#[actix_web::test]
async fn what_a_client_may_not_say_reaches_nobody() {
    let link = Fake::link("user-service");
    let gateway = gateway(&["--next-service-url", &link.url]).await;
    let address = url(&gateway, "/api/v1/process");
    let json_text = ("content-type", "application/json");
    let text = async |body: &str| post_text(&address, &[json_text], body).await;
    let context = json!({"user_id": 1, "action": "buy", "context": {"user": null, "order": null}});
    post(&address, &context).await.refused(400, "context_not_allowed");
    text("").await.refused(400, "bad_json");
    text("{").await.refused(400, "bad_json");
    for array in ["[]", r#"[1001, "Ann", null, "buy"]"#] {
        text(array).await.refused(400, "bad_body");
    }
    let positional = r#"{"user_id": 1, "action": "buy", "items": [["BTCUSDT", "1"]]}"#;
    let problem = text(positional).await.problem(400, "bad_body");
    assert!(problem["detail"].as_str().unwrap().contains("items[0] is an object"), "{problem}");
    let valid = r#"{"user_id": 1, "action": "buy"}"#;
    post_text(&address, &[("content-type", "application/vnd.api+json")], valid)
        .await
        .refused(415, "unsupported_media_type");
    post_text(&address, &[json_text, ("content-encoding", "gzip")], valid).await.refused(415, "unsupported_media_type");
    for (wrong, named) in [
        (json!({"user_id": 1, "action": "buy", "itmes": []}), "itmes"),
        (json!({"action": "buy"}), "user_id"),
        (json!({"user_id": 0, "action": "buy"}), "user"),
        (json!({"user_id": 1, "action": "<script>"}), "action"),
        (json!({"user_id": 1, "action": "buy", "user_email": "nobody"}), "user_email"),
        (json!({"user_id": 1, "action": "buy", "user_name": "a\u{0}b"}), "name"),
        (json!({"user_id": 1, "action": "buy", "user_name": "nnA\u{202e}"}), "user_name"),
        (json!({"user_id": "1", "action": "buy"}), "user_id"),
        (json!({"user_id": 1, "action": "buy", "items": [{"symbol": "BTCUSDT", "quantity": "-1"}]}), "quantity"),
    ] {
        let problem = post(&address, &wrong).await.problem(400, "bad_body");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(named), "{named}: {detail}");
        for internal in ["i64", "struct", "invalid type", "`", "at line"] {
            assert!(!detail.contains(internal), "{internal}: {detail}");
        }
    }
    let items: Vec<Value> = (0..51).map(|_| json!({"symbol": "BTCUSDT", "quantity": "1"})).collect();
    post(&address, &json!({"user_id": 1, "action": "buy", "items": items})).await.refused(400, "too_many_items");
    post_text(&address, &[("content-type", "text/plain")], "{}").await.refused(415, "unsupported_media_type");
    let large = format!(r#"{{"user_id": 1, "action": "buy", "user_name": "{}"}}"#, "a".repeat(1024 * 1024));
    let refused: Reply = text(&large).await;
    refused.refused(413, "body_too_large");
    assert_eq!(refused.header("x-request-id").len(), 32, "refusals carry the id too");
    let key = async |value: &str| {
        let headers = [json_text, ("idempotency-key", value)];
        post_text(&address, &headers, r#"{"user_id": 1, "action": "buy"}"#).await
    };
    key("").await.refused(400, "bad_idempotency_key");
    key("a b").await.refused(400, "bad_idempotency_key");
    let long = "k".repeat(129);
    key(&long).await.refused(400, "bad_idempotency_key");
    let twice = [json_text, ("idempotency-key", "a"), ("idempotency-key", "b")];
    post_text(&address, &twice, r#"{"user_id": 1, "action": "buy"}"#).await.refused(400, "bad_idempotency_key");
    assert!(link.seen().is_empty(), "{:?}", link.seen());
    key(&long[..128]).await.done();
    gateway.stop().await;
}

#[actix_web::test]
async fn nothing_of_the_outside_comes_along() {
    let link = Fake::link("user-service");
    let gateway = gateway(&["--next-service-url", &link.url]).await;
    let headers = [
        ("baggage", "user.id=1,role=admin"),
        ("cookie", "session=secret"),
        ("authorization", "Basic secret"),
        ("x-forwarded-for", "198.51.100.1"),
        ("x-custom", "secret"),
        ("x-request-id", "two words; and=more"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ];
    let answer = post_with(&url(&gateway, "/api/v1/process"), &headers, &purchase()).await;
    let body = answer.ok();
    assert_eq!(body["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736", "the caller's trace goes on");
    assert!(!answer.header("x-request-id").contains(' '));
    let asked = link.only();
    assert_eq!(asked.header("baggage"), Some("user.id=1001"), "who asks is for the gateway to say");
    for (name, value) in &asked.headers {
        assert!(!value.contains("secret") && !value.contains("admin"), "{name}: {value}");
    }
    gateway.stop().await;
}

#[actix_web::test]
async fn an_unsampled_caller_does_not_switch_our_telemetry_off() {
    let link = Fake::link("user-service");
    let gateway = gateway(&["--next-service-url", &link.url]).await;
    let caller = "aaaabbbbccccddddeeeeffff00001111";
    let headers = [("traceparent", format!("00-{caller}-00f067aa0ba902b7-00"))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let body = post_with(&url(&gateway, "/api/v1/process"), &headers, &purchase()).await.ok();
    let trace_id = body["trace_id"].as_str().unwrap();
    assert_ne!(trace_id, caller, "it is a trace of our own");
    let spans = spans_with(trace_id, "POST /api/v1/process").await;
    let root = spans.iter().find(|span| span.name == "POST /api/v1/process").unwrap();
    assert!(root.span_context.is_sampled() && root.parent_span_id == opentelemetry::trace::SpanId::INVALID);
    let links: Vec<String> = root.links.iter().map(|link| link.span_context.trace_id().to_string()).collect();
    assert_eq!(links, [caller], "which leads to the caller's");
    let parent = link.only().header("traceparent").unwrap().to_owned();
    assert!(parent.starts_with(&format!("00-{trace_id}-")) && parent.ends_with("-01"), "{parent}");
    gateway.stop().await;
}
