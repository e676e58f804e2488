use std::collections::BTreeMap;

use chrono::DateTime;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use SpanKind::{Client, Consumer, Internal, Producer, Server};

/// A span that starts and ends so many microseconds after the trace's start.
fn span(
    id: &str,
    parent: Option<&str>,
    service: &str,
    name: &str,
    kind: SpanKind,
    (start, end): (u64, u64),
) -> SpanView {
    SpanView {
        id: id.to_owned(),
        parent_id: parent.map(str::to_owned),
        depth: 0,
        service: service.to_owned(),
        name: name.to_owned(),
        kind,
        start_us: start,
        duration_us: end - start,
        status: SpanStatus::Unset,
        status_message: None,
        attributes: BTreeMap::new(),
        events: Vec::new(),
    }
}

fn with(mut span: SpanView, attributes: Value) -> SpanView {
    span.attributes = serde_json::from_value(attributes).unwrap();
    span
}

fn failed(mut span: SpanView) -> SpanView {
    span.status = SpanStatus::Error;
    span
}

fn trace(spans: Vec<SpanView>) -> TraceView {
    TraceView {
        trace_id: "t".to_owned(),
        started_at: DateTime::UNIX_EPOCH,
        duration_us: 0,
        services: Vec::new(),
        error_count: 0,
        orphan_count: 0,
        omitted_count: 0,
        spans,
    }
}

/// Name, service, start, own time, time in all.
fn rows(breakdown: &Breakdown) -> Vec<(&str, &str, u64, u64, u64)> {
    let row = |step| {
        let Step { name, service, start_offset_us, self_us, total_us, .. }: &Step = step;
        (name.as_str(), service.as_str(), *start_offset_us, *self_us, *total_us)
    };
    breakdown.steps.iter().map(row).collect()
}

fn sum(breakdown: &Breakdown) -> u64 {
    breakdown.steps.iter().map(|step| step.self_us).sum()
}

/// From an alert of TradingView to the message in Telegram, as the services' spans are.
fn signal() -> Vec<SpanView> {
    let (signal, order, market, notifier) =
        ("signal-service", "order-service", "market-data-service", "notifier-service");
    let statement = json!({"db.system.name": "sqlite"});
    let bingx = json!({"peer.service": "bingx", "url.path": "/openApi/swap/v2/trade/order"});
    vec![
        span("1", None, signal, "POST /webhooks/tradingview/{token}", Server, (0, 10_000)),
        span("2", Some("1"), signal, "SignalService.ingest", Internal, (1_000, 9_000)),
        with(span("3", Some("2"), signal, "INSERT signals", Client, (2_000, 7_000)), statement.clone()),
        with(
            span("4", Some("2"), signal, "deliver signals", Producer, (30_000, 131_000)),
            json!({"outbox.name": "signals"}),
        ),
        with(
            span("5", Some("4"), signal, "POST /v1/signals", Client, (31_000, 130_000)),
            json!({"peer.service": order}),
        ),
        // This clock is 40 ms behind: the server seems to have been asked before it was.
        span("6", Some("5"), order, "POST /v1/signals", Server, (1_000, 89_000)),
        span("7", Some("6"), order, "OrderService.handle_signal", Internal, (2_000, 88_000)),
        span("8", Some("7"), order, "GET /v1/prices/{symbol}", Client, (3_000, 9_000)),
        span("9", Some("8"), market, "GET /v1/prices/{symbol}", Server, (34_000, 38_000)),
        with(span("10", Some("7"), order, "INSERT trades", Client, (10_000, 14_000)), statement.clone()),
        failed(with(
            span("11", Some("7"), order, "POST /openApi/swap/v2/trade/order", Client, (15_000, 65_000)),
            bingx.clone(),
        )),
        with(span("12", Some("7"), order, "GET /openApi/swap/v2/trade/order", Client, (66_000, 86_000)), bingx),
        with(
            span("13", Some("7"), order, "deliver notices", Producer, (109_000, 139_000)),
            json!({"outbox.name": "notices"}),
        ),
        span("14", Some("13"), order, "POST /v1/notices", Client, (110_000, 138_000)),
        span("15", Some("14"), notifier, "POST /v1/notices", Server, (141_000, 167_000)),
        span("16", Some("15"), notifier, "telegram sendMessage", Client, (142_000, 166_000)),
    ]
}

#[test]
fn a_signal_from_the_webhook_to_the_message() {
    let breakdown = breakdown(&trace(signal()));
    assert_eq!(breakdown.total_us, 169_000);
    assert_eq!(
        rows(&breakdown),
        [
            ("Webhook", "signal-service", 0, 5_000, 10_000),
            ("Database", "signal-service", 2_000, 5_000, 5_000),
            ("Waiting in the queue", "signal-service", 10_000, 20_000, 20_000),
            ("Handing over", "signal-service", 30_000, 13_000, 101_000),
            ("Order and limits", "order-service", 31_000, 8_000, 88_000),
            ("Price", "market-data-service", 33_000, 6_000, 6_000),
            ("Database", "order-service", 40_000, 4_000, 4_000),
            ("Exchange", "bingx", 45_000, 70_000, 70_000),
            ("Waiting in the queue", "order-service", 131_000, 8_000, 8_000),
            ("Telegram message", "notifier-service", 139_000, 30_000, 30_000),
        ]
    );
    assert_eq!(sum(&breakdown), breakdown.total_us);
    assert!(breakdown.is_whole);
    let errors: Vec<&str> = breakdown.steps.iter().filter(|step| step.is_error).map(|s| s.name.as_str()).collect();
    assert_eq!(errors, ["Exchange"]);
    assert_eq!(breakdown.steps[7].span_count, 2);
}

