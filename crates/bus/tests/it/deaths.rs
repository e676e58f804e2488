//! Consumers that die, leave, or sleep too long.

use std::time::Instant;

use bus::BusError;
use bus::testing::TestBus;
use web::testing::eventually;

use crate::support::{by_key, expected, name, next, publish, read};

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

pub(crate) async fn what_a_dead_consumer_had_not_committed_comes_again(test: TestBus) {
    let (kept, topic) = (test.open(), name("deaths"));
    publish(&kept, &topic, &KEYS, 0..10).await;
    let mut first = kept.consumer(&topic, "readers");
    read(&mut first, 40, true).await;
    publish(&kept, &topic, &KEYS, 10..20).await;
    read(&mut first, 40, false).await;
    // Nobody says goodbye.
    drop(first);
    let all = read(&mut kept.consumer(&topic, "readers"), 40, true).await;
    assert_eq!(by_key(&all), expected(&KEYS, 10..20));
}

pub(crate) async fn a_closed_consumer_gives_its_partitions_back_at_once(test: TestBus) {
    // A session that is far longer than the test.
    let settings = bus::BusSettings { bus_session_timeout_ms: Some(60_000), ..test.settings() };
    let (kept, topic) = (bus::testing::Kept::open(&settings), name("closed"));
    publish(&kept, &topic, &KEYS, 0..5).await;
    let mut first = kept.consumer(&topic, "readers");
    read(&mut first, 20, true).await;
    publish(&kept, &topic, &KEYS, 5..10).await;
    let began = Instant::now();
    first.close().await.unwrap();
    let all = read(&mut kept.consumer(&topic, "readers"), 20, true).await;
    assert_eq!(by_key(&all), expected(&KEYS, 5..10));
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
}

/// A consumer whose partitions were taken in its sleep must not commit over what their new owner does.
pub(crate) async fn a_consumer_that_was_taken_for_dead_is_fenced(test: TestBus) {
    let (kept, topic) = (test.open(), name("fenced"));
    publish(&kept, &topic, &KEYS, 0..2).await;
    let mut first = kept.consumer(&topic, "readers");
    let mut old = next(&mut first).await;
    while old.is_empty() {
        old = next(&mut first).await;
    }
    // A second one joins, and gets some of the partitions: with those, the first one's batch is not its own any more.
    let mut second = kept.consumer(&topic, "readers");
    let error = eventually("a partition has gone to the other one", async || {
        next(&mut second).await;
        // Asking lets go of partitions, and goes on.
        next(&mut first).await;
        first.commit(&old).await.err()
    })
    .await;
    assert!(matches!(&error, BusError::Fenced { partitions, .. } if !partitions.is_empty()), "{error}");
    assert!(!error.is_passing());
    // It stays so, and the second one's own commits go on.
    assert!(matches!(first.commit(&old).await, Err(BusError::Fenced { .. })));
    publish(&kept, &topic, &KEYS, 2..4).await;
    drop(first);
    let mut seen = std::collections::BTreeSet::new();
    eventually("everything that is new has come", async || {
        let batch = next(&mut second).await;
        second.commit(&batch).await.ok()?;
        seen.extend(batch.messages().iter().map(crate::support::text));
        let new = expected(&KEYS, 2..4);
        new.values().flatten().all(|text| seen.contains(text)).then_some(())
    })
    .await;
}

/// A process that is stopped for longer than its session (a debugger, a machine that sleeps) wakes up and knows nothing
/// of it. Kafka's library goes on in threads of its own, so there it would take five minutes.
pub(crate) async fn a_consumer_that_sleeps_too_long_is_fenced(test: TestBus) {
    let (kept, topic) = (test.open(), name("asleep"));
    publish(&kept, &topic, &KEYS, 0..3).await;
    let mut first = kept.consumer(&topic, "readers");
    let mut batches = Vec::new();
    while batches.iter().map(bus::Batch::len).sum::<usize>() < 12 {
        batches.push(next(&mut first).await);
    }
    // This blocks the only thread that the first one has, until the other has done everything.
    let (settings, other) = (test.settings(), topic.clone());
    let others = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async {
            let kept = bus::testing::Kept::open(&settings);
            let mut second = kept.consumer(&other, "readers");
            let all = read(&mut second, 12, true).await;
            second.close().await.unwrap();
            by_key(&all)
        })
    });
    assert_eq!(others.join().unwrap(), expected(&KEYS, 0..3));
    for batch in &batches {
        let error = first.commit(batch).await.unwrap_err();
        assert!(matches!(error, BusError::Fenced { .. }), "{error}");
    }
    // It comes back by itself, and does not begin again what the other has done.
    publish(&kept, &topic, &KEYS, 3..4).await;
    assert_eq!(by_key(&read(&mut first, 4, true).await), expected(&KEYS, 3..4));
}
