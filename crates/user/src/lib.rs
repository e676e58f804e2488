//! user-service: users' profiles, and the first link of the business chain (spec E2).
//!
//! `POST /process` writes down who asks, puts what is known of them into the request's context, hands it to the next
//! service, and answers with its own part before those of the services behind. With an idempotency key the whole answer
//! is kept, and a repetition gets that answer again and has no further effect; from a cache that instances share, where
//! there is one (answers.rs).

mod answers;
mod config;
mod error;
mod process;
mod routes;
mod users;

use std::time::Duration;

use actix_web::web::Data;
use cache::Cache;
use storage::idempotency::{self, IdempotencyKeys};
use storage::{Database, Migration};
use utoipa::OpenApi as _;
use web::{Background, LocalNames, Readiness, RunningServer, Service, StartError};

use answers::Answers;
pub use config::Config;
use process::Processor;
use users::Users;

/// Subcommand, process and `service.name`.
pub const NAME: &str = "user-service";

/// Port when none is set.
pub const DEFAULT_PORT: u16 = 5001;

/// The service behind this one where none is set.
const USUAL_NEXT: (&str, &str) = ("order-service", "http://127.0.0.1:5002");

/// Longest wait for it: below the gateway's for this service.
const NEXT_WAIT: Duration = Duration::from_secs(20);

fn migrations() -> Vec<Migration> {
    vec![
        Migration {
            version: 1,
            name: "users",
            sqlite: include_str!("../migrations/0001_users.sqlite.sql"),
            postgres: include_str!("../migrations/0001_users.postgres.sql"),
        },
        idempotency::migration(2),
    ]
}

/// Starts the service. Call it inside an actix system; it is ready once its database is.
///
/// # Errors
/// When a setting cannot be used or the port cannot be had.
#[expect(clippy::unused_async, reason = "every service starts this way; others have to wait for something")]
pub async fn start(config: Config) -> Result<RunningServer, StartError> {
    let database = Database::open(NAME, &config.database, migrations())?;
    let cache = Cache::open(&config.cache)?;
    let next = config.chain.link_within(Some(USUAL_NEXT), NEXT_WAIT);
    let mut background = Background::new();
    background.spawn("database", |stop| database.clone().keep_up(stop));
    background.spawn("cache", |stop| cache.clone().keep_up(stop));
    background.spawn("idempotency-keys", |stop| IdempotencyKeys::new(database.clone()).keep_clean(stop));
    let mut readiness = cache.noted_in(database.checked_in(Readiness::new()));
    if let Some(next) = &next {
        readiness = next.checked_in(readiness);
    }
    let users = Users::new(database.clone());
    let answers = Answers::new(cache);
    let processor = Processor::new(users.clone(), database, answers, next, config.chain.trace_personal_data);
    let processor = Data::new(processor);
    let users = Data::new(users);
    // No page of others in this machine's browser makes requests in somebody's name.
    let names = LocalNames::everywhere();
    let openapi = names.described(routes::Api::openapi());
    let service = Service { name: NAME, default_port: DEFAULT_PORT, openapi, readiness };
    let stop = background.token();
    web::start(&config.server, service, background, move |routes| {
        routes.app_data(names.clone());
        routes.app_data(users.clone()).app_data(processor.clone()).configure(routes::configure);
    })
    // Nobody would stop the tasks of a service that never came to be.
    .inspect_err(|_| stop.cancel())
}
