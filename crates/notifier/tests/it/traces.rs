//! Traces and logs through the notifier, from servers that give what a real Tempo and a real Loki gave.

use notifier::Config;
use notifier::traces::{LogsView, TraceView};
use web::RunningServer;

use crate::scripted::{Script, Scripted};
use crate::world::{get, url};

const TEMPO: &str = include_str!("../data/tempo-trace.json");
const LOKI: &str = include_str!("../data/loki-lines.json");

async fn notifier(tempo: &str, loki: &str) -> RunningServer {
    telemetry::testing::init();
    let mut config = Config::ephemeral("http://127.0.0.1:1", "http://127.0.0.1:1").unwrap();
    config.tempo_url = tempo.parse().unwrap();
    config.loki_url = loki.parse().unwrap();
    notifier::start(config).await.unwrap()
}

const ID: &str = "ad4cf15dc7035c7c39d8c8481ef51e30";

#[actix_web::test]
async fn a_real_trace_becomes_a_tree() {
    let tempo = Scripted::start(vec![Script::json("/api/v2/traces/", TEMPO)]);
    let loki = Scripted::start(vec![Script::json("/loki/api/v1/query_range", LOKI)]);
    let notifier = notifier(&tempo.url, &loki.url).await;

    let view: TraceView = serde_json::from_str(&get(&url(&notifier, &format!("/v1/traces/{ID}"))).await.text).unwrap();
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
        let parent = view.spans[..at]
            .iter()
            .rfind(|other| Some(&other.id) == span.parent_id.as_ref())
            .expect("the parent comes before");
        assert_eq!(span.depth, parent.depth + 1, "{}", span.name);
        assert!(span.start_us + span.duration_us <= view.duration_us, "{}", span.name);
    }
    assert_eq!(tempo.seen(), [format!("/api/v2/traces/{ID}")]);

    let logs: LogsView =
        serde_json::from_str(&get(&url(&notifier, &format!("/v1/traces/{ID}/logs"))).await.text).unwrap();
    assert!(logs.lines.len() >= 5 && !logs.truncated, "{logs:?}");
    assert!(logs.lines.is_sorted_by_key(|line| line.at));
    let span_ids: Vec<&str> = view.spans.iter().map(|span| span.id.as_str()).collect();
    for line in &logs.lines {
        assert!(span_ids.contains(&line.span_id.as_deref().unwrap()), "a line of another trace: {line:?}");
    }
    let query = &loki.seen()[0];
    assert!(query.contains(&format!("trace_id%3D%22{ID}%22")) && query.contains("limit=500"), "{query}");
    notifier.stop().await;
    tempo.stop().await;
    loki.stop().await;
}

#[actix_web::test]
async fn the_older_form_of_the_answer_gives_the_same_tree() {
    let [new, old] = [TEMPO, include_str!("../data/tempo-trace-v1.json")]
        .map(|body| Scripted::start(vec![Script::json("/api/v2/traces/", body)]));
    let mut views = Vec::new();
    for tempo in [new, old] {
        let notifier = notifier(&tempo.url, "http://127.0.0.1:1").await;
        views.push(get(&url(&notifier, &format!("/v1/traces/{ID}"))).await.text);
        notifier.stop().await;
        tempo.stop().await;
    }
    assert_eq!(views[0], views[1]);
}

#[actix_web::test]
async fn what_is_not_there_yet_and_what_is_no_id() {
    // What a real Tempo says of a trace that it does not know.
    let tempo = Scripted::start(vec![Script::json("/api/v2/traces/", r#"{"trace":{},"metrics":{}}"#)]);
    let loki = Scripted::start(vec![Script::json(
        "/loki",
        r#"{"status":"success","data":{"resultType":"streams","result":[]}}"#,
    )]);
    let with_tempo = notifier(&tempo.url, &loki.url).await;
    get(&url(&with_tempo, &format!("/v1/traces/{ID}"))).await.problem(404, "trace_not_found");
    let logs = get(&url(&with_tempo, &format!("/v1/traces/{ID}/logs"))).await;
    assert_eq!((logs.status, logs.json()["lines"].as_array().unwrap().len()), (200, 0));
    for path in ["/v1/traces/1", "/v1/traces/00000000000000000000000000000000", "/v1/traces/%22%7D%20or%20x/logs"] {
        get(&url(&with_tempo, path)).await.problem(400, "bad_trace_id");
    }
    with_tempo.stop().await;
    tempo.stop().await;
    loki.stop().await;

    let older = Scripted::start(vec![Script::json("/api/v2/traces/", "trace not found").status(404)]);
    let with_older = notifier(&older.url, "http://127.0.0.1:1").await;
    get(&url(&with_older, &format!("/v1/traces/{ID}"))).await.problem(404, "trace_not_found");
    with_older.stop().await;
    older.stop().await;
}

#[actix_web::test]
async fn a_backend_that_is_away_or_talks_nonsense_is_named() {
    let away = notifier("http://127.0.0.1:1", "http://127.0.0.1:1").await;
    assert_eq!(
        get(&url(&away, &format!("/v1/traces/{ID}"))).await.problem(503, "upstream_unreachable")["upstream"],
        "tempo"
    );
    assert_eq!(
        get(&url(&away, &format!("/v1/traces/{ID}/logs"))).await.problem(503, "upstream_unreachable")["upstream"],
        "loki"
    );
    away.stop().await;

    let nonsense = Scripted::start(vec![Script::json("/", "<html>")]);
    let confused = notifier(&nonsense.url, &nonsense.url).await;
    assert_eq!(
        get(&url(&confused, &format!("/v1/traces/{ID}"))).await.problem(502, "upstream_malformed")["upstream"],
        "tempo"
    );
    assert_eq!(
        get(&url(&confused, &format!("/v1/traces/{ID}/logs"))).await.problem(502, "upstream_malformed")["upstream"],
        "loki"
    );
    confused.stop().await;
    nonsense.stop().await;
}
