//! The reader against servers that give what a real Tempo and a real Loki gave, and what broken ones give.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web as actix};
use chrono::TimeDelta;
use trace_reader::{StepKind, TraceError, TraceId, TraceReader};

const TEMPO: &str = include_str!("../data/tempo-trace.json");
const TEMPO_V1: &str = include_str!("../data/tempo-trace-v1.json");
const LOKI: &str = include_str!("../data/loki-lines.json");
const NOTHING: &str = r#"{"status":"success","data":{"resultType":"streams","result":[]}}"#;
const NOWHERE: &str = "http://127.0.0.1:1";

fn id() -> TraceId {
    "ad4cf15dc7035c7c39d8c8481ef51e30".parse().unwrap()
}

/// A fake: gives one answer to everything, and remembers what it was asked.
struct Fake {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
    handle: ServerHandle,
}

impl Fake {
    fn start(status: u16, body: &'static str) -> Self {
        telemetry::testing::init();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&seen);
        let server = HttpServer::new(move || {
            let log = Arc::clone(&log);
            App::new().default_service(actix::to(move |request: HttpRequest| {
                log.lock().unwrap().push(request.uri().to_string());
                let answer = HttpResponse::build(StatusCode::from_u16(status).unwrap())
                    .content_type("application/json")
                    .body(body);
                async move { answer }
            }))
        })
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { url, seen, handle }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    async fn stop(self) {
        self.handle.stop(false).await;
    }
}

fn reader(tempo: &str, loki: &str) -> TraceReader {
    TraceReader::new(tempo.parse().unwrap(), loki.parse().unwrap(), TimeDelta::minutes(5))
}

#[actix_web::test]
async fn a_real_trace_becomes_a_tree_and_its_lines_belong_to_it() {
    let (tempo, loki) = (Fake::start(200, TEMPO), Fake::start(200, LOKI));
    let reader = reader(&tempo.url, &loki.url);
    let view = reader.trace(&id()).await.unwrap();
    let named = |service: &str, name: &str| {
        view.spans.iter().filter(|span| span.service == service && span.name == name).count()
    };
    assert_eq!(view.services, ["notifier-service", "market-data-service", "decision-service"]);
    assert_eq!((view.orphan_count, view.omitted_count), (0, 0));
    let root = &view.spans[0];
    assert_eq!((root.name.as_str(), root.depth, root.parent_id.as_deref()), ("telegram update", 0, None));
    assert_eq!(root.attributes["telegram.update.type"], "message");
    assert_eq!(named("notifier-service", "telegram sendMessage"), 1);
    assert_eq!(named("decision-service", "POST /v1/decisions"), 2);
    // Every span stands below its parent, one level deeper.
    for (at, span) in view.spans.iter().enumerate().skip(1) {
        let before = &view.spans[..at];
        let parent = before.iter().rfind(|other| Some(&other.id) == span.parent_id.as_ref());
        assert_eq!(span.depth, parent.unwrap().depth + 1, "{}", span.name);
        assert!(span.start_us + span.duration_us <= view.duration_us, "{}", span.name);
    }
    assert_eq!(tempo.seen(), [format!("/api/v2/traces/{}", id().as_str())]);

    let logs = reader.logs(&id()).await.unwrap();
    assert!(logs.lines.len() >= 5 && !logs.truncated, "{logs:?}");
    assert!(logs.lines.is_sorted_by_key(|line| line.at));
    for line in &logs.lines {
        let span = view.spans.iter().find(|span| Some(&span.id) == line.span_id.as_ref());
        assert!(span.is_some(), "a line of another trace: {line:?}");
    }
    let query = &loki.seen()[0];
    assert!(query.contains(&format!("trace_id%3D%22{}%22", id().as_str())) && query.contains("limit=500"), "{query}");
    assert_eq!(
        (trace_reader::has_span(TEMPO.as_bytes()), trace_reader::has_line(LOKI.as_bytes())),
        (Ok(true), Ok(true))
    );
    tempo.stop().await;
    loki.stop().await;
}

#[actix_web::test]
async fn a_real_trace_is_broken_down_into_the_steps_of_an_ask() {
    let tempo = Fake::start(200, TEMPO);
    let view = reader(&tempo.url, NOWHERE).trace(&id()).await.unwrap();
    let breakdown = trace_reader::breakdown(&view);
    let steps: Vec<(StepKind, &str)> = breakdown.steps.iter().map(|step| (step.kind, step.service.as_str())).collect();
    assert_eq!(
        steps,
        [
            (StepKind::Question, "notifier-service"),
            (StepKind::Price, "market-data-service"),
            (StepKind::Decision, "decision-service"),
            (StepKind::Message, "notifier-service"),
        ]
    );
    // What is rounded down to microseconds may end one earlier.
    assert!(breakdown.total_us.abs_diff(view.duration_us) <= 1, "{} of {}", breakdown.total_us, view.duration_us);
    assert_eq!(breakdown.steps.iter().map(|step| step.self_us).sum::<u64>(), breakdown.total_us);
    assert!(breakdown.is_whole);
    tempo.stop().await;
}

#[actix_web::test]
async fn the_older_form_of_the_answer_gives_the_same_tree() {
    let mut views = Vec::new();
    for body in [TEMPO, TEMPO_V1] {
        let tempo = Fake::start(200, body);
        views.push(reader(&tempo.url, NOWHERE).trace(&id()).await.unwrap());
        tempo.stop().await;
    }
    assert_eq!(views[0], views[1]);
    assert_eq!(trace_reader::has_span(TEMPO_V1.as_bytes()), Ok(true));
}

#[actix_web::test]
async fn what_is_not_there_yet_is_not_found_in_every_form_that_tempo_says_it() {
    for (status, body) in [(200, r#"{"trace":{},"metrics":{}}"#), (404, "trace not found")] {
        let tempo = Fake::start(status, body);
        let error = reader(&tempo.url, NOWHERE).trace(&id()).await.unwrap_err();
        assert!(matches!(&error, TraceError::NotFound(of) if of == id().as_str()), "{error}");
        tempo.stop().await;
    }
    let loki = Fake::start(200, NOTHING);
    assert!(reader(NOWHERE, &loki.url).logs(&id()).await.unwrap().lines.is_empty(), "no line is no error");
    assert_eq!(trace_reader::has_line(NOTHING.as_bytes()), Ok(false));
    loki.stop().await;
}

#[actix_web::test]
async fn a_backend_that_is_away_or_talks_nonsense_is_named() {
    telemetry::testing::init();
    let named = |error: TraceError| match error {
        TraceError::Upstream(error) => (error.upstream, error.label()),
        other => unreachable!("{other}"),
    };
    let away = reader(NOWHERE, NOWHERE);
    assert_eq!(named(away.trace(&id()).await.unwrap_err()), ("tempo", "connect"));
    assert_eq!(named(away.logs(&id()).await.unwrap_err()), ("loki", "connect"));
    let nonsense = Fake::start(200, "<html>");
    let confused = reader(&nonsense.url, &nonsense.url);
    assert_eq!(named(confused.trace(&id()).await.unwrap_err()), ("tempo", "malformed"));
    assert_eq!(named(confused.logs(&id()).await.unwrap_err()), ("loki", "malformed"));
    assert!(trace_reader::has_span(b"<html>").is_err() && trace_reader::has_line(b"<html>").is_err());
    nonsense.stop().await;
}
