//! Ten thousand webhooks, with repetitions and nonsense among them, in random order.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use storage::testing::TestDatabase;
use web::testing::eventually;

use crate::world::World;

/// Webhooks in all; of the alerts among them most come three times.
const ALERTS: usize = 3_000;
const NONSENSE: usize = 1_000;

pub(crate) async fn ten_thousand_webhooks_are_each_executed_once_or_refused(database: TestDatabase) {
    let world = World::start_with(&database, |config| config.server.workers = Some(2)).await;
    let (_, path) = world.hook("flood").await;
    let symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT"];
    let mut webhooks: Vec<(Option<usize>, String)> = Vec::new();
    for number in 0..ALERTS {
        let symbol = symbols[number % symbols.len()];
        let alert = format!("ticker={symbol} action=buy timenow={} order_id={number}", 1_800_000_000);
        webhooks.extend(std::iter::repeat_n((Some(number), alert), 3));
    }
    for number in 0..NONSENSE {
        let nonsense = match number % 5 {
            0 => format!("{{\"ticker\": \"BTCUSDT\", \"action\": {number}"),
            1 => format!("ticker=BTCUSDT action=buy qty=-{number}"),
            2 => "<html>".repeat(number % 90 + 1),
            3 => format!("ticker={{{{ticker}}}} action=buy order_id={number}"),
            _ => format!("action=buy order_id={number}"),
        };
        webhooks.push((None, nonsense));
    }
    assert_eq!(webhooks.len(), 10_000);
    webhooks.shuffle(&mut StdRng::seed_from_u64(20_261_121));

    // Ids by alert, and how many answers said accepted.
    let answers: Mutex<HashMap<usize, (HashSet<String>, usize)>> = Mutex::default();
    let (refused, sent_again) = (Mutex::new(0_usize), Mutex::new(0_usize));
    iter(webhooks)
        .for_each_concurrent(24, async |(number, text)| {
            let answer = loop {
                let answer = world.send(&path, &text).await;
                // Told to send again, TradingView does.
                if answer.status != 503 {
                    break answer;
                }
                *sent_again.lock().unwrap() += 1;
            };
            match number {
                None => {
                    assert!(matches!(answer.status, 400 | 422), "{text}: {answer:?}");
                    *refused.lock().unwrap() += 1;
                }
                Some(number) => {
                    assert_eq!(answer.status, 200, "{text}: {}", answer.text);
                    let receipt = answer.json();
                    let mut answers = answers.lock().unwrap();
                    let of_alert = answers.entry(number).or_default();
                    of_alert.0.insert(receipt["signal_id"].as_str().unwrap().to_owned());
                    of_alert.1 += usize::from(receipt["status"] == "accepted");
                }
            }
        })
        .await;
    assert_eq!(*refused.lock().unwrap(), NONSENSE);
    let answers = answers.into_inner().unwrap();
    assert_eq!(answers.len(), ALERTS);
    let again = *sent_again.lock().unwrap();
    for (number, (ids, accepted)) in &answers {
        assert_eq!(ids.len(), 1, "alert {number} is one signal");
        // One that was kept although its sender was told to send again is a repetition the next time.
        assert!(*accepted == 1 || (*accepted == 0 && again > 0), "alert {number} was accepted {accepted} times");
    }
    let accepted: HashSet<String> = answers.into_values().flat_map(|(ids, _)| ids).collect();
    eventually("none waits any more", async || {
        world.items("/v1/signals?status=queued&limit=1").await.is_empty().then_some(())
    })
    .await;
    let executed = world.orders.executed("signal_id");
    assert_eq!(executed.len(), ALERTS, "none is lost, and none comes from nowhere");
    assert_eq!(executed.into_iter().collect::<HashSet<_>>(), accepted);
    assert_eq!(world.items("/v1/hooks").await[0]["signals"], ALERTS);
    world.stop().await;
}
