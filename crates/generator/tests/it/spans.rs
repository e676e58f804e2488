//! What a signal looks like in its trace, and that a look that finds nothing is in none.

use domain::Interval;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::SpanData;
use storage::testing::TestDatabase;
use telemetry::testing::{attribute, finished_spans, metric_values};
use web::testing::eventually;

use crate::month::month;
use crate::world::{Market, World};

fn named<'a>(spans: &'a [SpanData], name: &str) -> &'a SpanData {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}"))
}

pub(crate) async fn a_signal_is_one_trace_and_a_look_is_none(database: TestDatabase) {
    let market = Market::default();
    let minute = month(Interval::OneMinute)[..300].to_vec();
    market.serve("BTCUSDT", Interval::OneMinute, &minute, 30, &[10]);
    let world = World::start(&database, &market, |_| {}).await;
    let published = world.published(2).await;
    let mut traces = Vec::new();
    for one in &published {
        let trace = TraceId::from_hex(one.trace_id.as_deref().unwrap()).unwrap();
        let spans = eventually("the delivery has ended", async || {
            let spans: Vec<SpanData> =
                finished_spans().into_iter().filter(|span| span.span_context.trace_id() == trace).collect();
            spans.iter().any(|span| span.name == "deliver signals").then_some(spans)
        })
        .await;
        let root = named(&spans, "SignalGenerator.generate");
        assert_eq!(root.parent_span_id, SpanId::INVALID);
        assert_eq!(named(&spans, "deliver signals").parent_span_id, root.span_context.span_id());
        let event = &one.event;
        for (name, value) in [
            ("signal.id", event.signal_id.to_string()),
            ("decision.id", event.signal_id.to_string()),
            ("signal.type", event.signal_type.to_string()),
            ("signal.source", "golden_cross_generator".to_owned()),
            ("signal.action", event.action.to_string()),
            ("signal.confidence", event.confidence.to_string()),
            ("signal.price", event.price.unwrap().to_string()),
            ("crypto.symbol", "BTCUSDT".to_owned()),
            ("candle.interval", "1m".to_owned()),
        ] {
            assert_eq!(attribute(root, name), Some(value), "{name}");
        }
        let kept = world.get(&format!("/v1/signals/{}", event.signal_id)).await.ok();
        assert_eq!(kept["trace_id"].as_str(), one.trace_id.as_deref());
        traces.push(trace);
    }
    assert_ne!(traces[0], traces[1], "a trace each");
    // Looks ask market-data-service, and neither has a trace of that.
    assert!(market.traceparents().len() > 3);
    for traceparent in market.traceparents() {
        assert!(traceparent.len() == 55 && traceparent.ends_with("-00"), "{traceparent}");
    }
    let looks: Vec<_> = finished_spans().into_iter().filter(|span| span.name.contains("/v1/candles")).collect();
    assert_eq!(looks.len(), 0);
    // Counters of this process: other tests count, too.
    let counted = |name: &str, labels: &[(&str, &str)]| metric_values(name, labels).iter().sum::<f64>();
    let kind = published[0].event.signal_type.to_string();
    let labels = [("signal_type", kind.as_str()), ("source", "golden_cross_generator")];
    assert!(counted("signals_generated_total", &labels) >= 1.0);
    assert!(counted("signal_generation_duration_seconds_count", &labels[..1]) >= 1.0);
    world.stop().await;
}
