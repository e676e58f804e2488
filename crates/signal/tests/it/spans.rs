//! What an alert looks like in its trace, and what is never seen there.

use opentelemetry::trace::TraceId;
use opentelemetry_sdk::trace::SpanData;
use secrecy::SecretString;
use storage::testing::TestDatabase;
use telemetry::testing::{attribute, finished_spans, metric_values};
use web::testing::eventually;

use crate::world::World;

const ROUTE: &str = "POST /webhooks/tradingview/{token}";

/// The spans of a trace, once this one has ended.
async fn spans_of(trace_id: &str, awaited: &str) -> Vec<SpanData> {
    let id = TraceId::from_hex(trace_id).unwrap();
    eventually(awaited, async || {
        let spans: Vec<SpanData> =
            finished_spans().into_iter().filter(|span| span.span_context.trace_id() == id).collect();
        spans.iter().any(|span| span.name == awaited).then_some(spans)
    })
    .await
}

fn named<'a>(spans: &'a [SpanData], name: &str) -> &'a SpanData {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}"))
}

pub(crate) async fn an_alert_its_repetition_and_its_delivery_are_seen(database: TestDatabase) {
    let world = World::start(&database).await;
    let (_, path) = world.hook("seen").await;
    let alert = b"ticker=BTCUSDT action=sell timenow=2026-01-31T12:00:00Z";
    let stranger = [("baggage", "user.id=1,decision.id=stolen"), ("content-type", "text/plain")];
    let first = world.call("POST", &path, &stranger, alert.to_vec()).await.json();
    let id = first["signal_id"].as_str().unwrap();
    drop(world.signal_is(id, "executed").await);
    let trace_id = first["trace_id"].as_str().unwrap();
    let spans = spans_of(trace_id, "deliver signals").await;
    let ingest = named(&spans, "SignalService.ingest");
    for (name, value) in [
        ("crypto.symbol", "BTCUSDT"),
        ("signal.action", "sell"),
        ("signal.id", id),
        ("decision.id", id),
        ("signal.hook", "seen"),
        ("signal.duplicate", "false"),
    ] {
        assert_eq!(attribute(ingest, name).as_deref(), Some(value), "{name}");
    }
    let server = named(&spans, ROUTE);
    assert_eq!(attribute(server, "url.path").as_deref(), Some("/webhooks/tradingview/{token}"));
    assert_eq!(attribute(server, "http.response.status_code").as_deref(), Some("200"));
    assert_eq!(ingest.parent_span_id, server.span_context.span_id());
    // Its delivery is part of the trace, and order-service is handed it; who asks is not for the sender to say.
    assert_eq!(named(&spans, "deliver signals").parent_span_id, ingest.span_context.span_id());
    let headers = &world.orders.headers()[0];
    assert!(headers["traceparent"].contains(trace_id), "{headers:?}");
    assert_eq!(headers.get("baggage"), None);

    let again = world.call("POST", &path, &stranger, alert.to_vec()).await.json();
    assert_eq!((&again["status"], &again["signal_id"]), (&"duplicate".into(), &id.into()));
    let second = again["trace_id"].as_str().unwrap();
    assert_ne!(second, trace_id);
    let spans = spans_of(second, ROUTE).await;
    let repeated = named(&spans, "SignalService.ingest");
    assert_eq!(attribute(repeated, "signal.duplicate").as_deref(), Some("true"));
    assert_eq!(attribute(repeated, "signal.id").as_deref(), Some(id));
    let links: Vec<_> = repeated.links.iter().map(|link| link.span_context.span_id()).collect();
    assert_eq!(links, [ingest.span_context.span_id()], "a link to the first one's span");

    let refused = world.send(&path, "ticker=BTCUSDT action=S3cret").await.problem(422, "bad_action");
    let spans = spans_of(refused["trace_id"].as_str().unwrap(), ROUTE).await;
    assert_eq!(attribute(named(&spans, "SignalService.ingest"), "signal.rejected").as_deref(), Some("bad_action"));
    // Counters of this process: other tests count, too.
    let counted = |name: &str, labels: &[(&str, &str)]| metric_values(name, labels).iter().sum::<f64>();
    assert!(counted("tradingview_signals_ingested_total", &[("symbol", "BTCUSDT"), ("action", "sell")]) >= 1.0);
    assert!(counted("tradingview_signals_rejected_total", &[("reason", "bad_action")]) >= 1.0);
    assert!(counted("tradingview_signals_duplicate_total", &[]) >= 1.0);
    assert!(counted("tvtelegrambingx_signals_executed_total", &[("result", "awaiting_confirmation")]) >= 1.0);
    for outcome in ["accepted", "duplicate", "rejected"] {
        let count = counted("tradingview_signal_ingest_duration_seconds_count", &[("outcome", outcome)]);
        assert!(count >= 1.0, "{outcome}");
    }
    world.taken(&path, "ticker=DOGEUSDT action=sell").await;
    assert!(counted("tradingview_signals_ingested_total", &[("symbol", "other"), ("action", "sell")]) >= 1.0);
    assert_eq!(counted("tradingview_signals_ingested_total", &[("symbol", "DOGEUSDT")]), 0.0);
    world.stop().await;
}

