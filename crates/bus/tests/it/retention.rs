//! What a log deletes.

use std::time::Duration;

use bus::BusSettings;
use bus::testing::{Kept, TestBus};
use telemetry::testing::metric_values;
use web::testing::eventually;

use crate::support::{by_key, expected, name, next, publish, read, text};

/// How many messages a group that is new would find.
async fn left(kept: &Kept, topic: &str) -> u64 {
    let mut consumer = kept.consumer(topic, &name("counters"));
    let standing = eventually("the partitions are there", async || {
        next(&mut consumer).await;
        consumer.standing().await.ok().filter(|standing| standing.partitions.len() == 4)
    })
    .await;
    consumer.close().await.unwrap();
    standing.lag_messages
}

fn missed(topic: &str) -> f64 {
    metric_values("bus_messages_missed_total", &[("topic", topic), ("consumer_group", "readers")]).iter().sum()
}

pub(crate) async fn what_is_too_much_is_deleted_and_missed(test: TestBus) {
    let (kept, topic) = (test.open(), name("much"));
    publish(&kept, &topic, &["k"], 0..10).await;
    let mut consumer = kept.consumer(&topic, "readers");
    assert_eq!(read(&mut consumer, 10, true).await.len(), 10);
    publish(&kept, &topic, &["k", "l"], 10..40).await;
    let strict = Kept::open(&BusSettings { bus_retention_messages: 30, ..test.settings() });
    eventually("what is too much is gone", async || (left(&strict, &topic).await == 30).then_some(())).await;
    // The oldest of each partition are gone, and the consumer goes on with what is there.
    let all = read(&mut consumer, 30, true).await;
    let total = 10.0 + 60.0 - 10.0 - 30.0;
    assert!((missed(&topic) - total).abs() < 0.5, "{} of {total}", missed(&topic));
    for (key, texts) in by_key(&all) {
        // What is left is the newest, with nothing missing in it.
        let first = 40 - u32::try_from(texts.len()).unwrap();
        assert_eq!(texts, expected(&[&key], first..40)[&key]);
        assert!((5..=25).contains(&texts.len()), "{texts:?}");
    }
    eventually("nothing is behind", async || (consumer.standing().await.unwrap().lag_messages == 0).then_some(()))
        .await;
}

pub(crate) async fn what_is_too_old_is_deleted(test: TestBus) {
    let (kept, topic) = (test.open(), name("old"));
    publish(&kept, &topic, &["k", "l"], 0..10).await;
    let mut consumer = kept.consumer(&topic, "readers");
    assert_eq!(text(&read(&mut consumer, 20, true).await[0]).len(), 3);
    publish(&kept, &topic, &["k", "l"], 10..20).await;
    kept.bus.antedate(&topic, Duration::from_secs(25 * 3_600)).await.unwrap();
    publish(&kept, &topic, &["k", "l"], 20..22).await;
    let strict = test.open();
    eventually("what is too old is gone", async || (left(&strict, &topic).await == 4).then_some(())).await;
    assert_eq!(by_key(&read(&mut consumer, 4, true).await), expected(&["k", "l"], 20..22));
    assert!((missed(&topic) - 20.0).abs() < 0.5, "{}", missed(&topic));
    // A group that is new has missed nothing.
    assert_eq!(by_key(&read(&mut kept.consumer(&topic, "new"), 4, true).await), expected(&["k", "l"], 20..22));
}
