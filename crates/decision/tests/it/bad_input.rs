//! Markets that cannot be decided on, and bodies that are none: each a problem that a person understands.

use decision::Config;
use domain::{DecisionRequest, StrategyName};
use rust_decimal_macros::dec;
use serde_json::json;

use crate::market::{BUY_MINUTE, request};
use crate::service::{Reply, Running};

async fn refused(change: impl FnOnce(&mut DecisionRequest)) -> Reply {
    let service = Running::start(Config::ephemeral()).await;
    let mut request = request(BUY_MINUTE, None);
    change(&mut request);
    let reply = service.refused(&request).await;
    service.stop().await;
    reply
}

#[actix_web::test]
async fn candles_of_another_symbol() {
    let reply = refused(|request| request.candles.symbol = "ETHUSDT".parse().unwrap()).await;
    assert_eq!(
        reply.problem(),
        (
            422,
            "symbol_mismatch",
            "The price is of BTCUSDT but the candles are of ETHUSDT; both have to be of the same symbol."
        )
    );
    assert_eq!(reply.body["trace_id"].as_str().unwrap().len(), 32);
}

#[actix_web::test]
async fn candles_out_of_order() {
    let reply = refused(|request| request.candles.candles.swap(10, 11)).await;
    assert_eq!(
        reply.problem(),
        (
            422,
            "unordered_candles",
            "Candles have to be ordered oldest first, each once; the one at position 12 opens at 2022-01-01 00:10:00 UTC and \
             the one before it at 2022-01-01 00:11:00 UTC."
        )
    );
}

#[actix_web::test]
async fn prices_that_are_none() {
    let reply = refused(|request| request.price.price = dec!(0)).await;
    assert_eq!(
        reply.problem(),
        (422, "bad_price", "The price 0 is not a price: it has to be above zero and below 1000000000000.")
    );
    let reply = refused(|request| request.candles.candles[7].close = dec!(-46000)).await;
    assert_eq!(
        reply.problem(),
        (422, "bad_price", "The candle at position 8 has -46000 as its close, which is not a price.")
    );
}

#[actix_web::test]
async fn a_price_that_is_stale() {
    let reply = refused(|request| request.price.age_ms = 30_001).await;
    assert_eq!(
        reply.problem(),
        (422, "stale_price", "The price was 30001 ms old when it was read; a decision needs one of at most 30000 ms.")
    );
}

#[actix_web::test]
async fn too_few_candles_for_technical_and_for_llm() {
    for strategy in [StrategyName::Technical, StrategyName::Llm] {
        let reply = refused(|request| {
            request.strategy = Some(strategy);
            request.candles.candles.truncate(216);
            // Two of them still open: only closed ones count.
            for candle in &mut request.candles.candles[214..] {
                candle.closed = false;
            }
        })
        .await;
        assert_eq!(
            reply.problem(),
            (
                422,
                "not_enough_candles",
                "214 closed candles were given; this strategy needs at least 215 (200 for its slow average and 15 to see a \
                 recent cross)."
            )
        );
    }
}

#[actix_web::test]
async fn too_many_candles() {
    let reply = refused(|request| {
        let last = request.candles.candles[BUY_MINUTE].clone();
        request.candles.candles.resize(1001, last);
    })
    .await;
    assert_eq!(reply.problem(), (400, "too_many_candles", "1001 candles were given; at most 1000 are taken."));
}

#[actix_web::test]
async fn a_strategy_that_is_none() {
    let service = Running::start(Config::ephemeral()).await;
    let mut body = serde_json::to_value(request(BUY_MINUTE, None)).unwrap();
    body["strategy"] = json!("fortune-teller");
    let reply = service.post(body.to_string()).await;
    let (status, code, detail) = reply.problem();
    assert_eq!((status, code), (400, "bad_body"));
    assert!(detail.contains("strategy is one of technical, llm, random, not fortune-teller"), "{detail}");
    service.stop().await;
}

#[actix_web::test]
async fn bodies_that_are_no_request() {
    let service = Running::start(Config::ephemeral()).await;
    for (body, code, said) in [
        ("", "bad_json", "empty or ends too early"),
        ("{", "bad_json", "empty or ends too early"),
        ("nonsense", "bad_json", "no valid JSON"),
        ("{}", "bad_body", "price is missing"),
        (r#"{"price": 46000}"#, "bad_body", "price is an object"),
        ("[]", "bad_body", "must be a JSON object"),
        (r#"{"price": {"symbol": "BTC/USDT"}}"#, "bad_body", "letters A-Z and digits"),
    ] {
        let reply = service.post(body).await;
        let (status, found, detail) = reply.problem();
        assert_eq!((status, found), (400, code), "{body}");
        assert!(detail.contains(said), "{body}: {detail}");
    }
    let reply = service.post("x".repeat(1024 * 1024 + 1)).await;
    assert_eq!((reply.problem().0, reply.problem().1), (413, "body_too_large"));
    let reply = service.get("/v1/decisions").await;
    assert_eq!((reply.problem().0, reply.problem().1), (405, "method_not_allowed"));
    service.stop().await;
}
