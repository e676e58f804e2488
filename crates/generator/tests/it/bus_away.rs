//! While the bus is away nothing is lost, and not more piles up than may.

use chrono::{DateTime, TimeDelta, Utc};
use domain::Interval;
use serde_json::json;
use storage::testing::TestDatabase;
use telemetry::testing::metric_values;
use web::testing::eventually;

use crate::month::{expected, month};
use crate::world::{Market, Published, World};

fn reasons_of(published: &[Published], symbol: &str) -> Vec<String> {
    let of = published.iter().filter(|one| one.key == symbol);
    of.map(|one| one.event.reason.clone().unwrap_or_default()).collect()
}

pub(crate) async fn nothing_is_lost_and_the_order_is_kept(database: TestDatabase) {
    let mut world = World::idle(&database, |_| {}).await;
    world.topic.set_away(true);
    let symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT"];
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(world.make(symbols[number % 3], number).await);
    }
    eventually("the bus was tried", async || (world.topic.tries() >= 3).then_some(())).await;
    assert_eq!((world.unpublished().await, world.topic.published().len()), (30, 0));
    assert_eq!(world.get("/health/ready").await.status, 200);
    // The process ends, and another begins; the bus comes back later.
    world.restart().await;
    assert_eq!(world.unpublished().await, 30);
    let before = world.get(&format!("/v1/signals/{}", ids[0])).await.ok();
    assert_eq!((&before["status"], &before["done_at"]), (&json!("waiting"), &json!(null)));
    world.topic.set_away(false);
    let published = world.published(30).await;
    for (first, symbol) in symbols.iter().enumerate() {
        let of_symbol: Vec<String> = (first..30).step_by(3).map(|number| number.to_string()).collect();
        assert_eq!(reasons_of(&published, symbol), of_symbol, "{symbol} in its order");
    }
    eventually("nothing waits", async || (world.unpublished().await == 0).then_some(())).await;
    let after = world.get(&format!("/v1/signals/{}", ids[0])).await.ok();
    assert_eq!(after["status"], "published");
    assert!(after["done_at"].is_string(), "{after}");
    world.stop().await;
}

fn held_back(signal_type: &str) -> f64 {
    metric_values("signals_held_back_total", &[("signal_type", signal_type)]).iter().sum()
}

pub(crate) async fn a_full_buffer_holds_back_and_loses_no_crossing(database: TestDatabase) {
    let minute = month(Interval::OneMinute)[..1_000].to_vec();
    let expected = expected(&minute, 30);
    assert!(expected.len() > 20);
    let market = Market::default();
    market.serve("BTCUSDT", Interval::OneMinute, &minute, 30, &[10]);
    let before = (held_back("mock"), held_back("golden_cross") + held_back("death_cross"));
    let world = World::start(&database, &market, |config| {
        config.generator.buffer = 4;
    })
    .await;
    drop(world.published(1).await);
    world.topic.set_away(true);
    eventually("the buffer is full, and all candles have closed", async || {
        let closed = market.closed("BTCUSDT", Interval::OneMinute);
        (world.unpublished().await == 4 && closed == minute.len()).then_some(())
    })
    .await;
    let looks = market.looks("BTCUSDT", Interval::OneMinute);
    eventually("it looks", async || (market.looks("BTCUSDT", Interval::OneMinute) > looks + 5).then_some(())).await;
    // It stands behind the last one that there was room for, and before the next one.
    let made = world.topic.published().len() + 4;
    let stands = world.last_candle().await.unwrap().parse::<DateTime<Utc>>().unwrap();
    let closed = |crossing: usize| expected[crossing][3].parse::<DateTime<Utc>>().unwrap();
    assert!((closed(made - 1) - TimeDelta::minutes(1)..closed(made) - TimeDelta::minutes(1)).contains(&stands));
    assert_eq!(world.unpublished().await, 4);
    assert!(held_back("golden_cross") + held_back("death_cross") > before.1);
    // What is asked for by hand is refused.
    let refused = world.post(&[], &json!({"symbol": "BTCUSDT", "action": "buy"})).await;
    drop(refused.problem(503, "buffer_full"));
    assert_eq!(refused.header("retry-after"), "5");
    assert!(held_back("mock") > before.0);
    world.topic.set_away(false);
    drop(world.published(expected.len()).await);
    assert_eq!(world.topic.told("BTCUSDT", Interval::OneMinute), expected, "later, and all of them");
    world.stop().await;
}

pub(crate) async fn what_the_bus_refuses_for_good_holds_up_nobody(database: TestDatabase) {
    let world = World::idle(&database, |config| config.generator.buffer = 1).await;
    world.topic.refuse("BADUSDT");
    let bad = world.make("BADUSDT", 0).await;
    let refused = eventually("it is refused", async || {
        let signal = world.get(&format!("/v1/signals/{bad}")).await.ok();
        (signal["status"] == "refused").then_some(signal)
    })
    .await;
    assert_eq!(refused["detail"], "the bus does not take it");
    // It takes no place in the buffer.
    let good = world.make("BTCUSDT", 1).await;
    drop(world.published(1).await);
    assert_eq!(world.topic.ids(), [good]);
    world.stop().await;
}

pub(crate) async fn what_was_published_and_not_ticked_off_comes_again_under_its_id(database: TestDatabase) {
    let world = World::idle(&database, |_| {}).await;
    world.topic.set_forgetful();
    let id = world.make("BTCUSDT", 0).await;
    drop(world.published(2).await);
    assert_eq!(world.topic.ids(), [id.clone(), id]);
    eventually("nothing waits", async || (world.unpublished().await == 0).then_some(())).await;
    world.stop().await;
}
