//! order-service: what a user wants done becomes an order with items, prices and a total (spec E2).
//!
//! `POST /process` prices the items (pricing.rs), writes order, items and an outbox entry in one transaction
//! (orders.rs), and hands the request to the next service of the chain. When that is away the order stands, the answer
//! says that the rest is deferred, and the outbox delivers it later, in order (handover.rs); what is refused for good is
//! set aside for a person (parked.rs).
//!
//! `POST /v1/signals` trades: see [`trading`].

mod config;
mod error;
mod handover;
mod orders;
mod parked;
mod pricing;
mod process;
mod routes;
pub mod trading;

use std::time::Duration;

use actix_web::web::Data;
use storage::{Database, Migration, outbox};
use utoipa::OpenApi as _;
use web::{Background, LocalNames, Readiness, RunningServer, Service, StartError};

pub use config::Config;
use handover::Handover;
use orders::Orders;
use pricing::Pricing;
use process::Processor;

/// Subcommand, process and `service.name`.
pub const NAME: &str = "order-service";

/// Port when none is set.
pub const DEFAULT_PORT: u16 = 5002;

/// The service behind this one where none is set.
const USUAL_NEXT: (&str, &str) = ("audit-service", "http://127.0.0.1:5003");

/// Longest wait for it: what takes longer is deferred, well before whoever waits for this service gives up.
const NEXT_WAIT: Duration = Duration::from_secs(3);

fn migrations() -> Vec<Migration> {
    vec![
        Migration {
            version: 1,
            name: "orders",
            sqlite: include_str!("../migrations/0001_orders.sqlite.sql"),
            postgres: include_str!("../migrations/0001_orders.postgres.sql"),
        },
        outbox::migration(2),
        trading::migration(3),
        trading::migration_of_differences(4),
        trading::migration_of_indexes(5),
    ]
}

/// Starts the service. Call it inside an actix system; it is ready once its database and market data are. The service
/// behind it may be away.
///
/// # Errors
/// When a setting cannot be used or the port cannot be had.
#[expect(clippy::unused_async, reason = "every service starts this way; others have to wait for something")]
pub async fn start(config: Config) -> Result<RunningServer, StartError> {
    let database = Database::open(NAME, &config.database, migrations())?;
    let pricing = Pricing::new(config.market_data_url.clone());
    let mut background = Background::new();
    background.spawn("database", |stop| database.clone().keep_up(stop));
    let handover =
        config.chain.link_within(Some(USUAL_NEXT), NEXT_WAIT).map(|next| Handover::new(database.clone(), next));
    if let Some(handover) = handover.clone() {
        background.spawn("outbox", |stop| handover.deliver_later(stop));
    }
    let desk = Data::new(trading::start(&config.trading, &database, &config.market_data_url, &mut background)?);
    let mut readiness = pricing.checked_in(database.checked_in(Readiness::new()));
    if let Some(handover) = handover.clone() {
        readiness = readiness.check("outbox", move || {
            let known = handover.ready();
            async move { known }
        });
    }
    let orders = Orders::new(database);
    let aside = Data::new(handover.clone());
    let processor = Data::new(Processor::new(orders.clone(), pricing, handover, config.chain.trace_personal_data));
    let orders = Data::new(orders);
    let openapi = routes::Api::openapi().merge_from(parked::Api::openapi()).merge_from(trading::routes::Api::openapi());
    // Whoever can call these routes can trade: no page of others in this machine's browser is to be one of them.
    let names = LocalNames::everywhere();
    let service = Service { name: NAME, default_port: DEFAULT_PORT, openapi: names.described(openapi), readiness };
    let stop = background.token();
    web::start(&config.server, service, background, move |routes| {
        routes.app_data(names.clone());
        routes.app_data(orders.clone()).app_data(processor.clone()).app_data(aside.clone()).app_data(desk.clone());
        routes.configure(routes::configure).configure(parked::configure).configure(trading::routes::configure);
    })
    // Nobody would stop the tasks of a service that never came to be.
    .inspect_err(|_| stop.cancel())
}
