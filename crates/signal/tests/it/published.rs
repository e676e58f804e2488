//! What was accepted comes on the bus, for pipelines.

use std::time::Duration;

use bus::{BusSettings, Message};
use domain::{SIGNALS_TOPIC, SignalEvent};
use opentelemetry::trace::TraceContextExt as _;
use storage::testing::TestDatabase;
use web::testing::eventually;

use crate::world::World;

/// Reads the bus from its beginning until there are as many signals.
async fn on_the_bus(settings: &BusSettings, wanted: usize) -> Vec<(SignalEvent, Message)> {
    let kept = bus::testing::Kept::open(settings);
    eventually("the bus is there", async || kept.bus.ready().await.ok()).await;
    let mut consumer = kept.consumer(SIGNALS_TOPIC, "reader-of-a-test");
    let mut read = Vec::new();
    while read.len() < wanted {
        let batch = consumer.next().await.unwrap();
        for message in batch.messages() {
            read.push((serde_json::from_slice::<SignalEvent>(&message.payload).unwrap(), message.clone()));
        }
        consumer.commit(&batch).await.unwrap();
    }
    consumer.close().await.unwrap();
    read
}

pub(crate) async fn an_alert_is_published_once_in_its_trace(database: TestDatabase) {
    let world = World::start(&database).await;
    let (_, path) = world.hook("published").await;
    let text =
        "ticker=BTCUSDT action=buy timenow=2026-01-31T12:00:00Z price=104250.12 interval=5 comment=\"up it goes\"";
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("content-type", "text/plain"), ("traceparent", traceparent)];
    let first = world.call("POST", &path, &headers, text.as_bytes().to_vec()).await.json();
    let (status, again) = world.taken(&path, text).await;
    assert_eq!((status.as_str(), first["signal_id"].as_str()), ("duplicate", Some(again.as_str())));
    let (_, last) = world.taken(&path, "ticker=BTCUSDT action=close timenow=2026-01-31T12:01:00Z").await;

    let read = on_the_bus(&world.config.bus, 2).await;
    let ids: Vec<&str> = read.iter().map(|(event, _)| event.signal_id.as_str()).collect();
    assert_eq!(ids, [again.as_str(), last.as_str()], "each once, in their order");
    let (event, message) = &read[0];
    assert_eq!(event.check(), Ok(()));
    assert_eq!((event.signal_type.as_str(), event.source.as_str()), ("tradingview", "tradingview"));
    assert_eq!((event.symbol.as_str(), event.action.as_str()), ("BTCUSDT", "buy"));
    assert_eq!(event.price.map(|price| price.to_string()).as_deref(), Some("104250.12"));
    assert_eq!(event.interval.map(|interval| interval.to_string()).as_deref(), Some("5m"));
    assert_eq!(event.reason.as_deref(), Some("up it goes"));
    assert_eq!(event.generated_at.to_rfc3339(), "2026-01-31T12:00:00+00:00");
    let context = message.context();
    let trace_id = context.span().span_context().trace_id().to_string();
    assert_eq!(trace_id, "4bf92f3577b34da6a3ce929d0e0e4736", "what it sets off is in the trace of the alert");
    world.stop().await;
}

pub(crate) async fn the_bus_away_holds_up_no_order_and_is_made_up_for(database: TestDatabase) {
    let mut world = World::start_with(&database, |config| {
        // Nobody listens there.
        config.bus = BusSettings { bus_publish_timeout_ms: 500, ..BusSettings::at("kafka://127.0.0.1:1") };
    })
    .await;
    let report = world.get("/health/ready").await;
    assert_eq!(report.status, 200, "{}", report.text);
    eventually("the bus is said to be away", async || {
        let report = world.get("/health/ready").await.json();
        let checks = report["checks"].as_array().unwrap();
        checks.iter().any(|check| check["name"] == "bus" && check["status"] == "away").then_some(())
    })
    .await;
    let (_, path) = world.hook("away").await;
    let mut ids = Vec::new();
    for number in 0..3 {
        let text = format!("ticker=ETHUSDT action=sell timenow={}", 1_800_000_000 + number);
        ids.push(world.taken(&path, &text).await.1);
    }
    for id in &ids {
        drop(world.signal_is(id, "executed").await);
    }
    world.config.bus = BusSettings::at(database.url());
    world.restart().await;
    let read = tokio::time::timeout(Duration::from_secs(30), on_the_bus(&world.config.bus, 3)).await.unwrap();
    assert_eq!(read.iter().map(|(event, _)| event.signal_id.to_string()).collect::<Vec<_>>(), ids);
    world.stop().await;
}
