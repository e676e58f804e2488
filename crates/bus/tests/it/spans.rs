//! Traces and metrics.

use bus::NewMessage;
use bus::testing::TestBus;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanKind, TraceContextExt as _};
use opentelemetry_sdk::trace::SpanData;
use telemetry::testing::{attribute, finished_spans, metric_values};
use tracing::Instrument as _;
use web::testing::eventually;

use crate::support::{done, name, publish, read, text};

/// The spans of publishing to a topic, once so many have ended that did not find the bus away, as the first may. SQLite's
/// thread holds a span a little longer than the call takes.
async fn sends(topic: &str, count: usize) -> Vec<SpanData> {
    eventually("the spans have ended", async || {
        let mut spans = finished_spans();
        let name = format!("send {topic}");
        spans.retain(|span| span.name == name && attribute(span, "error.type").as_deref() != Some("unavailable"));
        (spans.len() >= count).then_some(spans)
    })
    .await
}

pub(crate) async fn trace_and_baggage_arrive(test: TestBus) {
    let (kept, topic) = (test.open(), name("trace"));
    done("the bus is up", async || kept.bus.publish(&topic, NewMessage::new("k", "first")).await).await;
    let root = tracing::info_span!("root");
    let trace_id = root.in_scope(telemetry::trace_id).unwrap();
    let context = root.in_scope(|| telemetry::propagation::with_baggage(&[("request.id", "17")]));
    let elsewhere = tracing::info_span!("elsewhere");
    let (other_trace, other) =
        elsewhere.in_scope(|| (telemetry::trace_id().unwrap(), opentelemetry::Context::current()));
    let messages = vec![NewMessage::new("k", "second").within(&context), NewMessage::new("k", "third").within(&other)];
    let last = NewMessage::new("k", "fourth");
    async {
        kept.bus.publish_all(&topic, messages).await.unwrap();
        kept.bus.publish(&topic, last).await.unwrap();
    }
    .instrument(root)
    .await;
    let all = read(&mut kept.consumer(&topic, "readers"), 4, true).await;
    let trace = |index: usize| all[index].context().span().span_context().trace_id().to_string();
    assert_eq!(all.iter().map(text).collect::<Vec<_>>(), ["first", "second", "third", "fourth"]);
    assert_eq!((trace(1), trace(2), trace(3)), (trace_id.clone(), other_trace.clone(), trace_id.clone()));
    assert_eq!(all[1].context().baggage().get("request.id").map(ToString::to_string), Some("17".to_owned()));
    // The message is the child of its sending, and a batch that has messages of other traces says so.
    let sends = sends(&topic, 3).await;
    let parent = all[3].context().span().span_context().span_id();
    let ours = sends.iter().find(|span| span.span_context.span_id() == parent).unwrap();
    assert_eq!(ours.span_context.trace_id().to_string(), trace_id);
    let batch = sends.iter().find(|span| attribute(span, "messaging.batch.message_count").is_some()).unwrap();
    let links: Vec<String> = batch.links.iter().map(|link| link.span_context.trace_id().to_string()).collect();
    assert_eq!(links, [trace_id, other_trace]);
}

pub(crate) async fn publishing_is_a_producer_span(test: TestBus) {
    let (kept, topic) = (test.open(), name("span"));
    publish(&kept, &topic, &["a"], 0..1).await;
    let large = NewMessage::new("k", "x".repeat(900_001));
    assert!(kept.bus.publish_all(&topic, vec![NewMessage::new("k", ""), large]).await.is_err());
    let sends = sends(&topic, 2).await;
    let failed = sends.iter().find(|span| attribute(span, "error.type").as_deref() == Some("too_large")).unwrap();
    let sent = sends.iter().find(|span| attribute(span, "error.type").is_none()).unwrap();
    for span in [sent, failed] {
        assert_eq!(span.span_kind, SpanKind::Producer);
        for (key, value) in [
            ("messaging.system", test.engine()),
            ("messaging.operation.type", "send"),
            ("messaging.operation.name", "send"),
            ("messaging.destination.name", topic.as_str()),
        ] {
            assert_eq!(attribute(span, key).as_deref(), Some(value), "{key}");
        }
    }
    assert_eq!(attribute(failed, "messaging.batch.message_count").as_deref(), Some("2"));
}

pub(crate) async fn publishing_and_reading_are_measured(test: TestBus) {
    let (kept, topic) = (test.open(), name("measured"));
    let sum = |name: &str| metric_values(name, &[]).iter().sum::<f64>();
    let gauge = |name: &str| metric_values(name, &[("topic", &topic), ("consumer_group", "readers")]);
    done("the bus is up", async || kept.bus.publish(&topic, NewMessage::new("k", "first")).await).await;
    let before = (sum("kafka_publish_success_total"), sum("kafka_publish_duration_seconds_count"));
    publish(&kept, &topic, &["a", "b"], 0..5).await;
    assert!(sum("kafka_publish_success_total") >= before.0 + 10.0);
    assert!(sum("kafka_publish_duration_seconds_count") >= before.1 + 5.0);
    let failures = sum("kafka_publish_failure_total");
    assert!(kept.bus.publish(&topic, NewMessage::new("k", "\0")).await.is_err());
    assert!(sum("kafka_publish_failure_total") >= failures + 1.0);
    let mut consumer = kept.consumer(&topic, "readers");
    read(&mut consumer, 11, false).await;
    eventually("the lag is shown", async || {
        (gauge("kafka_consumer_lag_seconds").iter().sum::<f64>() > 0.0).then_some(())
    })
    .await;
    assert_eq!(gauge("kafka_consumer_offset"), [0.0]);
    consumer.rewind().await.unwrap();
    read(&mut consumer, 11, true).await;
    eventually("everything is committed", async || {
        (gauge("kafka_consumer_offset") == [11.0] && gauge("kafka_consumer_lag_seconds") == [0.0]).then_some(())
    })
    .await;
    assert!(!gauge("bus_rebalances_total").is_empty());
}
