//! `/v1/stream`.

use std::pin::Pin;
use std::time::Duration;

use awc::error::PayloadError;
use bytes::Bytes;
use domain::PriceQuote;
use futures_util::{Stream, StreamExt as _};

use crate::exchange::Exchange;
use crate::support::{Service, config, decimal, wait_for};

/// Reads events as a browser does.
struct Reader {
    body: Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>,
    rest: String,
}

impl Reader {
    async fn open(service: &Service, query: &str) -> Self {
        let client = awc::Client::builder().disable_timeout().finish();
        let response = client.get(service.url(&format!("/v1/stream{query}"))).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers().get("content-type").unwrap(), "text/event-stream");
        assert_eq!(response.headers().get("cache-control").unwrap(), "no-store");
        Self { body: Box::pin(response.timeout(Duration::from_secs(60))), rest: String::new() }
    }

    /// The next block up to a blank line; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.rest.split_once("\n\n") {
                let block = block.to_owned();
                self.rest = rest.to_owned();
                return Some(block);
            }
            let chunk =
                tokio::time::timeout(Duration::from_secs(20), self.body.next()).await.expect("an event in time")?;
            self.rest.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }

    async fn price(&mut self) -> PriceQuote {
        loop {
            let block = self.block().await.expect("the stream goes on");
            if let Some(event) = block.strip_prefix("event: price\ndata: ") {
                return serde_json::from_str(event).unwrap();
            }
            assert!(block.starts_with(':') || block.starts_with("retry:"), "{block:?}");
        }
    }
}

#[actix_web::test]
async fn prices_are_delivered_as_they_change_and_the_stream_ends_with_the_service() {
    let exchange = Exchange::start();
    let service = Service::ready(config(&exchange), &exchange).await;
    exchange.tick("100.00");
    wait_for("a first price", async || service.price().await.price == decimal("100.00")).await;
    let mut reader = Reader::open(&service, "?symbols=btcusdt").await;
    assert_eq!(reader.price().await.price, decimal("100.00"), "the known price comes first");
    for price in ["101.00", "102.00"] {
        exchange.tick(price);
        let quote = reader.price().await;
        assert_eq!((quote.price, quote.symbol.as_str()), (decimal(price), "BTCUSDT"));
    }
    service.stop().await;
    while let Some(block) = reader.block().await {
        assert!(!block.is_empty());
    }
    exchange.stop().await;
}

#[actix_web::test]
async fn a_slow_reader_finds_the_newest_price_and_heartbeats_come_in_silence() {
    let exchange = Exchange::start();
    let mut settings = config(&exchange);
    settings.stream_heartbeat_ms = 30;
    let service = Service::ready(settings, &exchange).await;
    let mut reader = Reader::open(&service, "").await;
    let mut heartbeats = 0;
    while heartbeats < 2 {
        heartbeats += usize::from(reader.block().await.unwrap() == ": heartbeat");
    }
    // Far more than any buffer holds, while nobody reads.
    for n in 0..20_000 {
        exchange.tick(&format!("{}.00", 1_000 + n));
        if n % 500 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let newest = loop {
        exchange.tick("99999.00");
        let quote = reader.price().await;
        if quote.price == decimal("99999.00") {
            break quote;
        }
    };
    assert_eq!(newest.symbol.as_str(), "BTCUSDT");
    service.stop().await;
    exchange.stop().await;
}

#[actix_web::test]
async fn no_more_clients_than_allowed_and_places_are_given_back() {
    let exchange = Exchange::start();
    let mut settings = config(&exchange);
    settings.max_stream_clients = 1;
    settings.stream_heartbeat_ms = 20;
    let service = Service::ready(settings, &exchange).await;
    let mut reader = Reader::open(&service, "").await;
    reader.block().await.unwrap();
    let reply = service.get("/v1/stream").await;
    assert_eq!((reply.status, reply.code()), (503, "too_many_clients"));
    assert!(reply.retry_after.is_some());
    drop(reader);
    wait_for("the place is free again", async || {
        let client = awc::Client::default();
        client.get(service.url("/v1/stream")).send().await.unwrap().status().as_u16() == 200
    })
    .await;
    service.stop().await;
    exchange.stop().await;
}
