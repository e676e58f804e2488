//! pipeline-worker: executes pipelines, step by step; any number of them share the work (spec D4).
//!
//! An execution is claimed for a while (turns.rs) and kept by heartbeats (lease.rs). Its steps are done one after the other,
//! each written down before the next begins, so that another attempt, by whichever worker, goes on where this one was
//! (attempt.rs). Steps with an effect have ids that are made of the execution and the step, so that the effect happens once
//! however often the step is tried (agents/). Whoever has lost an execution writes nothing more to it.

mod agents;
mod attempt;
mod backoff;
mod board;
mod config;
#[cfg(test)]
mod crashes;
mod failure;
mod lease;
mod routes;
mod turns;

use std::rc::Rc;
use std::time::Duration;

use actix_web::web::Data;
use storage::Database;
use tokio::sync::Mutex;
use utoipa::OpenApi as _;
use web::{Background, CancellationToken, LocalNames, Readiness, RunningServer, Service, StartError};

use agents::services::Services;
use backoff::Backoff;
use board::Board;
pub use config::{WorkerConfig, WorkerSettings};
use routes::About;

use crate::store::{self, Store, Tried, now};

/// Subcommand, process and `service.name`.
pub const NAME: &str = "pipeline-worker";

/// Port when none is set.
pub const DEFAULT_PORT: u16 = 8002;

/// A worker. Clones are the same.
#[derive(Clone)]
struct Worker(Rc<Inner>);

struct Inner {
    id: String,
    store: Store,
    services: Services,
    board: Board,
    concurrency: usize,
    lease: Duration,
    poll: Duration,
    backoff: Backoff,
    /// Claims whose answers were lost. Held while a claim is made, so that none of those that come through is among them.
    unheard: Mutex<Vec<Tried>>,
}

impl Worker {
    fn new(store: Store, settings: &WorkerSettings) -> Self {
        Self(Rc::new(Inner {
            id: settings.id(),
            store: store.waiting_at_most(settings.backoff().most()),
            services: Services::new(settings),
            board: Board::default(),
            concurrency: usize::from(settings.concurrency),
            lease: settings.lease(),
            poll: settings.poll(),
            backoff: settings.backoff(),
            unheard: Mutex::default(),
        }))
    }

    fn id(&self) -> &str {
        &self.0.id
    }

    fn store(&self) -> &Store {
        &self.0.store
    }

    fn services(&self) -> &Services {
        &self.0.services
    }

    fn board(&self) -> &Board {
        &self.0.board
    }

    fn concurrency(&self) -> usize {
        self.0.concurrency
    }

    fn lease(&self) -> Duration {
        self.0.lease
    }

    fn poll(&self) -> Duration {
        self.0.poll
    }

    fn unheard(&self) -> &Mutex<Vec<Tried>> {
        &self.0.unheard
    }

    fn backoff(&self) -> Backoff {
        self.0.backoff
    }
}

/// Starts the service. Call it inside an actix system; it is ready once its database is. The services that steps ask may be
/// away.
///
/// # Errors
/// When a setting cannot be used or the port cannot be had.
#[expect(clippy::unused_async, reason = "every service starts this way; others have to wait for something")]
pub async fn start(config: WorkerConfig) -> Result<RunningServer, StartError> {
    let database = Database::open(store::DATABASE, &config.database, store::migrations())?;
    let worker = Worker::new(Store::new(database.clone()), &config.worker);
    let mut background = Background::new();
    // For as long as the work takes to end: what it has is given back, and a connection that was made by a thread of the
    // server ends with that, which is before.
    let at_work = CancellationToken::new();
    background.spawn("database", |_| database.clone().keep_up(at_work.clone()));
    background.spawn("work", |stop| {
        let at_work = at_work.drop_guard();
        let work = worker.clone().work(stop);
        async move {
            work.await;
            drop(at_work);
        }
    });
    background.spawn("give-back", |stop| worker.clone().give_back(stop));
    let readiness = worker.services().checked_in(database.checked_in(Readiness::new()));
    let about = Data::new(About {
        id: worker.id().to_owned(),
        concurrency: worker.concurrency(),
        lease_seconds: worker.lease().as_secs(),
        started_at: now(),
        board: worker.board().clone(),
    });
    // What it is at is nobody else's business.
    let names = LocalNames::everywhere();
    let openapi = names.described(routes::Api::openapi());
    let service = Service { name: NAME, default_port: DEFAULT_PORT, openapi, readiness };
    let stop = background.token();
    web::start(&config.server, service, background, move |routes| {
        routes.app_data(names.clone()).app_data(about.clone()).configure(routes::configure);
    })
    // Nobody would stop the tasks of a service that never came to be.
    .inspect_err(|_| stop.cancel())
}
