//! One ask is one trace, every span under its parent.

use std::collections::HashMap;
use std::time::Duration;

use notifier::Config;
use opentelemetry::trace::{SpanId, SpanKind, TraceId};
use opentelemetry_sdk::trace::SpanData;
use serde_json::json;
use storage::testing::TestDatabase;
use telemetry::testing::{attribute, finished_spans};

use crate::scripted::{Script, Scripted, decision, market_data};
use crate::world::{ALICE, Simulator, World, eventually, post, url};

fn spans_of(trace_id: &str) -> Vec<SpanData> {
    let id = TraceId::from_hex(trace_id).unwrap();
    finished_spans().into_iter().filter(|span| span.span_context.trace_id() == id).collect()
}

/// Names from the root to a span.
fn path(spans: &[SpanData], span: &SpanData) -> Vec<String> {
    let by_id: HashMap<SpanId, &SpanData> = spans.iter().map(|span| (span.span_context.span_id(), span)).collect();
    let mut names = vec![span.name.to_string()];
    let mut at = span;
    while let Some(parent) = by_id.get(&at.parent_span_id) {
        names.push(parent.name.to_string());
        at = parent;
    }
    assert_eq!(at.parent_span_id, SpanId::INVALID, "the parent of {} is missing", at.name);
    names.reverse();
    names
}

fn paths(spans: &[SpanData]) -> Vec<String> {
    spans.iter().map(|span| path(spans, span).join(" > ")).collect()
}

fn assert_path(spans: &[SpanData], wanted: &str) {
    let paths = paths(spans);
    assert!(paths.iter().any(|path| path == wanted), "{wanted} is not among\n{}", paths.join("\n"));
}

pub(crate) async fn an_ask_over_http_is_one_trace(database: TestDatabase) {
    let world = World::start(&database).await;
    let body = post(&url(&world.notifier, "/v1/ask"), &json!({"symbols": ["BTCUSDT"]})).await.json();
    let trace_id = body["trace_id"].as_str().unwrap();
    let spans = eventually("the root span", || async {
        let spans = spans_of(trace_id);
        spans.iter().any(|span| span.name == "POST /v1/ask").then_some(spans)
    })
    .await;
    let ask = "POST /v1/ask > ask";
    assert_path(&spans, ask);
    for route in ["GET /v1/prices/{symbol}", "GET /v1/candles/{symbol}", "POST /v1/decisions"] {
        // The client's span, and the server's below it.
        assert_path(&spans, &format!("{ask} > BackendClient > {route}"));
        assert_path(&spans, &format!("{ask} > BackendClient > {route} > {route}"));
    }
    let ask = spans.iter().find(|span| span.name == "ask").unwrap();
    let answer = &body["outcomes"][0]["answer"];
    assert_eq!(attribute(ask, "crypto.symbol").as_deref(), Some("BTCUSDT"));
    assert_eq!(attribute(ask, "decision.id").as_deref(), answer["decision_id"].as_str());
    assert_eq!(attribute(ask, "decision.action").as_deref(), answer["action"].as_str());
    for backend in spans.iter().filter(|span| span.name == "BackendClient") {
        assert_eq!(attribute(backend, "http.response.status_code").as_deref(), Some("200"));
        assert_eq!(attribute(backend, "crypto.symbol").as_deref(), Some("BTCUSDT"));
    }
    world.stop().await;
}

