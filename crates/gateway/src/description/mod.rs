//! The description of the whole API, in one: the gateway's own part and those of the services behind it.
//!
//! The services are asked in the background. One that is away leaves its paths out, and the description says so.

mod merge;
mod swagger;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, Data, ServiceConfig, get, resource};
use actix_web::{HttpResponse, Responder};
use futures_util::future::join_all;
use serde_json::Value;
use telemetry::metrics::gateway::DESCRIBED_SERVICES;
use tracing::instrument::WithSubscriber as _;
use utoipa::OpenApi;
use web::{BreakerSettings, CancellationToken, StartError, Upstream, UpstreamSettings, described};

use crate::proxy::Proxy;
use crate::proxy::table::Behind;

/// Largest description of a service that is read.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// How much more rarely descriptions are read anew once all are there.
const RARELY: u32 = 20;

/// The gateway's own part.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "crypto-telemetry",
        description = "The public API of the platform: the business chain, asks and decisions, prices, traces. Everything under /api wants an API key where the gateway asks for keys."
    ),
    paths(crate::process::process, crate::traces::trace, crate::traces::trace_logs)
)]
struct Own;

/// The description as it is known now; clones share it.
#[derive(Clone)]
pub(crate) struct Description {
    own: Arc<Value>,
    text: Arc<RwLock<Bytes>>,
    services: Arc<[(Behind, Upstream)]>,
}

impl Description {
    /// The gateway's own part, until the services have been asked.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub(crate) fn new(proxy: &Proxy) -> Result<Self, StartError> {
        let own = serde_json::to_value(described(Own::openapi()))?;
        let text = merge::merged(&own, &[]).to_string();
        let services = Behind::ALL.into_iter().filter_map(|behind| {
            let limit = Duration::from_secs(3);
            let settings = UpstreamSettings {
                attempt_timeout: limit,
                total_timeout: limit,
                max_attempts: 1,
                max_response_bytes: MAX_BYTES,
                // Somebody who asks this rarely has to find out for himself each time.
                breaker: BreakerSettings { failures: u32::MAX, ..BreakerSettings::default() },
                ..UpstreamSettings::new("openapi-reader", proxy.service(behind)?.base_url().clone()).internal()
            };
            Some((behind, Upstream::new(settings)))
        });
        Ok(Self { own: Arc::new(own), text: Arc::new(RwLock::new(text.into())), services: services.collect() })
    }

    /// The description's JSON.
    fn text(&self) -> Bytes {
        self.text.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the services until all have answered, and rarely from then on. What one said once stays known.
    pub(crate) async fn keep_up(self, every: Duration, stop: CancellationToken) {
        let mut known: Vec<(Behind, Value)> = Vec::new();
        loop {
            let asking =
                join_all(self.services.iter().map(|(behind, service)| async move { (*behind, read(service).await) }));
            let answers = tokio::select! {
                () = stop.cancelled() => return,
                answers = asking => answers,
            };
            for (behind, answer) in answers {
                match answer {
                    Ok(description) => {
                        known.retain(|(other, _)| *other != behind);
                        known.push((behind, description));
                    }
                    Err(reason) => {
                        tracing::debug!(service = behind.name(), reason, "its API description is not there");
                    }
                }
            }
            #[expect(clippy::cast_precision_loss, reason = "there are six services")]
            DESCRIBED_SERVICES.set(known.len() as f64, &[]);
            let text = merge::merged(&self.own, &known).to_string();
            *self.text.write().unwrap_or_else(PoisonError::into_inner) = text.into();
            let pause = if known.len() == self.services.len() { every * RARELY } else { every };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

async fn read(service: &Upstream) -> Result<Value, String> {
    // Nobody asked for this: it would be a trace of its own each time.
    let silent = tracing::subscriber::NoSubscriber::default();
    let answer =
        service.get("/openapi.json").send().with_subscriber(silent).await.map_err(|error| error.to_string())?;
    let description: Value = answer.json().map_err(|error| error.to_string())?;
    description["paths"].is_object().then_some(description).ok_or_else(|| "no description of an API".to_owned())
}

async fn openapi(description: Data<Description>) -> impl Responder {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(description.text())
}

/// Adds `/openapi.json` and the page at `/docs/`.
pub(crate) fn routes(description: Data<Description>) -> impl Fn(&mut ServiceConfig) {
    move |config| {
        config.service(resource("/openapi.json").app_data(description.clone()).route(get().to(openapi)));
        config.configure(swagger::routes);
    }
}
