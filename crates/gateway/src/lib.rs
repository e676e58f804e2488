//! api-gateway: the public API and the web page.

mod config;
mod error;
mod page;
mod traces;

use actix_web::web::Data;
use chrono::TimeDelta;
use trace_reader::TraceReader;
use utoipa::OpenApi as _;
use web::{Background, Readiness, RunningServer, Service, StartError};

pub use config::Config;

/// Subcommand, process and `service.name`.
pub const NAME: &str = "api-gateway";

/// Port when none is set.
pub const DEFAULT_PORT: u16 = 8080;

/// Starts the service. Call it inside an actix system.
///
/// # Errors
/// When a setting cannot be used or the port cannot be had.
#[expect(clippy::unused_async, reason = "every service starts this way; others have to wait for something")]
pub async fn start(config: Config) -> Result<RunningServer, StartError> {
    let look_back = TimeDelta::minutes(i64::from(config.log_look_back_minutes));
    let traces = Data::new(TraceReader::new(config.tempo_url, config.loki_url, look_back));
    let service = Service {
        name: NAME,
        default_port: DEFAULT_PORT,
        openapi: traces::Api::openapi(),
        readiness: Readiness::new(),
    };
    web::start(&config.server, service, Background::new(), move |routes| {
        routes.app_data(traces.clone()).configure(traces::routes).configure(page::routes);
    })
}
