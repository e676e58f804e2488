//! api-gateway: the public API, the web page, and the way into the business chain (spec A5, E1, H3).
//!
//! Everything under `/api` goes through the `door`: API keys, rate limits, request ids. `POST /api/v1/process` is the
//! chain's (`process`); traces are read from Tempo and Loki (`traces`); the rest goes through to the services that have
//! it (`proxy`). The page and the description of it all need no key.

mod config;
mod description;
mod door;
mod error;
mod page;
mod process;
mod proxy;
mod traces;

use std::time::Duration;

use actix_cors::Cors;
use actix_web::http::header;
use actix_web::middleware::{Condition, from_fn};
use actix_web::web::{Data, ServiceConfig, scope};
use chrono::TimeDelta;
use trace_reader::TraceReader;
use web::{Background, Edge, NextLink, Probe, Readiness, RunningServer, Service, StartError};

pub use config::{Config, DoorSettings, Origin, ServiceUrls};
use description::Description;
use door::Door;
pub use door::{KeyNameError, NewKey};
use proxy::Proxy;
use proxy::table::Behind;

/// Subcommand, process and `service.name`.
pub const NAME: &str = "api-gateway";

/// Port when none is set.
pub const DEFAULT_PORT: u16 = 8080;

/// The chain's first service where none is set.
const USUAL_NEXT: (&str, &str) = ("user-service", "http://127.0.0.1:5001");

/// What needs a key.
const API: &str = "/api";

/// Starts the service. Call it inside an actix system; it is ready once what it hands requests to answers.
///
/// # Errors
/// When a setting cannot be used or the port cannot be had.
#[expect(clippy::unused_async, reason = "every service starts this way; others have to wait for something")]
pub async fn start(config: Config) -> Result<RunningServer, StartError> {
    config.check()?;
    let link = config.chain.link(Some(USUAL_NEXT)).ok_or_else(|| StartError::Setting {
        setting: "NEXT_SERVICE_URL",
        reason: "the gateway needs the chain's first service; it is no service of the chain itself".to_owned(),
    })?;
    let mut background = Background::new();
    let door = Door::new(&config.door, &mut background)?;
    let edge = Edge::new({
        let door = door.clone();
        move |request| door.client(request)
    });
    let proxy = Proxy::new(&config.services, background.token());
    let look_back = TimeDelta::minutes(i64::from(config.log_look_back_minutes));
    let traces = TraceReader::new(config.tempo_url, config.loki_url, look_back);
    let description = Description::new(&proxy)?;
    let every = Duration::from_millis(config.openapi_refresh_ms);
    background.spawn("api-description", |stop| description.clone().keep_up(every, stop));
    let service = Service {
        name: NAME,
        default_port: DEFAULT_PORT,
        // Never seen: the gateway serves a description of its own at that path, which changes.
        openapi: utoipa::openapi::OpenApi::default(),
        readiness: readiness(&link, &proxy),
    };
    let description = Data::new(description);
    let (door, proxy, link, traces) = (Data::new(door), Data::new(proxy), Data::new(link), Data::new(traces));
    let origins = config.door.origins();
    let stop = background.token();
    web::start(&config.server, service, background, move |routes: &mut ServiceConfig| {
        let api = scope(API)
            .app_data(door.clone())
            .app_data(proxy.clone())
            .app_data(link.clone())
            .app_data(traces.clone())
            .service(process::process)
            .configure(traces::routes)
            .configure(proxy::routes(API))
            .wrap(from_fn(door::door))
            .wrap(Condition::new(!origins.is_empty(), cors(&origins)));
        routes
            .app_data(edge.clone())
            .service(api)
            .configure(description::routes(description.clone()))
            .configure(page::routes);
    })
    // Nobody would stop the tasks of a service that never came to be.
    .inspect_err(|_| stop.cancel())
}

fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST"])
        .allowed_headers([header::CONTENT_TYPE, header::AUTHORIZATION, header::ACCEPT])
        .allowed_header("x-api-key")
        .allowed_header("x-request-id")
        .allowed_header("idempotency-key")
        .allowed_header("last-event-id")
        .allowed_header("traceparent")
        .expose_headers(["x-request-id", "idempotent-replayed", "retry-after"])
        .max_age(600);
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}

/// The chain's first service, and those without which the page shows nothing.
fn readiness(link: &NextLink, proxy: &Proxy) -> Readiness {
    let mut readiness = link.checked_in(Readiness::new());
    for (behind, probe) in [(Behind::Notifier, "notifier-probe"), (Behind::MarketData, "market-data-probe")] {
        let Some(upstream) = proxy.service(behind) else { continue };
        readiness = readiness.probe(upstream.name(), Probe::new(probe, upstream));
    }
    readiness
}
