//! The llm strategy: its opinion, and every way it can fail. Each falls back to technical and says so.

use decision::Config;
use domain::{Action, Decision, DecisionRequest, StrategyName};
use opentelemetry::trace::Status;
use rust_decimal::Decimal;
use rust_decimal_macros::dec;
use serde_json::{Value, json};
use telemetry::testing::attribute;

use crate::fake::{FakeLlm, Reply, usage};
use crate::market::{BUY_MINUTE, request};
use crate::service::{Running, metric, named, trace};

/// 500 tokens in and 40 out at the prices of the default model, 0.40 and 1.60 USD a million.
const USED_USD: Decimal = dec!(0.000264);

fn config(fake: &FakeLlm) -> Config {
    let mut config = Config::ephemeral();
    config.llm.llm_base_url = Some(fake.url());
    config.llm.llm_api_key = Some("key-of-the-test".into());
    config
}

fn asked() -> DecisionRequest {
    request(BUY_MINUTE, Some(StrategyName::Llm))
}

fn opinion(action: &str, confidence: Value, reason: &str) -> Reply {
    Reply::text(&json!({"action": action, "confidence": confidence, "reason": reason}).to_string())
}

#[actix_web::test]
async fn its_opinion_is_the_decision_with_its_cost() {
    let fake = FakeLlm::start(opinion("SELL", json!(0.815), "RSI 69 is high\nfor a rise of 0.29%.")).await;
    let service = Running::start(config(&fake)).await;
    let spent = metric("decision_cost_usd_total", &[("strategy", "llm")]);
    let decision = service.decide(&asked()).await;
    assert_eq!((decision.action, decision.confidence), (Action::Sell, dec!(0.82)));
    assert_eq!(decision.reason, "RSI 69 is high for a rise of 0.29%.");
    assert_eq!((decision.strategy, &decision.fallback), (StrategyName::Llm, &None));
    assert_eq!(decision.cost_usd, USED_USD);
    assert_eq!(decision.indicators.rsi, Some(dec!(68.99)));

    // What it was asked.
    let received = &fake.received()[0];
    let head = received.head.to_lowercase();
    assert!(head.contains("authorization: bearer key-of-the-test"), "{head}");
    let traceparent = format!("traceparent: 00-{}-", decision.trace_id.as_deref().unwrap());
    assert!(head.contains(&traceparent), "{head}");
    let body = &received.body;
    assert_eq!(body["model"], "gpt-4.1-mini");
    assert_eq!(body["response_format"]["type"], "json_schema");
    let schema = &body["response_format"]["json_schema"];
    assert_eq!(schema["strict"], true);
    assert_eq!(schema["schema"]["additionalProperties"], false);
    assert_eq!(schema["schema"]["properties"]["action"]["enum"], json!(["BUY", "SELL", "HOLD"]));
    let market: Value = serde_json::from_str(body["messages"][1]["content"].as_str().unwrap()).unwrap();
    assert_eq!(market["symbol"], "BTCUSDT");
    assert_eq!(
        (&market["price"], &market["sma_fast"], &market["sma_slow"], &market["rsi"]),
        (&json!("47457.0"), &json!("46988.26"), &json!("46850.78"), &json!("68.99"))
    );
    assert_eq!(market["last_closes"].as_array().unwrap().len(), 30);
    assert_eq!(market["last_closes"][29], "47457.0");

    // What is seen of it.
    let spans = trace(decision.trace_id.as_deref().unwrap()).await;
    let decide = named(&spans, "decide");
    let chat = named(&spans, "chat gpt-4.1-mini");
    assert_eq!(chat.parent_span_id, decide.span_context.span_id());
    assert_eq!(named(&spans, "POST /v1/chat/completions").parent_span_id, chat.span_context.span_id());
    assert_eq!(attribute(decide, "decision.strategy").as_deref(), Some("llm"));
    assert_eq!(attribute(decide, "decision.cost_usd").as_deref(), Some("0.000264"));
    assert!(!format!("{spans:?}").contains("key-of-the-test"));
    assert!(!format!("{spans:?}").contains("RSI 69 is high"), "what a model says is recorded only on request");
    assert!(metric("decision_cost_usd_total", &[("strategy", "llm")]) > spent);
    service.stop().await;
}

/// One ask of a model that does this; the technical decision must come of it, with this reason.
async fn falls_back(reply: Reply, label: &str) -> Decision {
    let fake = FakeLlm::start(reply).await;
    check_fallback(config(&fake), label).await
}

