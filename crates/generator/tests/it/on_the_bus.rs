//! On the bus itself: a log in a database of the same engine.

use std::time::Duration;

use bus::testing::TestBus;
use bus::{BusSettings, Message};
use domain::{Interval, SIGNALS_TOPIC, SignalEvent};
use generator::Config;
use opentelemetry::trace::{TraceContextExt as _, TraceId};
use opentelemetry_sdk::trace::SpanData;
use serde_json::json;
use storage::testing::TestDatabase;
use telemetry::testing::finished_spans;
use web::testing::{eventually, get, post, ready, url};

use crate::month::{expected, month};
use crate::world::Market;

fn bus_of(database: &TestDatabase) -> TestBus {
    if database.engine() == "sqlite" { TestBus::sqlite() } else { TestBus::postgres() }
}

fn config(database: &TestDatabase, bus: BusSettings, market: &Market) -> Config {
    telemetry::testing::init();
    let mut config = Config::ephemeral(database.settings(), bus, market.start());
    config.generator.symbols = vec!["BTCUSDT".parse().unwrap()];
    config
}

/// Reads so many messages of the topic.
async fn read(bus: &TestBus, count: usize) -> Vec<Message> {
    let kept = bus.open();
    let mut consumer = eventually("the bus is there", async || {
        kept.bus.ready().await.ok()?;
        Some(kept.consumer(SIGNALS_TOPIC, "generator-test"))
    })
    .await;
    let mut messages = Vec::new();
    while messages.len() < count {
        let batch = tokio::time::timeout(Duration::from_secs(30), consumer.next()).await.unwrap().unwrap();
        messages.extend(batch.messages().iter().cloned());
    }
    consumer.close().await.unwrap();
    messages
}

pub(crate) async fn signals_are_published_in_the_trace_in_which_they_were_made(database: TestDatabase) {
    let (bus, market) = (bus_of(&database), Market::default());
    let minute = month(Interval::OneMinute)[..400].to_vec();
    market.serve("BTCUSDT", Interval::OneMinute, &minute, 30, &[10]);
    let expected = expected(&minute, 30);
    let server = generator::start(config(&database, bus.settings(), &market)).await.unwrap();
    ready(&server).await;
    let report = get(&url(&server, "/health/ready")).await.ok();
    let names: Vec<_> = report["checks"].as_array().unwrap().iter().map(|check| check["name"].clone()).collect();
    assert_eq!(names, ["bus", "database", "market-data-service"]);
    let messages = read(&bus, expected.len()).await;
    let mut closed_at = Vec::new();
    for message in &messages {
        assert_eq!(
            (message.key.as_deref(), message.header("content-type")),
            (Some("BTCUSDT"), Some("application/json"))
        );
        let event: SignalEvent = serde_json::from_slice(&message.payload).unwrap();
        closed_at.push(event.candle_closed_at.unwrap().to_rfc3339());
        let kept = get(&url(&server, &format!("/v1/signals/{}", event.signal_id))).await.ok();
        assert_eq!(kept["signal"], serde_json::to_value(&event).unwrap());
        let trace: TraceId = message.context().span().span_context().trace_id();
        assert_eq!(kept["trace_id"].as_str(), Some(trace.to_string().as_str()));
    }
    assert_eq!(closed_at, expected.iter().map(|told| told[3].clone()).collect::<Vec<_>>(), "in their order");
    // Its whole way is one trace: made, delivered, sent.
    let context = messages[0].context();
    let sent = context.span().span_context().clone();
    let spans = eventually("the first has been sent", async || {
        let spans: Vec<SpanData> =
            finished_spans().into_iter().filter(|span| span.span_context.trace_id() == sent.trace_id()).collect();
        spans.iter().any(|span| span.name == "deliver signals").then_some(spans)
    })
    .await;
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}"));
    let (made, delivered, send) = (named("SignalGenerator.generate"), named("deliver signals"), named("send signals"));
    assert_eq!(send.span_context.span_id(), sent.span_id());
    assert_eq!(send.parent_span_id, delivered.span_context.span_id());
    assert_eq!(delivered.parent_span_id, made.span_context.span_id());
    server.stop().await;
}

pub(crate) async fn a_bus_that_comes_later_gets_what_waits(database: TestDatabase) {
    let (bus, market) = (bus_of(&database), Market::default());
    // Nobody listens there.
    let nobody = BusSettings { bus_publish_timeout_ms: 200, ..BusSettings::at("kafka://127.0.0.1:1") };
    let mut config = config(&database, nobody, &market);
    config.generator.intervals = "none".parse().unwrap();
    let server = generator::start(config.clone()).await.unwrap();
    let body = json!({"symbol": "BTCUSDT", "action": "buy"});
    let id = eventually("it is made", async || {
        let made = post(&url(&server, "/v1/signals"), &body).await;
        (made.status == 202).then(|| made.json()["signal"]["signal_id"].as_str().unwrap().to_owned())
    })
    .await;
    // It is ready all the same: what it makes waits.
    let report = get(&url(&server, "/health/ready")).await.ok();
    assert_eq!((&report["checks"][0]["name"], &report["checks"][0]["status"]), (&json!("bus"), &json!("away")));
    let address = format!("/v1/signals/{id}");
    assert_eq!(get(&url(&server, &address)).await.ok()["status"], "waiting");
    server.stop().await;
    config.bus = bus.settings();
    let server = generator::start(config).await.unwrap();
    let messages = read(&bus, 1).await;
    let event: SignalEvent = serde_json::from_slice(&messages[0].payload).unwrap();
    assert_eq!(event.signal_id.as_str(), id);
    eventually("it is written down", async || {
        (get(&url(&server, &address)).await.json()["status"] == "published").then_some(())
    })
    .await;
    server.stop().await;
}
