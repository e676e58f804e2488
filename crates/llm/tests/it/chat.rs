//! Answers, each way they can fail, and what telemetry shows of them.

use std::time::Duration;

use llm::wire::Usage;
use llm::{ChatError, Client, Completion, Prompt, Settings, Spent};
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use secrecy::SecretString;
use serde_json::{Value, json};
use telemetry::testing::{attribute, finished_spans};

use crate::fake::{FakeLlm, Reply, usage};

const USED: Spent = Spent::Tokens(Usage { prompt_tokens: 500, completion_tokens: 40 });

fn prompt() -> Prompt {
    Prompt {
        system: "Decide as told.".to_owned(),
        user: "What now, secretly?".to_owned(),
        schema_name: "decision",
        schema: json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}),
    }
}

/// Each test has a model of its own, by which it finds its spans and series.
fn settings(fake: &FakeLlm, model: &str) -> Settings {
    telemetry::testing::init();
    let mut settings = Settings::new(fake.url(), model);
    settings.api_key = Some(SecretString::from("key-of-the-test"));
    settings
}

async fn failure(model: &str, reply: Reply) -> ChatError {
    let fake = FakeLlm::start(reply).await;
    Client::new(settings(&fake, model)).chat(&prompt()).await.expect_err("it cannot succeed")
}

fn span(model: &str) -> SpanData {
    finished_spans().into_iter().find(|span| span.name == format!("chat {model}")).expect("a chat span has ended")
}

