//! Each strategy, and what a decision shows of itself.

use decision::Config;
use domain::{Action, Indicators, StrategyName};
use rust_decimal_macros::dec;
use serde_json::json;
use telemetry::testing::attribute;

use crate::market::{BUY_MINUTE, HOLD_MINUTE, SELL_MINUTE, request};
use crate::service::{Running, metric, named, trace};

#[actix_web::test]
async fn technical_says_buy_sell_and_hold_on_recorded_prices() {
    let service = Running::start(Config::ephemeral()).await;
    let buy = service.decide(&request(BUY_MINUTE, None)).await;
    assert_eq!((buy.action, buy.confidence, buy.strategy), (Action::Buy, dec!(0.77), StrategyName::Technical));
    assert_eq!(
        buy.reason,
        "Uptrend: the 50-candle average 46988.26 is 0.29% above the 200-candle average 46850.78, and the price 47457.00 is \
         above the fast one. RSI 69.0 is not overbought (below 70)."
    );
    assert_eq!(
        buy.indicators,
        Indicators { sma_fast: Some(dec!(46988.26)), sma_slow: Some(dec!(46850.78)), rsi: Some(dec!(68.99)) }
    );
    assert_eq!((buy.fallback, buy.cost_usd), (None, dec!(0)));
    let sell = service.decide(&request(SELL_MINUTE, Some(StrategyName::Technical))).await;
    assert_eq!((sell.action, sell.confidence), (Action::Sell, dec!(0.62)));
    let hold = service.decide(&request(HOLD_MINUTE, None)).await;
    assert_eq!((hold.action, hold.confidence), (Action::Hold, dec!(0.63)));
    assert_ne!(buy.decision_id, sell.decision_id);
    service.stop().await;
}

#[actix_web::test]
async fn a_decision_is_on_its_spans_in_the_caller_s_trace() {
    let mut config = Config::ephemeral();
    config.symbols = vec!["BTCUSDT".parse().unwrap()];
    let service = Running::start(config).await;
    let labels = [("strategy", "technical"), ("action", "BUY"), ("symbol", "BTCUSDT")];
    let before = metric("decisions_total", &labels);
    let trace_id = "0af7651916cd43dd8448eb211c80319c";
    let reply = service
        .post_with(
            serde_json::to_string(&request(BUY_MINUTE, None)).unwrap(),
            &[("traceparent", &format!("00-{trace_id}-b7ad6b7169203331-01"))],
        )
        .await;
    assert_eq!(reply.body["trace_id"], trace_id, "{reply:?}");

    let spans = trace(trace_id).await;
    let server = named(&spans, "POST /v1/decisions");
    assert_eq!(server.parent_span_id.to_string(), "b7ad6b7169203331");
    let decide = named(&spans, "decide");
    assert_eq!(decide.parent_span_id, server.span_context.span_id());
    for (name, value) in [
        ("crypto.symbol", "BTCUSDT"),
        ("decision.id", reply.body["decision_id"].as_str().unwrap()),
        ("decision.strategy", "technical"),
        ("decision.action", "BUY"),
        ("decision.confidence", "0.77"),
    ] {
        assert_eq!(attribute(decide, name).as_deref(), Some(value), "{name} of decide");
        if name != "decision.confidence" {
            assert_eq!(attribute(server, name).as_deref(), Some(value), "{name} of the server span");
        }
    }
    assert!(decide.events.iter().any(|event| event.name.contains("decided BUY")), "{:?}", decide.events);
    assert!(metric("decisions_total", &labels) >= before + 1.0);
    assert!(metric("decision_duration_seconds_count", &[("strategy", "technical")]) >= 1.0);
    service.stop().await;
}

#[actix_web::test]
async fn symbols_nobody_configured_are_one_label() {
    let mut config = Config::ephemeral();
    config.symbols = vec!["BTCUSDT".parse().unwrap()];
    let service = Running::start(config).await;
    let labels = [("strategy", "technical"), ("action", "HOLD"), ("symbol", "other")];
    let before = metric("decisions_total", &labels);
    let mut request = request(HOLD_MINUTE, None);
    request.price.symbol = "PEPE2USDT".parse().unwrap();
    request.candles.symbol = "PEPE2USDT".parse().unwrap();
    assert_eq!(service.decide(&request).await.symbol.as_str(), "PEPE2USDT");
    assert!(metric("decisions_total", &labels) >= before + 1.0);
    assert!(!telemetry::metrics::render().unwrap().contains("PEPE2USDT"));
    service.stop().await;
}

#[actix_web::test]
async fn random_repeats_itself_for_the_same_seed() {
    let mut first = Vec::new();
    for _ in 0..2 {
        let mut config = Config::ephemeral();
        config.strategy = StrategyName::Random;
        config.random_seed = 42;
        let service = Running::start(config).await;
        let mut drawn = Vec::new();
        for _ in 0..4 {
            // It looks at no candles, so it needs none.
            let decision = service.decide(&request(2, None)).await;
            assert_eq!(decision.strategy, StrategyName::Random);
            drawn.push(format!("{} {}", decision.action, decision.confidence));
        }
        service.stop().await;
        first.push(drawn);
    }
    assert_eq!(first[0], ["HOLD 0.32", "HOLD 0.70", "HOLD 0.59", "BUY 0.61"]);
    assert_eq!(first[0], first[1]);
}

#[actix_web::test]
async fn it_is_ready_and_describes_itself() {
    let service = Running::start(Config::ephemeral()).await;
    let ready = service.get("/health/ready").await;
    assert_eq!((ready.status, &ready.body["status"]), (200, &json!("ok")));
    let description = service.get("/openapi.json").await;
    assert!(description.body["paths"]["/v1/decisions"]["post"].is_object(), "{description:?}");
    assert!(description.body["components"]["schemas"]["DecisionRequest"].is_object());
    service.stop().await;
}
