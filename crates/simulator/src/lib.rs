#![doc = include_str!("../README.md")]

mod binance;
mod bingx;
mod config;
mod control;
mod error;
mod faults;
mod llm;
mod market;
mod page;
mod telegram;
mod world;

use std::time::Duration;

use actix_web::web::{Data, ServiceConfig};
use utoipa::OpenApi as _;
use web::{Background, Readiness, RunningServer, Service};

pub use bingx::JournalError;
pub use config::{Config, DEFAULT_BINGX_API_KEY, DEFAULT_BINGX_SECRET_KEY, DEFAULT_BOT_TOKEN};
pub use control::{FaultList, FaultsRemoved};
pub use error::StartError;
pub use faults::{Fault, FaultKind, FaultRequest, FaultRequestError, FaultTarget};
pub use market::{RecordingError, StartAt, StartAtError};

/// Port where the settings give none.
pub const DEFAULT_PORT: u16 = 8090;

/// Longest that a call may take: a latency of a minute before a long poll of 50 seconds.
const LONGEST_CALL_MS: u64 = 120_000;
/// A photo of 10 MB and the text around it.
const MOST_BODY_BYTES: usize = 12 * 1024 * 1024;

/// Starts the simulated outside world. Call it inside an actix system.
///
/// # Errors
/// When a secret's file cannot be read, the bot's token has not the form of one, the paper account's file cannot be used,
/// or the port cannot be had.
pub async fn start(config: Config) -> Result<RunningServer, StartError> {
    let mut background = Background::new();
    let world = Data::new(world::World::new(&config, background.token())?);
    let retry = Duration::from_millis(config.webhook_retry_ms);
    background.spawn("telegram-webhook", |cancel| telegram::deliver(world.clone(), retry, cancel));
    background.spawn("bingx-orders", |cancel| bingx::watch(world.clone(), cancel));
    let mut server = config.server;
    server.request_timeout_ms = server.request_timeout_ms.max(LONGEST_CALL_MS);
    server.max_body_bytes = server.max_body_bytes.max(MOST_BODY_BYTES);
    let service = Service {
        name: "simulator",
        default_port: DEFAULT_PORT,
        openapi: control::ApiDoc::openapi(),
        // It rests on nothing outside itself.
        readiness: Readiness::new(),
    };
    let routes = move |config: &mut ServiceConfig| {
        config
            .app_data(world.clone())
            .configure(binance::configure)
            .configure(bingx::configure)
            .configure(telegram::configure)
            .configure(llm::configure)
            .configure(control::configure)
            .configure(page::configure);
    };
    Ok(web::start(&server, service, background, routes)?)
}
