//! Messages that somebody else has published.

use bus::testing::TestBus;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::support::{name, publish, read, text};

/// Bytes that are no text, no payload at all, headers without a value: they come, and the consumer goes on.
pub(crate) async fn what_others_publish_is_delivered_as_bytes(test: TestBus) {
    let (kept, topic) = (test.open(), name("foreign"));
    publish(&kept, &topic, &["k"], 0..1).await;
    let brokers = test.url().strip_prefix("kafka://").unwrap();
    let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let (key, payload) = ([0xff_u8, 0x00, b'k'], [0xde_u8, 0xad, 0x00, 0xbe, 0xef]);
    let headers = OwnedHeaders::new()
        .insert(Header { key: "traceparent", value: Some(&[0xfe_u8][..]) })
        .insert(Header::<&[u8]> { key: "empty", value: None });
    let poison = FutureRecord::to(&topic).key(&key[..]).payload(&payload[..]).headers(headers).partition(0);
    producer.send(poison, None).await.unwrap();
    let nothing: FutureRecord<'_, str, [u8]> = FutureRecord::to(&topic).key("tombstone").partition(0);
    producer.send(nothing, None).await.unwrap();
    publish(&kept, &topic, &["k"], 1..2).await;

    let all = read(&mut kept.consumer(&topic, "readers"), 4, true).await;
    let found = all.iter().find(|message| message.payload == payload).unwrap();
    assert_eq!(found.key.as_deref(), Some("\u{fffd}\0k"));
    assert_eq!((found.header("empty"), found.header("traceparent")), (Some(""), Some("\u{fffd}")));
    // A trace that cannot be read is none.
    assert!(!opentelemetry::trace::TraceContextExt::span(&found.context()).span_context().is_valid());
    let found = all.iter().find(|message| message.key.as_deref() == Some("tombstone")).unwrap();
    assert!(found.payload.is_empty() && found.headers.is_empty());
    let ours: Vec<String> = all.iter().filter(|message| message.key.as_deref() == Some("k")).map(text).collect();
    assert_eq!(ours, ["k:0", "k:1"]);
}
