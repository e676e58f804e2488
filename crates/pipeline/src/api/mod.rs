//! pipeline-service: people make pipelines, set them off by hand, and see what happened (spec D2).
//!
//! It executes nothing itself: what is set off waits in the store for a worker. It keeps the store small, tells how much
//! there is to do, and makes the example pipelines on its first start.

mod body;
mod config;
mod dry_run;
mod error;
mod examples;
mod execution_routes;
mod gauges;
mod headers;
mod pipeline_routes;
mod retention;
mod run;

use actix_web::web::Data;
use storage::Database;
use utoipa::OpenApi as _;
use web::{Background, LocalNames, Readiness, RunningServer, Service, StartError};

pub use config::Config;

use crate::store::{self, Store};

/// Subcommand, process and `service.name`.
pub const NAME: &str = "pipeline-service";

/// Port when none is set.
pub const DEFAULT_PORT: u16 = 8001;

/// Starts the service. Call it inside an actix system; it is ready once its database is.
///
/// # Errors
/// When a setting cannot be used or the port cannot be had.
#[expect(clippy::unused_async, reason = "every service starts this way; others have to wait for something")]
pub async fn start(config: Config) -> Result<RunningServer, StartError> {
    let database = Database::open(store::DATABASE, &config.database, store::migrations())?;
    let store = Store::new(database.clone());
    let mut background = Background::new();
    background.spawn("database", |stop| database.clone().keep_up(stop));
    background.spawn("gauges", |stop| gauges::keep_up(store.clone(), stop));
    background.spawn("retention", |stop| retention::keep_small(store.clone(), config.retention(), stop));
    if config.examples {
        background.spawn("examples", |stop| examples::load(store.clone(), config.examples_orders, stop));
    }
    let readiness = database.checked_in(Readiness::new());
    let store = Data::new(store);
    // No page of others in this machine's browser makes pipelines that order in somebody's name.
    let names = LocalNames::everywhere();
    let openapi = pipeline_routes::Api::openapi()
        .merge_from(run::Api::openapi())
        .merge_from(dry_run::Api::openapi())
        .merge_from(execution_routes::Api::openapi());
    let service = Service { name: NAME, default_port: DEFAULT_PORT, openapi: names.described(openapi), readiness };
    let stop = background.token();
    web::start(&config.server, service, background, move |routes| {
        routes.app_data(names.clone()).app_data(store.clone());
        // Before the routes with an id in the path, of which "dry-run" is none.
        routes.configure(dry_run::configure).configure(run::configure);
        routes.configure(pipeline_routes::configure).configure(execution_routes::configure);
    })
    // Nobody would stop the tasks of a service that never came to be.
    .inspect_err(|_| stop.cancel())
}
