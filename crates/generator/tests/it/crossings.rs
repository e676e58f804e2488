//! Candles in, signals out: each crossing once, whatever happens in between.

use std::collections::BTreeSet;

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use domain::Interval;
use generator::Intervals;
use rust_decimal::Decimal;
use serde_json::json;
use storage::testing::TestDatabase;
use telemetry::testing::metric_values;
use web::testing::eventually;

use crate::month::{candles, expected, month};
use crate::world::{Market, World};

const MINUTE: Interval = Interval::OneMinute;
const FIVE: Interval = Interval::FiveMinutes;

pub(crate) async fn each_crossing_of_the_month_is_one_signal_also_after_restarts(database: TestDatabase) {
    let (five, minute) = (month(FIVE), month(MINUTE)[..6_000].to_vec());
    let market = Market::default();
    market.serve("BTCUSDT", FIVE, &five, 30, &[1, 3, 120, 7, 250, 0, 60]);
    market.serve("BTCUSDT", MINUTE, &minute, 30, &[200, 1, 0, 90]);
    let mut world = World::start(&database, &market, |config| {
        config.generator.intervals = Intervals::new(vec![MINUTE, FIVE]);
    })
    .await;
    let expected = (expected(&minute, 30), expected(&five, 30));
    assert!(expected.0.len() > 100 && expected.1.len() > 200, "{} and {}", expected.0.len(), expected.1.len());
    let all = expected.0.len() + expected.1.len();
    for part in 1..=4 {
        drop(world.published(all * part / 5).await);
        world.restart().await;
    }
    drop(world.published(all).await);
    eventually("the last candles have been looked at", async || {
        let last = world.last_candle().await;
        let reached = last.map(|last| last.parse::<DateTime<Utc>>().unwrap());
        (reached == minute.last().map(|candle| candle.open_time)).then_some(())
    })
    .await;
    assert_eq!(world.topic.told("BTCUSDT", MINUTE), expected.0);
    assert_eq!(world.topic.told("BTCUSDT", FIVE), expected.1);
    let ids: BTreeSet<_> = world.topic.ids().into_iter().collect();
    assert_eq!((ids.len(), world.topic.published().len()), (all, all));
    for one in world.topic.published() {
        assert_eq!((one.event.source.as_str(), one.event.version), ("golden_cross_generator", 1));
        assert!(one.event.reason.is_some_and(|reason| reason.starts_with("SMA 9 (") && reason.contains(" SMA 21 (")));
    }
    world.stop().await;
}

pub(crate) async fn two_generators_make_each_signal_once(database: TestDatabase) {
    let minute = month(MINUTE)[..3_000].to_vec();
    let market = Market::default();
    market.serve("BTCUSDT", MINUTE, &minute, 30, &[3, 20, 0]);
    let world = World::start(&database, &market, |_| {}).await;
    let another = world.another().await;
    let expected = expected(&minute, 30);
    drop(world.published(expected.len()).await);
    eventually("nothing waits", async || (world.unpublished().await == 0).then_some(())).await;
    let mut told = world.topic.told("BTCUSDT", MINUTE);
    told.sort_by(|one, other| one[3].cmp(&other[3]));
    assert_eq!(told, expected);
    another.stop().await;
    world.stop().await;
}

pub(crate) async fn what_closed_before_the_first_start_is_history(database: TestDatabase) {
    let minute = month(MINUTE)[..900].to_vec();
    let expected = expected(&minute, 800);
    assert!(!expected.is_empty());
    let market = Market::default();
    market.serve("BTCUSDT", MINUTE, &minute, 800, &[0]);
    let world = World::start(&database, &market, |_| {}).await;
    let begun = eventually("it has begun", async || world.last_candle().await).await;
    assert_eq!(begun.parse::<DateTime<Utc>>().unwrap(), minute[799].open_time);
    let looks = market.looks("BTCUSDT", MINUTE);
    eventually("it looks again", async || (market.looks("BTCUSDT", MINUTE) > looks + 3).then_some(())).await;
    assert_eq!(world.get("/v1/signals").await.ok()["items"], json!([]));
    market.close("BTCUSDT", MINUTE, 100);
    drop(world.published(expected.len()).await);
    assert_eq!(world.topic.told("BTCUSDT", MINUTE), expected);
    world.stop().await;
}

fn missed() -> f64 {
    metric_values("signal_candles_missed_total", &[]).iter().sum()
}

pub(crate) async fn candles_that_were_missed_are_counted(database: TestDatabase) {
    let minute = month(MINUTE)[..5_000].to_vec();
    let market = Market::default();
    market.serve("BTCUSDT", MINUTE, &minute, 100, &[0]);
    let world = World::start(&database, &market, |_| {}).await;
    drop(eventually("it has begun", async || world.last_candle().await).await);
    let before = missed();
    market.close("BTCUSDT", MINUTE, 2_900);
    // 1000 are given, the open one among them: the first that is judged is behind a slow window.
    let first = 3_000 - 999 + 21;
    let expected = expected(&minute[..3_000], first);
    drop(world.published(expected.len()).await);
    eventually("all have been looked at", async || {
        let last = world.last_candle().await?.parse::<DateTime<Utc>>().unwrap();
        (last == minute[2_999].open_time).then_some(())
    })
    .await;
    assert_eq!(world.topic.told("BTCUSDT", MINUTE), expected);
    // Other tests of this process count, too.
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let of_ours = (first - 100) as f64;
    assert!(missed() - before >= of_ours, "{} of {of_ours}", missed() - before);
    world.stop().await;
}

