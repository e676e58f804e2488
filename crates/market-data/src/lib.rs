//! market-data-service: prices and candles from Binance (spec A1).
//!
//! A WebSocket stream keeps the store up to date; REST fills it at the start, fills what the stream missed, and
//! brings prices while the stream is down. Every price knows when the exchange stated it: one that is too old is an
//! error, never an answer. Requests are answered from the store; only candles it does not have cost a call to the
//! exchange. Instances share what they have by a cache, where there is one (shared.rs).
//!
//! Tasks beside the server: `stream` (feed.rs), `candles` (fill.rs), `prices` (poll.rs), `survey` (survey.rs: the
//! exchange's clock and symbols), `observe` (gauges), `cache` and `share`.

mod config;
mod error;
mod events;
mod feed;
mod fill;
mod history;
mod link;
mod poll;
mod price;
mod readiness;
mod routes;
mod series;
mod shared;
mod store;
mod survey;

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use binance::{MarketStream, RestClient};
use cache::Cache;
use utoipa::OpenApi as _;
use web::{Background, RunningServer, Service, StartError};

pub use config::Config;
use events::Listeners;
use fill::{FillQueue, FillReason};
use history::History;
use link::Link;
use shared::Shared;
use store::Store;

/// The service's one word: subcommand, process, `service.name`.
pub const NAME: &str = "market-data-service";

/// Port when none is set.
pub const DEFAULT_PORT: u16 = 8081;

/// Everything that requests and tasks share.
struct Market {
    store: Store,
    rest: RestClient,
    link: Link,
    fills: FillQueue,
    history: History,
    listeners: Listeners,
    shared: Shared,
}

/// Starts the service. Call it inside an actix system; it is ready once every symbol has a price.
///
/// # Errors
/// When a setting cannot be used or the port cannot be had.
#[expect(clippy::unused_async, reason = "every service starts this way; others have to wait for something")]
pub async fn start(config: Config) -> Result<RunningServer, StartError> {
    let symbols = config.served_symbols()?;
    let stream = MarketStream::new(config.stream(symbols.clone()))
        .map_err(|error| StartError::Setting { setting: "BINANCE_WS_URL", reason: error.to_string() })?;
    if !matches!(config.binance_rest_url.scheme(), "http" | "https") {
        return Err(StartError::Setting {
            setting: "BINANCE_REST_URL",
            reason: format!("{} is no http:// or https:// address", web::shown_url(&config.binance_rest_url)),
        });
    }
    let cache = Cache::open(&config.cache)?;
    let mut background = Background::new();
    let market = Arc::new(Market {
        store: Store::new(symbols, config.max_price_age()),
        rest: RestClient::new(config.rest()),
        link: Link::default(),
        fills: FillQueue::default(),
        history: History::new(Duration::from_millis(config.candle_cache_ms)),
        listeners: Listeners::new(
            config.max_stream_clients,
            Duration::from_millis(config.stream_heartbeat_ms),
            background.token(),
        ),
        shared: Shared::new(cache.clone(), config.exchange()),
    });
    let service = Service {
        name: NAME,
        default_port: DEFAULT_PORT,
        openapi: routes::Api::openapi(),
        readiness: cache.noted_in(readiness::checks(&market)),
    };
    for symbol in market.store.symbols() {
        market.fills.request(symbol, FillReason::Start);
    }
    let poll_interval = Duration::from_millis(config.poll_interval_ms);
    background.spawn("cache", |cancel| cache.keep_up(cancel));
    background.spawn("share", |cancel| shared::run(Arc::clone(&market), cancel));
    background.spawn("stream", |cancel| feed::run(Arc::clone(&market), stream, cancel));
    background.spawn("candles", |cancel| fill::run(Arc::clone(&market), cancel));
    background.spawn("prices", |cancel| poll::run(Arc::clone(&market), poll_interval, cancel));
    background.spawn("survey", |cancel| survey::run(Arc::clone(&market), cancel));
    background.spawn("observe", |cancel| poll::observe(Arc::clone(&market), cancel));
    let stop = background.token();
    web::start(&config.server, service, background, move |routes| {
        routes.app_data(Data::from(Arc::clone(&market))).configure(routes::configure);
    })
    // Nobody would stop the tasks of a service that never came to be.
    .inspect_err(|_| stop.cancel())
}
