//! An exchange that has a bad day.

use chrono::Utc;
use domain::PriceSource;
use web::{Problem, Upstream, UpstreamSettings};

use crate::exchange::{Command, Exchange, Rest};
use crate::support::{Service, config, decimal, wait_for};

const OTHER: &str = "/v1/candles/BTCUSDT?interval=5m&limit=10";

#[actix_web::test]
async fn after_a_429_the_service_keeps_silent_for_as_long_as_it_was_told() {
    let exchange = Exchange::start();
    let service = Service::ready(config(&exchange), &exchange).await;
    exchange.tick("100.00");
    exchange.state().rest = Rest::Fails {
        status: 429,
        retry_after_s: Some(3),
        body: r#"{"code":-1003,"msg":"Too much request weight used; current limit is 6000 request weight per 1 MINUTE."}"#,
    };
    let calls = exchange.state().calls.len();
    let reply = service.get(OTHER).await;
    assert_eq!((reply.status, reply.code()), (503, "exchange_rate_limited"), "{}", reply.body);
    assert_eq!(reply.body["upstream"], "binance");
    assert_eq!(reply.retry_after.as_deref(), Some("3"));
    // From now on nothing is sent, whatever is asked, although the exchange would answer again.
    exchange.state().rest = Rest::Works;
    for interval in ["5m", "15m", "1h"] {
        let reply = service.get(&format!("/v1/candles/BTCUSDT?interval={interval}")).await;
        assert_eq!((reply.status, reply.code()), (503, "exchange_rate_limited"), "{interval}");
        let left: u64 = reply.retry_after.unwrap().parse().unwrap();
        assert!((1..=3).contains(&left) && reply.body["detail"].as_str().unwrap().contains(" s."));
    }
    assert_eq!(exchange.state().calls.len(), calls + 1, "one call was refused, and no other was made");
    // What needs no call is answered all the while.
    assert_eq!(service.price().await.source, PriceSource::Stream);
    assert_eq!(service.candles(250).await.len(), 250);
    wait_for("the silence ends", async || service.get(OTHER).await.status == 200).await;
    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn every_failure_of_rest_names_binance_and_never_its_words() {
    let exchange = Exchange::start();
    let mut settings = config(&exchange);
    settings.candle_cache_ms = 0;
    let service = Service::ready(settings, &exchange).await;
    let said = "secret-of-the-exchange";
    for (rest, status, code) in [
        (
            Rest::Fails { status: 500, retry_after_s: None, body: r#"{"code":-1000,"msg":"secret-of-the-exchange"}"# },
            502,
            "exchange_error",
        ),
        (
            Rest::Fails { status: 503, retry_after_s: None, body: "<html>secret-of-the-exchange</html>" },
            502,
            "upstream_error",
        ),
        (Rest::Fails { status: 403, retry_after_s: None, body: "secret-of-the-exchange" }, 502, "exchange_refused"),
        (
            Rest::Fails { status: 400, retry_after_s: None, body: r#"{"code":-1121,"msg":"Invalid symbol."}"# },
            502,
            "exchange_unlisted_symbol",
        ),
        (
            Rest::Fails { status: 400, retry_after_s: None, body: r#"{"code":-1102,"msg":"secret-of-the-exchange"}"# },
            502,
            "exchange_refused",
        ),
        (Rest::Says("{\"secret-of-the-exchange\""), 502, "exchange_malformed"),
        (Rest::Says(r#"[[1499040000000,"0.016","0.8","0.0157"]]"#), 502, "exchange_malformed"),
        (
            Rest::Says("[[1700000000000,\"2\",\"1\",\"2\",\"2\",\"0\",1700000059999,\"0\",0,\"0\",\"0\",\"0\"]]"),
            502,
            "exchange_malformed",
        ),
    ] {
        let name = format!("{rest:?}");
        exchange.state().rest = rest;
        let reply = service.get(OTHER).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{name}: {}", reply.body);
        assert_eq!(reply.body["upstream"], "binance", "{name}");
        assert!(!reply.body.to_string().contains(said), "{name}: {}", reply.body);
        exchange.state().rest = Rest::Works;
        wait_for("it recovers", async || service.get(OTHER).await.status == 200).await;
    }
    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn rest_may_be_down_while_the_stream_is_up() {
    let exchange = Exchange::start();
    let service = Service::ready(config(&exchange), &exchange).await;
    exchange.state().rest = Rest::Fails { status: 500, retry_after_s: None, body: "" };
    exchange.advance(2);
    exchange.tick("321.00");
    wait_for("the price comes", async || service.price().await.price == decimal("321.00")).await;
    let forming = exchange.forming();
    wait_for("candles come", async || {
        service.candles(250).await.last().unwrap().open_time.timestamp_millis() == forming
    })
    .await;
    assert_eq!(service.get("/health/ready").await.status, 200);
    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn the_stream_may_be_down_while_rest_is_up() {
    let exchange = Exchange::start();
    exchange.state().accepts_sockets = false;
    let service = Service::start(config(&exchange)).await;
    wait_for("the service is ready", async || service.get("/health/ready").await.status == 200).await;
    exchange.state().price = "42.50".to_owned();
    wait_for("the price is polled", async || service.price().await.price == decimal("42.50")).await;
    assert_eq!(service.price().await.source, PriceSource::Rest);
    wait_for("candles are there", async || service.candles(1000).await.len() == 1000).await;
    // Polling ends when the stream is back.
    exchange.state().accepts_sockets = true;
    wait_for("a socket opens", async || exchange.state().sockets == 1).await;
    wait_for("the stream's price counts", async || {
        exchange.tick("43.00");
        service.price().await.source == PriceSource::Stream
    })
    .await;
    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn without_both_a_price_grows_stale_and_is_refused_until_one_is_back() {
    let exchange = Exchange::start();
    let mut settings = config(&exchange);
    settings.max_price_age_ms = 400;
    let service = Service::ready(settings, &exchange).await;
    // A frozen exchange: it answers, and the time it answers with stands still.
    exchange.state().accepts_sockets = false;
    exchange.state().price_time_ms = Some(Utc::now().timestamp_millis());
    exchange.command(Command::Drop);
    wait_for("the price is refused", async || service.get("/v1/prices/BTCUSDT").await.status == 503).await;
    let reply = service.get("/v1/prices/BTCUSDT").await;
    assert_eq!((reply.code(), reply.body["upstream"].as_str()), ("stale_price", Some("binance")), "{}", reply.body);
    assert!(
        reply.detail().contains("BTCUSDT is 0.") && reply.detail().contains("more than 0.4 s is too old"),
        "{}",
        reply.detail()
    );
    assert!(reply.body.get("price").is_none());
    wait_for("readiness names who fails", async || {
        let health = service.get("/health/ready").await;
        let checks = health.body["checks"].as_array().unwrap();
        let failing: Vec<&str> = checks
            .iter()
            .filter(|check| check["status"] == "failing")
            .map(|check| check["name"].as_str().unwrap())
            .collect();
        // REST answers, if with old prices; the stream does not.
        health.status == 503 && failing == ["prices", "binance-stream"]
    })
    .await;

    // Now REST fails too, and candles are refused as well.
    exchange.state().rest = Rest::Fails { status: 502, retry_after_s: None, body: "" };
    wait_for("candles are refused", async || service.get("/v1/candles/BTCUSDT").await.status == 503).await;
    let reply = service.get("/v1/candles/BTCUSDT").await;
    assert_eq!((reply.code(), reply.body["upstream"].as_str()), ("stale_candles", Some("binance")), "{}", reply.body);
    wait_for("readiness names REST too", async || {
        let health = service.get("/health/ready").await;
        health.body.to_string().contains("\"name\":\"binance-rest\",\"status\":\"failing\"")
    })
    .await;

    exchange.state().price_time_ms = None;
    exchange.state().rest = Rest::Works;
    wait_for("it recovers", async || service.get("/v1/prices/BTCUSDT").await.status == 200).await;
    assert_eq!(service.price().await.source, PriceSource::Rest);
    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn a_service_that_has_never_heard_the_exchange_makes_nothing_up() {
    let exchange = Exchange::start();
    exchange.state().accepts_sockets = false;
    exchange.state().rest = Rest::Fails { status: 500, retry_after_s: None, body: "" };
    let service = Service::start(config(&exchange)).await;
    let reply = service.get("/v1/prices/BTCUSDT").await;
    assert_eq!((reply.status, reply.code()), (503, "price_unavailable"), "{}", reply.body);
    let reply = service.get("/v1/candles/BTCUSDT").await;
    assert!((500..=504).contains(&reply.status) && reply.body["upstream"] == "binance", "{}", reply.body);
    assert_eq!(service.get("/health/live").await.status, 200);
    assert_eq!(service.get("/health/ready").await.status, 503);
    // And starts by itself once there is somebody.
    exchange.state().rest = Rest::Works;
    wait_for("the service is ready", async || service.get("/health/ready").await.status == 200).await;
    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn an_exchange_that_nobody_answers_at_is_named_too() {
    let exchange = Exchange::start();
    let settings = config(&exchange);
    exchange.stop().await;
    let service = Service::start(settings).await;
    let reply = service.get(OTHER).await;
    assert_eq!((reply.status, reply.body["upstream"].as_str()), (503, Some("binance")), "{}", reply.body);
    assert_eq!(service.get("/v1/prices/BTCUSDT").await.code(), "price_unavailable");
    service.stop().await;
}

#[actix_web::test]
async fn clocks_that_differ_are_told_of() {
    let exchange = Exchange::start();
    exchange.state().clock_offset_ms = -40_000;
    exchange.state().accepts_sockets = false;
    let mut settings = config(&exchange);
    settings.max_price_age_ms = 2_000;
    let service = Service::start(settings).await;
    // By our clock every price is 40 s old; by the exchange's it is fresh.
    wait_for("a price is served", async || service.get("/v1/prices/BTCUSDT").await.status == 200).await;
    assert!(service.price().await.age_ms < 10_000);
    // One that is old by the exchange's clock is refused, with a word about the clocks.
    exchange.state().price_time_ms = Some(Utc::now().timestamp_millis() - 40_000);
    wait_for("the skew is part of the refusal", async || {
        let reply = service.get("/v1/prices/BTCUSDT").await;
        reply.code() == "stale_price"
            && reply.detail().contains("this machine's clock is 40.0 s ahead of the exchange's")
    })
    .await;
    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn a_clock_that_is_behind_makes_no_old_price_fresh() {
    let exchange = Exchange::start();
    exchange.state().clock_offset_ms = 60_000;
    exchange.state().accepts_sockets = false;
    // 45 s old by the exchange's clock; 15 s in the future by ours.
    exchange.state().price_time_ms = Some(Utc::now().timestamp_millis() + 15_000);
    let service = Service::start(config(&exchange)).await;
    wait_for("the price is refused, and the skew is told of", async || {
        let reply = service.get("/v1/prices/BTCUSDT").await;
        reply.code() == "stale_price" && reply.detail().contains("this machine's clock is 60.0 s behind the exchange's")
    })
    .await;
    exchange.state().price_time_ms = None;
    wait_for("a fresh one is served", async || service.get("/v1/prices/BTCUSDT").await.status == 200).await;
    assert!(service.price().await.age_ms < 10_000);
    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn whoever_asks_for_stale_prices_hears_it_at_once_and_of_whom() {
    let exchange = Exchange::start();
    let mut settings = config(&exchange);
    settings.max_price_age_ms = 400;
    let service = Service::ready(settings, &exchange).await;
    exchange.state().accepts_sockets = false;
    exchange.state().price_time_ms = Some(Utc::now().timestamp_millis());
    exchange.command(Command::Drop);
    wait_for("the price is refused", async || service.get("/v1/prices/BTCUSDT").await.status == 503).await;
    let base = service.url("/").parse().unwrap();
    let upstream = Upstream::new(UpstreamSettings::new("market-data-service", base).internal());
    let ask = async |path: &str| upstream.get("/v1/prices/{symbol}").path(path).send().await.unwrap_err();
    for _ in 0..20 {
        let error = ask("/v1/prices/BTCUSDT").await;
        assert_eq!(error.attempts, 1, "{error}");
        let problem = Problem::from(error);
        assert_eq!((problem.code(), problem.failed_upstream()), ("stale_price", Some("binance")));
    }
    let unknown = Problem::from(ask("/v1/prices/DOGEUSDT").await);
    assert_eq!((unknown.status().as_u16(), unknown.code()), (404, "unknown_symbol"));
    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn a_symbol_that_is_not_listed_does_not_keep_the_others_from_work() {
    let exchange = Exchange::start();
    let mut settings = config(&exchange);
    settings.symbols.push("NOSUCHUSDT".parse().unwrap());
    let service = Service::start(settings).await;
    wait_for("the listed one has a price", async || service.get("/v1/prices/BTCUSDT").await.status == 200).await;
    wait_for("its candles are there", async || service.candles(1000).await.len() == 1000).await;
    assert_eq!(service.get("/v1/prices/NOSUCHUSDT").await.code(), "price_unavailable");
    let reply = service.get("/v1/candles/NOSUCHUSDT").await;
    assert_eq!((reply.status, reply.code()), (502, "exchange_unlisted_symbol"));
    let health = service.get("/health/ready").await;
    assert!(health.body.to_string().contains("NOSUCHUSDT: none yet"), "{}", health.body);
    // The exchange is not asked about it at every poll.
    wait_for("the question was asked", async || exchange.calls_to("/api/v3/ticker/24hr?symbol=NOSUCHUSDT") == 1).await;
    let polls = || exchange.calls_to("/api/v3/ticker/24hr?symbol=BTCUSDT");
    exchange.state().accepts_sockets = false;
    exchange.command(Command::Drop);
    let before = polls();
    wait_for("others are polled", async || polls() > before + 2).await;
    assert_eq!(exchange.calls_to("/api/v3/ticker/24hr?symbol=NOSUCHUSDT"), 1);
    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn settings_that_cannot_work_are_refused_with_a_sentence() {
    let exchange = Exchange::start();
    let refused = async |change: fn(&mut market_data::Config)| {
        let mut settings = config(&exchange);
        change(&mut settings);
        match market_data::start(settings).await {
            Ok(_) => panic!("it started"),
            Err(error) => error.to_string(),
        }
    };
    assert!(refused(|config| config.symbols.clear()).await.contains("MARKET_DATA_SYMBOLS"));
    assert!(
        refused(|config| config.binance_ws_url = "http://x.example".parse().unwrap()).await.contains("BINANCE_WS_URL")
    );
    assert!(
        refused(|config| config.binance_rest_url = "ws://x.example".parse().unwrap())
            .await
            .contains("BINANCE_REST_URL")
    );
    for change in [
        (|config: &mut market_data::Config| {
            config.binance_rest_url = "ws://user:pa55@x.example/?key=pa55".parse().unwrap()
        }) as fn(&mut market_data::Config),
        |config| config.binance_ws_url = "http://user:pa55@x.example/?key=pa55".parse().unwrap(),
    ] {
        let error = refused(change).await;
        assert!(error.contains("x.example") && !error.contains("pa55") && !error.contains("user"), "{error}");
    }
    // A port that is taken. What was begun ends again: in the end nobody is connected but the service that runs.
    let service = Service::ready(config(&exchange), &exchange).await;
    let mut settings = config(&exchange);
    settings.server.port = url::Url::parse(&service.url("/")).unwrap().port();
    assert!(market_data::start(settings).await.err().unwrap().to_string().contains("--port"));
    service.stop().await;
    wait_for("every socket is closed in order", async || {
        let state = exchange.state();
        state.goodbyes == state.sockets
    })
    .await;
    exchange.stop().await;
}
