//! Somebody behind the ask fails: the problem says who, and no price is made up.

use std::time::Duration;

use notifier::Config;
use serde_json::json;
use storage::testing::TestDatabase;
use web::RunningServer;

use crate::scripted::{Script, Scripted, candles, decision, market_data, price};
use crate::world::{Reply, get, post, url};

const NOWHERE: &str = "http://127.0.0.1:1";

async fn notifier(market_data_url: &str, decision_url: &str) -> RunningServer {
    telemetry::testing::init();
    notifier::start(Config::ephemeral(market_data_url, decision_url).unwrap()).await.unwrap()
}

/// Asks about BTCUSDT of scripted services.
async fn ask(market: Vec<Script>, decider: Vec<Script>) -> Reply {
    let (market, decider) = (Scripted::start(market), Scripted::start(decider));
    let notifier = notifier(&market.url, &decider.url).await;
    let reply = post(&url(&notifier, "/v1/ask"), &json!({"symbols": ["BTCUSDT"]})).await;
    notifier.stop().await;
    market.stop().await;
    decider.stop().await;
    reply
}

pub(crate) async fn who_is_away_is_named(_database: TestDatabase) {
    let decider = Scripted::start(vec![Script::json("/v1/decisions", decision("BTCUSDT"))]);
    let lonely = notifier(NOWHERE, &decider.url).await;
    let problem = post(&url(&lonely, "/v1/ask"), &json!({})).await.problem(503, "upstream_unreachable");
    assert_eq!(problem["upstream"], "market-data-service");
    let health = get(&url(&lonely, "/health/ready")).await;
    assert_eq!(health.status, 503);
    assert!(health.text.contains("\"market-data-service\",\"status\":\"failing\""), "{}", health.text);
    assert!(health.text.contains("telegram (off)"), "{}", health.text);
    lonely.stop().await;
    decider.stop().await;

    let market = Scripted::start(market_data());
    let undecided = notifier(&market.url, NOWHERE).await;
    let problem = post(&url(&undecided, "/v1/ask"), &json!({})).await.problem(503, "upstream_unreachable");
    assert_eq!(problem["upstream"], "decision-service");
    undecided.stop().await;
    market.stop().await;
}