async fn check_fallback(config: Config, label: &str) -> Decision {
    let service = Running::start(config).await;
    let labels = [("from", "llm"), ("reason", label)];
    let before = metric("decision_fallbacks_total", &labels);
    let decision = service.decide(&asked()).await;
    assert_eq!((decision.action, decision.confidence), (Action::Buy, dec!(0.77)), "the technical decision");
    assert_eq!(decision.strategy, StrategyName::Technical);
    let fallback = decision.fallback.as_ref().expect("it says that another strategy decided");
    assert_eq!(fallback.from, StrategyName::Llm);
    assert!(fallback.reason.ends_with('.'), "{}", fallback.reason);
    assert!(metric("decision_fallbacks_total", &labels) >= before + 1.0, "{label} is not counted");

    let spans = trace(decision.trace_id.as_deref().unwrap()).await;
    let decide = named(&spans, "decide");
    assert_eq!(attribute(decide, "decision.fallback.reason").as_deref(), Some(label));
    assert_eq!(attribute(decide, "decision.strategy.requested").as_deref(), Some("llm"));
    assert_eq!(attribute(decide, "decision.strategy").as_deref(), Some("technical"));
    let event = format!("fell back to the technical strategy: {}", fallback.reason);
    assert!(decide.events.iter().any(|found| found.name == event), "{event} is not among {:?}", decide.events);
    if let Some(chat) = spans.iter().find(|span| span.name.starts_with("chat ")) {
        let failed = matches!(chat.status, Status::Error { .. });
        // Whether the text is of use is only known after the call.
        let judged_later = ["schema_ignored", "bad_confidence", "no_reason"].contains(&label);
        assert_eq!(failed, !judged_later, "{:?}", chat.status);
    }
    service.stop().await;
    decision
}

fn why(decision: &Decision) -> &str {
    &decision.fallback.as_ref().unwrap().reason
}

#[actix_web::test]
async fn a_refusal() {
    let message = json!({"role": "assistant", "content": null, "refusal": "No advice from me."});
    let decision = falls_back(Reply::answer(&json!("stop"), &message, usage()), "refused").await;
    assert_eq!(why(&decision), "The language model refused to answer.");
    assert_eq!(decision.cost_usd, USED_USD, "a refusal is paid for");
}

#[actix_web::test]
async fn an_answer_that_is_cut_off() {
    let message = json!({"role": "assistant", "content": "{\"action\":\"BU"});
    let decision = falls_back(Reply::answer(&json!("length"), &message, usage()), "cut_off").await;
    assert_eq!(why(&decision), "The language model was cut off at its limit of tokens.");
    assert_eq!(decision.cost_usd, USED_USD);
}

#[actix_web::test]
async fn an_answer_that_ignores_the_schema() {
    let decision = falls_back(Reply::text("Buy! To the moon!"), "schema_ignored").await;
    assert_eq!(why(&decision), "The language model did not keep to the form asked for.");
    assert!(!serde_json::to_string(&decision).unwrap().contains("moon"));
    falls_back(opinion("SHORT", json!(0.5), "r"), "schema_ignored").await;
}

#[actix_web::test]
async fn an_answer_with_an_impossible_confidence_or_no_reason() {
    let decision = falls_back(opinion("BUY", json!(87), "r"), "bad_confidence").await;
    assert_eq!(why(&decision), "The language model gave a confidence that is not between 0 and 1.");
    let decision = falls_back(opinion("BUY", json!(0.5), "\u{0}\n "), "no_reason").await;
    assert_eq!(why(&decision), "The language model gave no reason.");
}

