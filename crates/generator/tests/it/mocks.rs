//! Random signals: at their rate, and the same each time where there is a seed.

use std::collections::BTreeSet;

use generator::Config;
use storage::testing::TestDatabase;
use telemetry::testing::metric_values;
use web::testing::eventually;

use crate::world::World;

fn seeded(seed: Option<u64>) -> impl FnOnce(&mut Config) {
    move |config| {
        config.generator.symbols = ["BTCUSDT", "ETHUSDT"].iter().map(|symbol| symbol.parse().unwrap()).collect();
        config.generator.mock_per_minute = 6_000;
        config.generator.mock_seed = seed;
    }
}

/// What was made, oldest first: id, symbol, action, how sure, which number.
async fn made(world: &World) -> Vec<[String; 5]> {
    let mut all = Vec::new();
    let mut path = "/v1/signals?limit=200&signal_type=mock".to_owned();
    loop {
        let page = world.get(&path).await.ok();
        for item in page["items"].as_array().unwrap() {
            let text = |name: &str| item["signal"][name].as_str().unwrap().to_owned();
            assert_eq!(text("source"), "mock_generator");
            all.push([text("signal_id"), text("symbol"), text("action"), text("confidence"), text("reason")]);
        }
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/signals?limit=200&signal_type=mock&cursor={cursor}");
    }
    all.reverse();
    all
}

async fn at_least(world: &World, count: usize) -> Vec<[String; 5]> {
    eventually(&format!("{count} are made"), async || {
        let made = made(world).await;
        (made.len() >= count).then_some(made)
    })
    .await
}

fn numbers(made: &[[String; 5]]) -> Vec<usize> {
    let number = |reason: &str| reason.split("number ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    made.iter().map(|one| number(&one[4])).collect()
}

pub(crate) async fn a_seed_says_the_same_each_time_and_goes_on_after_a_restart(database: TestDatabase) {
    let mut world = World::idle(&database, seeded(Some(7))).await;
    let before = at_least(&world, 20).await.len();
    world.restart().await;
    let first = at_least(&world, before + 40).await;
    world.stop().await;
    assert_eq!(numbers(&first), (0..first.len()).collect::<Vec<_>>(), "each number once, in order");

    // Elsewhere the same seed says the same, and another one something else.
    let elsewhere = TestDatabase::sqlite();
    let world = World::idle(&elsewhere, seeded(Some(7))).await;
    let second = at_least(&world, 40).await;
    world.stop().await;
    assert_eq!(first[..40], second[..40]);
    let elsewhere = TestDatabase::sqlite();
    let world = World::idle(&elsewhere, seeded(Some(8))).await;
    let third = at_least(&world, 40).await;
    world.stop().await;
    assert_ne!(first[..40], third[..40]);
}

pub(crate) async fn two_generators_of_a_seed_share_its_numbers(database: TestDatabase) {
    let world = World::idle(&database, seeded(Some(9))).await;
    let another = world.another().await;
    drop(at_least(&world, 100).await);
    another.stop().await;
    let all = made(&world).await;
    world.stop().await;
    let mut numbers = numbers(&all);
    numbers.sort_unstable();
    assert_eq!(numbers, (0..all.len()).collect::<Vec<_>>(), "each number once");
}

pub(crate) async fn without_a_seed_nothing_is_the_same(database: TestDatabase) {
    let mut world = World::idle(&database, seeded(None)).await;
    let first = at_least(&world, 20).await;
    world.restart().await;
    let all = at_least(&world, first.len() + 20).await;
    world.stop().await;
    let ids: BTreeSet<_> = all.iter().map(|one| &one[0]).collect();
    assert_eq!(ids.len(), all.len());
    let said = |part: &[[String; 5]]| part.iter().map(|one| one[1..4].join(" ")).collect::<Vec<_>>();
    assert_ne!(said(&all[..20]), said(&all[all.len() - 20..]));
}

pub(crate) async fn a_full_buffer_leaves_random_signals_out(database: TestDatabase) {
    let held_back = || metric_values("signals_held_back_total", &[("signal_type", "mock")]).iter().sum::<f64>();
    let mut world = World::idle(&database, |config| {
        seeded(Some(3))(config);
        config.generator.buffer = 5;
        config.generator.mock_per_minute = 0;
    })
    .await;
    world.topic.set_away(true);
    world.config.generator.mock_per_minute = 60_000;
    world.restart().await;
    eventually("the buffer is full", async || (world.unpublished().await == 5).then_some(())).await;
    // Other tests of this process count, too: that it was full is known first.
    let before = held_back();
    eventually("many are left out", async || (held_back() >= before + 50.0).then_some(())).await;
    assert_eq!((world.unpublished().await, made(&world).await.len()), (5, 5));
    world.topic.set_away(false);
    let made = at_least(&world, 10).await;
    assert_eq!(numbers(&made), (0..made.len()).collect::<Vec<_>>(), "what is left out takes no number");
    world.stop().await;
}
