//! What the tests have in common.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bus::testing::Kept;
use bus::{Batch, BusError, Consumer, Message, NewMessage};

/// Far beyond what anything takes: only a defect reaches it.
const LIMIT: Duration = Duration::from_secs(60);

/// A name for a topic or a group that no other test has: on Kafka all of them share a broker.
pub(crate) fn name(what: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{what}-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Does something until the bus, which may be about to come up, does not say that it is away.
pub(crate) async fn done<T>(what: &str, mut work: impl AsyncFnMut() -> Result<T, BusError>) -> T {
    let end = Instant::now() + LIMIT;
    loop {
        match work().await {
            Ok(done) => return done,
            Err(error) => {
                assert!(error.is_passing() && Instant::now() < end, "{what}: {error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Publishes messages `key:number`, for each key as many.
pub(crate) async fn publish(kept: &Kept, topic: &str, keys: &[&str], numbers: std::ops::Range<u32>) {
    for number in numbers {
        let message = |key: &&str| NewMessage::new(*key, format!("{key}:{number}"));
        let messages: Vec<NewMessage> = keys.iter().map(message).collect();
        done("publishing", async || kept.bus.publish_all(topic, messages.clone()).await).await;
    }
}

pub(crate) fn text(message: &Message) -> String {
    String::from_utf8(message.payload.clone()).unwrap()
}

pub(crate) async fn next(consumer: &mut Consumer) -> Batch {
    done("reading", async || consumer.next().await).await
}

/// Reads batches until so many messages are there, and commits each if that is wanted.
pub(crate) async fn read(consumer: &mut Consumer, messages: usize, commit: bool) -> Vec<Message> {
    let (mut all, end) = (Vec::new(), Instant::now() + LIMIT);
    while all.len() < messages {
        assert!(Instant::now() < end, "{} of {messages} messages came", all.len());
        let batch = next(consumer).await;
        if commit {
            done("committing", async || consumer.commit(&batch).await).await;
        }
        all.extend_from_slice(batch.messages());
    }
    all
}

/// The payloads by key, in the order in which they came.
pub(crate) fn by_key(messages: &[Message]) -> BTreeMap<String, Vec<String>> {
    let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in messages {
        keys.entry(message.key.clone().unwrap_or_default()).or_default().push(text(message));
    }
    keys
}

/// What [`publish`] has published, by key.
pub(crate) fn expected(keys: &[&str], numbers: std::ops::Range<u32>) -> BTreeMap<String, Vec<String>> {
    let of = |key: &str| numbers.clone().map(|number| format!("{key}:{number}")).collect();
    keys.iter().map(|key| ((*key).to_owned(), of(key))).collect()
}
