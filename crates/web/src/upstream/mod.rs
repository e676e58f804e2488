//! Calls to others: trace headers, time limits, retries with jitter, a circuit breaker; each visible in spans.

mod breaker;
mod call;
mod error;
mod probe;
mod request;
mod retry;
mod settings;
mod stream;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use url::Url;

use breaker::Breaker;
pub use error::{UpstreamError, UpstreamErrorKind};
pub use probe::Probe;
pub use request::{UpstreamRequest, UpstreamResponse};
pub use settings::{BreakerSettings, UpstreamSettings};
pub use stream::UpstreamStream;

/// Somebody else's HTTP API. Cheap to clone; clones share the circuit breaker.
///
/// It can be shared between threads, its futures cannot leave theirs: the client below belongs to one actix thread.
#[derive(Debug, Clone)]
pub struct Upstream {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: UpstreamSettings,
    breaker: Breaker,
}

thread_local! {
    // One connection pool a thread: awc's client is not Send.
    static CLIENT: RefCell<Option<awc::Client>> = const { RefCell::new(None) };
}

fn client() -> awc::Client {
    CLIENT.with_borrow_mut(|client| {
        client
            .get_or_insert_with(|| {
                // Time limits are set for each request; a redirect would leave the address that was configured.
                awc::Client::builder()
                    .timeout(Duration::from_secs(60))
                    .disable_redirects()
                    .add_default_header((
                        actix_web::http::header::USER_AGENT,
                        concat!("crypto-telemetry/", env!("CARGO_PKG_VERSION")),
                    ))
                    .finish()
            })
            .clone()
    })
}

impl Upstream {
    /// An API at the settings' base URL.
    #[must_use]
    pub fn new(mut settings: UpstreamSettings) -> Self {
        // Only address and path of a base URL are ever used. What else it holds may be a secret, and the base URL is shown.
        if let Ok(shown) = crate::shown_url(&settings.base_url).parse() {
            settings.base_url = shown;
        }
        let breaker = Breaker::new(settings.name, settings.breaker);
        Self { shared: Arc::new(Shared { settings, breaker }) }
    }

    /// Who it is, as errors and metrics call it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.shared.settings.name
    }

    /// Where it is; no user, password or query.
    #[must_use]
    pub fn base_url(&self) -> &Url {
        &self.shared.settings.base_url
    }

    /// How long calls are still held back because earlier ones failed; none while they go out.
    #[must_use]
    pub fn held_back(&self) -> Option<Duration> {
        self.shared.breaker.held_back(std::time::Instant::now())
    }

    /// A GET. `template` is the route, `/v1/prices/{symbol}`: it names the span.
    pub fn get(&self, template: &'static str) -> UpstreamRequest {
        UpstreamRequest::new(self.clone(), Method::GET, template).retryable()
    }

    /// A POST; tried once unless marked as retryable.
    pub fn post(&self, template: &'static str) -> UpstreamRequest {
        UpstreamRequest::new(self.clone(), Method::POST, template)
    }

    /// A PUT; tried once unless marked as retryable.
    pub fn put(&self, template: &'static str) -> UpstreamRequest {
        UpstreamRequest::new(self.clone(), Method::PUT, template)
    }

    /// A DELETE; tried once unless marked as retryable.
    pub fn delete(&self, template: &'static str) -> UpstreamRequest {
        UpstreamRequest::new(self.clone(), Method::DELETE, template)
    }
}
