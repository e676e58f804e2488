//! Instances that share a cache.

use cache::testing::Server;
use storage::testing::TestDatabase;
use web::testing::eventually;

use crate::world::World;

const ALERT: &str = "ticker=BTCUSDT action=buy timenow=2026-01-31T12:00:00Z order_id=7";

/// signal-service once more, with this cache, when it is connected.
async fn sharing(database: &TestDatabase, redis: &Server) -> World {
    let world = World::start_with(database, |config| config.cache = redis.settings()).await;
    eventually("its cache is there", async || (cache_status(&world).await == "ok").then_some(())).await;
    world
}

/// What the service says of its cache.
async fn cache_status(world: &World) -> String {
    let report = world.get("/health/ready").await.json();
    let cache = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "cache").unwrap();
    cache["status"].as_str().unwrap().to_owned()
}

fn duplicate(id: &str) -> (String, String) {
    ("duplicate".to_owned(), id.to_owned())
}

pub(crate) async fn an_alert_that_one_has_taken_another_knows(database: TestDatabase) {
    let Some(redis) = Server::start() else { return };
    let (one, other) = (sharing(&database, &redis).await, sharing(&database, &redis).await);
    let (_, path) = one.hook("one").await;
    let (status, id) = one.taken(&path, ALERT).await;
    assert_eq!((status.as_str(), redis.keys().len()), ("accepted", 1));
    assert_eq!(other.taken(&path, ALERT).await, duplicate(&id));
    // It was the cache that said so: what stands there is what comes.
    let kept: String = redis.ask(&["GET", &redis.keys()[0]]);
    let (_, another) = one.taken(&path, "ticker=ETHUSDT action=buy timenow=2026-01-31T12:00:00Z").await;
    let _: String = redis.ask(&["FLUSHALL"]);
    assert_eq!(other.taken(&path, ALERT).await, duplicate(&id));
    redis.spoil(&kept.replace(&id, &another));
    assert_eq!(other.taken(&path, ALERT).await, duplicate(&another));
    // A signal that the database does not know, after a failover, say, is none.
    redis.spoil(&kept.replace(&id, &id.chars().rev().collect::<String>()));
    assert_eq!(other.taken(&path, ALERT).await, duplicate(&id));
    // Garbage, an id that is none, what is over, and nothing at all: the database knows, and puts it there again.
    for garbage in [
        "garbage".to_owned(),
        kept.replace(&id, "no id"),
        kept.replace("signal_id", "id"),
        kept.replace("\"until\":", "\"until\":-"),
    ] {
        redis.spoil(&garbage);
        assert_eq!(other.taken(&path, ALERT).await, duplicate(&id), "{garbage}");
        assert_eq!(redis.ask::<String>(&["GET", &redis.keys()[0]]), kept, "{garbage}");
    }
    let _: String = redis.ask(&["FLUSHALL"]);
    assert_eq!(other.taken(&path, ALERT).await, duplicate(&id));
    assert_eq!(redis.ask::<String>(&["GET", &redis.keys()[0]]), kept);
    // No longer than in the database: a day, and 45 s for words without a time.
    let left = |key: &str| -> i64 { redis.ask(&["PTTL", key]) };
    let known = redis.keys();
    assert!((1..=86_400_000).contains(&left(&known[0])));
    let (_, bare) = one.taken(&path, "ticker=BTCUSDT action=buy").await;
    let bare_key = redis.keys().into_iter().find(|key| !known.contains(key)).unwrap();
    assert!((1..=45_000).contains(&left(&bare_key)), "{}", left(&bare_key));
    assert_ne!(bare, id);
    // A hook that was revoked is refused, whatever the cache knows.
    let hook = one.items("/v1/hooks").await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(one.call("DELETE", &format!("/v1/hooks/{hook}"), &[], Vec::new()).await.status, 204);
    other.send(&path, ALERT).await.problem(401, "unknown_hook");
    one.stop().await;
    other.stop().await;
}

pub(crate) async fn a_cache_that_dies_lets_no_alert_in_twice(database: TestDatabase) {
    let Some(redis) = Server::start() else { return };
    let world = sharing(&database, &redis).await;
    let (_, path) = world.hook("one").await;
    let (_, before) = world.taken(&path, ALERT).await;
    redis.crash();
    assert_eq!(world.taken(&path, ALERT).await, duplicate(&before));
    let during_alert = ALERT.replace("order_id=7", "order_id=8");
    let (status, during) = world.taken(&path, &during_alert).await;
    assert_eq!(status, "accepted");
    let ready = world.get("/health/ready").await;
    assert_eq!((ready.status, cache_status(&world).await.as_str()), (200, "away"), "{}", ready.text);
    redis.start_again();
    eventually("the cache is back", async || (cache_status(&world).await == "ok").then_some(())).await;
    assert!(redis.keys().is_empty(), "it came back empty");
    assert_eq!(world.taken(&path, ALERT).await, duplicate(&before));
    assert_eq!(world.taken(&path, &during_alert).await, duplicate(&during));
    assert_eq!(redis.keys().len(), 2);
    eventually("each is executed once", async || (world.orders.signals().len() == 2).then_some(())).await;
    assert_eq!((world.orders.times(&before), world.orders.times(&during)), (1, 1));
    world.stop().await;
}

/// An alert that was refused may be sent again.
pub(crate) async fn what_is_refused_is_not_shared(database: TestDatabase) {
    let Some(redis) = Server::start() else { return };
    let world = sharing(&database, &redis).await;
    let (_, path) = world.hook("one").await;
    world.send(&path, &ALERT.replace("buy", "hold")).await.problem(422, "bad_action");
    world.send(&path.replace("tradingview/", "tradingview/x"), ALERT).await.problem(401, "unknown_hook");
    assert!(redis.keys().is_empty());
    assert_eq!(world.taken(&path, ALERT).await.0, "accepted");
    world.stop().await;
}
