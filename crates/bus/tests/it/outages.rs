//! A bus that is away: its server, that of this test alone, is ended and started again.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bus::testing::{Kafka, Kept, TestBus};
use bus::{BusError, BusSettings, NewMessage};
use storage::testing::Cluster;
use web::CancellationToken;
use web::testing::eventually;

use crate::support::{name, next, publish, text};

/// Longest that publishing may take here.
const LIMIT_MS: u64 = 3_000;

#[derive(Clone)]
enum Server {
    Postgres(Arc<Cluster>),
    Kafka(Arc<Kafka>),
}

impl Server {
    async fn start(engine: &str) -> (Self, String) {
        let kafka = engine == "kafka";
        blocking(move || {
            if kafka {
                let server = Kafka::start();
                let url = server.url();
                return (Self::Kafka(Arc::new(server)), url);
            }
            let server = Cluster::start();
            let url = server.database();
            (Self::Postgres(Arc::new(server)), url)
        })
        .await
    }

    async fn crash(&self) {
        let server = self.clone();
        blocking(move || match server {
            Self::Postgres(server) => server.crash(),
            Self::Kafka(server) => server.crash(),
        })
        .await;
    }

    async fn start_again(&self) {
        let server = self.clone();
        blocking(move || match server {
            Self::Postgres(server) => server.start_again(),
            Self::Kafka(server) => server.start_again(),
        })
        .await;
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    actix_web::rt::task::spawn_blocking(work).await.unwrap()
}

/// Publishing fails in words and within its time.
async fn fails(kept: &Kept, topic: &str) {
    let began = Instant::now();
    let error = kept.bus.publish(topic, NewMessage::new("k", "lost?")).await.unwrap_err();
    assert!(matches!(&error, BusError::Unavailable { reason } if reason.len() > 10), "{error}");
    assert!(error.is_passing());
    assert!(began.elapsed() < Duration::from_millis(LIMIT_MS + 500), "{:?}", began.elapsed());
}

pub(crate) async fn a_bus_that_goes_away_comes_back(test: TestBus) {
    let (server, url) = Server::start(test.engine()).await;
    let settings = BusSettings { bus_url: url.into(), bus_publish_timeout_ms: LIMIT_MS, ..test.settings() };
    let (kept, topic) = (Kept::open(&settings), name("outage"));
    publish(&kept, &topic, &["k"], 0..5).await;
    let mut consumer = kept.consumer(&topic, "readers");
    let mut seen = BTreeSet::new();
    eventually("the first have come", async || {
        seen.extend(next(&mut consumer).await.messages().iter().map(text));
        (seen.len() == 5).then_some(())
    })
    .await;
    eventually("it is ready", async || kept.bus.ready().await.ok()).await;

    server.crash().await;
    eventually("it is not ready", async || kept.bus.ready().await.err()).await;
    fails(&kept, &topic).await;
    fails(&kept, &topic).await;
    server.start_again().await;

    // The same bus and the same consumer, without anybody doing anything about it.
    eventually("it is ready again", async || kept.bus.ready().await.ok()).await;
    publish(&kept, &topic, &["k"], 5..10).await;
    eventually("everything has come and is committed", async || {
        let batch = match consumer.next().await {
            Ok(batch) => batch,
            Err(error) => {
                assert!(error.is_passing(), "{error}");
                return None;
            }
        };
        seen.extend(batch.messages().iter().map(text));
        match consumer.commit(&batch).await {
            Ok(()) => {}
            Err(error) => assert!(error.is_passing() || matches!(error, BusError::Fenced { .. }), "{error}"),
        }
        (0..10).all(|number| seen.contains(&format!("k:{number}"))).then_some(())
    })
    .await;
}

/// The server is killed (SIGKILL) while messages are published and read, and starts again on what it has written: what it
/// had taken is not lost, in its order, and both sides go on.
pub(crate) async fn what_is_under_way_when_it_is_killed_comes_through(test: TestBus) {
    const MESSAGES: u32 = 300;
    const KEYS: [&str; 2] = ["a", "b"];
    let (server, url) = Server::start(test.engine()).await;
    let settings = BusSettings { bus_url: url.into(), bus_publish_timeout_ms: LIMIT_MS, ..test.settings() };
    let (kept, topic) = (Kept::open(&settings), name("killed"));
    eventually("it is ready", async || kept.bus.ready().await.ok()).await;
    let (taken, failed) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let killed = CancellationToken::new();
    let publisher = actix_web::rt::spawn({
        let (bus, topic, taken, failed) = (kept.bus.clone(), topic.clone(), Rc::clone(&taken), Rc::clone(&failed));
        let killed = killed.clone();
        async move {
            for number in 0..MESSAGES {
                // However slow the reader is, it is not through before the end comes.
                if number == MESSAGES / 2 {
                    killed.cancelled().await;
                }
                let key = KEYS[number as usize % KEYS.len()];
                let message = NewMessage::new(key, format!("{key}:{number}"));
                // As an outbox does it: the same again until it is taken.
                while let Err(error) = bus.publish(&topic, message.clone()).await {
                    assert!(error.is_passing(), "{error}");
                    failed.set(failed.get() + 1);
                    actix_web::rt::time::sleep(Duration::from_millis(20)).await;
                }
                taken.set(number + 1);
            }
        }
    });
    let (seen, committed) = (Rc::new(RefCell::new(Vec::<String>::new())), Rc::new(Cell::new(0)));
    let reader = actix_web::rt::spawn({
        let (mut consumer, seen, committed) =
            (kept.consumer(&topic, "readers"), Rc::clone(&seen), Rc::clone(&committed));
        async move {
            let all = || seen.borrow().iter().collect::<BTreeSet<_>>().len() == MESSAGES as usize;
            loop {
                match consumer.next().await {
                    Ok(batch) if batch.is_empty() && all() => return consumer,
                    Ok(batch) => {
                        seen.borrow_mut().extend(batch.messages().iter().map(text));
                        match consumer.commit(&batch).await {
                            Ok(()) => committed.set(committed.get() + batch.len()),
                            // It comes again, to whoever has the partitions then.
                            Err(error) => {
                                assert!(error.is_passing() || matches!(error, BusError::Fenced { .. }), "{error}");
                                while let Err(error) = consumer.rewind().await {
                                    assert!(error.is_passing(), "{error}");
                                    actix_web::rt::time::sleep(Duration::from_millis(20)).await;
                                }
                            }
                        }
                    }
                    Err(error) => {
                        assert!(error.is_passing(), "{error}");
                        actix_web::rt::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            }
        }
    });
    eventually("both are in the middle", async || (taken.get() >= 100 && committed.get() >= 50).then_some(())).await;
    server.crash().await;
    killed.cancel();
    eventually("it is noticed", async || (failed.get() >= 1).then_some(())).await;
    assert!(taken.get() < MESSAGES);
    server.start_again().await;
    publisher.await.unwrap();
    let consumer = reader.await.unwrap();
    let mut first: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for text in seen.borrow().iter() {
        let of_key = first.entry(if text.starts_with('a') { "a" } else { "b" }).or_default();
        if !of_key.contains(text) {
            of_key.push(text.clone());
        }
    }
    for (place, key) in (0..).zip(KEYS) {
        let expected: Vec<String> =
            (place..MESSAGES).step_by(KEYS.len()).map(|number| format!("{key}:{number}")).collect();
        assert_eq!(first[key], expected, "in their order");
    }
    // All of it is committed.
    eventually("nothing is left", async || {
        consumer.standing().await.ok().filter(|standing| standing.lag_messages == 0 && !standing.partitions.is_empty())
    })
    .await;
}

/// A service starts while its bus is away.
pub(crate) async fn a_bus_that_was_never_there_is_told_in_time(test: TestBus) {
    let url = match test.engine() {
        "kafka" => "kafka://127.0.0.1:1",
        _ => "postgres://me:s3cret@127.0.0.1:1/db",
    };
    let settings = BusSettings { bus_url: url.into(), bus_publish_timeout_ms: LIMIT_MS, ..test.settings() };
    let (kept, topic) = (Kept::open(&settings), name("never"));
    let reason = kept.bus.ready().await.unwrap_err();
    assert!(reason.len() > 10 && !reason.contains("s3cret"), "{reason}");
    fails(&kept, &topic).await;
    let mut consumer = kept.consumer(&topic, "readers");
    let error = eventually("reading fails", async || consumer.next().await.err()).await;
    assert!(matches!(error, BusError::Unavailable { .. }), "{error}");
    // Whoever leaves need not wait for it.
    let began = Instant::now();
    drop(consumer);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}
