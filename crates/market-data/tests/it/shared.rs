//! Instances that share a cache.

use cache::testing::Server;
use chrono::Utc;
use domain::PriceSource;
use market_data::Config;

use crate::exchange::{Exchange, Rest};
use crate::support::{Service, config, decimal, wait_for};

const TICKER: &str = "/api/v3/ticker/24hr";
const DOWN: Rest = Rest::Fails { status: 500, retry_after_s: None, body: "" };

/// Prices may be ten minutes old, so that none is too old because a machine is slow.
fn sharing(exchange: &Exchange, redis: &Server) -> Config {
    let mut config = config(exchange);
    config.cache = redis.settings();
    config.max_price_age_ms = 600_000;
    config.candle_cache_ms = 600_000;
    config
}

/// As [`sharing`], polling once and not again for a minute.
fn polling_once(exchange: &Exchange, redis: &Server) -> Config {
    Config { poll_interval_ms: 60_000, ..sharing(exchange, redis) }
}

async fn ready(config: Config) -> Service {
    let service = Service::start(config).await;
    wait_for("the service is ready", async || service.get("/health/ready").await.status == 200).await;
    service
}

async fn connected(service: &Service) {
    wait_for("its cache is there", async || {
        let checks = service.get("/health/ready").await.body["checks"].take();
        let mut checks = checks.as_array().unwrap().iter();
        checks.any(|check| check["name"] == "cache" && check["status"] == "ok")
    })
    .await;
}

fn price_key(redis: &Server) -> Option<String> {
    redis.keys().into_iter().find(|key| key.contains(":market-prices:") && key.ends_with("BTCUSDT"))
}