pub(crate) async fn no_token_and_no_key_is_seen_anywhere(database: TestDatabase) {
    const KEY: &str = "the-key-that-nobody-sees";
    let world = World::start_with(&database, |config| config.access.admin_key = Some(SecretString::from(KEY))).await;
    let elsewhere = [("x-api-key", KEY), ("x-forwarded-for", "192.0.2.1"), ("content-type", "application/json")];
    let made = world.call("POST", "/v1/hooks", &elsewhere, br#"{"name":"quiet"}"#.to_vec()).await.json();
    let (path, token) = (made["path"].as_str().unwrap(), made["token"].as_str().unwrap());
    let (_, id) = world.taken(path, "ticker=BTCUSDT action=buy").await;
    drop(world.signal_is(&id, "executed").await);
    assert_eq!(world.taken(path, "ticker=BTCUSDT action=buy").await.0, "duplicate");
    world.send(path, "nonsense").await.problem(400, "bad_text");
    world.get(path).await.problem(405, "method_not_allowed");
    world.send(&format!("{path}/x"), "").await.problem(404, "not_found");
    assert_eq!(
        world
            .call("DELETE", &format!("/v1/hooks/{}", made["id"].as_str().unwrap()), &elsewhere, Vec::new())
            .await
            .status,
        204
    );
    let last = world.send(path, "ticker=BTCUSDT action=buy").await.problem(401, "unknown_hook");
    drop(spans_of(last["trace_id"].as_str().unwrap(), ROUTE).await);
    let metrics = world.get("/metrics").await.text;
    world.stop().await;
    // Attributes and events, which are the log's lines, too.
    let spans = format!("{:?}", finished_spans());
    assert!(spans.contains("quiet") && metrics.contains("/webhooks/tradingview/{token}"), "something was looked at");
    for secret in [token, KEY] {
        assert!(!spans.contains(secret) && !metrics.contains(secret), "a secret is seen");
    }
}

/// PostgreSQL alone: a table can be taken away behind the service's back.
pub(crate) async fn a_database_that_fails_is_on_the_span(database: TestDatabase) {
    let world = World::start(&database).await;
    let (_, path) = world.hook("broken").await;
    let settings = database.settings();
    let mut broken = world.config.clone();
    broken.database = settings;
    // A statement that cannot end in time is a database that is too slow.
    broken.database.database_statement_timeout_ms = 1;
    let server = signal::start(broken).await.unwrap();
    let url = web::testing::url(&server, &path);
    let outcome = eventually("an answer of a service that is hurried", async || {
        let answer = web::testing::post_text(&url, &[], "ticker=BTCUSDT action=buy").await;
        matches!(answer.status, 200 | 503).then_some(answer)
    })
    .await;
    assert!(outcome.status == 200 || outcome.json()["code"].as_str().unwrap().starts_with("database_"));
    server.stop().await;
    world.stop().await;
}
