//! Whatever publishers and consumers do, and in whichever order.

use std::collections::{BTreeMap, BTreeSet};

use bus::testing::{Kept, TestBus};
use bus::{Batch, BusError, BusSettings, Consumer, Message};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use web::testing::eventually;

use crate::support::{done, name, next, publish, text};

const KEYS: [&str; 3] = ["a", "b", "c"];

/// What happens.
#[derive(Debug, Clone, Copy)]
enum Step {
    Publish,
    Read(usize),
    Commit(usize),
    /// The consumer dies, and another one begins in its place.
    Die(usize),
    Rewind(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let one = 0..2_usize;
    prop_oneof![
        3 => Just(Step::Publish),
        4 => one.clone().prop_map(Step::Read),
        3 => one.clone().prop_map(Step::Commit),
        1 => one.clone().prop_map(Step::Die),
        1 => one.prop_map(Step::Rewind),
    ]
}

/// Every message is committed at least once, and of each key in its order, whatever happens.
pub(crate) async fn whatever_happens_everything_is_done_and_in_its_order(test: TestBus) {
    // Dying and sharing take their time with Kafka.
    let (cases, session) = if test.engine() == "kafka" { (3, 2_000) } else { (12, 400) };
    let settings = BusSettings { bus_session_timeout_ms: Some(session), ..test.settings() };
    let tried = actix_web::rt::task::spawn_blocking(move || {
        let config = Config { cases, max_shrink_iters: 8, failure_persistence: None, ..Config::default() };
        TestRunner::new(config).run(&proptest::collection::vec(step(), 1..24), |steps| {
            let settings = settings.clone();
            // A thread of its own, because a panic is to be a failure that is made smaller.
            let played =
                std::thread::spawn(move || actix_web::rt::System::new().block_on(play(&settings, &steps))).join();
            played.unwrap_or_else(|_| Err("it panicked".to_owned())).map_err(TestCaseError::fail)
        })
    });
    tried.await.unwrap().unwrap();
}

/// A consumer and what it has read and not committed.
struct Reader {
    consumer: Consumer,
    read: Vec<Batch>,
}

async fn play(settings: &BusSettings, steps: &[Step]) -> Result<(), String> {
    let (kept, topic) = (Kept::open(settings), name("any"));
    let new = || Reader { consumer: kept.consumer(&topic, "readers"), read: Vec::new() };
    let mut readers = [new(), new()];
    let mut committed = Vec::new();
    let mut published = 0;
    for step in steps {
        match *step {
            Step::Publish => {
                publish(&kept, &topic, &KEYS, published..published + 2).await;
                published += 2;
            }
            Step::Read(one) => {
                let batch = next(&mut readers[one].consumer).await;
                readers[one].read.push(batch);
            }
            Step::Commit(one) => commit(&mut readers[one], &mut committed).await,
            Step::Die(one) => readers[one] = new(),
            Step::Rewind(one) => {
                readers[one].consumer.rewind().await.map_err(|error| error.to_string())?;
                readers[one].read.clear();
            }
        }
    }
    drop(readers);
    let mut last = new();
    let wanted = KEYS.len() * usize::try_from(published).unwrap();
    eventually("everything is committed", async || {
        let batch = next(&mut last.consumer).await;
        last.read.push(batch);
        commit(&mut last, &mut committed).await;
        (committed.iter().collect::<BTreeSet<_>>().len() == wanted).then_some(())
    })
    .await;
    in_order(&committed)
}

async fn commit(reader: &mut Reader, committed: &mut Vec<String>) {
    for batch in reader.read.drain(..) {
        let lost = match done_or_fenced(&reader.consumer, &batch).await {
            Ok(()) => Vec::new(),
            Err(partitions) => partitions,
        };
        let ours = |message: &&Message| !lost.contains(&message.partition);
        committed.extend(batch.messages().iter().filter(ours).map(text));
    }
}

async fn done_or_fenced(consumer: &Consumer, batch: &Batch) -> Result<(), Vec<i32>> {
    done("committing", async || match consumer.commit(batch).await {
        Ok(()) => Ok(Ok(())),
        Err(BusError::Fenced { partitions, .. }) => Ok(Err(partitions)),
        Err(error) => Err(error),
    })
    .await
}

/// What is committed for the first time is, for each key, everything in its order.
fn in_order(committed: &[String]) -> Result<(), String> {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for text in committed.iter().filter(|text| seen.insert(text.as_str())) {
        let (key, number) = text.split_once(':').ok_or("no such message was published")?;
        let expected = numbers.entry(key).or_default();
        if number != expected.to_string() {
            return Err(format!("{text} came where {key}:{expected} was due: {committed:?}"));
        }
        *expected += 1;
    }
    Ok(())
}
