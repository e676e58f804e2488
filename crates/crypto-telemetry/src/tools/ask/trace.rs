//! Waiting until a trace is whole.
//!
//! Each service sends its spans in batches of its own, so that a trace arrives in pieces.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use trace_reader::{SpanKind, SpanStatus, SpanView, TraceError, TraceId, TraceReader, TraceView};
use url::Url;
use web::UpstreamError;

use crate::tools::http;

/// Between two looks. A piece that is still missing comes within the services' batch delay, a second by default.
const PAUSE: Duration = Duration::from_millis(250);

/// What became of the wait.
#[derive(Debug)]
pub(super) struct Waited {
    /// What Tempo has; nothing when it has nothing or could not be asked.
    pub(super) trace: Option<TraceView>,
    /// Whether it is whole.
    pub(super) complete: bool,
    /// A sentence about what is missing and why, when something is.
    pub(super) note: Option<String>,
}

/// Asks Tempo for the trace until it is whole or the time is over.
pub(super) async fn wait(tempo: &Url, trace_id: &TraceId, limit: Duration) -> Waited {
    // Only Tempo is asked here; log lines are not.
    let reader = TraceReader::new(tempo.clone(), tempo.clone(), TimeDelta::zero());
    let started = Instant::now();
    let mut last: Option<TraceView> = None;
    loop {
        match reader.trace(trace_id).await {
            Ok(view) => {
                let unchanged = last.as_ref().is_some_and(|before| before.spans.len() == view.spans.len());
                let whole = missing(&view).is_none();
                last = Some(view);
                if unchanged && whole {
                    return Waited { trace: last, complete: true, note: None };
                }
            }
            Err(TraceError::NotFound(_)) => {}
            Err(TraceError::Upstream(error)) => {
                return Waited { trace: last, complete: false, note: Some(failed(tempo, &error)) };
            }
        }
        if started.elapsed() + PAUSE > limit {
            let note = late(last.as_ref(), trace_id.as_str(), limit);
            return Waited { trace: last, complete: false, note: Some(note) };
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn failed(tempo: &Url, error: &UpstreamError) -> String {
    format!(
        "The trace cannot be shown, because Tempo at {} is away: {}. 'crypto-telemetry doctor' says what is wrong.",
        http::shown(tempo),
        error.kind
    )
}

/// What a trace visibly lacks.
fn missing(view: &TraceView) -> Option<String> {
    if view.spans.is_empty() {
        return Some("it has no span".to_owned());
    }
    if view.orphan_count > 0 {
        return Some(format!("{} of its spans have a parent that is not there", view.orphan_count));
    }
    let answered: HashSet<&str> = view
        .spans
        .iter()
        .filter(|span| span.kind == SpanKind::Server)
        .filter_map(|span| span.parent_id.as_deref())
        .collect();
    let waiting: Vec<&str> = view
        .spans
        .iter()
        .filter(|span| is_call_of_ours(span) && !answered.contains(span.id.as_str()))
        .filter_map(peer)
        .collect();
    let first = waiting.first()?;
    Some(format!("the spans of {first} are not there"))
}

/// A call that went well to a service which reports to the same Tempo: it has a child of that service, sooner or later.
/// Outside systems (Binance, Telegram) do not report, and a call that failed may never have arrived.
fn is_call_of_ours(span: &SpanView) -> bool {
    span.kind == SpanKind::Client
        && span.status != SpanStatus::Error
        && peer(span).is_some_and(|name| name.ends_with("-service"))
}

fn peer(span: &SpanView) -> Option<&str> {
    span.attributes.get("peer.service")?.as_str()
}

fn late(last: Option<&TraceView>, trace_id: &str, limit: Duration) -> String {
    let seconds = limit.as_secs_f64();
    match last {
        None => format!(
            "Tempo has no span of trace {trace_id} after {seconds} s. 'crypto-telemetry doctor' says which hop loses it; --wait-ms waits longer."
        ),
        Some(view) => {
            let why = missing(view).unwrap_or_else(|| "spans were still arriving".to_owned());
            format!("The trace may not be whole after {seconds} s: {why}. --wait-ms waits longer.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: Option<&str>, kind: &str, peer: Option<&str>, status: &str) -> serde_json::Value {
        serde_json::json!({
            "id": id, "parent_id": parent, "depth": 0, "service": "s", "name": id, "kind": kind, "start_us": 0, "duration_us": 1,
            "status": status, "attributes": peer.map_or(serde_json::json!({}), |peer| serde_json::json!({"peer.service": peer})), "events": []
        })
    }

    fn view(orphans: usize, spans: Vec<serde_json::Value>) -> TraceView {
        serde_json::from_value(serde_json::json!({
            "trace_id": "t", "started_at": "2026-11-21T07:00:00Z", "duration_us": 1, "services": ["s"], "error_count": 0,
            "orphan_count": orphans, "omitted_count": 0, "spans": spans
        }))
        .unwrap()
    }

    #[test]
    fn a_call_to_a_service_of_ours_waits_for_its_spans() {
        let call = span("b", Some("a"), "client", Some("decision-service"), "unset");
        let root = || span("a", None, "server", None, "unset");
        assert!(missing(&view(0, vec![root(), call.clone()])).unwrap().contains("decision-service"));
        assert_eq!(missing(&view(0, vec![root(), call, span("c", Some("b"), "server", None, "unset")])), None);
    }

    #[test]
    fn outside_systems_and_failed_calls_are_not_waited_for() {
        let root = span("a", None, "server", None, "unset");
        let outside = span("b", Some("a"), "client", Some("binance"), "unset");
        let failed = span("c", Some("a"), "client", Some("decision-service"), "error");
        assert_eq!(missing(&view(0, vec![root, outside, failed])), None);
    }

    #[test]
    fn orphans_are_waited_for() {
        assert!(
            missing(&view(2, vec![span("a", Some("gone"), "server", None, "unset")]))
                .unwrap()
                .contains("2 of its spans")
        );
    }

    #[actix_web::test]
    async fn tempo_away_is_told_at_once() {
        let tempo: Url = "http://127.0.0.1:1".parse().unwrap();
        let id = "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap();
        let started = Instant::now();
        let waited = wait(&tempo, &id, Duration::from_secs(60)).await;
        assert!(started.elapsed() < Duration::from_secs(60) && waited.trace.is_none() && !waited.complete);
        let sentence = waited.note.unwrap();
        assert!(sentence.contains("Tempo at http://127.0.0.1:1") && sentence.contains("doctor"), "{sentence}");
    }

    #[test]
    fn what_is_late_is_named() {
        assert!(late(None, "4bf9", Duration::from_secs(5)).contains("no span of trace 4bf9 after 5 s"));
        let partial = view(1, vec![span("a", Some("gone"), "server", None, "unset")]);
        assert!(late(Some(&partial), "t", Duration::from_millis(1_500)).contains("after 1.5 s: 1 of its spans"));
    }
}
