//! What a signal looks like in its trace, and in the metrics (spec C6, C7).

use opentelemetry::trace::TraceId;
use opentelemetry_sdk::trace::SpanData;
use serde_json::json;
use storage::testing::TestDatabase;
use telemetry::testing::{attribute, finished_spans, metric_values};
use web::testing::eventually;

use super::desk::{Desk, comes_to, id_of, put_state, send, signal, signal_with};

async fn handled(trace_id: &str) -> SpanData {
    let id = TraceId::from_hex(trace_id).unwrap();
    eventually("the signal's span has ended", async || {
        finished_spans()
            .into_iter()
            .find(|span| span.span_context.trace_id() == id && span.name == "OrderService.handle_signal")
    })
    .await
}

pub(crate) async fn a_signal_s_span_says_what_became_of_it(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    let signal = signal("buy");
    let id = id_of(&signal);
    let outcome = send(&server, &signal).await.ok();
    let filled = comes_to(&server, &id, "filled").await;
    let trace_id = outcome["trace_id"].as_str().unwrap();
    assert_eq!(filled["trace_id"], trace_id);
    let span = handled(trace_id).await;
    for (name, value) in [
        ("crypto.symbol", "BTCUSDT"),
        ("signal.action", "buy"),
        ("signal.id", id.as_str()),
        ("decision.id", &id),
        ("order.id", &id),
        ("order.side", "buy"),
        ("order.quantity", "0.001"),
        ("order.status", outcome["order"]["status"].as_str().unwrap()),
        ("exchange.order_id", outcome["order"]["exchange_order_id"].as_str().unwrap()),
    ] {
        assert_eq!(attribute(&span, name).as_deref(), Some(value), "{name}");
    }
    // The price, the exchange and the database are below it; keys and signatures are nowhere.
    let all: Vec<SpanData> = finished_spans()
        .into_iter()
        .filter(|other| other.span_context.trace_id() == span.span_context.trace_id())
        .collect();
    let names: Vec<&str> = all.iter().map(|span| span.name.as_ref()).collect();
    for name in
        ["GET /v1/prices/{symbol}", "POST /openApi/swap/v2/trade/order", "INSERT trade_orders", "UPDATE trading_state"]
    {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    let shown = format!("{all:?}");
    assert!(!shown.contains("simulated-api-key") && !shown.contains("signature="), "a key is shown");
    put_state(&server, "halted").await;
    let refused = send(&server, &signal_with("sell", json!({}))).await.ok();
    let span = handled(refused["trace_id"].as_str().unwrap()).await;
    assert_eq!(attribute(&span, "refusal.code").as_deref(), Some("trading_halted"));
    assert_eq!(attribute(&span, "order.id"), None);
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn everything_is_counted(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    let before = |name: &str, labels: &[(&str, &str)]| metric_values(name, labels).iter().sum::<f64>();
    let transitions = before("tvtelegrambingx_order_transitions_total", &[("symbol", "ETHUSDT"), ("status", "filled")]);
    let notional = before("tvtelegrambingx_order_notional_usd_total", &[("action", "buy")]);
    let signal = signal_with("buy", json!({"symbol": "ETHUSDT", "quantity": "0.01"}));
    send(&server, &signal).await.ok();
    let filled = comes_to(&server, &id_of(&signal), "filled").await;
    eventually("the move is counted", async || {
        let labels = [("symbol", "ETHUSDT"), ("status", "filled")];
        (before("tvtelegrambingx_order_transitions_total", &labels) > transitions).then_some(())
    })
    .await;
    let price: f64 = filled["average_price"].as_str().unwrap().parse().unwrap();
    let added = before("tvtelegrambingx_order_notional_usd_total", &[("action", "buy")]) - notional;
    // Tests beside this one trade, too.
    assert!(added > 0.01 * price - 1e-6, "{added} for 0.01 at {price}");
    eventually("the position is counted", async || {
        (metric_values("trading_position_quantity", &[("symbol", "ETHUSDT")]) == [0.01]).then_some(())
    })
    .await;
    for (name, labels) in [
        ("tvtelegrambingx_realised_pnl_usd", &[("symbol", "ETHUSDT")][..]),
        ("tvtelegrambingx_realised_pnl_total_usd", &[]),
        ("trading_fees_usd_total", &[("symbol", "ETHUSDT")]),
        ("trading_state", &[("state", "running")]),
        ("trading_signal_to_submit_seconds_count", &[]),
        ("trading_exchange_requests_total", &[("operation", "place"), ("outcome", "ok")]),
        ("trading_exchange_requests_total", &[("operation", "query"), ("outcome", "ok")]),
        ("trading_exchange_request_duration_seconds_count", &[("operation", "place")]),
        ("trading_reconciliations_total", &[("outcome", "ok")]),
        ("trading_open_orders", &[("status", "unknown")]),
    ] {
        eventually(name, async || (!metric_values(name, labels).is_empty()).then_some(())).await;
    }
    server.stop().await;
    desk.stop().await;
}
