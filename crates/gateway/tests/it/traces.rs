//! Traces and logs through the gateway, from fakes of Tempo and Loki.

use trace_reader::{LogsView, TraceView};
use web::RunningServer;
use web::testing::{get, url};

use crate::fake::{Fake, Script};
use crate::support::{Checked as _, NOWHERE, gateway};

/// What a real Tempo and a real Loki gave.
const TEMPO: &str = include_str!("../../../trace-reader/tests/data/tempo-trace.json");
const LOKI: &str = include_str!("../../../trace-reader/tests/data/loki-lines.json");
const ID: &str = "ad4cf15dc7035c7c39d8c8481ef51e30";

async fn with(tempo: &str, loki: &str) -> RunningServer {
    gateway(&["--tempo-url", tempo, "--loki-url", loki]).await
}

#[actix_web::test]
async fn a_trace_and_its_lines() {
    let tempo = Fake::start(vec![Script::json("/api/v2/traces/", TEMPO)]);
    let loki = Fake::start(vec![Script::json("/loki/api/v1/query_range", LOKI)]);
    let gateway = with(&tempo.url, &loki.url).await;
    let view: TraceView =
        serde_json::from_str(&get(&url(&gateway, &format!("/api/v1/traces/{ID}"))).await.text).unwrap();
    assert_eq!(view.services, ["notifier-service", "market-data-service", "decision-service"]);
    assert_eq!(tempo.uris(), [format!("/api/v2/traces/{ID}")]);
    let logs: LogsView =
        serde_json::from_str(&get(&url(&gateway, &format!("/api/v1/traces/{ID}/logs"))).await.text).unwrap();
    assert!(logs.lines.len() >= 5, "{logs:?}");
    gateway.stop().await;
}

#[actix_web::test]
async fn what_is_not_there_yet_and_what_is_no_id() {
    let tempo = Fake::start(vec![Script::json("/api/v2/traces/", "trace not found").status(404)]);
    let gateway = with(&tempo.url, NOWHERE).await;
    get(&url(&gateway, &format!("/api/v1/traces/{ID}"))).await.refused(404, "trace_not_found");
    let zeroes = format!("/api/v1/traces/{}", "0".repeat(32));
    for path in ["/api/v1/traces/1", &zeroes, "/api/v1/traces/%22%7D%20or%20x/logs"] {
        get(&url(&gateway, path)).await.refused(400, "bad_trace_id");
    }
    gateway.stop().await;
}

#[actix_web::test]
async fn a_backend_that_is_away_or_talks_nonsense_is_named() {
    let nonsense = Fake::start(vec![Script::json("/", "<html>")]);
    for (at, status, code) in [(NOWHERE, 503, "upstream_unreachable"), (&*nonsense.url, 502, "upstream_malformed")] {
        let gateway = with(at, at).await;
        for (path, upstream) in [("", "tempo"), ("/logs", "loki")] {
            let reply = get(&url(&gateway, &format!("/api/v1/traces/{ID}{path}"))).await;
            assert_eq!(reply.problem(status, code)["upstream"], upstream);
        }
        gateway.stop().await;
    }
}
