//! How a service calls others.

use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::http::StatusCode;
use opentelemetry::trace::{SpanKind, Status};
use serde_json::Value;
use telemetry::testing::{attribute, finished_spans};
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use url::Url;
use web::{BreakerSettings, Problem, Readiness, RunningServer, Upstream, UpstreamErrorKind, UpstreamSettings};

use crate::support::{Echo, service};

fn upstream(server: &RunningServer) -> Upstream {
    Upstream::new(UpstreamSettings {
        attempt_timeout: Duration::from_millis(200),
        ..UpstreamSettings::new("other", server.base_url()).internal()
    })
}

/// Somebody who is none of our services.
fn outsider(server: &RunningServer) -> Upstream {
    Upstream::new(UpstreamSettings::new("outsider", server.base_url()))
}

#[actix_web::test]
async fn retries_what_may_be_retried_and_shows_each_attempt() {
    let (server, calls) = service(Readiness::new());
    let span = tracing::info_span!("asking");
    let (trace_id, answer) = async {
        let answer = upstream(&server).get("/flaky/{failures}").path("/flaky/2").send().await.unwrap();
        (telemetry::trace_id().unwrap(), answer)
    }
    .instrument(span)
    .await;
    assert_eq!(answer.json::<Echo>().unwrap().number, 2);
    assert_eq!(calls.0.load(Ordering::SeqCst), 3);
    server.stop().await;
    let spans: Vec<_> =
        finished_spans().into_iter().filter(|span| span.span_context.trace_id().to_string() == trace_id).collect();
    let attempts: Vec<_> = spans.iter().filter(|span| span.span_kind == SpanKind::Client).collect();
    assert_eq!(attempts.len(), 3);
    assert_eq!(attempts.iter().filter(|span| matches!(span.status, Status::Error { .. })).count(), 2);
    assert!(attempts.iter().all(|span| span.name == "GET /flaky/{failures}"));
    assert_eq!(attribute(attempts[2], "http.request.resend_count").as_deref(), Some("2"));
    let asking = spans.iter().find(|span| span.name == "asking").unwrap();
    assert_eq!(asking.events.iter().filter(|event| event.name == "trying again").count(), 2);
    // Each attempt is the parent of the server span it caused.
    for attempt in attempts {
        let id = attempt.span_context.span_id();
        assert!(spans.iter().any(|span| span.span_kind == SpanKind::Server && span.parent_span_id == id));
    }
}

#[actix_web::test]
async fn a_post_is_sent_once_unless_marked() {
    let (server, calls) = service(Readiness::new());
    let error = upstream(&server).post("/flaky/{failures}").path("/flaky/1").send().await.unwrap_err();
    assert!(matches!(error.kind, UpstreamErrorKind::Status { status: 503, .. }));
    assert_eq!(calls.0.load(Ordering::SeqCst), 1);
    calls.0.store(0, Ordering::SeqCst);
    upstream(&server).post("/flaky/{failures}").path("/flaky/1").retryable().send().await.unwrap();
    assert_eq!(calls.0.load(Ordering::SeqCst), 2);
    server.stop().await;
}

