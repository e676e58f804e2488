//! What an order looks like in its trace (spec E3, E4).

use std::sync::atomic::Ordering;

use opentelemetry::trace::TraceId;
use opentelemetry_sdk::trace::SpanData;
use serde_json::json;
use storage::testing::TestDatabase;
use telemetry::testing::{attribute, finished_spans};
use web::testing::{eventually, post, url};

use crate::world::{Market, Next, order_of, order_service};

async fn spans_of(trace_id: &str) -> Vec<SpanData> {
    let id = TraceId::from_hex(trace_id).unwrap();
    eventually("the request's span has ended", async || {
        let spans: Vec<SpanData> =
            finished_spans().into_iter().filter(|span| span.span_context.trace_id() == id).collect();
        spans.iter().any(|span| span.name == "POST /process").then_some(spans)
    })
    .await
}

pub(crate) async fn an_order_shows_its_items_its_queries_and_what_failed(database: TestDatabase) {
    let market = Market::start().await;
    let next = Next::default();
    let server = order_service(&database, &market, Some(next.start())).await;
    next.away.store(true, Ordering::SeqCst);
    let request = json!({
        "user_id": 7, "action": "purchase",
        "items": [{"symbol": "BTCUSDT", "quantity": "0.5"}, {"symbol": "ETHUSDT", "quantity": "3"}],
        "context": {"user": {"id": 7, "name": "Ann Secret", "email": "ann@example.com", "first_seen_at": "2026-01-01T00:00:00Z",
            "last_seen_at": "2026-01-01T00:00:00Z", "request_count": 1}},
    });
    let reply = post(&url(&server, "/process"), &request).await.ok();
    let order = order_of(&reply);
    let spans = spans_of(order["trace_id"].as_str().unwrap()).await;
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();

    let process = named("OrderService.process")[0];
    assert_eq!(attribute(process, "order.id").as_deref(), order["id"].as_str());
    assert_eq!(attribute(process, "order.total").as_deref(), order["total"].as_str());
    assert_eq!(attribute(process, "order.items").as_deref(), Some("2"));
    assert_eq!(attribute(process, "user.id").as_deref(), Some("7"));
    assert!(!format!("{spans:?}").contains("Ann Secret"), "names are on spans only where that is switched on");

    let mut symbols: Vec<_> =
        named("OrderService.price_item").into_iter().filter_map(|span| attribute(span, "crypto.symbol")).collect();
    symbols.sort();
    assert_eq!(symbols, ["BTCUSDT", "ETHUSDT"], "a span an item");

    for (query, count) in [("INSERT orders", 1), ("INSERT order_items", 2), ("COMMIT", 1)] {
        let found = named(query);
        assert!(found.len() >= count, "{query}: {:?}", spans.iter().map(|span| &span.name).collect::<Vec<_>>());
        assert_eq!(attribute(found[0], "db.system.name").as_deref(), Some(database.engine()), "{query}");
    }
    let statement = attribute(named("INSERT orders")[0], "db.query.text").unwrap();
    assert!(statement.contains("$1") && !statement.contains(order["id"].as_str().unwrap()), "{statement}");

    // The next service is away: the exception with its causes, and what was done instead.
    let events: Vec<&str> = process.events.iter().map(|event| event.name.as_ref()).collect();
    assert!(events.contains(&"exception") && events.contains(&"fallback"), "{events:?}");
    let exception = process.events.iter().find(|event| event.name == "exception").unwrap();
    let said = exception.attributes.iter().find(|entry| entry.key.as_str() == "exception.message").unwrap();
    assert!(said.value.to_string().contains("audit-service"), "{said:?}");
    server.stop().await;
    market.stop().await;
}
