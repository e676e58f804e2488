//! `/control/*`: what tests, the chat page and `crypto-telemetry chaos` use to drive the simulation. Our own API, so its
//! errors are problem+json.

mod bingx;
mod events;
mod faults;
mod market;
mod telegram;

use actix_web::web::ServiceConfig;

pub use faults::{FaultList, FaultsRemoved};

/// The routes under `/control`.
pub(crate) fn configure(config: &mut ServiceConfig) {
    faults::configure(config);
    market::configure(config);
    telegram::configure(config);
    events::configure(config);
    bingx::configure(config);
}

/// Description of `/control/*`. The simulated APIs are described by those they imitate.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "simulator",
        description = "Drives the simulated outside world. Binance is served under /api/v3, /ws and /stream, BingX under /openApi/swap/v2, Telegram under /bot{token}/{method}, the language model under /v1/chat/completions, each in its own wire format."
    ),
    paths(
        faults::add,
        faults::list,
        faults::clear,
        faults::remove,
        market::show,
        telegram::overview,
        telegram::inject_update,
        telegram::messages,
        telegram::photo,
        events::watch,
        bingx::show,
    )
)]
pub(crate) struct ApiDoc;
