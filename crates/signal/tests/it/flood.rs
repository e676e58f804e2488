//! Ten thousand webhooks, with repetitions and garbage among them, in random order.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use storage::testing::TestDatabase;
use web::testing::eventually;

use crate::world::World;

/// Webhooks in all; each alert among them comes three times.
const ALERTS: usize = 2_500;
const GARBAGE: usize = 2_500;

/// Whatever is random here follows from it.
const SEED: u64 = 20_261_121;

/// What is sent, and what it must come to.
#[derive(Debug, Clone)]
enum Webhook {
    /// An alert that is taken, by its number.
    Alert(usize, Vec<u8>),
    /// What is no alert, whatever it is taken for.
    Never(Vec<u8>),
    /// What was an alert: it may be another one by now, the same one, or none.
    Perhaps(Vec<u8>),
}

/// A good alert, in one of its forms.
fn alert(random: &mut StdRng, number: usize) -> Vec<u8> {
    let symbol = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT"][random.random_range(0..4)];
    let action = ["buy", "sell", "close", "long", "short", "exit"][random.random_range(0..6)];
    let seconds = 1_800_000_000 + random.random_range(0..86_400);
    let time = if random.random() { format!("{seconds}") } else { format!("{seconds}000") };
    let size = match random.random_range(0..3) {
        0 if !["close", "exit"].contains(&action) => {
            format!("{}.{}", random.random_range(0..9), random.random_range(1..999))
        }
        _ => String::new(),
    };
    let text = if random.random() {
        let size = if size.is_empty() { String::new() } else { format!(r#","quantity":"{size}""#) };
        format!(r#"{{"ticker":"BINANCE:{symbol}","action":"{action}","timenow":"{time}","order_id":"{number}"{size}}}"#)
    } else {
        let size = if size.is_empty() { String::new() } else { format!(" qty={size}") };
        format!("ticker={symbol}.P side={action} timenow={time} order_id={number}{size}")
    };
    text.into_bytes()
}

fn garbage(random: &mut StdRng, number: usize) -> Webhook {
    let mut good = alert(random, ALERTS + number);
    match number % 4 {
        // Bytes of any kind, of which the first begins no name and no object.
        0 => {
            let mut bytes: Vec<u8> = (0..random.random_range(0..300)).map(|_| random.random()).collect();
            bytes.insert(0, b'\xff');
            Webhook::Never(bytes)
        }
        // An object that ends too early, wherever that is.
        1 => {
            let mut object =
                format!(r#"{{"ticker":"BTCUSDT","action":"buy","order_id":"{number}","timenow":1800000000}}"#);
            object.truncate(random.random_range(1..object.len()));
            Webhook::Never(object.into_bytes())
        }
        // A good alert in which some bytes are others.
        2 => {
            for _ in 0..random.random_range(1..6) {
                let place = random.random_range(0..good.len());
                good[place] = random.random();
            }
            Webhook::Perhaps(good)
        }
        // A good alert of which a piece is left out, or is there twice.
        _ => {
            let (one, other) = (random.random_range(0..good.len()), random.random_range(0..good.len()));
            let piece = one.min(other)..one.max(other);
            if random.random() {
                good.drain(piece);
            } else {
                let twice = good[piece].to_vec();
                good.extend(twice);
            }
            Webhook::Perhaps(good)
        }
    }
}

/// Everything that is sent, in its order.
fn webhooks() -> Vec<Webhook> {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut all = Vec::new();
    for number in 0..ALERTS {
        let alert = alert(&mut random, number);
        all.extend(std::iter::repeat_n(Webhook::Alert(number, alert), 3));
    }
    all.extend((0..GARBAGE).map(|number| garbage(&mut random, number)));
    all.shuffle(&mut random);
    all
}

/// What was answered.
#[derive(Default)]
struct Answers {
    /// Ids by alert.
    of_alerts: HashMap<usize, HashSet<String>>,
    /// How many answers with an id said that it is new.
    accepted: HashMap<String, usize>,
    /// How often each refusal was.
    refused: BTreeMap<String, usize>,
    sent_again: usize,
}

pub(crate) async fn ten_thousand_webhooks_are_each_executed_once_or_refused(database: TestDatabase) {
    let world = World::start_with(&database, |config| {
        config.server.workers = Some(2);
        config.hook_rate_per_minute = 0;
    })
    .await;
    let (_, path) = world.hook("flood").await;
    let webhooks = webhooks();
    assert_eq!(webhooks.len(), 10_000);
    let answers = std::sync::Mutex::<Answers>::default();
    iter(webhooks)
        .for_each_concurrent(24, async |webhook| {
            let (Webhook::Alert(_, body) | Webhook::Never(body) | Webhook::Perhaps(body)) = &webhook;
            let answer = loop {
                let answer = world.call("POST", &path, &[("content-type", "text/plain")], body.clone()).await;
                // Told to send again, TradingView does.
                if answer.status != 503 {
                    break answer;
                }
                answers.lock().unwrap().sent_again += 1;
            };
            let words = String::from_utf8_lossy(body);
            let mut answers = answers.lock().unwrap();
            let refused = answer.status != 200;
            let body = answer.json();
            match &webhook {
                Webhook::Alert(..) => assert!(!refused, "{words}: {body}"),
                Webhook::Never(_) => assert!(refused, "{words:?}: {body}"),
                Webhook::Perhaps(_) => {}
            }
            if refused {
                assert!(matches!(answer.status, 400 | 422), "{words:?}: {body}");
                *answers.refused.entry(body["code"].as_str().unwrap().to_owned()).or_default() += 1;
                return;
            }
            let id = body["signal_id"].as_str().unwrap().to_owned();
            *answers.accepted.entry(id.clone()).or_default() += usize::from(body["status"] == "accepted");
            if let Webhook::Alert(number, _) = webhook {
                answers.of_alerts.entry(number).or_default().insert(id);
            }
        })
        .await;
    let Answers { of_alerts, accepted, refused, sent_again } = answers.into_inner().unwrap();
    assert_eq!(of_alerts.len(), ALERTS);
    let mut of_their_own = HashSet::new();
    for (number, ids) in &of_alerts {
        assert_eq!(ids.len(), 1, "alert {number} is one signal");
        of_their_own.extend(ids);
    }
    assert_eq!(of_their_own.len(), ALERTS, "and no other alert's");
    for (id, times) in &accepted {
        // One that was kept although its sender was told to send again is a repetition the next time.
        assert!(*times == 1 || (*times == 0 && sent_again > 0), "{id} was accepted {times} times");
    }
    let never = GARBAGE / 2;
    assert!(refused.values().sum::<usize>() > never, "of what was an alert some is none any more: {refused:?}");
    assert!(accepted.len() > ALERTS && refused.len() > 5, "there is something of everything: {refused:?}");
    eventually("none waits any more", async || {
        world.items("/v1/signals?status=queued&limit=1").await.is_empty().then_some(())
    })
    .await;
    let executed = world.orders.executed("signal_id");
    assert_eq!(executed.len(), accepted.len(), "none is lost, and none comes from nowhere");
    assert_eq!(executed.iter().collect::<HashSet<_>>(), accepted.keys().collect());
    let actions: HashSet<String> = world.orders.executed("action").into_iter().collect();
    assert_eq!(actions, ["buy", "sell", "close"].map(str::to_owned).into());
    assert_eq!(world.items("/v1/hooks").await[0]["signals"], accepted.len());
    world.stop().await;
}