#[actix_web::test]
async fn an_answer_comes_back_with_its_usage_span_and_metrics() {
    let fake = FakeLlm::start(Reply::text(r#"{"n":7}"#)).await;
    let client = Client::new(settings(&fake, "plain"));
    let completion = client.chat(&prompt()).await.unwrap();
    assert_eq!(
        completion,
        Completion { text: r#"{"n":7}"#.to_owned(), usage: Some(Usage { prompt_tokens: 500, completion_tokens: 40 }) }
    );
    assert_eq!(completion.parse::<Value>().unwrap(), json!({"n": 7}));

    let request = &fake.received()[0];
    assert!(request.head.starts_with("POST /v1/chat/completions HTTP/1.1"), "{}", request.head);
    let head = request.head.to_lowercase();
    assert!(head.contains("authorization: bearer key-of-the-test"), "{head}");
    assert!(head.contains("traceparent: 00-"), "{head}");
    assert_eq!(request.body["model"], "plain");
    assert_eq!(request.body["response_format"]["json_schema"]["strict"], true);
    assert_eq!(request.body["max_completion_tokens"], 300);

    let span = span("plain");
    assert_eq!(span.span_kind, SpanKind::Client);
    assert_eq!(span.status, Status::Unset);
    for (name, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "plain"),
        ("gen_ai.request.max_tokens", "300"),
        ("gen_ai.output.type", "json"),
        ("gen_ai.response.id", "chatcmpl-test1"),
        ("gen_ai.response.model", "gpt-test-2026-01-01"),
        ("gen_ai.response.finish_reasons", "[\"stop\"]"),
        ("gen_ai.usage.input_tokens", "500"),
        ("gen_ai.usage.output_tokens", "40"),
    ] {
        assert_eq!(attribute(&span, name).as_deref(), Some(value), "{name}");
    }
    let port = span.attributes.iter().find(|found| found.key.as_str() == "server.port").map(|found| &found.value);
    assert!(matches!(port, Some(opentelemetry::Value::I64(_))), "{port:?}");
    let everything = format!("{span:?}");
    assert!(!everything.contains("secretly") && !everything.contains("key-of-the-test"), "{everything}");
    let call = finished_spans()
        .into_iter()
        .find(|other| other.parent_span_id == span.span_context.span_id())
        .expect("the HTTP call is a child of the chat span");
    assert_eq!(call.name, "POST /v1/chat/completions");

    let metrics = telemetry::metrics::render().unwrap();
    let value = |name: &str, labels: &[&str]| {
        let line =
            metrics.lines().find(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
        line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
    };
    let model = "gen_ai_request_model=\"plain\"";
    let tokens =
        |token_type| value("gen_ai_client_token_usage_sum{", &[model, &format!("gen_ai_token_type=\"{token_type}\"")]);
    assert_eq!((tokens("input").as_deref(), tokens("output").as_deref()), (Some("500"), Some("40")), "{metrics}");
    let calls = value("gen_ai_client_operation_duration_seconds_count{", &[model, "error_type=\"\""]);
    assert_eq!(calls.as_deref(), Some("1"), "{metrics}");
}

#[actix_web::test]
async fn prompts_are_recorded_only_on_request() {
    let fake = FakeLlm::start(Reply::text(r#"{"n":7}"#)).await;
    let mut settings = settings(&fake, "captured");
    settings.capture_content = true;
    Client::new(settings).chat(&prompt()).await.unwrap();
    let span = span("captured");
    assert_eq!(
        attribute(&span, "gen_ai.input.messages").unwrap(),
        r#"[{"parts":[{"content":"What now, secretly?","type":"text"}],"role":"user"}]"#
    );
    assert_eq!(
        attribute(&span, "gen_ai.output.messages").unwrap(),
        r#"[{"finish_reason":"stop","parts":[{"content":"{\"n\":7}","type":"text"}],"role":"assistant"}]"#
    );
}

#[actix_web::test]
async fn a_refusal_is_an_error_that_cost_something() {
    let message = json!({"role": "assistant", "content": null, "refusal": "I cannot give advice."});
    let error = failure("refusing", Reply::answer(&json!("stop"), &message, usage())).await;
    assert_eq!((error.kind.label(), error.spent), ("refused", USED));
    assert_eq!(error.to_string(), "the language model refused to answer");
    let span = span("refusing");
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("refused"));
    assert!(matches!(span.status, Status::Error { .. }), "{:?}", span.status);
    assert!(!format!("{span:?}").contains("advice"), "what a model says is not recorded unless opted into");
}

#[actix_web::test]
async fn an_answer_that_is_cut_off_or_filtered_is_an_error() {
    let half = json!({"role": "assistant", "content": "{\"n\":"});
    let error = failure("cut", Reply::answer(&json!("length"), &half, usage())).await;
    assert_eq!((error.kind.label(), error.spent), ("cut_off", USED));
    let error = failure("filtered", Reply::answer(&json!("content_filter"), &half, None)).await;
    assert_eq!((error.kind.label(), error.spent), ("content_filter", Spent::Unknown));
}

#[actix_web::test]
async fn an_answer_without_usage_or_finish_reason_is_one_and_says_so() {
    let message = json!({"role": "assistant", "content": "{\"n\":1}"});
    let fake = FakeLlm::start(Reply::answer(&Value::Null, &message, None)).await;
    let completion = Client::new(settings(&fake, "terse")).chat(&prompt()).await.unwrap();
    assert_eq!((completion.usage, completion.spent()), (None, Spent::Unknown));
    assert_eq!(attribute(&span("terse"), "gen_ai.usage.input_tokens"), None);
}

#[actix_web::test]
async fn empty_answers_are_errors() {
    let none = Reply::json(200, &json!({"id": "x", "choices": []}));
    assert_eq!(failure("nothing", none).await.kind.label(), "empty");
    let blank = json!({"role": "assistant", "content": "  "});
    assert_eq!(failure("blank", Reply::answer(&json!("stop"), &blank, None)).await.kind.label(), "empty");
}

#[actix_web::test]
async fn a_text_that_ignores_the_schema_is_an_error_that_cost_something() {
    #[derive(Debug, serde::Deserialize)]
    struct Number {
        #[expect(dead_code, reason = "only read by serde")]
        n: u32,
    }
    let fake = FakeLlm::start(Reply::text("I would say: seven.")).await;
    let completion = Client::new(settings(&fake, "chatty")).chat(&prompt()).await.unwrap();
    let error = completion.parse::<Number>().unwrap_err();
    assert_eq!((error.kind.label(), error.spent), ("schema_ignored", USED));
}

#[actix_web::test]
async fn a_429_keeps_the_client_from_calling_until_its_time() {
    let busy = Reply::error(429, "requests", "rate_limit_exceeded", "Slow down").with_header("retry-after", "30");
    let fake = FakeLlm::start(busy).await;
    let client = Client::new(settings(&fake, "busy"));
    let error = client.chat(&prompt()).await.unwrap_err();
    let llm::ChatErrorKind::RateLimited { retry_after, api } = error.kind else { panic!("{error:?}") };
    assert_eq!(retry_after, Some(Duration::from_secs(30)));
    assert_eq!(api.code.as_deref(), Some("rate_limit_exceeded"));
    assert_eq!(error.spent, Spent::Nothing);

    fake.now(Reply::text(r#"{"n":7}"#));
    let error = client.chat(&prompt()).await.unwrap_err();
    let llm::ChatErrorKind::RateLimited { retry_after: Some(left), .. } = error.kind else { panic!("{error:?}") };
    assert!(left <= Duration::from_secs(30), "{left:?}");
    assert_eq!(fake.received().len(), 1, "it was called although it asked not to be");
}

#[actix_web::test]
async fn errors_in_openai_s_shape_are_told_apart_and_hide_the_key() {
    let unauthorized =
        Reply::error(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: key-of-the-test.");
    let error = failure("locked", unauthorized).await;
    assert_eq!((error.kind.label(), error.spent), ("unauthorized", Spent::Nothing));
    assert_eq!(error.to_string(), "the language model does not accept the API key (HTTP 401)");
    assert!(!format!("{error:?}").contains("key-of-the-test"), "{error:?}");
    let span = span("locked");
    let event = span.events.iter().find(|event| event.name == "api_error").expect("the server's words are kept");
    let message = event.attributes.iter().find(|attribute| attribute.key.as_str() == "api.error.message").unwrap();
    assert_eq!(message.value.to_string(), "Incorrect API key provided: ***.");
    assert!(!format!("{span:?}").contains("key-of-the-test"));

    let bad = failure("picky", Reply::error(400, "invalid_request_error", "unsupported_value", "No schema")).await;
    assert_eq!((bad.kind.label(), bad.spent), ("bad_request", Spent::Nothing));
    let broken = failure("broken", Reply::error(503, "server_error", "overloaded", "Overloaded")).await;
    assert_eq!((broken.kind.label(), broken.spent), ("server_error", Spent::Nothing));
    let html = Reply::Http(502, vec![("content-type", "text/html".to_owned())], "<html>bad gateway</html>".to_owned());
    assert_eq!(failure("proxied", html).await.kind.label(), "server_error");
}

#[actix_web::test]
async fn a_body_that_is_not_of_this_api_is_malformed() {
    let page = Reply::Http(200, vec![("content-type", "text/html".to_owned())], "<html>welcome</html>".to_owned());
    let error = failure("page", page).await;
    assert_eq!((error.kind.label(), error.spent), ("malformed", Spent::Unknown));
    let huge = Reply::Http(200, Vec::new(), format!("{{\"id\":\"{}\"}}", "x".repeat(300 * 1024)));
    assert_eq!(failure("huge", huge).await.kind.label(), "too_large");
}

#[actix_web::test]
async fn a_slow_model_is_given_up_at_the_limit() {
    let fake = FakeLlm::start(Reply::Silence).await;
    let mut settings = settings(&fake, "slow");
    settings.timeout = Duration::from_millis(80);
    let error = Client::new(settings).chat(&prompt()).await.unwrap_err();
    assert_eq!((error.kind.label(), error.spent), ("timeout", Spent::Unknown));
    assert_eq!(error.to_string(), "the language model did not answer within 80 ms");
}

#[actix_web::test]
async fn connections_that_break_may_have_cost_something_those_never_made_did_not() {
    let hung_up = failure("hanging-up", Reply::HangUp).await;
    assert_eq!((hung_up.kind.label(), hung_up.spent), ("unreachable", Spent::Unknown));
    let broke_off = failure("breaking-off", Reply::BreakOff).await;
    // awc hands on what came of a body that ends too early; half a JSON document is none.
    assert_eq!((broke_off.kind.label(), broke_off.spent), ("malformed", Spent::Unknown));

    // A port that was bound a moment ago: nobody listens there any more.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    telemetry::testing::init();
    let client = Client::new(Settings::new(format!("http://{gone}").parse().unwrap(), "gone"));
    let refused = client.chat(&prompt()).await.unwrap_err();
    assert_eq!((refused.kind.label(), refused.spent), ("unreachable", Spent::Nothing));
}
