//! Publishing and reading, by one consumer.

use bus::testing::{Kept, TestBus};
use bus::{BusError, ConsumerSettings, NewMessage};
use tokio::time::Duration;

use crate::support::{by_key, done, expected, name, next, publish, read, text};

const KEYS: [&str; 6] = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "BNBUSDT"];

pub(crate) async fn messages_of_a_key_keep_their_order(test: TestBus) {
    let (kept, topic) = (test.open(), name("order"));
    publish(&kept, &topic, &KEYS, 0..25).await;
    let mut consumer = kept.consumer(&topic, "readers");
    let all = read(&mut consumer, 150, true).await;
    assert_eq!(by_key(&all), expected(&KEYS, 0..25));
    // A key is in one partition, whoever asks, and the offsets of a partition have neither gaps nor an order of their own.
    for key in KEYS {
        let mut partitions: Vec<i32> =
            all.iter().filter(|message| message.key.as_deref() == Some(key)).map(|message| message.partition).collect();
        partitions.dedup();
        assert_eq!(partitions.len(), 1, "{key}");
    }
    for partition in 0..4 {
        let of = all.iter().filter(|message| message.partition == partition);
        assert!(of.map(|message| message.offset).eq(0..all.iter().filter(|m| m.partition == partition).count() as i64));
    }
    consumer.close().await.unwrap();
}

pub(crate) async fn a_message_arrives_as_it_was_published(test: TestBus) {
    let (kept, topic) = (test.open(), name("whole"));
    let before = chrono::Utc::now() - chrono::Duration::seconds(1);
    let payload = "{\"price\": \"64123.5\", \"mood\": \"\u{1f600} \\\"quoted\\\"\"}\n";
    let message = NewMessage::new("k\u{e9}y", payload).with_header("kind", "signal").with_header("kind", "t\u{ea}st");
    done("publishing", async || kept.bus.publish(&topic, message.clone()).await).await;
    let keyless = NewMessage { payload: String::new(), ..NewMessage::default() };
    done("publishing", async || kept.bus.publish(&topic, keyless.clone()).await).await;

    let all = read(&mut kept.consumer(&topic, "readers"), 2, false).await;
    let (keyed, keyless): (Vec<_>, Vec<_>) = all.into_iter().partition(|message| message.key.is_some());
    let (keyed, keyless) = (&keyed[0], &keyless[0]);
    assert_eq!((keyed.key.as_deref(), text(keyed).as_str()), (Some("k\u{e9}y"), payload));
    assert_eq!(keyed.topic, topic);
    let kinds: Vec<&str> =
        keyed.headers.iter().filter(|(name, _)| name == "kind").map(|(_, value)| value.as_str()).collect();
    assert_eq!((kinds, keyed.header("KIND")), (vec!["signal", "t\u{ea}st"], Some("signal")));
    assert!(keyed.published_at > before && keyed.published_at <= chrono::Utc::now());
    assert_eq!((keyless.key.as_deref(), keyless.payload.len()), (None, 0));
}

pub(crate) async fn what_is_no_json_is_delivered_as_it_is(test: TestBus) {
    let (kept, topic) = (test.open(), name("poison"));
    for payload in ["{\"broken\":", "", "\u{feff}null", "[1e999999]"] {
        done("publishing", async || kept.bus.publish(&topic, NewMessage::new("k", payload)).await).await;
    }
    let all = read(&mut kept.consumer(&topic, "readers"), 4, true).await;
    let payloads: Vec<String> = all.iter().map(text).collect();
    assert_eq!(payloads, ["{\"broken\":", "", "\u{feff}null", "[1e999999]"]);
}

pub(crate) async fn a_topic_that_is_new_is_empty_and_an_empty_wait_ends(test: TestBus) {
    let (kept, topic) = (test.open(), name("new"));
    let mut consumer = kept.consumer(&topic, "readers");
    assert!(next(&mut consumer).await.is_empty());
    // What is published while somebody waits, comes.
    publish(&kept, &topic, &["k"], 0..1).await;
    assert_eq!(text(&read(&mut consumer, 1, true).await[0]), "k:0");
    assert!(next(&mut consumer).await.is_empty());
}

pub(crate) async fn two_publishers_at_once_lose_nothing(test: TestBus) {
    let topic = name("publishers");
    let (one, other) = (test.open(), test.open());
    tokio::join!(publish(&one, &topic, &["a", "b", "c"], 0..40), publish(&other, &topic, &["d", "e", "f"], 0..40));
    let all = read(&mut one.consumer(&topic, "readers"), 240, true).await;
    assert_eq!(by_key(&all), expected(&["a", "b", "c", "d", "e", "f"], 0..40));
}

