//! Several consumers of one group.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bus::testing::{Kept, TestBus};
use bus::{BusError, Consumer};
use web::CancellationToken;
use web::testing::eventually;

use crate::support::{done, expected, name, publish, text};

const KEYS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// Which consumer has committed which message, in that order.
type Committed = Rc<RefCell<Vec<(usize, String)>>>;

/// Reads and commits until it is told to stop; then leaves.
async fn work(number: usize, mut consumer: Consumer, committed: Committed, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let batch = crate::support::next(&mut consumer).await;
        match consumer.commit(&batch).await {
            Ok(()) => committed.borrow_mut().extend(batch.messages().iter().map(|message| (number, text(message)))),
            // What of it was still its own is committed, and what was not comes again to somebody else: as it is not known
            // which, such a batch counts for nobody.
            Err(BusError::Fenced { partitions, .. }) => {
                let ours = batch.messages().iter().filter(|message| !partitions.contains(&message.partition));
                committed.borrow_mut().extend(ours.map(|message| (number, text(message))));
            }
            Err(error) => panic!("{error}"),
        }
    }
    consumer.close().await.unwrap();
}

fn readers(kept: &[Kept], topic: &str, committed: &Committed, stop: &CancellationToken) {
    for (number, kept) in kept.iter().enumerate() {
        let consumer = kept.consumer(topic, "readers");
        actix_web::rt::spawn(work(number, consumer, Rc::clone(committed), stop.clone()));
    }
}

pub(crate) async fn two_consumers_share_and_nothing_comes_twice(test: TestBus) {
    let topic = name("share");
    let kept = [test.open(), test.open()];
    let (committed, stop) = (Committed::default(), CancellationToken::new());
    readers(&kept, &topic, &committed, &stop);
    // Until each has had some.
    let mut published = 0;
    eventually("both have had some", async || {
        publish(&kept[0], &topic, &KEYS, published..published + 1).await;
        published += 1;
        let had = |wanted| committed.borrow().iter().any(|(number, _)| *number == wanted);
        (had(0) && had(1)).then_some(())
    })
    .await;
    publish(&kept[1], &topic, &KEYS, published..published + 10).await;
    published += 10;
    let wanted = KEYS.len() * usize::try_from(published).unwrap();
    eventually("everything has come", async || (committed.borrow().len() >= wanted).then_some(())).await;
    stop.cancel();
    let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, text) in committed.borrow().iter() {
        by_key.entry(text[..1].to_owned()).or_default().push(text.clone());
    }
    // Once each, and in the order of its key although partitions have moved between the two.
    assert_eq!(by_key, expected(&KEYS, 0..published));
}

pub(crate) async fn more_consumers_than_partitions_leave_none_without_a_reader(test: TestBus) {
    let topic = name("many");
    let kept = [test.open(), test.open(), test.open(), test.open(), test.open(), test.open()];
    let (committed, stop) = (Committed::default(), CancellationToken::new());
    readers(&kept, &topic, &committed, &stop);
    done("publishing", async || kept[0].bus.publish(&topic, bus::NewMessage::new("a", "a:0")).await).await;
    publish(&kept[0], &topic, &KEYS, 1..11).await;
    eventually("everything has come", async || {
        let mut texts: Vec<String> = committed.borrow().iter().map(|(_, text)| text.clone()).collect();
        texts.sort();
        texts.dedup();
        (texts.len() == 81).then_some(())
    })
    .await;
    stop.cancel();
}

/// Another number of partitions in the settings changes nothing of a topic that is there: a key stays where it is.
pub(crate) async fn a_topic_keeps_the_partitions_that_it_was_made_with(test: TestBus) {
    let topic = name("kept");
    let first = test.open();
    publish(&first, &topic, &KEYS, 0..1).await;
    let second = Kept::open(&bus::BusSettings { bus_partitions: 7, ..test.settings() });
    publish(&second, &topic, &KEYS, 1..2).await;
    let mut consumer = second.consumer(&topic, "readers");
    let all = crate::support::read(&mut consumer, 16, true).await;
    assert_eq!(consumer.standing().await.unwrap().partitions.len(), 4);
    assert_eq!(crate::support::by_key(&all), expected(&KEYS, 0..2));
    for key in KEYS {
        let mut partitions: Vec<i32> =
            all.iter().filter(|message| message.key.as_deref() == Some(key)).map(|message| message.partition).collect();
        partitions.dedup();
        assert_eq!(partitions.len(), 1, "{key}");
    }
}
