//! Asking, and the trace of it.

use serde_json::json;

use crate::backends::Span;
use crate::stack::{SERVICES, Stack};

fn has_all_services(spans: &[Span]) -> bool {
    SERVICES.iter().all(|service| spans.iter().any(|span| span.service == *service))
}

fn is_whole(spans: &[Span]) -> bool {
    has_all_services(spans)
        && spans.iter().all(|span| span.parent.is_empty() || spans.iter().any(|parent| parent.id == span.parent))
}

fn find<'a>(spans: &'a [Span], service: &str, kind: &str, name: &str) -> &'a Span {
    spans
        .iter()
        .find(|span| span.service == service && span.kind == kind && span.name.contains(name))
        .unwrap_or_else(|| panic!("no {kind} span {name} of {service} in {spans:#?}"))
}

/// Walks up from a span to its root.
fn is_below(spans: &[Span], span: &Span, ancestor: &Span) -> bool {
    let mut at = span;
    loop {
        if at.id == ancestor.id {
            return true;
        }
        match spans.iter().find(|parent| parent.id == at.parent) {
            Some(parent) => at = parent,
            None => return false,
        }
    }
}

pub(crate) fn one_trace(stack: &Stack) {
    let (body, trace_id) = stack.ask_btc();
    let answer = &body["outcomes"][0]["answer"];
    assert!(["BUY", "SELL", "HOLD"].contains(&answer["action"].as_str().unwrap()), "{body}");
    assert_eq!((answer["symbol"].as_str(), answer["mode"].as_str()), (Some("BTCUSDT"), Some("paper")));
    assert_eq!(answer["strategy"], "technical");
    let price: f64 = answer["price"].as_str().unwrap().parse().unwrap();
    // The recorded month lies between its low of 32,837 and its high of 48,080.
    assert!((32_000.0..49_000.0).contains(&price), "{price} was never a price of that month");
    assert!(!answer["reason"].as_str().unwrap().is_empty() && answer["price_age_ms"].as_u64().unwrap() < 15_000);

    let spans = stack.trace(&trace_id, is_whole);
    let roots: Vec<&Span> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    assert_eq!(roots.len(), 1, "one ask, one root: {roots:#?}");
    let root = find(&spans, "notifier-service", "SERVER", "POST /v1/ask");
    assert_eq!(root.id, roots[0].id);
    for (client, service, server) in [
        ("/v1/prices/{symbol}", "market-data-service", "/v1/prices/{symbol}"),
        ("/v1/candles/{symbol}", "market-data-service", "/v1/candles/{symbol}"),
        ("/v1/decisions", "decision-service", "/v1/decisions"),
    ] {
        let outgoing = find(&spans, "notifier-service", "CLIENT", client);
        let incoming = find(&spans, service, "SERVER", server);
        assert_eq!(incoming.parent, outgoing.id, "{service} {server} hangs below the call that caused it");
        assert!(is_below(&spans, outgoing, root));
        assert_eq!(incoming.attributes["http.response.status_code"], "200");
    }
    let decision_id = answer["decision_id"].as_str().unwrap();
    assert!(
        spans.iter().any(|span| span.attributes.get("decision.id").is_some_and(|id| id == decision_id)),
        "the decision's id is on no span"
    );
}

pub(crate) fn several_symbols(stack: &Stack) {
    let (status, body) = stack.ask(&json!({"question": "btc and eth?"}));
    assert_eq!(status, 200, "{body}");
    let symbols: Vec<&str> = body["outcomes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|outcome| outcome["answer"]["symbol"].as_str().unwrap())
        .collect();
    assert_eq!(symbols, ["BTCUSDT", "ETHUSDT"]);
    let spans = stack.trace(body["trace_id"].as_str().unwrap(), |spans| {
        is_whole(spans)
            && spans.iter().filter(|span| span.service == "decision-service" && span.kind == "SERVER").count() == 2
    });
    assert_eq!(spans.iter().filter(|span| span.parent.is_empty()).count(), 1);
}

pub(crate) fn command_line(stack: &Stack) {
    let (ok, text) = stack.run(&["ask", "BTCUSDT"]);
    assert!(ok, "{text}");
    for wanted in ["BTCUSDT", "paper", "technical", "POST /v1/ask", "POST /v1/decisions"].iter().chain(&SERVICES) {
        assert!(text.to_lowercase().contains(&wanted.to_lowercase()), "{wanted} is not in\n{text}");
    }
}

pub(crate) fn bad_asks(stack: &Stack) {
    for (body, status) in [
        (json!({"symbols": ["NOPEUSDT"]}), 404),
        (json!({"symbols": ["?"]}), 400),
        (json!({"symbols": 7}), 400),
        (json!({"unknown": true}), 400),
        (json!({"symbols": ["BTCUSDT"], "strategy": "astrology"}), 400),
    ] {
        let (found, problem) = stack.ask(&body);
        assert_eq!(found, status, "{body} → {problem}");
        assert!(
            problem["detail"].as_str().unwrap().len() > 15 && problem["trace_id"].as_str().unwrap().len() == 32,
            "{problem}"
        );
    }
    let (ok, text) = stack.run(&["ask", "NOPEUSDT"]);
    assert!(!ok && text.contains("NOPEUSDT"), "{text}");
}
