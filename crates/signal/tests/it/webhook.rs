//! Alerts: taken, refused, known again.

use futures_util::future::join_all;
use serde_json::json;
use storage::DatabaseSettings;
use storage::testing::TestDatabase;
use web::testing::eventually;

use crate::world::World;

pub(crate) async fn an_alert_is_kept_and_executed(database: TestDatabase) {
    let world = World::start(&database).await;
    let (_, path) = world.hook("strategy").await;
    let body = json!({
        "ticker": "BINANCE:BTCUSDT.P", "action": "sell", "market_position": "short", "contracts": 0.30, "order_id": "S 1",
        "price": "61234.50", "interval": "15", "timenow": "2026-01-31T12:00:00Z", "comment": "down", "volume": "NaN",
    });
    let answer = world.post_json(&path, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let receipt = answer.json();
    assert_eq!(receipt["status"], "accepted");
    let id = receipt["signal_id"].as_str().unwrap();
    let kept = world.signal_is(id, "executed").await;
    assert_eq!((&kept["result"], &kept["detail"]), (&json!("awaiting_confirmation"), &json!(null)));
    assert_eq!(kept["trace_id"], receipt["trace_id"]);
    assert!(kept["executed_at"].is_string());
    let signals = world.orders.signals();
    assert_eq!(signals.len(), 1);
    assert_eq!(signals[0], kept["signal"], "what is kept is what is handed over");
    let mut signal = signals[0].clone();
    assert!(signal.as_object_mut().unwrap().remove("received_at").is_some());
    assert_eq!(
        signal,
        json!({
            "signal_id": id, "source": "tradingview", "hook": "strategy", "symbol": "BTCUSDT", "action": "sell",
            "quantity": "0.3", "seen_price": "61234.5", "sender_order_id": "S 1", "comment": "down", "interval": "15",
            "alerted_at": "2026-01-31T12:00:00Z",
        })
    );
    world.stop().await;
}

pub(crate) async fn every_refusal_has_its_status_and_code(database: TestDatabase) {
    let world = World::start(&database).await;
    let (_, path) = world.hook("refused").await;
    let good = b"ticker=BTCUSDT action=buy";
    for unknown in ["x", "tv_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "%00", "a%2Fb", &"a".repeat(5_000)] {
        let answer = world.call("POST", &format!("/webhooks/tradingview/{unknown}"), &[], good.to_vec()).await;
        answer.problem(401, "unknown_hook");
    }
    let json = [("content-type", "application/json")];
    let text = [("content-type", "text/plain")];
    for (headers, body, status, code) in [
        (&json[..], &b""[..], 400, "empty_body"),
        (&text, b" \n", 400, "empty_body"),
        (&json, b"{", 400, "bad_json"),
        (&json, b"ticker=BTCUSDT action=buy", 400, "bad_json"),
        (&json, b"[]", 400, "bad_body"),
        (&text, b"\"buy\"", 400, "bad_body"),
        (&text, b"<html></html>", 400, "bad_text"),
        (&text, b"buy now", 400, "bad_text"),
        (&text, b"ticker=\xff\xfe", 400, "bad_encoding"),
        (&text, b"action=buy", 422, "missing_field"),
        (&text, b"ticker=BTC action=buy", 422, "bad_symbol"),
        (&text, b"ticker=BTCUSDT action=hold", 422, "bad_action"),
        (&text, b"ticker=BTCUSDT action=buy qty=-1", 422, "bad_number"),
        (&text, b"ticker=BTCUSDT action=buy timenow=now", 422, "bad_time"),
        (&text, b"ticker=BTCUSDT action=buy price=NaN", 422, "no_value"),
        (&text, b"ticker=BTCUSDT action={{strategy.order.action}}", 422, "unfilled_placeholder"),
        (&text, b"ticker=BTCUSDT action=buy side=sell", 422, "contradicting_fields"),
        (&json, br#"{"ticker":"BTCUSDT","action":"buy","x":{}}"#, 422, "nested_value"),
        (&text, b"ticker=BTCUSDT action=buy market_position=up", 422, "bad_market_position"),
        (&text, b"ticker=BTCUSDT action=buy interval=aaaaaaaaaaaaaaaaaaaaa", 422, "bad_word"),
        (&text, b"ticker=BTCUSDT action=buy qty=1 notional=1", 422, "two_sizes"),
        (&[("content-type", "text/html")], good, 415, "unsupported_media_type"),
        (&[("content-type", "application/x-www-form-urlencoded")], good, 415, "unsupported_media_type"),
        (&[("content-type", "text/plain"), ("content-encoding", "gzip")], good, 415, "unsupported_media_type"),
        (&text, &[b'a'; 16 * 1024 + 1], 413, "body_too_large"),
    ] {
        world.call("POST", &path, headers, body.to_vec()).await.problem(status, code);
    }
    world.get(&path).await.problem(405, "method_not_allowed");
    assert!(world.items("/v1/signals").await.is_empty());
    // The largest that is taken; with nothing said of its kind.
    let mut largest = b"ticker=BTCUSDT action=buy".to_vec();
    largest.resize(16 * 1024, b' ');
    assert_eq!(world.call("POST", &path, &[], largest).await.status, 200);
    world.stop().await;
}

pub(crate) async fn only_listed_addresses_send(database: TestDatabase) {
    let world = World::start_with(&database, |config| {
        config.access.source_addresses = ["tradingview", "192.0.2.0/24"].map(|text| text.parse().unwrap()).to_vec();
        config.access.trusted_proxies = ["127.0.0.1", "10.0.0.0/8"].map(|text| text.parse().unwrap()).to_vec();
    })
    .await;
    let (_, path) = world.hook("listed").await;
    let mut second = 0;
    let mut from = async |forwarded: &str| {
        second += 1;
        let body = format!("ticker=BTCUSDT action=buy timenow={}", 1_800_000_000 + second);
        world.call("POST", &path, &[("x-forwarded-for", forwarded)], body.into_bytes()).await
    };
    for allowed in
        ["52.89.214.238", "192.0.2.9", "198.51.100.1, 34.212.75.30", "54.218.53.128, 10.1.1.1", "52.32.178.7:443"]
    {
        let answer = from(allowed).await;
        assert_eq!(answer.status, 200, "{allowed}: {}", answer.text);
    }
    for refused in ["198.51.100.1", "52.89.214.238, 198.51.100.1", "unknown", "", "52.89.214.239"] {
        from(refused).await.problem(403, "source_not_allowed");
    }
    world.send(&path, "ticker=BTCUSDT action=buy").await.problem(403, "source_not_allowed");
    // Whoever may not send learns nothing of tokens.
    world.send("/webhooks/tradingview/x", "").await.problem(403, "source_not_allowed");
    world.stop().await;

    // A peer that is no proxy is who it is, whatever it says.
    let world = World::start_with(&database, |config| {
        config.access.source_addresses = vec!["tradingview".parse().unwrap()];
    })
    .await;
    let answer = world.call("POST", &path, &[("x-forwarded-for", "52.89.214.238")], Vec::new()).await;
    answer.problem(403, "source_not_allowed");
    world.stop().await;
}

pub(crate) async fn what_comes_again_is_known(database: TestDatabase) {
    let mut world = World::start(&database).await;
    let (_, path) = world.hook("one").await;
    let (_, other_path) = world.hook("two").await;
    let alert = "ticker=BTCUSDT action=buy timenow=2026-01-31T12:00:00Z order_id=7";
    let (status, id) = world.taken(&path, alert).await;
    assert_eq!(status, "accepted");
    let again = format!("{alert} price=5 comment=again");
    assert_eq!(world.taken(&path, &again).await, ("duplicate".to_owned(), id.clone()));
    // Also when the process is another one, and the signal has been executed.
    drop(world.signal_is(&id, "executed").await);
    world.restart().await;
    assert_eq!(world.taken(&path, alert).await, ("duplicate".to_owned(), id.clone()));
    for news in [
        alert.replace("order_id=7", "order_id=8"),
        alert.replace("12:00:00Z", "12:00:01Z"),
        alert.replace("action=buy", "action=sell"),
        alert.replace("BTCUSDT", "ETHUSDT"),
    ] {
        assert_eq!(world.taken(&path, &news).await.0, "accepted", "{news}");
    }
    assert_eq!(world.taken(&other_path, alert).await.0, "accepted", "another hook's alert is another alert");
    // Without a time: the same words, for as long as TradingView sends again.
    let (status, bare) = world.taken(&path, "ticker=BTCUSDT action=buy").await;
    assert_eq!(status, "accepted");
    assert_eq!(world.taken(&path, "ticker=BTCUSDT action=buy").await, ("duplicate".to_owned(), bare));
    assert_eq!(world.taken(&path, "ticker=BTCUSDT  action=buy").await.0, "accepted");
    eventually("each is executed once", async || (world.orders.signals().len() == 8).then_some(())).await;
    assert_eq!(world.items("/v1/signals").await.len(), 8);
    assert_eq!(world.items("/v1/hooks").await[1]["signals"], 7);
    world.stop().await;
}

pub(crate) async fn a_hook_that_sends_too_much_is_held_back_alone(database: TestDatabase) {
    let mut world = World::start_with(&database, |config| config.hook_rate_per_minute = 3).await;
    let (_, wild) = world.hook("wild").await;
    let (_, calm) = world.hook("calm").await;
    let alert = |number: usize| format!("ticker=BTCUSDT action=buy timenow=1800000000 order_id={number}");
    for number in 0..3 {
        assert_eq!(world.taken(&wild, &alert(number)).await.0, "accepted");
    }
    let answer = web::testing::post_text(&web::testing::url(&world.server, &wild), &[], &alert(3)).await;
    drop(answer.problem(429, "rate_limited"));
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    // Whatever it sends, what came before too; nobody else is held back, and a stranger is told what he was told before.
    world.send(&wild, &alert(0)).await.problem(429, "rate_limited");
    world.send(&wild, "nonsense").await.problem(429, "rate_limited");
    world.send("/webhooks/tradingview/x", &alert(0)).await.problem(401, "unknown_hook");
    assert_eq!(world.taken(&calm, &alert(3)).await.0, "accepted");
    assert_eq!(world.items("/v1/signals").await.len(), 4);
    let counted =
        telemetry::testing::metric_values("tradingview_signals_rejected_total", &[("reason", "rate_limited")]);
    assert!(counted.iter().sum::<f64>() >= 3.0, "{counted:?}");
    let described = world.get("/openapi.json").await.json();
    let webhook = &described["paths"]["/webhooks/tradingview/{token}"]["post"]["responses"];
    assert!(webhook["429"]["description"].as_str().unwrap().contains("rate_limited"), "{webhook}");

    world.config.hook_rate_per_minute = 0;
    world.restart().await;
    for number in 10..30 {
        assert_eq!(world.taken(&wild, &alert(number)).await.0, "accepted");
    }
    world.stop().await;
}

pub(crate) async fn fifty_at_once_are_one_signal(database: TestDatabase) {
    let world = World::start_with(&database, |config| config.server.workers = Some(4)).await;
    let (_, path) = world.hook("storm").await;
    let alert = "ticker=BTCUSDT action=buy timenow=2026-01-31T12:00:00Z";
    // Whoever is told to send again does, as TradingView would.
    let taken = join_all((0..50).map(|_| async {
        loop {
            let answer = world.send(&path, alert).await;
            if answer.status != 503 {
                assert_eq!(answer.status, 200, "{}", answer.text);
                return answer.json();
            }
        }
    }))
    .await;
    let accepted: Vec<_> = taken.iter().filter(|receipt| receipt["status"] == "accepted").collect();
    assert_eq!(accepted.len(), 1);
    assert!(taken.iter().all(|receipt| receipt["signal_id"] == accepted[0]["signal_id"]));
    assert_eq!(world.items("/v1/signals").await.len(), 1);
    let id = accepted[0]["signal_id"].as_str().unwrap();
    drop(world.signal_is(id, "executed").await);
    assert_eq!((world.orders.signals().len(), world.orders.times(id)), (1, 1));
    world.stop().await;
}

/// PostgreSQL alone: a file beside the program is not away like that.
pub(crate) async fn without_a_database_it_is_to_be_sent_again(_database: TestDatabase) {
    telemetry::testing::init();
    // Nobody listens there.
    let away = DatabaseSettings::at("postgres://nobody@127.0.0.1:1/none");
    let nobody = "http://127.0.0.1:1/".parse().unwrap();
    let server = signal::start(signal::Config::ephemeral(away, bus::BusSettings::at("kafka://127.0.0.1:1"), nobody))
        .await
        .unwrap();
    let path = web::testing::url(&server, "/webhooks/tradingview/x");
    let answer = web::testing::post(&path, &json!({"ticker": "BTCUSDT", "action": "buy"})).await;
    drop(answer.problem(503, "database_away"));
    assert_eq!(answer.header("retry-after"), "5");
    let ready = web::testing::get(&web::testing::url(&server, "/health/ready")).await;
    assert_eq!((ready.status, ready.json()["checks"][0]["name"].as_str()), (503, Some("database")), "{}", ready.text);
    server.stop().await;
}

pub(crate) async fn signals_are_read_in_pages(database: TestDatabase) {
    let world = World::start(&database).await;
    world.orders.refuse("none", "5");
    let (_, path) = world.hook("pages").await;
    let mut ids = Vec::new();
    for number in 0..7 {
        let alert = format!("ticker=BTCUSDT action=buy timenow={} order_id={number}", 1_800_000_000 + number);
        ids.push(world.taken(&path, &alert).await.1);
    }
    for (number, id) in ids.iter().enumerate() {
        drop(world.signal_is(id, if number == 5 { "failed" } else { "executed" }).await);
    }
    ids.reverse();
    let (mut read, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/v1/signals?limit=3{cursor}")).await.json();
        read.extend(page["items"].as_array().unwrap().iter().map(|kept| kept["signal"]["signal_id"].clone()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(json!(read), json!(ids));
    let count = async |status: &str| world.items(&format!("/v1/signals?status={status}")).await.len();
    assert_eq!((count("executed").await, count("failed").await, count("queued").await), (6, 1, 0));
    world.stop().await;
}
