//! `GET /v1/stream`: prices as server-sent events.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{Error, HttpResponse};
use async_stream::stream;
use bytes::Bytes;
use chrono::Utc;
use domain::{PriceQuote, Symbol};
use futures_util::stream::{Stream, StreamExt as _, select_all, unfold};
use telemetry::metrics::market_data::STREAM_CLIENTS;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, interval_at};
use web::CancellationToken;

use crate::Market;
use crate::error::ApiError;
use crate::price::StatedPrice;

/// How many may listen, and until when.
#[derive(Debug)]
pub(crate) struct Listeners {
    places: Arc<Semaphore>,
    limit: u16,
    heartbeat: Duration,
    stop: CancellationToken,
}

/// One client's place, counted for as long as its answer lasts.
struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn new(permit: OwnedSemaphorePermit) -> Self {
        STREAM_CLIENTS.add(1, &[]);
        Self { _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        STREAM_CLIENTS.add(-1, &[]);
    }
}

impl Listeners {
    pub(crate) fn new(limit: u16, heartbeat: Duration, stop: CancellationToken) -> Self {
        Self { places: Arc::new(Semaphore::new(usize::from(limit))), limit, heartbeat, stop }
    }

    fn take_place(&self) -> Result<Place, ApiError> {
        let permit = Arc::clone(&self.places).try_acquire_owned();
        permit.map(Place::new).map_err(|_| ApiError::TooManyClients { limit: self.limit })
    }
}

/// The newest price of one symbol, again and again. A client that reads slowly skips prices instead of piling them up:
/// a watch channel holds one value.
fn prices(symbol: Symbol, receiver: watch::Receiver<Option<StatedPrice>>) -> impl Stream<Item = (Symbol, StatedPrice)> {
    unfold((symbol, receiver), |(symbol, mut receiver)| async move {
        loop {
            receiver.changed().await.ok()?;
            let stated = receiver.borrow_and_update().clone();
            if let Some(stated) = stated {
                return Some(((symbol.clone(), stated), (symbol, receiver)));
            }
        }
    })
}

fn event(symbol: Symbol, stated: &StatedPrice, age: Duration) -> Result<Bytes, serde_json::Error> {
    let quote = PriceQuote {
        symbol,
        price: stated.price,
        observed_at: stated.observed_at,
        age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        source: stated.source,
        trace_id: None,
    };
    Ok(Bytes::from(format!("event: price\ndata: {}\n\n", serde_json::to_string(&quote)?)))
}

/// Answers with an endless stream of events; it ends when the service stops.
pub(crate) fn respond(market: Arc<Market>, symbols: Vec<Symbol>) -> Result<HttpResponse, ApiError> {
    let place = market.listeners.take_place()?;
    let receivers = symbols.into_iter().filter_map(|symbol| {
        let mut receiver = market.store.listen(&symbol)?;
        // The price that is known already is the first event.
        receiver.mark_changed();
        Some(prices(symbol, receiver).boxed())
    });
    let mut prices = select_all(receivers);
    let stop = market.listeners.stop.clone();
    let every = market.listeners.heartbeat;
    let max_age = market.store.max_price_age();
    let body = stream! {
        let _place = place;
        let mut heartbeat = interval_at(Instant::now() + every, every);
        // At once, so that a client knows it is heard; and how soon to come back.
        yield Ok::<Bytes, Error>(Bytes::from_static(b"retry: 2000\n\n"));
        loop {
            let chunk = tokio::select! {
                () = stop.cancelled() => break,
                _ = heartbeat.tick() => Bytes::from_static(b": heartbeat\n\n"),
                next = prices.next() => match next {
                    Some((symbol, stated)) => {
                        let age = stated.age(market.store.exchange_time(Utc::now()));
                        if age > max_age {
                            // Only the price known at the start can be that old.
                            continue;
                        }
                        match event(symbol, &stated, age) {
                        Ok(chunk) => chunk,
                        Err(error) => {
                            tracing::error!(error = %error, "a price cannot be written as JSON");
                            continue;
                        }
                        }
                    },
                    None => break,
                },
            };
            yield Ok(chunk);
        }
    };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Proxies that gather answers before they pass them on would hold prices back.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(Box::pin(body)))
}
