//! signal-service: TradingView's alerts come in by webhook and become signals, each exactly once (spec C1).
//!
//! `POST /webhooks/tradingview/{token}` knows who sends (hooks.rs, access.rs), understands what is said (message/), and
//! writes the signal, the key that tells a repetition, and an outbox entry in one transaction (ingest.rs). Nothing of that
//! waits for anybody outside. What is accepted is handed to order-service by the outbox, in the order of each symbol and in
//! the trace of its alert (dispatch.rs); by another it is published on the bus, for pipelines (publish.rs). An alert that
//! comes again is known by a cache that instances share, where there is one (alerts.rs), or else by the database.

mod access;
mod alerts;
mod config;
#[cfg(test)]
mod crashes;
mod dispatch;
mod error;
mod hook_routes;
mod hooks;
mod ingest;
mod keys;
mod message;
mod publish;
mod queue;
mod rate;
mod retention;
mod routes;
mod signals;
mod token;
mod webhook;

use std::time::Duration;

use actix_web::web::Data;
use bus::Bus;
use cache::Cache;
use storage::{Database, Migration, outbox};
use utoipa::OpenApi as _;
use web::{Background, Edge, Readiness, RunningServer, Service, StartError};

use access::Access;
use alerts::Alerts;
pub use config::{AccessSettings, Config, Source};
use dispatch::Dispatch;
use hooks::Hooks;
use ingest::Intake;
pub use message::{indicator_message, strategy_message};
use publish::Publisher;
use queue::Queue;
use rate::Rate;
use signals::Signals;

/// Subcommand, process and `service.name`.
pub const NAME: &str = "signal-service";

/// Port when none is set.
pub const DEFAULT_PORT: u16 = 8000;

/// Path that alerts are sent to, with the token of a hook.
const WEBHOOK: &str = "/webhooks/tradingview/{token}";

fn migrations() -> Vec<Migration> {
    vec![
        Migration {
            version: 1,
            name: "signals",
            sqlite: include_str!("../migrations/0001_signals.sqlite.sql"),
            postgres: include_str!("../migrations/0001_signals.postgres.sql"),
        },
        outbox::migration(2),
    ]
}

/// Starts the service. Call it inside an actix system; it is ready once its database is. order-service and the bus may be away.
///
/// # Errors
/// When a setting cannot be used or the port cannot be had.
#[expect(clippy::unused_async, reason = "every service starts this way; others have to wait for something")]
pub async fn start(config: Config) -> Result<RunningServer, StartError> {
    let access = Access::new(&config.access)?;
    let bus = Bus::open(NAME, &config.bus)?;
    let cache = Cache::open(&config.cache)?;
    let database = Database::open(NAME, &config.database, migrations())?;
    let mut background = Background::new();
    background.spawn("bus", |stop| bus.clone().keep_up(stop));
    background.spawn("cache", |stop| cache.clone().keep_up(stop));
    background.spawn("database", |stop| database.clone().keep_up(stop));
    let signals = Signals::new(database.clone());
    let queue = Queue::new(signals.clone());
    background.spawn("queue", |stop| queue.clone().keep_up(stop));
    let dispatch = Dispatch::new(database.clone(), &config.order_url, signals.clone(), queue.clone());
    background.spawn("outbox", |stop| dispatch.clone().deliver(stop));
    let publish_timeout = Duration::from_millis(config.bus.bus_publish_timeout_ms);
    let publisher = Publisher::new(database.clone(), bus.clone(), publish_timeout)
        .map_err(|error| StartError::Setting { setting: "signal words", reason: error.to_string() })?;
    background.spawn("publish", |stop| publisher.clone().deliver(stop));
    background.spawn("retention", |stop| {
        let (signals, dispatch) = (signals.clone(), dispatch.clone());
        retention::keep_small(database.clone(), signals, dispatch, publisher.clone(), config.retention(), stop)
    });
    let readiness = cache.noted_in(bus.noted_in(dispatch.checked_in(database.checked_in(Readiness::new()))));
    let hooks = Hooks::new(database.clone());
    let edge = Edge::new({
        let access = access.clone();
        move |request| access.client(request.peer_addr(), request.headers())
    });
    let alerts = Alerts::new(cache);
    let intake = Data::new(Intake::new(database, dispatch.clone(), publisher, alerts, queue, config.symbols));
    let (access, hooks, signals) = (Data::new(access), Data::new(hooks), Data::new(signals));
    let (dispatch, rate) = (Data::new(dispatch), Data::new(Rate::new(config.hook_rate_per_minute)));
    let openapi = webhook::Api::openapi().merge_from(hook_routes::Api::openapi()).merge_from(routes::Api::openapi());
    let service = Service { name: NAME, default_port: DEFAULT_PORT, openapi, readiness };
    let stop = background.token();
    web::start(&config.server, service, background, move |routes| {
        routes
            .app_data(edge.clone())
            .app_data(access.clone())
            .app_data(hooks.clone())
            .app_data(signals.clone())
            .app_data(dispatch.clone())
            .app_data(rate.clone())
            .app_data(intake.clone())
            .configure(webhook::configure)
            .configure(hook_routes::configure)
            .configure(routes::configure);
    })
    // Nobody would stop the tasks of a service that never came to be.
    .inspect_err(|_| stop.cancel())
}
