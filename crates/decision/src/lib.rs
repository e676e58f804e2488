//! decision-service: what to do with a market, BUY, SELL or HOLD.
//!
//! `POST /v1/decisions` takes a price and candles as the caller saw them, and gives a decision with its reason, its
//! confidence and its cost. Strategies: `technical` (the default), `llm` (asks a language model, falls back to
//! `technical` whatever goes wrong, and says so), `random` (seeded, for tests). The service asks nobody for prices and
//! keeps no state but the day's spending, so it is ready as soon as it listens.

mod budget;
mod config;
mod decider;
mod error;
mod language_model;
mod prompt;
mod reply;
mod routes;

pub use config::{Config, LlmConfig};

use actix_web::web::Data;
use web::{Background, Readiness, RunningServer, Service, StartError};

/// Subcommand, process and `service.name`.
pub const SERVICE_NAME: &str = "decision-service";

/// Port when no other is set.
pub const DEFAULT_PORT: u16 = 8082;

/// Starts the service; call it inside an actix system.
///
/// # Errors
/// When a setting cannot be used or the port cannot be had, in a sentence that says which and what to do.
#[expect(clippy::unused_async, reason = "every service starts the same way; some have to wait for something")]
pub async fn start(config: Config) -> Result<RunningServer, StartError> {
    let decider = Data::new(decider::Decider::new(&config)?);
    let service = Service {
        name: SERVICE_NAME,
        default_port: DEFAULT_PORT,
        openapi: routes::openapi(),
        readiness: Readiness::new(),
    };
    web::start(&config.server, service, Background::new(), move |app| {
        app.app_data(decider.clone()).configure(routes::configure);
    })
}