#[actix_web::test]
async fn a_missing_usage_makes_the_cost_an_estimate_that_says_so() {
    let message = json!({"role": "assistant", "content": r#"{"action":"HOLD","confidence":0.5,"reason":"Quiet."}"#});
    let fake = FakeLlm::start(Reply::answer(&json!("stop"), &message, None)).await;
    let service = Running::start(config(&fake)).await;
    let decision = service.decide(&asked()).await;
    assert_eq!((decision.action, decision.strategy), (Action::Hold, StrategyName::Llm));
    assert_eq!(decision.reason, "Quiet. (The model did not say what it used; its cost is an estimate.)");
    assert!(decision.cost_usd > dec!(0) && decision.cost_usd < dec!(0.01), "{}", decision.cost_usd);
    let spans = trace(decision.trace_id.as_deref().unwrap()).await;
    assert_eq!(attribute(named(&spans, "decide"), "decision.cost_estimated").as_deref(), Some("true"));
    service.stop().await;
}

#[actix_web::test]
async fn a_429_and_the_rest_it_asks_for() {
    let busy = Reply::error(429, "requests", "rate_limit_exceeded", "Slow down").with_header("retry-after", "60");
    let fake = FakeLlm::start(busy).await;
    let service = Running::start(config(&fake)).await;
    for _ in 0..3 {
        let decision = service.decide(&asked()).await;
        assert_eq!(why(&decision), "The language model asks for fewer requests.");
        assert_eq!(decision.cost_usd, dec!(0));
    }
    assert_eq!(fake.received().len(), 1, "it was asked again within the minute it asked for");
    service.stop().await;
    falls_back(Reply::error(429, "requests", "rate_limit_exceeded", "Slow down"), "rate_limited").await;
}

#[actix_web::test]
async fn http_errors() {
    let decision =
        falls_back(Reply::error(500, "server_error", "oops", "key-of-the-test failed"), "server_error").await;
    assert_eq!(why(&decision), "The language model failed (HTTP 500).");
    assert_eq!(decision.cost_usd, dec!(0));
    let decision =
        falls_back(Reply::error(401, "invalid_request_error", "invalid_api_key", "key-of-the-test"), "unauthorized")
            .await;
    assert_eq!(why(&decision), "The language model does not accept the API key (HTTP 401).");
    let decision =
        falls_back(Reply::error(404, "invalid_request_error", "model_not_found", "No such model"), "bad_request").await;
    assert_eq!(why(&decision), "The language model does not accept the request (HTTP 404).");
}

#[actix_web::test]
async fn a_malformed_body() {
    let page = Reply::Http(200, vec![("content-type", "text/html".to_owned())], "<html>".to_owned());
    let decision = falls_back(page, "malformed").await;
    let reason = why(&decision);
    assert!(
        reason.starts_with("The language model sent an answer that cannot be read. It did not say what that cost; "),
        "{reason}"
    );
    assert!(reason.ends_with(" USD are counted."), "{reason}");
    assert!(decision.cost_usd > dec!(0), "what may have been spent counts");
}

#[actix_web::test]
async fn a_model_slower_than_the_limit() {
    let fake = FakeLlm::start(Reply::Silence).await;
    let mut config = config(&fake);
    config.llm.llm_timeout_ms = 150;
    let decision = check_fallback(config, "timeout").await;
    assert!(why(&decision).starts_with("The language model did not answer within 150 ms."), "{}", why(&decision));
    assert!(decision.cost_usd > dec!(0));
}

#[actix_web::test]
async fn a_dropped_connection_and_nobody_there() {
    falls_back(Reply::HangUp, "unreachable").await;
    falls_back(Reply::BreakOff, "malformed").await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = Config::ephemeral();
    config.llm.llm_base_url = Some(format!("http://{gone}").parse().unwrap());
    let decision = check_fallback(config, "unreachable").await;
    assert_eq!(why(&decision), "The language model cannot be reached.");
    assert_eq!(decision.cost_usd, dec!(0));
}

#[actix_web::test]
async fn it_is_asked_again_once_it_works_again() {
    let fake = FakeLlm::start(Reply::error(503, "server_error", "overloaded", "Overloaded")).await;
    let service = Running::start(config(&fake)).await;
    assert_eq!(service.decide(&asked()).await.strategy, StrategyName::Technical);
    fake.now(opinion("SELL", json!(0.5), "r"));
    assert_eq!(service.decide(&asked()).await.strategy, StrategyName::Llm);
    service.stop().await;
}

#[actix_web::test]
async fn no_model_configured() {
    let decision = check_fallback(Config::ephemeral(), "not_configured").await;
    assert_eq!(why(&decision), "No language model is configured (LLM_BASE_URL is not set).");
}

#[actix_web::test]
async fn a_cost_cap_refuses_before_anything_is_spent() {
    let fake = FakeLlm::start(opinion("SELL", json!(0.5), "r")).await;
    let mut config = config(&fake);
    config.llm.llm_max_cost_usd_per_decision = dec!(0.0005);
    let decision = check_fallback(config, "cost_cap").await;
    assert!(why(&decision).ends_with("at most 0.0005 USD are allowed for a decision."), "{}", why(&decision));
    assert_eq!((decision.cost_usd, fake.received().len()), (dec!(0), 0));
}

#[actix_web::test]
async fn the_daily_budget_ends_and_technical_goes_on() {
    let fake = FakeLlm::start(opinion("SELL", json!(0.5), "r")).await;
    let mut config = config(&fake);
    // A call can cost up to about 0.0018 USD and costs 0.000264: a few fit.
    config.llm.llm_daily_budget_usd = dec!(0.003);
    let service = Running::start(config).await;
    let mut decisions = Vec::new();
    for _ in 0..20 {
        decisions.push(service.decide(&asked()).await);
    }
    let paid = decisions.iter().take_while(|decision| decision.fallback.is_none()).count();
    assert!((1..20).contains(&paid), "{paid} calls were paid for");
    assert_eq!(fake.received().len(), paid, "the model was asked although the money was gone");
    let spent: Decimal = decisions.iter().map(|decision| decision.cost_usd).sum();
    assert_eq!(spent, USED_USD * Decimal::from(paid));
    assert!(spent <= dec!(0.003), "{spent}");
    let reason = why(&decisions[19]);
    assert!(reason.starts_with("Of today's 0.003 USD for the language model "), "{reason}");
    service.stop().await;
}