pub(crate) async fn a_message_that_is_too_large_is_refused(test: TestBus) {
    let (kept, topic) = (test.open(), name("large"));
    let largest = NewMessage::new("k", "x".repeat(899_000));
    done("publishing", async || kept.bus.publish(&topic, largest.clone()).await).await;
    let larger = NewMessage::new("k", "x".repeat(900_000));
    let error = kept.bus.publish_all(&topic, vec![NewMessage::new("k", "small"), larger]).await.unwrap_err();
    // Its key and the headers of its trace count.
    assert!(matches!(error, BusError::TooLarge { size: 900_002.., limit: 900_000 }), "{error}");
    assert!(!error.is_passing());
    let mut consumer = kept.consumer(&topic, "readers");
    // The one that was taken, and nothing of what was refused.
    assert_eq!(read(&mut consumer, 1, true).await[0].payload.len(), 899_000);
    assert!(next(&mut consumer).await.is_empty());
}

/// However many may be read at once, they have to fit into memory.
pub(crate) async fn a_batch_of_large_messages_is_short(test: TestBus) {
    let (kept, topic) = (test.open(), name("heavy"));
    let payload = |number: usize| format!("{number:02}{}", "x".repeat(800_000));
    for number in 0..24 {
        let message = NewMessage::new("k", payload(number));
        done("publishing", async || kept.bus.publish(&topic, message.clone()).await).await;
    }
    let (group, max_wait) = ("readers".to_owned(), Duration::from_millis(500));
    let settings = ConsumerSettings { topic: topic.clone(), group, max_batch: 100, max_wait };
    let mut consumer = kept.bus.consumer(settings).unwrap();
    let mut read = Vec::new();
    while read.len() < 24 {
        let batch = next(&mut consumer).await;
        let bytes: usize = batch.messages().iter().map(|message| message.payload.len()).sum();
        // The last of them may begin just before the bound.
        assert!(bytes < 9 << 20, "{} messages of {bytes} bytes", batch.len());
        done("committing", async || consumer.commit(&batch).await).await;
        read.extend(batch.messages().iter().map(|message| text(message)[..2].to_owned()));
    }
    assert_eq!(read, (0..24).map(|number| format!("{number:02}")).collect::<Vec<_>>(), "each, in their order");
}

/// Keys and headers are bytes as well.
pub(crate) async fn a_batch_of_large_keys_is_short(test: TestBus) {
    let (kept, topic) = (test.open(), name("keys"));
    let key = "x".repeat(400_000);
    for number in 0..24 {
        let message = NewMessage::new(key.as_str(), number.to_string()).with_header("h", key.as_str());
        done("publishing", async || kept.bus.publish(&topic, message.clone()).await).await;
    }
    let (group, max_wait) = ("readers".to_owned(), Duration::from_millis(500));
    let settings = ConsumerSettings { topic: topic.clone(), group, max_batch: 100, max_wait };
    let mut consumer = kept.bus.consumer(settings).unwrap();
    let mut read = Vec::new();
    while read.len() < 24 {
        let batch = next(&mut consumer).await;
        assert!(batch.len() <= 11, "{} messages of 800 kB", batch.len());
        done("committing", async || consumer.commit(&batch).await).await;
        read.extend(batch.messages().iter().map(text));
    }
    assert_eq!(read, (0..24).map(|number| number.to_string()).collect::<Vec<_>>(), "each, in their order");
}

pub(crate) async fn names_that_cannot_be_are_refused(test: TestBus) {
    let kept = test.open();
    for topic in ["", "..", "a b", "\u{e9}", &"x".repeat(250)] {
        let error = kept.bus.publish(topic, NewMessage::new("k", "")).await.unwrap_err();
        assert!(matches!(error, BusError::Refused { .. }), "{topic}: {error}");
        let settings = |topic: &str, group: &str| ConsumerSettings {
            topic: topic.to_owned(),
            group: group.to_owned(),
            max_batch: 1,
            max_wait: Duration::ZERO,
        };
        assert!(kept.bus.consumer(settings(topic, "g")).is_err() && kept.bus.consumer(settings("t", topic)).is_err());
    }
}

