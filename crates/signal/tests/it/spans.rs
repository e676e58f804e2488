//! What an alert looks like in its trace, and what is never seen there.

use opentelemetry::trace::{SpanContext, TraceId};
use opentelemetry_sdk::trace::SpanData;
use secrecy::SecretString;
use sqlx::{Connection as _, Executor as _};
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
    let place = |context: &SpanContext| (context.trace_id(), context.span_id());
    let links: Vec<_> = repeated.links.iter().map(|link| place(&link.span_context)).collect();
    assert_eq!(links, [place(&ingest.span_context)], "a link to the first one's span, in its trace");
    assert_eq!(links[0].0, TraceId::from_hex(trace_id).unwrap());

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

/// Somebody else holds the database: the alert is to be sent again, well before its sender gives up, and what was begun
/// goes on.
pub(crate) async fn a_database_that_is_held_is_on_the_span_and_loses_nothing(database: TestDatabase) {
    let world = World::start(&database).await;
    let (_, path) = world.hook("held").await;
    let mut holder = Holder::take(&database).await;
    let alert = "ticker=BTCUSDT action=buy timenow=2026-01-31T12:00:00Z";
    let failed = world.send(&path, alert).await.problem(503, "database_timeout");
    let spans = spans_of(failed["trace_id"].as_str().unwrap(), ROUTE).await;
    let ingest = named(&spans, "SignalService.ingest");
    assert_eq!(attribute(ingest, "error.type").as_deref(), Some("database_timeout"));
    assert!(ingest.events.iter().any(|event| event.name == "exception"), "{:?}", ingest.events);
    holder.let_go().await;
    let (_, id) = world.taken(&path, alert).await;
    drop(world.signal_is(&id, "executed").await);
    assert_eq!(world.items("/v1/signals").await.len(), 1, "whichever of the two it was");
    assert_eq!(world.orders.signals().len(), 1);
    world.stop().await;
}

/// A connection of its own that keeps all others from writing hooks.
enum Holder {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

impl Holder {
    async fn take(database: &TestDatabase) -> Self {
        match database.folder() {
            Some(folder) => {
                let file = format!("sqlite://{}/signal-service.db", folder.display());
                let mut connection = sqlx::SqliteConnection::connect(&file).await.unwrap();
                assert_eq!(connection.execute("BEGIN IMMEDIATE").await.unwrap().rows_affected(), 0);
                Self::Sqlite(connection)
            }
            None => {
                let mut connection = sqlx::PgConnection::connect(database.url()).await.unwrap();
                assert_eq!(connection.execute("BEGIN").await.unwrap().rows_affected(), 0);
                let held = "UPDATE signal_service.hooks SET signals = signals";
                assert_eq!(connection.execute(held).await.unwrap().rows_affected(), 1);
                Self::Postgres(connection)
            }
        }
    }

    async fn let_go(&mut self) {
        match self {
            Self::Sqlite(connection) => connection.execute("ROLLBACK").await.map(drop).unwrap(),
            Self::Postgres(connection) => connection.execute("ROLLBACK").await.map(drop).unwrap(),
        }
    }
}
