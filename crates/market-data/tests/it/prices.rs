//! What is answered while all is well, and to questions that make no sense.

use chrono::Utc;
use domain::{Interval, PriceSource, SymbolList};
use opentelemetry::Value;
use opentelemetry::trace::SpanKind;
use telemetry::testing::{attribute, finished_spans};

use crate::exchange::{Exchange, candle_price};
use crate::support::{Service, config, decimal, wait_for};

#[actix_web::test]
async fn the_stream_s_price_is_served_with_its_age_and_its_span() {
    let exchange = Exchange::start();
    let service = Service::ready(config(&exchange), &exchange).await;
    let before = Utc::now();
    exchange.tick("46224.10");
    wait_for("the price moves", async || service.price().await.price == decimal("46224.10")).await;
    let quote = service.price().await;
    assert_eq!(quote.source, PriceSource::Stream);
    assert!(quote.observed_at.timestamp_millis() >= before.timestamp_millis() && quote.observed_at <= Utc::now());
    // By the exchange's clock, which is measured no better than the way there and back allows.
    let by_our_clock = u64::try_from((Utc::now() - quote.observed_at).num_milliseconds()).unwrap();
    assert!(quote.age_ms <= by_our_clock + 1_500, "{} {by_our_clock}", quote.age_ms);

    // An older statement does not undo it.
    exchange.send(&crate::exchange::ticker("BTCUSDT", "1.00", before.timestamp_millis() - 5_000));
    exchange.tick("46225.00");
    wait_for("the next price comes", async || service.price().await.price == decimal("46225.00")).await;

    let trace_id = service.price().await.trace_id.unwrap();
    let span = finished_spans().into_iter().find(|span| span.span_context.trace_id().to_string() == trace_id).unwrap();
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(attribute(&span, "crypto.symbol").as_deref(), Some("BTCUSDT"));
    assert_eq!(attribute(&span, "price.source").as_deref(), Some("stream"));
    assert!(attribute(&span, "price.age_ms").is_some());
    let spans_of_trace =
        finished_spans().into_iter().filter(|span| span.span_context.trace_id().to_string() == trace_id).count();
    assert_eq!(spans_of_trace, 1, "what is in the store costs no call");

    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn candles_grow_with_the_stream_and_only_x_makes_them_final() {
    let exchange = Exchange::start();
    let service = Service::ready(config(&exchange), &exchange).await;
    exchange.advance(3);
    let forming = exchange.forming();
    wait_for("three candles more", async || {
        service.candles(5).await.last().unwrap().open_time.timestamp_millis() == forming
    })
    .await;
    let candles = service.candles(5).await;
    assert_eq!(candles.iter().map(|candle| candle.closed).collect::<Vec<_>>(), [true, true, true, true, false]);
    for candle in &candles {
        assert_eq!(candle.close, decimal(&candle_price(candle.open_time.timestamp_millis())));
    }
    assert_eq!(service.candles(1000).await.len(), 1000);
    assert_eq!(service.candles(1).await.len(), 1);
    assert_eq!(exchange.calls_to("/api/v3/klines"), 1, "one call fills the store, the stream keeps it");

    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn other_intervals_are_read_once_for_a_while_and_show_the_call_in_the_trace() {
    let exchange = Exchange::start();
    let service = Service::ready(config(&exchange), &exchange).await;
    let reply = service.get("/v1/candles/BTCUSDT?interval=1h&limit=24").await;
    let series: domain::CandleSeries = serde_json::from_value(reply.body).unwrap();
    assert_eq!((series.interval, series.candles.len()), (Interval::OneHour, 24));
    assert!(series.candles.iter().take(23).all(|candle| candle.closed) && !series.candles[23].closed);
    for limit in [24, 5] {
        let again = service.get(&format!("/v1/candles/BTCUSDT?interval=1h&limit={limit}")).await;
        assert_eq!(again.body["candles"].as_array().unwrap().len(), limit);
    }
    let calls = exchange.state().calls.iter().filter(|call| call.contains("interval=1h")).count();
    assert_eq!(calls, 1);

    let trace_id = series.trace_id.unwrap();
    let spans: Vec<_> =
        finished_spans().into_iter().filter(|span| span.span_context.trace_id().to_string() == trace_id).collect();
    let server = spans.iter().find(|span| span.span_kind == SpanKind::Server).unwrap();
    let client = spans.iter().find(|span| span.span_kind == SpanKind::Client).unwrap();
    assert_eq!(client.parent_span_id, server.span_context.span_id());
    assert_eq!(attribute(client, "peer.service").as_deref(), Some("binance"));

    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn symbols_and_the_description_of_the_api() {
    let exchange = Exchange::start();
    let mut settings = config(&exchange);
    settings.symbols.push("ETHUSDT".parse().unwrap());
    let service = Service::ready(settings, &exchange).await;
    let list: SymbolList = serde_json::from_value(service.get("/v1/symbols").await.body).unwrap();
    let list: Vec<_> =
        list.symbols.iter().map(|info| (info.symbol.as_str(), info.base.as_str(), info.quote.as_str())).collect();
    assert_eq!(list, [("BTCUSDT", "BTC", "USDT"), ("ETHUSDT", "ETH", "USDT")]);

    let api = service.get("/openapi.json").await.body;
    let paths: Vec<&String> = api["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/v1/candles/{symbol}", "/v1/prices/{symbol}", "/v1/stream", "/v1/symbols"]);
    let parameters = api["paths"]["/v1/candles/{symbol}"]["get"]["parameters"].to_string();
    assert!(parameters.contains("\"limit\"") && parameters.contains("\"interval\""), "{parameters}");

    for name in ["market_data_price_age_seconds", "market_data_price", "market_data_candles_received_total"] {
        // Gauges are set once a second.
        wait_for(name, async || service.metric(name, "").await.is_some()).await;
    }
    assert!(service.metric("binance_request_weight_used", "").await.is_some_and(|used| used >= 17.0));

    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn questions_that_make_no_sense_get_a_sentence() {
    let exchange = Exchange::start();
    let service = Service::ready(config(&exchange), &exchange).await;
    let calls = exchange.state().calls.len();
    let long = "A".repeat(300);
    for (path, status, code, says) in [
        ("/v1/prices/DOGEUSDT", 404, "unknown_symbol", "Served are BTCUSDT"),
        ("/v1/prices/BTC", 400, "bad_symbol", "5 to 20"),
        ("/v1/prices/BTC-USDT", 400, "bad_symbol", "letters A-Z and digits"),
        ("/v1/prices/%00%00%00%00%00", 400, "bad_symbol", "letters A-Z and digits"),
        (&format!("/v1/prices/{long}"), 400, "bad_symbol", "5 to 20"),
        ("/v1/candles/DOGEUSDT", 404, "unknown_symbol", "BTCUSDT"),
        ("/v1/candles/BTCUSDT?interval=2m", 400, "bad_interval", "1m, 5m, 15m, 1h"),
        ("/v1/candles/BTCUSDT?limit=0", 400, "bad_limit", "1 to 1000"),
        ("/v1/candles/BTCUSDT?limit=1001", 400, "bad_limit", "1 to 1000"),
        ("/v1/candles/BTCUSDT?limit=-5", 400, "bad_limit", "1 to 1000"),
        ("/v1/candles/BTCUSDT?limit=ten", 400, "bad_limit", "1 to 1000"),
        ("/v1/candles/BTCUSDT?limits=10", 400, "bad_query", "limits"),
        ("/v1/stream?symbols=BTCUSDT,DOGEUSDT", 404, "unknown_symbol", "DOGEUSDT"),
        ("/v1/stream?symbols=", 400, "bad_symbol", "5 to 20"),
        ("/v1/nothing", 404, "not_found", "nothing at this path"),
    ] {
        let reply = service.get(path).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{path}: {}", reply.body);
        assert!(reply.detail().contains(says), "{path}: {}", reply.detail());
        assert_eq!(reply.content_type, "application/problem+json");
        assert!(reply.body["trace_id"].is_string());
    }
    let posted = awc::Client::default().post(service.url("/v1/symbols")).send().await.unwrap();
    assert_eq!(posted.status().as_u16(), 405);
    assert_eq!(exchange.state().calls.len(), calls, "nonsense never reaches the exchange");

    // Lower case is no nonsense.
    assert_eq!(service.get("/v1/prices/btcusdt").await.body["symbol"], "BTCUSDT");
    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn numbers_on_spans_are_numbers() {
    let exchange = Exchange::start();
    let service = Service::ready(config(&exchange), &exchange).await;
    service.price().await;
    for (name, key) in [
        ("GET /v1/prices/{symbol}", "price.age_ms"),
        ("market_data.gap_fill", "candles.added"),
        ("market_data.price_poll", "poll.symbols"),
        ("binance.stream.connect", "stream.symbols"),
        ("binance.stream.connect", "stream.attempt"),
    ] {
        let values = || -> Vec<Value> {
            let spans = finished_spans().into_iter().filter(|span| span.name == name);
            spans
                .flat_map(|span| span.attributes)
                .filter(|found| found.key.as_str() == key)
                .map(|found| found.value)
                .collect()
        };
        wait_for(name, async || !values().is_empty()).await;
        let values = values();
        assert!(values.iter().all(|value| matches!(value, Value::I64(_))), "{name} {key}: {values:?}");
    }
    service.stop().await;
    exchange.stop().await;
}