pub(crate) async fn a_part_of_what_was_read_can_be_committed(test: TestBus) {
    let (kept, topic) = (test.open(), name("part"));
    publish(&kept, &topic, &["k"], 0..5).await;
    let mut consumer = kept.consumer(&topic, "readers");
    let mut batch = next(&mut consumer).await;
    while batch.is_empty() {
        batch = next(&mut consumer).await;
    }
    let rest = batch.split_off(2);
    consumer.commit(&batch).await.unwrap();
    let done = batch.len();
    drop(rest);
    consumer.close().await.unwrap();
    let again = read(&mut kept.consumer(&topic, "readers"), 5 - done, true).await;
    assert_eq!(by_key(&again), expected(&["k"], u32::try_from(done).unwrap()..5));
}

pub(crate) async fn an_older_commit_takes_nothing_back(test: TestBus) {
    let (kept, topic) = (test.open(), name("older"));
    publish(&kept, &topic, &["k"], 0..15).await;
    let mut consumer = kept.consumer(&topic, "readers");
    let mut batches = Vec::new();
    while batches.iter().map(bus::Batch::len).sum::<usize>() < 15 {
        batches.push(next(&mut consumer).await);
    }
    for batch in batches.iter().rev() {
        consumer.commit(batch).await.unwrap();
    }
    assert_eq!(consumer.standing().await.unwrap().lag_messages, 0);
    consumer.close().await.unwrap();
    publish(&kept, &topic, &["k"], 15..16).await;
    assert_eq!(text(&read(&mut kept.consumer(&topic, "readers"), 1, true).await[0]), "k:15");
}

pub(crate) async fn rewinding_brings_what_is_not_committed_again(test: TestBus) {
    let (kept, topic) = (test.open(), name("rewind"));
    publish(&kept, &topic, &["k"], 0..4).await;
    let mut consumer = kept.consumer(&topic, "readers");
    assert_eq!(read(&mut consumer, 4, true).await.len(), 4);
    publish(&kept, &topic, &["k"], 4..8).await;
    for _ in 0..3 {
        assert_eq!(by_key(&read(&mut consumer, 4, false).await), expected(&["k"], 4..8));
        consumer.rewind().await.unwrap();
    }
    assert_eq!(by_key(&read(&mut consumer, 4, true).await), expected(&["k"], 4..8));
}

pub(crate) async fn groups_know_nothing_of_each_other(test: TestBus) {
    let (kept, topic) = (test.open(), name("groups"));
    publish(&kept, &topic, &["a", "b"], 0..10).await;
    for group in ["one", "two"] {
        let all = read(&mut kept.consumer(&topic, group), 20, true).await;
        assert_eq!(by_key(&all), expected(&["a", "b"], 0..10), "{group}");
    }
}

pub(crate) async fn lag_and_offset_are_right(test: TestBus) {
    let (kept, topic) = (test.open(), name("lag"));
    publish(&kept, &topic, &["a", "b", "c"], 0..10).await;
    let mut consumer = kept.consumer(&topic, "readers");
    read(&mut consumer, 30, true).await;
    let standing = consumer.standing().await.unwrap();
    assert_eq!((standing.partitions.len(), standing.committed()), (4, 30), "{standing:?}");
    assert_eq!((standing.lag_messages, standing.lag), (0, Duration::ZERO), "{standing:?}");

    let before = chrono::Utc::now();
    publish(&kept, &topic, &["a"], 10..13).await;
    behind(&kept, &consumer, 3, before).await;
    // Reading does not make it less; committing does.
    let all = read(&mut consumer, 3, false).await;
    behind(&kept, &consumer, 3, before).await;
    let standing = consumer.standing().await.unwrap();
    let partition = standing.partitions[usize::try_from(all[0].partition).unwrap()];
    assert_eq!((partition.partition, partition.committed_offset), (all[0].partition, all[0].offset), "{standing:?}");
    assert_eq!(partition.end_offset, all[2].offset + 1, "{standing:?}");
    consumer.rewind().await.unwrap();
    read(&mut consumer, 3, true).await;
    let standing = consumer.standing().await.unwrap();
    assert_eq!((standing.lag_messages, standing.lag, standing.committed()), (0, Duration::ZERO, 33), "{standing:?}");
}

/// So many messages are not committed, and the oldest of them is not older than `since`.
async fn behind(_: &Kept, consumer: &bus::Consumer, messages: u64, since: chrono::DateTime<chrono::Utc>) {
    let standing = consumer.standing().await.unwrap();
    let most = (chrono::Utc::now() - since).to_std().unwrap() + Duration::from_millis(1);
    assert_eq!(standing.lag_messages, messages, "{standing:?}");
    assert!(standing.lag > Duration::ZERO && standing.lag <= most, "{standing:?} {most:?}");
}