#[test]
fn what_runs_at_once_shares_the_time() {
    let call = |id: &str, operation: &str, times| {
        with(
            span(id, Some("ask"), "notifier-service", "BackendClient", Internal, times),
            json!({"peer.service": "behind", "backend.operation": operation}),
        )
    };
    let spans = vec![
        span("ask", None, "notifier-service", "ask", Internal, (0, 100)),
        call("price", "price", (10, 50)),
        call("candles", "candles", (10, 60)),
        call("decide", "decide", (40, 90)),
    ];
    let breakdown = breakdown(&trace(spans));
    assert_eq!(
        rows(&breakdown),
        [
            ("Question", "notifier-service", 0, 20, 100),
            // Two calls of one step are one step's time; with another step each has half.
            ("Price", "behind", 10, 40, 50),
            ("Decision", "behind", 40, 40, 50),
        ]
    );
}

#[test]
fn what_is_not_known_is_named_by_service_and_span_and_has_its_own_parts() {
    let spans = vec![
        span("1", None, "gateway", "POST /api/v1/process", Server, (0, 50)),
        span("2", Some("1"), "gateway", "checks", Internal, (10, 20)),
        span("3", Some("2"), "user-service", "POST /process", Server, (20, 40)),
        span("4", Some("gone"), "gateway", "POST /api/v1/process", Server, (45, 60)),
    ];
    let breakdown = breakdown(&TraceView { orphan_count: 1, ..trace(spans) });
    assert_eq!(
        rows(&breakdown),
        [
            ("gateway: POST /api/v1/process", "gateway", 0, 40, 60),
            ("user-service: POST /process", "user-service", 20, 20, 20),
        ]
    );
    assert_eq!(breakdown.steps[0].span_count, 3);
    assert!(!breakdown.is_whole);
}

#[test]
fn what_nothing_accounts_for_is_waiting_and_a_moment_is_no_time() {
    let spans = vec![
        span("1", None, "a", "one", Internal, (5, 10)),
        span("2", Some("1"), "a", "two", Internal, (30, 40)),
        span("3", Some("1"), "b", "three", Consumer, (60, 60)),
    ];
    let breakdown = breakdown(&trace(spans));
    assert_eq!(
        rows(&breakdown),
        [
            ("a: one", "a", 0, 15, 15),
            ("Waiting", "a", 5, 20, 20),
            ("Waiting in the queue", "b", 35, 20, 20),
            ("b: three", "b", 55, 0, 0),
        ]
    );
    assert_eq!(super::breakdown(&trace(Vec::new())), Breakdown { total_us: 0, is_whole: true, steps: Vec::new() });
}

#[test]
fn a_server_that_works_on_after_its_caller_left_keeps_its_end() {
    let spans = vec![
        span("1", None, "a", "GET /v1/prices/{symbol}", Client, (100, 200)),
        span("2", Some("1"), "b", "GET /v1/prices/{symbol}", Server, (110, 500)),
        // Its clock is ahead, and it was done within the call.
        span("3", Some("1"), "c", "GET /v1/prices/{symbol}", Server, (900, 950)),
        span("4", Some("3"), "c", "below", Internal, (910, 920)),
    ];
    let breakdown = breakdown(&trace(spans));
    assert_eq!(rows(&breakdown), [("Price", "b", 0, 390, 390)]);
}

fn any_span() -> impl Strategy<Value = SpanView> {
    let kinds = prop::sample::select(vec![Client, Server, Internal, Producer, Consumer, SpanKind::Unspecified]);
    let names = prop::sample::select(vec![
        "POST /v1/signals",
        "GET /v1/prices/{symbol}",
        "POST /webhooks/x",
        "ask",
        "x",
        "",
        "telegram sendMessage",
        "deliver signals",
    ]);
    let times = prop_oneof![8 => 0_u64..2_000, 1 => Just(u64::MAX), 1 => any::<u64>()];
    let attributes = prop::sample::select(vec![
        json!({}),
        json!({}),
        json!({"db.system.name": "sqlite"}),
        json!({"peer.service": "bingx"}),
        json!({"outbox.name": 7}),
        json!({"outbox.name": "notices"}),
    ]);
    let ids = (0_u8..40, prop::option::of(0_u8..40), 0_u8..3);
    (ids, names, kinds, times.clone(), times, attributes).prop_map(
        |((id, parent, service), name, kind, start_us, duration_us, attributes)| {
            let parent = parent.map(|parent| parent.to_string());
            let plain = span(&id.to_string(), parent.as_deref(), &format!("s{service}"), name, kind, (0, 0));
            SpanView { start_us, duration_us, ..with(plain, attributes) }
        },
    )
}

proptest! {
    #[test]
    fn own_times_add_up_to_the_whole(spans in prop::collection::vec(any_span(), 0..40)) {
        let count = spans.len();
        let breakdown = breakdown(&trace(spans));
        prop_assert_eq!(sum(&breakdown), breakdown.total_us);
        let is_waiting = |step: &&Step| matches!(step.kind, StepKind::Waiting | StepKind::Queue);
        let spans: usize = breakdown.steps.iter().filter(|step| !is_waiting(step)).map(|step| step.span_count).sum();
        prop_assert_eq!(spans, count);
        for step in &breakdown.steps {
            prop_assert!(step.self_us <= step.total_us, "{:?}", step);
            prop_assert!(step.start_offset_us + step.total_us <= breakdown.total_us, "{:?}", step);
        }
        prop_assert!(breakdown.steps.is_sorted_by_key(|step| step.start_offset_us));
    }
}