pub(crate) async fn an_answer_that_cannot_be_read_is_a_bad_gateway(_database: TestDatabase) {
    let cut = vec![
        Script::json("/v1/prices", r#"{"symbol":"BTCUSDT","pri"#),
        Script::json("/v1/candles", candles("BTCUSDT")),
    ];
    let problem = ask(cut, vec![]).await.problem(502, "upstream_malformed");
    assert_eq!(problem["upstream"], "market-data-service");

    let other = vec![Script::json("/v1/prices", price("ETHUSDT")), Script::json("/v1/candles", candles("BTCUSDT"))];
    let problem = ask(other, vec![]).await.problem(502, "upstream_malformed");
    assert_eq!(problem["upstream"], "market-data-service", "an answer about another symbol");

    let problem =
        ask(market_data(), vec![Script::json("/v1/decisions", "{}")]).await.problem(502, "upstream_malformed");
    assert_eq!(problem["upstream"], "decision-service");
}

pub(crate) async fn who_really_failed_is_passed_on(_database: TestDatabase) {
    let stale = json!({
        "type": "urn:crypto-telemetry:problem:stale_price", "title": "Service Unavailable", "status": 503, "code": "stale_price",
        "detail": "The last price of BTCUSDT is 40 s old.", "upstream": "binance"
    });
    let script = Script::json("/v1/", stale.to_string()).status(503);
    let problem = ask(vec![script], vec![]).await.problem(503, "stale_price");
    assert_eq!(problem["upstream"], "binance");
    assert_eq!(problem["detail"], "The last price of BTCUSDT is 40 s old.");

    let broken = ask(vec![Script::json("/v1/", "<html>").status(500)], vec![]).await.problem(502, "upstream_error");
    assert_eq!(broken["upstream"], "market-data-service");
}

pub(crate) async fn who_is_too_slow_is_named(_database: TestDatabase) {
    let slow = market_data().into_iter().map(|script| script.after(Duration::from_secs(30))).collect();
    let problem = ask(slow, vec![]).await.problem(504, "upstream_timeout");
    assert_eq!(problem["upstream"], "market-data-service");
}

pub(crate) async fn a_market_that_decision_service_refuses_is_not_the_askers_mistake(_database: TestDatabase) {
    let refused = |code: &str, detail: &str| {
        let body = json!({
            "type": format!("urn:crypto-telemetry:problem:{code}"), "title": "Unprocessable Entity", "status": 422,
            "code": code, "detail": detail
        });
        vec![Script::json("/v1/decisions", body.to_string()).status(422)]
    };
    let few = "60 closed candles were given; this strategy needs at least 215.";
    let problem = ask(market_data(), refused("not_enough_candles", few)).await.problem(502, "not_enough_candles");
    assert_eq!(problem["upstream"], "decision-service");
    assert_eq!(problem["detail"], few);

    let old = "The price was 45000 ms old when it was read; a decision needs one of at most 30000 ms.";
    let problem = ask(market_data(), refused("stale_price", old)).await.problem(503, "stale_price");
    assert_eq!(problem["upstream"], "binance");
    assert_eq!(problem["detail"], old);

    let strange = vec![Script::json("/v1/decisions", "<html>").status(422)];
    let problem = ask(market_data(), strange).await.problem(502, "upstream_error");
    assert_eq!(problem["upstream"], "decision-service");
}

pub(crate) async fn a_symbol_that_is_not_served_is_the_askers_mistake(_database: TestDatabase) {
    let unknown = json!({
        "type": "urn:crypto-telemetry:problem:unknown_symbol", "title": "Not Found", "status": 404,
        "code": "unknown_symbol", "detail": "BTCUSDT is not served; there are ETHUSDT and SOLUSDT."
    });
    let problem = ask(vec![Script::json("/v1/", unknown.to_string()).status(404)], vec![]).await;
    problem.problem(404, "unknown_symbol");
}

pub(crate) async fn a_decision_is_asked_for_once_since_it_may_have_been_paid(_database: TestDatabase) {
    let market = Scripted::start(market_data());
    let decider = Scripted::start(vec![Script::json("/v1/decisions", "<html>").status(503)]);
    let notifier = notifier(&market.url, &decider.url).await;
    post(&url(&notifier, "/v1/ask"), &json!({"symbols": ["BTCUSDT"]})).await.problem(502, "upstream_error");
    let asked = decider.seen().iter().filter(|call| call.starts_with("/v1/decisions")).count();
    assert_eq!(asked, 1);
    notifier.stop().await;
    market.stop().await;
    decider.stop().await;
}

pub(crate) async fn probes_that_fail_do_not_keep_anybody_from_asking(_database: TestDatabase) {
    let mut market = vec![Script::json("/health/live", "{}").status(503)];
    market.extend(market_data());
    let market = Scripted::start(market);
    let decider = Scripted::start(vec![
        Script::json("/health/live", "{}").status(503),
        Script::json("/v1/decisions", decision("BTCUSDT")),
    ]);
    let notifier = notifier(&market.url, &decider.url).await;
    let probes = |server: &Scripted| server.seen().iter().filter(|call| call.starts_with("/health/live")).count();
    while probes(&market) < 12 || probes(&decider) < 12 {
        let health = get(&url(&notifier, "/health/ready")).await;
        assert_eq!(health.status, 503, "{}", health.text);
        // Also while it has failed often: each probe finds out for itself.
        assert!(health.text.contains("503") && !health.text.contains("rest"), "{}", health.text);
    }
    assert_eq!(post(&url(&notifier, "/v1/ask"), &json!({"symbols": ["BTCUSDT"]})).await.status, 200);
    notifier.stop().await;
    market.stop().await;
    decider.stop().await;
}
