//! audit-service: the audit trail, and the last link of the business chain (spec E2).
//!
//! `POST /process` records the request with the whole context it came with, in one transaction and once an event: what
//! is delivered again finds its row. `POST /v1/events` does the same for what happens in trading (events.rs). Rows are never
//! changed or deleted: no route does it, and the database refuses it.

mod config;
mod error;
mod event_routes;
mod events;
mod process;
mod routes;
mod trail;

use actix_web::web::Data;
use storage::{Database, Migration};
use utoipa::OpenApi as _;
use web::{Background, LocalNames, Readiness, RunningServer, Service, StartError};

pub use config::Config;
use events::Events;
use process::Processor;
use trail::Trail;

/// Subcommand, process and `service.name`.
pub const NAME: &str = "audit-service";

/// Port when none is set.
pub const DEFAULT_PORT: u16 = 5003;

fn migrations() -> Vec<Migration> {
    vec![
        Migration {
            version: 1,
            name: "audit_logs",
            sqlite: include_str!("../migrations/0001_audit_logs.sqlite.sql"),
            postgres: include_str!("../migrations/0001_audit_logs.postgres.sql"),
        },
        Migration {
            version: 2,
            name: "rows_are_not_replaced",
            sqlite: include_str!("../migrations/0002_rows_are_not_replaced.sqlite.sql"),
            postgres: include_str!("../migrations/0002_rows_are_not_replaced.postgres.sql"),
        },
        Migration {
            version: 3,
            name: "trading_events",
            sqlite: include_str!("../migrations/0003_trading_events.sqlite.sql"),
            postgres: include_str!("../migrations/0003_trading_events.postgres.sql"),
        },
    ]
}

/// Starts the service. Call it inside an actix system; it is ready once its database is.
///
/// # Errors
/// When a setting cannot be used or the port cannot be had.
#[expect(clippy::unused_async, reason = "every service starts this way; others have to wait for something")]
pub async fn start(config: Config) -> Result<RunningServer, StartError> {
    let database = Database::open(NAME, &config.database, migrations())?;
    let next = config.chain.link(None);
    let mut background = Background::new();
    background.spawn("database", |stop| database.clone().keep_up(stop));
    let mut readiness = database.checked_in(Readiness::new());
    if let Some(next) = &next {
        readiness = next.checked_in(readiness);
    }
    let events = Data::new(Events::new(database.clone()));
    let trail = Trail::new(database);
    let processor = Data::new(Processor::new(trail.clone(), next, config.chain.trace_personal_data));
    let trail = Data::new(trail);
    let openapi = routes::Api::openapi().merge_from(event_routes::Api::openapi());
    // The trail is nobody else's: no page of others in this machine's browser reads it or writes into it.
    let names = LocalNames::everywhere();
    let service = Service { name: NAME, default_port: DEFAULT_PORT, openapi: names.described(openapi), readiness };
    let stop = background.token();
    web::start(&config.server, service, background, move |routes| {
        routes.app_data(names.clone());
        routes.app_data(trail.clone()).app_data(processor.clone()).app_data(events.clone());
        routes.configure(routes::configure).configure(event_routes::configure);
    })
    // Nobody would stop the tasks of a service that never came to be.
    .inspect_err(|_| stop.cancel())
}
