//! What a log deletes.

use bus::BusSettings;
use bus::testing::{Kept, TestBus};
use chrono::{TimeDelta, Utc};
use telemetry::testing::metric_values;
use web::testing::eventually;

use crate::support::{by_key, expected, name, next, publish, read, text};

fn hours(hours: i64) -> TimeDelta {
    TimeDelta::hours(hours)
}

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

/// Deletes until nothing is left to delete.
async fn delete_old(kept: &Kept) {
    eventually("everything old is gone", async || matches!(kept.bus.delete_old(Utc::now()).await, Ok(0)).then_some(()))
        .await;
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
    kept.bus.redate(&topic, 0, Utc::now() - hours(25)).await.unwrap();
    publish(&kept, &topic, &["k", "l"], 20..22).await;
    // What has been read goes, and what has not stays: it is not twice as old.
    delete_old(&test.open()).await;
    assert_eq!(left(&kept, &topic).await, 24);
    kept.bus.redate(&topic, 0, Utc::now() - hours(49)).await.unwrap();
    publish(&kept, &topic, &["k", "l"], 22..24).await;
    delete_old(&kept).await;
    assert_eq!(left(&kept, &topic).await, 4);
    assert_eq!(by_key(&read(&mut consumer, 4, true).await), expected(&["k", "l"], 22..24));
    assert!((missed(&topic) - 24.0).abs() < 0.5, "{}", missed(&topic));
    // A group that is new has missed nothing.
    assert_eq!(by_key(&read(&mut kept.consumer(&topic, "new"), 4, true).await), expected(&["k", "l"], 22..24));
}

/// A clock that is ahead, be it that of a process that deletes or of one that publishes, takes nothing from others that
/// they have still to read.
pub(crate) async fn a_clock_that_is_ahead_deletes_nothing_unread(test: TestBus) {
    let (kept, topic) = (test.open(), name("ahead"));
    publish(&kept, &topic, &["k"], 0..10).await;
    let mut consumer = kept.consumer(&topic, "readers");
    assert_eq!(read(&mut consumer, 10, true).await.len(), 10);
    publish(&kept, &topic, &["k"], 10..20).await;
    for days in [1, 2, 365] {
        assert_eq!(kept.bus.delete_old(Utc::now() + hours(24 * days)).await.unwrap(), 0, "{days} days ahead");
    }
    // It publishes as well.
    kept.bus.redate(&topic, 19, Utc::now() + hours(30)).await.unwrap();
    let deleted = kept.bus.delete_old(Utc::now() + hours(30)).await.unwrap();
    // A server's clock knows better; where there is none, what has been read goes.
    assert_eq!(deleted, if test.engine() == "sqlite" { 10 } else { 0 });
    if test.engine() == "postgresql" {
        kept.bus.redate(&topic, 19, Utc::now() + hours(24 * 365)).await.unwrap();
        assert_eq!(kept.bus.delete_old(Utc::now() + hours(24 * 365)).await.unwrap(), 0);
    }
    assert_eq!(by_key(&read(&mut consumer, 10, true).await), expected(&["k"], 10..20));
    assert!(missed(&topic) < 0.5, "{}", missed(&topic));
}

/// What somebody publishes whose clock is days behind is not deleted at once, be it among what others publish or alone.
pub(crate) async fn a_clock_that_is_behind_publishes_for_others(test: TestBus) {
    let (kept, topic) = (test.open(), name("behind"));
    publish(&kept, &topic, &["k"], 0..5).await;
    publish(&kept, &topic, &["k"], 5..10).await;
    kept.bus.redate(&topic, 5, Utc::now() - hours(24 * 7)).await.unwrap();
    assert_eq!(kept.bus.delete_old(Utc::now()).await.unwrap(), 0, "the last");
    publish(&kept, &topic, &["k"], 10..11).await;
    assert_eq!(kept.bus.delete_old(Utc::now()).await.unwrap(), 0, "between others");
    kept.bus.redate(&topic, 0, Utc::now() - hours(24 * 7)).await.unwrap();
    assert_eq!(kept.bus.delete_old(Utc::now()).await.unwrap(), 0, "alone");
    assert_eq!(by_key(&read(&mut kept.consumer(&topic, "readers"), 11, true).await), expected(&["k"], 0..11));
}

/// A group that is gone for good keeps what it has not read for twice as long, once, and then nothing.
pub(crate) async fn a_group_that_never_comes_back_keeps_nothing_for_ever(test: TestBus) {
    let (kept, topic) = (test.open(), name("gone"));
    publish(&kept, &topic, &["k"], 0..5).await;
    let mut consumer = kept.consumer(&topic, "readers");
    assert_eq!(read(&mut consumer, 5, true).await.len(), 5);
    consumer.close().await.unwrap();
    publish(&kept, &topic, &["k"], 5..10).await;
    kept.bus.redate(&topic, 0, Utc::now() - hours(49)).await.unwrap();
    publish(&kept, &topic, &["k"], 10..15).await;
    delete_old(&kept).await;
    // It has missed five, and what is still there is not kept for it.
    kept.bus.redate(&topic, 0, Utc::now() - hours(25)).await.unwrap();
    publish(&kept, &topic, &["k"], 15..16).await;
    delete_old(&kept).await;
    assert_eq!(by_key(&read(&mut kept.consumer(&topic, "others"), 1, true).await), expected(&["k"], 15..16));
    assert_eq!(left(&kept, &topic).await, 1);
}

/// Whoever comes back after that goes on with what is there, and what has gone meanwhile is counted, once.
pub(crate) async fn what_is_deleted_before_it_is_read_is_missed(test: TestBus) {
    let (kept, topic) = (test.open(), name("missed"));
    publish(&kept, &topic, &["k"], 0..10).await;
    let mut consumer = kept.consumer(&topic, "readers");
    let all = read(&mut consumer, 10, true).await;
    consumer.close().await.unwrap();
    publish(&kept, &topic, &["k"], 10..22).await;
    kept.bus.delete_before(&topic, all[0].partition, 20).await.unwrap();
    let mut consumer = kept.consumer(&topic, "readers");
    assert_eq!(by_key(&read(&mut consumer, 2, true).await), expected(&["k"], 20..22));
    assert!((missed(&topic) - 10.0).abs() < 0.5, "{}", missed(&topic));
    // What is deleted when it has been read is not missed, and a group that is new has missed nothing.
    publish(&kept, &topic, &["k"], 22..24).await;
    kept.bus.delete_before(&topic, all[0].partition, 22).await.unwrap();
    assert_eq!(by_key(&read(&mut consumer, 2, true).await), expected(&["k"], 22..24));
    consumer.close().await.unwrap();
    let mut consumer = kept.consumer(&topic, "readers");
    publish(&kept, &topic, &["k"], 24..25).await;
    assert_eq!(by_key(&read(&mut consumer, 1, true).await), expected(&["k"], 24..25));
    assert!((missed(&topic) - 10.0).abs() < 0.5, "{}", missed(&topic));
    assert_eq!(by_key(&read(&mut kept.consumer(&topic, "new"), 3, true).await), expected(&["k"], 22..25));
    let new = metric_values("bus_messages_missed_total", &[("topic", &topic), ("consumer_group", "new")]);
    assert!(new.iter().sum::<f64>() < 0.5, "{new:?}");
}