#[actix_web::test]
async fn what_one_has_fetched_another_does_not_fetch() {
    let Some(redis) = Server::start() else { return };
    let exchange = Exchange::start();
    exchange.state().accepts_sockets = false;
    exchange.state().price = "42.50".to_owned();
    let one = ready(polling_once(&exchange, &redis)).await;
    wait_for("the price is shared", async || price_key(&redis).is_some()).await;
    let (first, fetched) = (one.price().await, exchange.calls_to(TICKER));
    assert_eq!((first.price, first.source), (decimal("42.50"), PriceSource::Rest));
    exchange.state().price = "99.99".to_owned();
    let other = ready(polling_once(&exchange, &redis)).await;
    let shared = other.price().await;
    assert_eq!((shared.price, shared.observed_at, shared.source), (first.price, first.observed_at, first.source));
    assert!(shared.age_ms >= first.age_ms, "its age is that of the statement: {} {}", shared.age_ms, first.age_ms);
    assert_eq!(exchange.calls_to(TICKER), fetched, "nothing was fetched again");
    one.stop().await;
    other.stop().await;
    // Alone and without the cache's it is fetched.
    let _: String = redis.ask(&["FLUSHALL"]);
    let third = ready(polling_once(&exchange, &redis)).await;
    assert_eq!(third.price().await.price, decimal("99.99"));
    assert_eq!(exchange.calls_to(TICKER), fetched + 1);
    third.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn the_stream_of_one_is_the_price_of_another_that_has_no_way_to_the_exchange() {
    let Some(redis) = Server::start() else { return };
    let exchange = Exchange::start();
    let one = Service::ready(sharing(&exchange, &redis), &exchange).await;
    exchange.tick("321.00");
    wait_for("the price comes", async || one.price().await.price == decimal("321.00")).await;
    exchange.state().accepts_sockets = false;
    exchange.state().rest = DOWN;
    let other = ready(sharing(&exchange, &redis)).await;
    wait_for("it is shared", async || other.price().await.price == decimal("321.00")).await;
    exchange.tick("322.00");
    wait_for("and goes on to be", async || other.price().await.price == decimal("322.00")).await;
    let (ours, theirs) = (one.price().await, other.price().await);
    assert_eq!((theirs.source, theirs.observed_at), (PriceSource::Stream, ours.observed_at));
    one.stop().await;
    other.stop().await;
    exchange.stop().await;
}

/// Whatever stands in the cache: no price is better than a wrong one.
#[actix_web::test]
async fn no_price_is_made_of_garbage_or_of_one_that_is_too_old() {
    let Some(redis) = Server::start() else { return };
    let exchange = Exchange::start();
    exchange.state().accepts_sockets = false;
    let one = ready(polling_once(&exchange, &redis)).await;
    wait_for("the price is shared", async || price_key(&redis).is_some()).await;
    one.stop().await;
    let key = price_key(&redis).unwrap();
    let good: serde_json::Value = serde_json::from_str(&redis.ask::<String>(&["GET", &key])).unwrap();
    let with = |field: &str, value: serde_json::Value| {
        let mut changed = good.clone();
        changed["value"][field] = value;
        changed.to_string()
    };
    let time = |seconds: i64| serde_json::json!(Utc::now() + chrono::TimeDelta::seconds(seconds));
    exchange.state().rest = DOWN;
    for bad in [
        String::new(),
        "garbage".to_owned(),
        "{}".to_owned(),
        with("price", "0".into()),
        with("price", "-5".into()),
        with("price", "many".into()),
        with("source", "hearsay".into()),
        with("observed_at", "yesterday".into()),
        with("observed_at", time(-601)),
        with("observed_at", time(60)),
    ] {
        redis.spoil(&bad);
        let other = Service::start(sharing(&exchange, &redis)).await;
        connected(&other).await;
        let reply = other.get("/v1/prices/BTCUSDT").await;
        assert_eq!((reply.status, reply.code()), (503, "price_unavailable"), "{bad}: {}", reply.body);
        // It does look: the good one is taken.
        redis.spoil(&good.to_string());
        let reply = other.get("/v1/prices/BTCUSDT").await;
        assert_eq!((reply.status, &reply.body["observed_at"]), (200, &good["value"]["observed_at"]), "{}", reply.body);
        other.stop().await;
    }
    exchange.stop().await;
}

#[actix_web::test]
async fn a_cache_that_dies_takes_no_price_with_it() {
    let Some(redis) = Server::start() else { return };
    let exchange = Exchange::start();
    exchange.state().accepts_sockets = false;
    let (one, other) = (ready(sharing(&exchange, &redis)).await, ready(sharing(&exchange, &redis)).await);
    connected(&one).await;
    connected(&other).await;
    redis.crash();
    exchange.state().price = "7.00".to_owned();
    for service in [&one, &other] {
        wait_for("the price is fetched", async || service.price().await.price == decimal("7.00")).await;
        assert_eq!(service.get("/health/ready").await.status, 200);
        assert_eq!(service.get("/v1/candles/BTCUSDT?interval=5m&limit=10").await.status, 200);
    }
    redis.start_again();
    wait_for("prices are shared again", async || price_key(&redis).is_some()).await;
    exchange.state().price = "8.00".to_owned();
    for service in [&one, &other] {
        wait_for("the price moves on", async || service.price().await.price == decimal("8.00")).await;
    }
    one.stop().await;
    other.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn candles_that_one_has_read_another_does_not_read() {
    let Some(redis) = Server::start() else { return };
    let exchange = Exchange::start();
    let one = Service::ready(sharing(&exchange, &redis), &exchange).await;
    let other = Service::ready(sharing(&exchange, &redis), &exchange).await;
    connected(&one).await;
    connected(&other).await;
    let reads = || exchange.state().calls.iter().filter(|call| call.contains("interval=5m")).count();
    let path = |limit: u16| format!("/v1/candles/BTCUSDT?interval=5m&limit={limit}");
    let first = one.get(&path(20)).await.body["candles"].take();
    assert_eq!((first.as_array().unwrap().len(), reads()), (20, 1));
    // Of what was read as much as is asked for, the newest.
    exchange.advance(1);
    let shared = other.get(&path(10)).await.body["candles"].take();
    assert_eq!(shared.as_array().unwrap()[..], first.as_array().unwrap()[10..]);
    assert_eq!(other.get(&path(20)).await.body["candles"], first);
    assert_eq!(reads(), 1);
    // More than was read has to be read.
    assert_eq!(other.get(&path(30)).await.body["candles"].as_array().unwrap().len(), 30);
    assert_eq!(reads(), 2);
    // Garbage is as nothing; what is no run of candles too.
    let kept = redis.keys().into_iter().find(|key| key.contains("market-candles")).unwrap();
    let good: serde_json::Value = serde_json::from_str(&redis.ask::<String>(&["GET", &kept])).unwrap();
    let mut upside_down = good.clone();
    upside_down["value"]["candles"].as_array_mut().unwrap().reverse();
    let mut from_the_future = good.clone();
    from_the_future["value"]["read_at"] = serde_json::json!(Utc::now() + chrono::TimeDelta::minutes(1));
    let mut too_old = good.clone();
    too_old["value"]["read_at"] = serde_json::json!(Utc::now() - chrono::TimeDelta::minutes(11));
    for (number, bad) in ["garbage".into(), upside_down, from_the_future, too_old].into_iter().enumerate() {
        let bad = bad.as_str().map_or_else(|| bad.to_string(), str::to_owned);
        redis.spoil(&bad);
        let third = Service::ready(sharing(&exchange, &redis), &exchange).await;
        connected(&third).await;
        assert_eq!(third.get(&path(10)).await.status, 200);
        assert_eq!(reads(), 3 + number, "{bad}");
        third.stop().await;
    }
    one.stop().await;
    other.stop().await;
    exchange.stop().await;
}