pub(crate) async fn averages_that_touch_for_long_have_the_side_that_they_came_from(database: TestDatabase) {
    // Down, then flat for long, then up: the sides are known only from far back.
    let closes: Vec<Decimal> = [90, 80].into_iter().chain([70; 120]).chain([71]).map(Decimal::from).collect();
    let now = Utc::now().duration_trunc(TimeDelta::minutes(1)).unwrap();
    let length = TimeDelta::minutes(i64::try_from(closes.len()).unwrap());
    let candles = candles(now - length, MINUTE, &closes);
    let market = Market::default();
    market.serve("BTCUSDT", MINUTE, &candles, closes.len() - 1, &[0]);
    let world = World::start(&database, &market, |config| {
        config.generator.fast_candles = 1.try_into().unwrap();
        config.generator.slow_candles = 2.try_into().unwrap();
    })
    .await;
    drop(eventually("it has begun", async || world.last_candle().await).await);
    let looks = market.looks("BTCUSDT", MINUTE);
    eventually("it looks again", async || (market.looks("BTCUSDT", MINUTE) > looks + 3).then_some(())).await;
    assert!(market.limits().iter().all(|limit| *limit < 20), "few are needed: {:?}", market.limits());
    market.close("BTCUSDT", MINUTE, 1);
    let published = world.published(1).await;
    assert_eq!((published[0].event.signal_type.as_str(), published[0].event.action.as_str()), ("golden_cross", "buy"));
    assert!(market.limits().contains(&1_000));
    world.stop().await;
}

pub(crate) async fn market_data_away_is_seen_and_waited_for(database: TestDatabase) {
    let minute = month(MINUTE)[..400].to_vec();
    let market = Market::default();
    market.serve("BTCUSDT", MINUTE, &minute, 30, &[5]);
    let world = World::start(&database, &market, |_| {}).await;
    let expected = expected(&minute, 30);
    drop(world.published(1).await);
    market.set_away(true);
    let trouble = eventually("it is said", async || {
        let generators = world.get("/v1/generators").await.ok();
        generators["golden_cross"]["series"][0]["error"].as_str().map(str::to_owned)
    })
    .await;
    assert!(trouble.contains("market-data-service") && trouble.contains("503"), "{trouble}");
    market.set_away(false);
    drop(world.published(expected.len()).await);
    eventually("it is well again", async || {
        world.get("/v1/generators").await.ok()["golden_cross"]["series"][0]["error"].is_null().then_some(())
    })
    .await;
    assert_eq!(world.topic.told("BTCUSDT", MINUTE), expected);
    world.stop().await;

    // It is gone for good, and the service says so without being unready itself.
    let world = World::start(&database, &market, |config| {
        config.generator.market_data_url = "http://127.0.0.1:1/".parse().unwrap();
    })
    .await;
    let report = world.get("/health/ready").await.ok();
    let checks = report["checks"].as_array().unwrap().clone();
    let found = checks.iter().find(|check| check["name"] == "market-data-service").unwrap();
    assert_eq!(found["status"], "away", "{report}");
    world.stop().await;
}

pub(crate) async fn candles_older_than_those_looked_at_are_seen(database: TestDatabase) {
    let minute = month(MINUTE)[..200].to_vec();
    let market = Market::default();
    market.serve("BTCUSDT", MINUTE, &minute, 100, &[0]);
    let world = World::start(&database, &market, |_| {}).await;
    let begun = eventually("it has begun", async || world.last_candle().await).await;
    market.serve("BTCUSDT", MINUTE, &minute, 60, &[0]);
    let trouble = async || world.get("/v1/generators").await.ok()["golden_cross"]["series"][0]["error"].clone();
    let words = eventually("it is said", async || trouble().await.as_str().map(str::to_owned)).await;
    assert!(words.contains("older candles"), "{words}");
    assert_eq!(world.last_candle().await, Some(begun));
    let expected = expected(&minute, 100);
    market.serve("BTCUSDT", MINUTE, &minute, 200, &[0]);
    drop(world.published(expected.len()).await);
    assert_eq!(world.topic.told("BTCUSDT", MINUTE), expected);
    eventually("it is well again", async || trouble().await.is_null().then_some(())).await;
    world.stop().await;
}

pub(crate) async fn an_answer_about_something_else_is_none(database: TestDatabase) {
    let market = Market::default();
    market.serve("BTCUSDT", MINUTE, &month(MINUTE)[..100], 50, &[0]);
    market.set_lies(true);
    let world = World::start(&database, &market, |config| {
        config.generator.symbols.push("DOGEUSDT".parse().unwrap());
    })
    .await;
    let troubles = eventually("both are said", async || {
        let series = world.get("/v1/generators").await.ok()["golden_cross"]["series"].clone();
        let troubles: Vec<_> = (0..2).map(|at| series[at]["error"].as_str().map(str::to_owned)).collect();
        troubles.into_iter().collect::<Option<Vec<_>>>()
    })
    .await;
    assert!(troubles[0].contains("asked for BTCUSDT 1m, answered with XRPUSDT 1m"), "{troubles:?}");
    assert!(troubles[1].contains("404"), "{troubles:?}");
    assert_eq!(world.last_candle().await, None);
    market.set_lies(false);
    drop(eventually("it begins", async || world.last_candle().await).await);
    world.stop().await;
}
