//! What a client is told when a link of the chain fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix_web::HttpResponse;
use serde_json::{Value, json};
use telemetry::testing::attribute;
use web::RunningServer;
use web::testing::{post, url};

use crate::fake::{Fake, Script, reply};
use crate::support::{Checked as _, NOWHERE, gateway, post_with, spans_with};

fn request() -> Value {
    json!({"user_id": 7, "action": "buy"})
}

/// The problem of a request through this chain: it must name the link, and a trace in which the call failed.
async fn fails(gateway: &RunningServer, status: u16, code: &str, upstream: &str) -> Value {
    let answer = post(&url(gateway, "/api/v1/process"), &request()).await;
    let problem = answer.problem(status, code);
    assert_eq!(problem["upstream"], upstream, "{problem}");
    assert_eq!(answer.header("x-request-id").len(), 32);
    let spans = spans_with(problem["trace_id"].as_str().unwrap(), "POST /api/v1/process").await;
    let root = spans.iter().find(|span| span.name == "POST /api/v1/process").unwrap();
    assert_eq!(attribute(root, "upstream.failed").as_deref(), Some(upstream));
    assert!(root.events.events.iter().any(|event| event.name == "exception"), "{:?}", root.events);
    problem
}

#[actix_web::test]
async fn a_link_that_is_away() {
    let gateway = gateway(&["--next-service-url", NOWHERE]).await;
    fails(&gateway, 503, "upstream_unreachable", "user-service").await;
    gateway.stop().await;
}

#[actix_web::test]
async fn a_link_that_takes_too_long() {
    let link = Fake::start(vec![Script::json("/process", reply(&["a"])).after(Duration::from_secs(60))]);
    let gateway = gateway(&["--next-service-url", &link.url, "--next-service-timeout-ms", "100"]).await;
    fails(&gateway, 504, "upstream_timeout", "user-service").await;
    gateway.stop().await;
}

#[actix_web::test]
async fn a_link_that_talks_nonsense() {
    for body in ["<html>", "{}", r#"{"parts":[]}"#, r#"{"parts":[{"service":"a"}]}"#] {
        let link = Fake::start(vec![Script::json("/process", body)]);
        let gateway = gateway(&["--next-service-url", &link.url]).await;
        fails(&gateway, 502, "upstream_malformed", "user-service").await;
        gateway.stop().await;
    }
}

#[actix_web::test]
async fn a_link_s_own_failure_and_one_further_behind() {
    let link = Fake::start(vec![Script::json("/process", "oops").status(500)]);
    let own = gateway(&["--next-service-url", &link.url]).await;
    let problem = fails(&own, 502, "upstream_error", "user-service").await;
    assert!(!problem.to_string().contains("oops"), "{problem}");
    own.stop().await;
    let link = Fake::start(vec![Script::problem("/process", 503, "upstream_unreachable", Some("audit-service"))]);
    let behind = gateway(&["--next-service-url", &link.url]).await;
    fails(&behind, 503, "upstream_unreachable", "audit-service").await;
    behind.stop().await;
}

#[actix_web::test]
async fn a_refusal_is_passed_on_word_for_word() {
    for (status, code) in [(409, "key_in_progress"), (422, "key_mismatch"), (400, "unknown_symbol")] {
        let link = Fake::start(vec![Script::problem("/process", status, code, None).header("retry-after", "3")]);
        let gateway = gateway(&["--next-service-url", &link.url]).await;
        let answer = post_with(&url(&gateway, "/api/v1/process"), &[("idempotency-key", "k")], &request()).await;
        assert_eq!(answer.problem(status, code)["detail"], "A fake's own words.");
        assert_eq!(answer.header("retry-after"), "3");
        assert_eq!(link.seen().len(), 1, "a refusal is an answer");
        gateway.stop().await;
    }
}

#[actix_web::test]
async fn only_what_has_a_key_is_tried_again() {
    // A fake link that fails the first of every two requests.
    let calls = Arc::new(AtomicU32::new(0));
    let link = Fake::answering(move |_asked| {
        let fails = calls.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
        async move {
            if fails {
                HttpResponse::ServiceUnavailable().insert_header(("retry-after", "0")).finish()
            } else {
                HttpResponse::Ok().content_type("application/json").body(reply(&["user-service"]))
            }
        }
    });
    let gateway = gateway(&["--next-service-url", &link.url]).await;
    let address = url(&gateway, "/api/v1/process");
    post_with(&address, &[("idempotency-key", "k")], &request()).await.done();
    assert_eq!(link.seen().len(), 2);
    let keys: Vec<Value> = link.seen().iter().map(|asked| asked.json()["context"]["idempotency_key"].clone()).collect();
    assert_eq!(keys, ["anybody:k", "anybody:k"], "both tries are the same request");
    post(&address, &request()).await.refused(502, "upstream_error");
    assert_eq!(link.seen().len(), 3);
    gateway.stop().await;
}
