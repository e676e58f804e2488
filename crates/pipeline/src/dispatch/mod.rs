//! trigger-dispatcher: signals on the bus, and clocks, set pipelines off (spec D3).
//!
//! It remembers which pipelines there are (cache.rs, index.rs), which dispatchers share (shared.rs), reads signals in batches (consume.rs) and takes each once
//! (taking.rs): which pipelines it matched and the executions are one transaction. Only then is the batch committed on
//! the bus, so that a dispatcher that dies loses nothing, and what comes again is known. Any number of dispatchers share
//! the bus's partitions; each looks at the clock (periodic.rs).

mod cache;
mod config;
mod consume;
#[cfg(test)]
mod crashes;
mod index;
mod periodic;
mod routes;
mod shared;
mod taking;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use actix_web::web::Data;
use bus::Bus;
use storage::Database;
use telemetry::metrics::dispatcher::{ENQUEUED, POISON, REPEATED, SKIPPED_BUDGET, SKIPPED_RUNNING};
use utoipa::OpenApi as _;
use web::{Background, LocalNames, Readiness, RunningServer, Service, StartError};

use self::cache::Cache;
pub use config::{DispatcherConfig, DispatcherSettings};
use consume::{Reader, Shown};
pub use index::Index;
use periodic::Clock;
use shared::Shared;
use taking::Taker;

use crate::store::{self, Store};

/// Subcommand, process and `service.name`.
pub const NAME: &str = "trigger-dispatcher";

/// Port when none is set.
pub const DEFAULT_PORT: u16 = 8004;

/// Who shares the signals on the bus.
const GROUP: &str = NAME;

/// Starts the service. Call it inside an actix system; it is ready once its database and the bus are, and it has read the
/// pipelines.
///
/// # Errors
/// When a setting cannot be used or the port cannot be had.
#[expect(clippy::unused_async, reason = "every service starts this way; others have to wait for something")]
pub async fn start(config: DispatcherConfig) -> Result<RunningServer, StartError> {
    // A counter that begins with the first that it counts has not risen by it.
    for counter in [&SKIPPED_RUNNING, &SKIPPED_BUDGET, &POISON, &REPEATED] {
        counter.add(0, &[]);
    }
    ENQUEUED.add(0, &[("status", "skipped")]);
    let settings = config.dispatcher;
    let bus = Bus::open(NAME, &config.bus)?;
    let database = Database::open(store::DATABASE, &config.database, store::migrations())?;
    let store = Store::new(database.clone());
    let shared = ::cache::Cache::open(&config.cache)?;
    let cache =
        Cache::new(store.clone(), settings.full_refresh()).sharing(Shared::new(&shared, settings.full_refresh()));
    let cache = Arc::new(cache);
    let shown = Shown::default();
    let taker = Taker::new(store.clone(), Arc::clone(&cache), bus.engine(), settings.symbols.clone());
    let reader = Reader {
        bus: bus.clone(),
        cache: Arc::clone(&cache),
        taker,
        batch: usize::from(settings.batch),
        wait: settings.batch_wait(),
        shown: Arc::clone(&shown),
    };
    let clock = Clock::new(store, Arc::clone(&cache));
    let mut background = Background::new();
    background.spawn("database", |stop| database.clone().keep_up(stop));
    background.spawn("shared-cache", |stop| shared.clone().keep_up(stop));
    background.spawn("bus", |stop| bus.clone().keep_up(stop));
    background.spawn("cache", |stop| {
        let (cache, every) = (Arc::clone(&cache), settings.refresh());
        async move { cache.keep_up(every, stop).await }
    });
    background.spawn("reader", |stop| reader.run(stop));
    background.spawn("clock", |stop| clock.run(stop));
    let readiness = shared.noted_in(bus.checked_in(database.checked_in(Readiness::new())));
    let pipelines = Arc::clone(&cache);
    let readiness = readiness.check("pipelines", move || std::future::ready(pipelines.ready()));
    // It may well have none, as one of more dispatchers than there are partitions; nobody should take its lag for all there is.
    let assigned = Arc::clone(&shown);
    let readiness = readiness.noted_check("partitions", move || std::future::ready(consume::has_partitions(&assigned)));
    let overview = Data::new(routes::Overview { cache, shown });
    let names = LocalNames::everywhere();
    let openapi = names.described(routes::Api::openapi());
    let service = Service { name: NAME, default_port: DEFAULT_PORT, openapi, readiness };
    let stop = background.token();
    web::start(&config.server, service, background, move |routes| {
        routes.app_data(names.clone()).app_data(overview.clone()).configure(routes::configure);
    })
    // Nobody would stop the tasks of a service that never came to be.
    .inspect_err(|_| stop.cancel())
}