pub(crate) async fn an_update_its_asks_and_its_reply_are_one_trace(database: TestDatabase) {
    let world = World::start(&database).await;
    let message = world.simulator.ask("btc and eth").await;
    let buttons = &message["reply_markup"]["inline_keyboard"][0];
    let trace_id = buttons[1]["callback_data"].as_str().unwrap().strip_prefix("t:").unwrap().to_owned();
    let spans = eventually("the root span", || async {
        let spans = spans_of(&trace_id);
        // The message is said when the update has been handled.
        let said = spans.iter().any(|span| span.name == "telegram delivery");
        (said && spans.iter().any(|span| span.name == "telegram update")).then_some(spans)
    })
    .await;
    assert_path(&spans, "telegram update");
    assert_path(&spans, "telegram update > ask > ask > BackendClient > POST /v1/decisions > POST /v1/decisions");
    assert_path(&spans, "telegram update > telegram delivery > telegram sendMessage");
    let root = spans.iter().find(|span| span.name == "telegram update").unwrap();
    assert_eq!(root.span_kind, SpanKind::Consumer);
    assert_eq!(attribute(root, "telegram.update.type").as_deref(), Some("message"));
    assert_eq!(attribute(root, "telegram.update.outcome").as_deref(), Some("answered"));
    let all = format!("{spans:?}");
    assert!(!all.contains(simulator::DEFAULT_BOT_TOKEN), "the token is in a span");
    assert!(!all.contains("btc and eth"), "a person's text is in a span");
    assert!(!attribute(root, "user.hash").unwrap().contains(&ALICE.to_string()));
    world.stop().await;
}

pub(crate) async fn a_failed_ask_is_an_error_in_the_trace(_database: TestDatabase) {
    telemetry::testing::init();
    let market = Scripted::start(market_data());
    let notifier = notifier::start(Config::ephemeral(&market.url, "http://127.0.0.1:1").unwrap()).await.unwrap();
    let problem = post(&url(&notifier, "/v1/ask"), &json!({})).await.problem(503, "upstream_unreachable");
    let spans = eventually("the root span", || async {
        let spans = spans_of(problem["trace_id"].as_str().unwrap());
        spans.iter().any(|span| span.name == "POST /v1/ask").then_some(spans)
    })
    .await;
    let failed = |name: &str| {
        spans
            .iter()
            .filter(|span| span.name == name)
            .any(|span| matches!(span.status, opentelemetry::trace::Status::Error { .. }))
    };
    assert!(failed("ask") && failed("BackendClient") && failed("POST /v1/ask"), "{:?}", paths(&spans));
    let ask = spans.iter().find(|span| span.name == "ask").unwrap();
    assert_eq!(attribute(ask, "upstream.failed").as_deref(), Some("decision-service"));
    notifier.stop().await;
    market.stop().await;
}

pub(crate) async fn an_answer_that_takes_long_is_announced_by_typing(database: TestDatabase) {
    telemetry::testing::init();
    let simulator = Simulator::start().await;
    let market = Scripted::start(market_data());
    let decider =
        Scripted::start(vec![Script::json("/v1/decisions", decision("BTCUSDT")).after(Duration::from_millis(1_500))]);
    let mut config = Config::ephemeral(&market.url, &decider.url).unwrap();
    simulator.give_bot(&mut config, &database);
    let notifier = notifier::start(config).await.unwrap();
    let message = simulator.ask("btc?").await;
    let trace_id = message["reply_markup"]["inline_keyboard"][0][1]["callback_data"].as_str().unwrap()[2..].to_owned();
    let spans = eventually("the root span", || async {
        let spans = spans_of(&trace_id);
        spans.iter().any(|span| span.name == "telegram update").then_some(spans)
    })
    .await;
    assert_path(&spans, "telegram update > telegram sendChatAction");
    notifier.stop().await;
    market.stop().await;
    decider.stop().await;
    simulator.stop().await;
}

pub(crate) async fn a_stranger_is_a_pseudonym_in_the_trace_and_its_log_lines(database: TestDatabase) {
    let world = World::start(&database).await;
    let stranger = 7_654_321_098;
    world.simulator.say(stranger, "btc?").await;
    world.simulator.wait_for(stranger, 1).await;
    let denied = eventually("the stranger's span", || async {
        finished_spans().into_iter().find(|span| {
            span.events.events.iter().any(|event| event.name.contains("not on the list"))
                && attribute(span, "telegram.update.outcome").as_deref() == Some("denied")
        })
    })
    .await;
    let hash = attribute(&denied, "user.hash").unwrap();
    let event = denied.events.events.iter().find(|event| event.name.contains("not on the list")).unwrap();
    let told = event.attributes.iter().find(|pair| pair.key.as_str() == "user.hash").unwrap();
    assert_eq!(told.value.to_string(), hash);
    assert!(!format!("{denied:?}").contains(&stranger.to_string()));
    world.stop().await;
}