#[actix_web::test]
async fn slow_gone_and_refusing_others_become_problems_that_name_them() {
    let (server, _) = service(Readiness::new());
    let client = upstream(&server);
    let slow = client.get("/slow").timeout(Duration::from_millis(50)).send().await.unwrap_err();
    let problem = Problem::from(slow);
    assert_eq!((problem.status(), problem.code()), (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout"));
    assert_eq!(problem.failed_upstream(), Some("other"));

    let refused = Problem::from(client.get("/refuse").send().await.unwrap_err());
    assert_eq!((refused.status(), refused.code()), (StatusCode::NOT_FOUND, "unknown_symbol"));
    assert_eq!(refused.failed_upstream(), Some("binance"), "who really failed is passed on");

    let foreign = Problem::from(client.get("/own-error").send().await.unwrap_err());
    assert_eq!((foreign.status(), foreign.code()), (StatusCode::BAD_GATEWAY, "upstream_error"));
    server.stop().await;

    let gone = Problem::from(client.get("/headers").send().await.unwrap_err());
    assert_eq!((gone.status(), gone.code()), (StatusCode::SERVICE_UNAVAILABLE, "upstream_unreachable"));
}

#[actix_web::test]
async fn who_keeps_failing_is_left_alone() {
    let (server, calls) = service(Readiness::new());
    let client = Upstream::new(UpstreamSettings {
        max_attempts: 1,
        breaker: BreakerSettings { failures: 3, open_for: Duration::from_secs(60) },
        ..UpstreamSettings::new("other", server.base_url())
    });
    for _ in 0..3 {
        client.get("/flaky/{failures}").path("/flaky/99").send().await.unwrap_err();
    }
    let error = client.get("/flaky/{failures}").path("/flaky/99").send().await.unwrap_err();
    assert!(matches!(error.kind, UpstreamErrorKind::CircuitOpen { .. }), "{error}");
    assert_eq!((error.attempts, calls.0.load(Ordering::SeqCst)), (0, 3));
    let problem = Problem::from(error);
    assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE);
    server.stop().await;
}

#[actix_web::test]
async fn an_answer_that_is_too_large_or_no_json_is_refused() {
    let (server, _) = service(Readiness::new());
    let client =
        Upstream::new(UpstreamSettings { max_response_bytes: 4, ..UpstreamSettings::new("other", server.base_url()) });
    let error = client.get("/headers").send().await.unwrap_err();
    assert!(matches!(error.kind, UpstreamErrorKind::TooLarge), "{error}");
    let answer = upstream(&server).get("/number/{n}").path("/number/7").send().await.unwrap();
    assert!(matches!(answer.json::<Echo>().err().unwrap().kind, UpstreamErrorKind::Malformed(_)));
    server.stop().await;
}

#[actix_web::test]
async fn a_base_url_with_a_path_keeps_it() {
    let (server, _) = service(Readiness::new());
    let base: Url = server.base_url().join("number/").unwrap();
    let client = Upstream::new(UpstreamSettings::new("other", base));
    assert_eq!(client.get("/{n}").path("/8").send().await.unwrap().body, "8");
    server.stop().await;
}

#[actix_web::test]
async fn a_service_that_says_somebody_further_out_failed_is_healthy_itself() {
    let (server, calls) = service(Readiness::new());
    let client = Upstream::new(UpstreamSettings {
        breaker: BreakerSettings { failures: 3, open_for: Duration::from_secs(60) },
        ..UpstreamSettings::new("other", server.base_url()).internal()
    });
    for _ in 0..20 {
        let error = client.get("/blames").send().await.unwrap_err();
        assert_eq!(error.attempts, 1, "{error}");
        let problem = Problem::from(error);
        assert_eq!((problem.status(), problem.code()), (StatusCode::SERVICE_UNAVAILABLE, "stale_price"));
        assert_eq!(problem.failed_upstream(), Some("binance"));
    }
    assert_eq!(calls.0.load(Ordering::SeqCst), 20);
    let unknown = Problem::from(client.get("/refuse").send().await.unwrap_err());
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    server.stop().await;
}

#[actix_web::test]
async fn an_outsider_cannot_speak_as_one_of_ours() {
    let (server, _) = service(Readiness::new());
    let client = outsider(&server);
    let refused = Problem::from(client.get("/refuse").send().await.unwrap_err());
    assert_eq!((refused.status(), refused.code()), (StatusCode::BAD_GATEWAY, "upstream_error"));
    assert_eq!(refused.failed_upstream(), Some("outsider"));
    let blames = client.post("/blames").send().await.unwrap_err();
    let blames = Problem::from(blames);
    assert_eq!((blames.code(), blames.failed_upstream()), ("upstream_error", Some("outsider")));
    server.stop().await;
    // Nor does its word keep the circuit closed.
    let (server, calls) = service(Readiness::new());
    let client = Upstream::new(UpstreamSettings {
        breaker: BreakerSettings { failures: 3, open_for: Duration::from_secs(60) },
        ..UpstreamSettings::new("outsider", server.base_url())
    });
    for _ in 0..4 {
        client.post("/blames").send().await.unwrap_err();
    }
    assert_eq!(calls.0.load(Ordering::SeqCst), 3);
    server.stop().await;
}

#[actix_web::test]
async fn baggage_stays_inside_and_the_trace_goes_on() {
    let (server, _) = service(Readiness::new());
    let (inside, outside) = (upstream(&server), outsider(&server));
    let parent = telemetry::propagation::with_baggage(&[("user.id", "u1")]);
    let span = tracing::info_span!("asking");
    span.set_parent(parent).unwrap();
    let (inside, outside, trace_id) = async {
        let headers =
            async |upstream: Upstream| -> Value { upstream.get("/headers").send().await.unwrap().json().unwrap() };
        (headers(inside).await, headers(outside).await, telemetry::trace_id().unwrap())
    }
    .instrument(span)
    .await;
    assert_eq!(inside["baggage"], "user.id=u1");
    assert_eq!(outside["baggage"], Value::Null);
    assert!(outside["traceparent"].as_str().unwrap().contains(&trace_id));
    server.stop().await;
}

#[actix_web::test]
async fn a_secret_in_a_base_url_is_shown_nowhere() {
    let (server, _) = service(Readiness::new());
    let mut base = server.base_url();
    base.set_username("someone").unwrap();
    base.set_password(Some("pa55word")).unwrap();
    base.set_query(Some("key=pa55word"));
    let client = Upstream::new(UpstreamSettings { max_attempts: 1, ..UpstreamSettings::new("guarded", base) });
    assert_eq!(client.get("/number/{n}").path("/number/7").send().await.unwrap().body, "7");
    assert_eq!(client.base_url(), &server.base_url());
    server.stop().await;
    let gone = client.get("/number/{n}").path("/number/7").send().await.unwrap_err();
    assert!(!gone.to_string().contains("pa55word"), "{gone}");
    assert!(!format!("{client:?} {:?}", finished_spans()).contains("pa55word"));
}

#[actix_web::test]
async fn a_call_that_is_held_back_is_an_event_of_its_trace_and_no_warning() {
    let (server, _) = service(Readiness::new());
    let client = Upstream::new(UpstreamSettings {
        breaker: BreakerSettings { failures: 1, open_for: Duration::from_secs(60) },
        ..UpstreamSettings::new("held-back", server.base_url())
    });
    client.post("/blames").send().await.unwrap_err();
    let span = tracing::info_span!("held back");
    let trace_id = async {
        client.post("/blames").send().await.unwrap_err();
        telemetry::trace_id().unwrap()
    }
    .instrument(span)
    .await;
    let spans = finished_spans();
    let span = spans.iter().find(|span| span.span_context.trace_id().to_string() == trace_id).unwrap();
    let event = span.events.iter().find(|event| event.name == "not called: circuit open").unwrap();
    let level = event.attributes.iter().find(|attribute| attribute.key.as_str() == "level").unwrap();
    assert_eq!(level.value.to_string(), "INFO", "the opening is the one warning");
    server.stop().await;
}

#[actix_web::test]
async fn what_was_never_sent_is_told_from_what_broke_off() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let once = |base: Url| Upstream::new(UpstreamSettings { max_attempts: 1, ..UpstreamSettings::new("other", base) });
    let reads_and_leaves = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 1024];
        assert!(tokio::io::AsyncReadExt::read(&mut stream, &mut head).await.unwrap() > 0);
    };
    let (sent, ()) = futures_util::join!(once(base.clone()).post("/x").send(), reads_and_leaves);
    assert!(matches!(sent.unwrap_err().kind, UpstreamErrorKind::Broken(_)), "it was read");
    drop(listener);
    let error = once(base).post("/x").send().await.unwrap_err();
    assert!(matches!(error.kind, UpstreamErrorKind::Connect(_)), "{error}");
    assert_eq!(error.label(), "connect");
}
