//! What the HTTP of every service has in common.
//!
//! In: [`start`] serves health, metrics, the API description, tracing, limits and problems for errors.
//! Out: [`Upstream`] calls others with trace headers, time limits, retries and a circuit breaker.

mod background;
mod body_limit;
mod chain;
mod client_address;
mod described;
mod detached;
mod edge;
mod error_body;
mod head;
mod health;
mod in_flight;
mod json_body;
mod local_guard;
mod local_name;
mod metrics_middleware;
mod plain_words;
mod problem;
mod root_span;
mod secret;
mod server;
mod settings;
mod shown_url;
#[cfg(feature = "testing")]
pub mod testing;
mod upstream;

pub use background::Background;
pub use chain::{
    ChainError, ChainSettings, HandedOn, Next, NextLink, Processed, REPLAYED, Work, accepted, fingerprint,
    key_mismatch, observed, show_context,
};
pub use client_address::{Network, client_address};
pub use described::described;
pub use detached::detached;
pub use edge::Edge;
pub use health::Readiness;
pub use json_body::{JsonBody, check_json_headers};
pub use local_guard::LocalNames;
pub use local_name::is_local_name;
pub use problem::{Problem, ProblemBody};
pub use secret::secret;
pub use server::{RunningServer, Service, StartError, start};
pub use settings::ServerSettings;
pub use shown_url::shown_url;
pub use tokio_util::sync::CancellationToken;
pub use upstream::{
    BreakerSettings, Probe, Upstream, UpstreamError, UpstreamErrorKind, UpstreamRequest, UpstreamResponse,
    UpstreamSettings, UpstreamStream,
};
