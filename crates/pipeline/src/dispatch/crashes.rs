//! However a dispatcher ends while it works: each signal has set off each of its pipelines once, and each slot of a clock
//! one execution.
//!
//! Work is killed wherever it waits, and how often it waits is the machine's to say: an answer that is there already is not
//! waited for. Once a round is certain, and after each kill everything has to be right.

use domain::PageQuery;
use domain::pipeline::MatchOutcome;
use serde_json::json;
use web::CancellationToken;
use web::testing::{Killed, eventually};

use super::testing::{Process, at, on_engines, signal, signal_id};
use crate::store::Filter;

/// More steps than anything has: it never ends.
const ENDLESS: usize = 2_000;

#[test]
fn killed_at_every_step_of_a_batch() {
    on_engines(async |database, bus| {
        let world = Process::start(&database, &bus).await;
        for name in ["one", "two"] {
            world.make(name, json!({"mode": "signal"}), at(0)).await;
        }
        let (mut killed, mut rounds, mut steps, mut number) = (0, 0, 0, 0);
        while rounds < 3 {
            assert!(steps < ENDLESS, "it never ends");
            number += 1;
            let again = signal(number, "BTCUSDT");
            world.publish([signal(number, "BTCUSDT"), "no signal".to_owned(), again]).await;
            let process = Process::start(&database, &bus).await;
            let reader = process.reader();
            let mut consumer = reader.consumer().unwrap();
            let batch = eventually("they come", async || consumer.next().await.ok().filter(|b| !b.is_empty())).await;
            assert_eq!(batch.len(), 3);
            let stop = CancellationToken::new();
            let ended = Killed::after(steps, reader.work_through(&consumer, &batch, &stop)).await;
            drop(reader);
            drop(process);
            // Its session would be over a little later.
            consumer.close().await.unwrap();
            let next = Process::start(&database, &bus).await;
            let mut consumer = next.reader().consumer().unwrap();
            next.catch_up(&mut consumer).await;
            consumer.close().await.unwrap();
            let page = PageQuery::default();
            let filter = Filter { signal_id: Some(signal_id(number)), ..Filter::default() };
            let executions = world.store.executions(&page, &filter).await.unwrap().items;
            let matches = world.store.matches(&signal_id(number), &page).await.unwrap().unwrap().items;
            assert_eq!((executions.len(), matches.len()), (2, 2), "step {steps}: each pipeline once");
            assert!(matches.iter().all(|found| found.outcome == MatchOutcome::Enqueued), "step {steps}: {matches:?}");
            assert_eq!(world.execute().await, 2, "step {steps}");
            steps += 1;
            match ended {
                Some(done) => {
                    assert!(done);
                    (rounds, steps) = (rounds + 1, 0);
                }
                None => killed += 1,
            }
        }
        assert!(killed >= 3, "{killed} were killed");
    });
}

#[test]
fn killed_at_every_step_of_a_look_at_the_clock() {
    on_engines(async |database, bus| {
        let world = Process::start(&database, &bus).await;
        for name in ["one", "two"] {
            let trigger = json!({"mode": "periodic", "every_seconds": 60, "symbol": "BTCUSDT"});
            world.make(name, trigger, at(0)).await;
        }
        let (mut killed, mut rounds, mut steps, mut slot) = (0, 0, 0, 0);
        while rounds < 3 {
            assert!(steps < ENDLESS, "it never ends");
            slot += 1;
            let now = at(slot * 60);
            let process = Process::start(&database, &bus).await;
            let mut clock = process.clock();
            let ended = Killed::after(steps, clock.look(now)).await;
            drop(clock);
            drop(process);
            let mut clock = world.clock();
            eventually("it is looked at", async || clock.look(now).await.ok()).await;
            assert_eq!(world.execute().await, 2, "step {steps}: each pipeline once");
            steps += 1;
            match ended {
                Some(looked) => {
                    looked.unwrap();
                    (rounds, steps) = (rounds + 1, 0);
                }
                None => killed += 1,
            }
        }
        assert!(killed >= 3, "{killed} were killed");
    });
}

/// Two that share the partitions, one of which is killed in the middle.
#[test]
fn of_two_dispatchers_one_may_die() {
    const SIGNALS: u32 = 400;
    const SYMBOLS: [&str; 8] =
        ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "DOGEUSDT", "DOTUSDT", "LTCUSDT"];
    on_engines(async |database, bus| {
        let world = Process::start(&database, &bus).await;
        let symbol = |number: u32| SYMBOLS[number as usize % SYMBOLS.len()];
        for number in 0..8 {
            world.make(symbol(number), json!({"mode": "signal", "tickers": [symbol(number)]}), at(0)).await;
        }
        let (one, two) = (Process::start(&database, &bus).await, Process::start(&database, &bus).await);
        let stop = CancellationToken::new();
        let (first, second) = (one.reader(), two.reader());
        let shown = [first.shown.clone(), second.shown.clone()];
        let first = actix_web::rt::spawn(first.run(stop.clone()));
        let second = actix_web::rt::spawn(second.run(stop.clone()));
        eventually("each has two partitions", async || {
            let partitions = |shown: &super::consume::Shown| {
                shown.lock().unwrap().as_ref().map_or(0, |(standing, _)| standing.partitions.len())
            };
            (shown.iter().map(partitions).collect::<Vec<_>>() == [2, 2]).then_some(())
        })
        .await;
        let mut executed = 0;
        let mut first = Some(first);
        for begin in (0..SIGNALS).step_by(20) {
            // Each fifth comes twice.
            let numbers = (begin..begin + 20).flat_map(|number| vec![number; if number % 5 == 0 { 2 } else { 1 }]);
            for number in numbers {
                let message = bus::NewMessage::new(symbol(number), signal(number, symbol(number)));
                world.kept.bus.publish(domain::SIGNALS_TOPIC, message).await.unwrap();
            }
            executed += world.execute().await;
            if begin == SIGNALS / 2
                && let Some(first) = first.take()
            {
                first.abort();
                assert!(first.await.is_err_and(|error| error.is_cancelled()));
            }
        }
        // The session of the one that died is waited for.
        let page = PageQuery::default();
        eventually("every signal is taken", async || {
            executed += world.execute().await;
            for number in (0..SIGNALS).rev() {
                world.store.matches(&signal_id(number), &page).await.unwrap()?;
            }
            Some(())
        })
        .await;
        executed += world.execute().await;
        let mut enqueued = 0;
        for number in 0..SIGNALS {
            let matches = world.store.matches(&signal_id(number), &page).await.unwrap().unwrap().items;
            assert_eq!(matches.len(), 1, "signal {number}");
            let filter = Filter { signal_id: Some(signal_id(number)), ..Filter::default() };
            let executions = world.store.executions(&page, &filter).await.unwrap().items;
            let was_enqueued = matches[0].outcome == MatchOutcome::Enqueued;
            assert_eq!(executions.len(), usize::from(was_enqueued), "signal {number}: {matches:?}");
            enqueued += executions.len();
        }
        assert!(enqueued > 8 && enqueued == executed, "{enqueued} were set off and {executed} executed");
        stop.cancel();
        second.await.unwrap();
        drop((one, two));
    });
}
