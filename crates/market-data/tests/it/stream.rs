//! The stream to the exchange: kept alive, and never a candle missing.

use opentelemetry::trace::SpanId;
use serde_json::json;
use telemetry::testing::{attribute, finished_spans};
use tokio::io::AsyncReadExt as _;

use crate::exchange::{Command, Exchange, kline, ticker};
use crate::support::{Service, config, decimal, wait_for};

async fn has_candle(service: &Service, open_ms: i64) -> bool {
    service.candles(100).await.iter().any(|candle| candle.open_time.timestamp_millis() == open_ms)
}

/// Settings with which candles never count as old, so that nothing but the stream has them read again.
fn unhurried(exchange: &Exchange) -> market_data::Config {
    let mut settings = config(exchange);
    settings.max_price_age_ms = 600_000;
    settings
}

#[actix_web::test]
async fn a_dropped_socket_is_replaced_and_what_it_missed_is_filled_in() {
    let exchange = Exchange::start();
    let service = Service::ready(unhurried(&exchange), &exchange).await;
    let reconnects =
        async || service.metric("market_data_stream_reconnects_total", "reason=\"dropped\"").await.unwrap_or_default();
    let before = reconnects().await;
    exchange.advance(1);
    exchange.command(Command::Drop);
    // Meanwhile the market goes on.
    for _ in 0..7 {
        exchange.advance_silently();
    }
    let forming = exchange.forming();
    wait_for("the service connects again", async || exchange.state().sockets == 2).await;
    // Nobody has asked for candles: the new connection alone has them read.
    wait_for("candles are read", async || exchange.calls_to("/api/v3/klines") > 1).await;
    wait_for("the candles are there", async || has_candle(&service, forming).await).await;
    let candles = service.candles(1000).await;
    assert_eq!(candles.len(), 1000);
    // And the new stream is heard.
    exchange.advance(2);
    let forming = exchange.forming();
    wait_for("the new stream is heard", async || has_candle(&service, forming).await).await;
    assert!(reconnects().await > before);

    // Both the connection and the filling are traces of their own.
    let spans = finished_spans();
    let fill = spans
        .iter()
        .find(|span| {
            span.name == "market_data.gap_fill" && attribute(span, "fill.reason").as_deref() == Some("reconnect")
        })
        .unwrap();
    assert_eq!(fill.parent_span_id, SpanId::INVALID);
    let call = spans.iter().find(|span| span.parent_span_id == fill.span_context.span_id()).unwrap();
    assert_eq!(attribute(call, "url.path").as_deref(), Some("/api/v3/klines"));
    let connect = spans.iter().find(|span| span.name == "binance.stream.connect").unwrap();
    assert_eq!(connect.parent_span_id, SpanId::INVALID);

    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn candles_that_the_stream_skips_are_read_over_rest() {
    let exchange = Exchange::start();
    let service = Service::ready(unhurried(&exchange), &exchange).await;
    exchange.advance(1);
    for _ in 0..4 {
        exchange.advance_silently();
    }
    exchange.advance(1);
    // Nobody has asked for candles: the hole alone has them read.
    wait_for("candles are read", async || exchange.calls_to("/api/v3/klines") > 1).await;
    let forming = exchange.forming();
    wait_for("the hole is filled", async || {
        service.candles(50).await.len() == 50 && has_candle(&service, forming).await
    })
    .await;
    // The end of a candle can be missed too, with no candle missing.
    let calls = exchange.calls_to("/api/v3/klines");
    let (_, next) = exchange.advance_silently();
    exchange.send(&kline("BTCUSDT", next, false));
    wait_for("candles are read", async || exchange.calls_to("/api/v3/klines") > calls).await;
    wait_for("the end is found out", async || {
        let candles = service.candles(50).await;
        candles.len() == 50 && candles.last().unwrap().open_time.timestamp_millis() == next
    })
    .await;
    assert_eq!(exchange.state().sockets, 1, "a hole is no reason to connect anew");

    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn pings_are_answered_with_their_own_payload() {
    let exchange = Exchange::start();
    let service = Service::ready(config(&exchange), &exchange).await;
    exchange.command(Command::Ping(b"1672515782136".to_vec()));
    wait_for("a pong comes", async || exchange.state().pongs == [b"1672515782136".to_vec()]).await;
    exchange.command(Command::Ping(Vec::new()));
    wait_for("another comes", async || exchange.state().pongs.len() == 2).await;
    service.stop().await;
    // Stopping says goodbye.
    wait_for("goodbye is said", async || exchange.state().goodbyes == 1).await;
    exchange.stop().await;
}

#[actix_web::test]
async fn a_server_that_announces_its_end_is_left_for_another_first() {
    let exchange = Exchange::start();
    let service = Service::ready(config(&exchange), &exchange).await;
    let reconnects = async || {
        service.metric("market_data_stream_reconnects_total", "reason=\"server_shutdown\"").await.unwrap_or_default()
    };
    let before = reconnects().await;
    exchange.send(&json!({"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1_770_123_456_789_i64}}));
    wait_for("a second socket opens", async || exchange.state().sockets == 2).await;
    wait_for("the first one is closed in order", async || exchange.state().goodbyes == 1).await;
    assert!(reconnects().await > before);
    exchange.tick("777.00");
    wait_for("the new one is heard", async || service.price().await.price == decimal("777.00")).await;
    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn connections_are_replaced_before_they_get_too_old() {
    let exchange = Exchange::start();
    let mut settings = config(&exchange);
    settings.binance_stream_max_lifetime_s = 1;
    let service = Service::ready(settings, &exchange).await;
    wait_for("the second socket opens", async || exchange.state().sockets == 2).await;
    wait_for("the first one is closed in order", async || exchange.state().goodbyes == 1).await;
    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn silence_and_goodbyes_lead_to_a_new_connection() {
    let exchange = Exchange::start();
    let mut settings = config(&exchange);
    settings.binance_stream_idle_ms = 200;
    let service = Service::ready(settings, &exchange).await;
    // Nothing is said, although the socket lives.
    wait_for("another socket opens", async || exchange.state().sockets >= 2).await;
    service.stop().await;

    let service = Service::ready(config(&exchange), &exchange).await;
    let sockets = exchange.state().sockets;
    exchange.command(Command::Close);
    wait_for("another socket opens", async || exchange.state().sockets > sockets).await;
    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn nonsense_on_the_stream_is_counted_and_harms_nothing() {
    let exchange = Exchange::start();
    let service = Service::ready(config(&exchange), &exchange).await;
    let now = chrono::Utc::now().timestamp_millis();
    for nonsense in [
        "{".to_owned(),
        "[]".to_owned(),
        json!({"stream": "btcusdt@ticker", "data": {"e": "24hrTicker", "E": now, "s": "BTCUSDT", "c": "-5"}})
            .to_string(),
        // A year from now: taken for true it would be the newest price for a year.
        ticker("BTCUSDT", "666.00", now + 365 * 86_400_000).to_string(),
        ticker("DOGEUSDT", "0.10", now).to_string(),
        json!({"result": null, "id": 1}).to_string(),
    ] {
        exchange.command(Command::Text(nonsense));
    }
    exchange.tick("555.00");
    wait_for("the true price comes", async || service.price().await.price == decimal("555.00")).await;
    let events = async |kind: &str| {
        service.metric("market_data_stream_events_total", &format!("kind=\"{kind}\"")).await.unwrap_or_default()
    };
    assert!(events("malformed").await >= 4.0);
    assert!(events("not_served").await >= 1.0);
    assert!(events("unknown").await >= 1.0);
    assert_eq!(exchange.state().sockets, 1);

    // A message beyond all bounds ends the connection, not the service.
    exchange.command(Command::Text("x".repeat(200_000)));
    wait_for("another socket opens", async || exchange.state().sockets == 2).await;
    exchange.tick("556.00");
    wait_for("it is heard", async || service.price().await.price == decimal("556.00")).await;
    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn wss_speaks_tls_and_asks_for_http_1() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let exchange = Exchange::start();
    let mut settings = config(&exchange);
    settings.binance_ws_url = format!("wss://{}", listener.local_addr().unwrap()).parse().unwrap();
    let service = Service::start(settings).await;
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut hello = vec![0_u8; 2048];
    let mut length = 0;
    // A TLS record says how long it is.
    while length < 5 || length < 5 + usize::from(u16::from_be_bytes([hello[3], hello[4]])) {
        length += socket.read(&mut hello[length..]).await.unwrap();
    }
    let hello = &hello[..length];
    let has = |wanted: &[u8]| hello.windows(wanted.len()).any(|found| found == wanted);
    assert_eq!((hello[0], hello[5]), (0x16, 0x01), "a handshake record with a ClientHello");
    assert!(has(b"\x08http/1.1") && !has(b"\x02h2"), "an upgrade to WebSocket needs HTTP/1.1");
    drop(socket);
    // A stream that cannot be had is made up for.
    wait_for("REST stands in", async || service.get("/v1/prices/BTCUSDT").await.status == 200).await;
    service.stop().await;
    exchange.stop().await;
}
