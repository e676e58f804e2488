//! Server bootstrap.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::error::{PathError, QueryPayloadError};
use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::rt::task::JoinHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use tracing_actix_web::TracingLogger;
use url::Url;

use crate::body_limit::BodyTimeout;
use crate::described::described;
use crate::error_body::{RequestTimeout, problems};
use crate::head::head_as_get;
use crate::in_flight::InFlight;
use crate::json_body::BodyLimit;
use crate::local_guard::{BoundTo, local_names_only};
use crate::metrics_middleware::measure;
use crate::plain_words::wrong_in_address;
use crate::root_span::ServerSpan;
use crate::{Background, Problem, Readiness, ServerSettings, health};

/// How long an idle connection is kept: longer than clients keep theirs (ours 15 s, reverse proxies commonly 60 s). With
/// actix's 5 s a request could be on its way into a connection that was just being closed, and be lost without an answer.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// What a service is, beside its routes.
pub struct Service {
    /// Its one word: subcommand, process, `service.name`.
    pub name: &'static str,
    /// Its port where the settings give none.
    pub default_port: u16,
    /// The description of its API.
    pub openapi: utoipa::openapi::OpenApi,
    /// What it needs to do its work.
    pub readiness: Readiness,
}

/// Why a service cannot start, in a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is taken or may not be used.
    #[error(
        "{service} cannot listen on {address}: {source}. Stop what listens there, or choose another port with --port or PORT."
    )]
    Bind {
        /// Which service.
        service: &'static str,
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The API description cannot be written as JSON.
    #[error("the API description cannot be written: {0}")]
    OpenApi(#[from] serde_json::Error),
    /// A setting that cannot be used.
    #[error("{setting}: {reason}")]
    Setting {
        /// The variable or flag.
        setting: &'static str,
        /// What is wrong with it, in words.
        reason: String,
    },
}

/// A service that listens.
pub struct RunningServer {
    name: &'static str,
    address: SocketAddr,
    handle: ServerHandle,
    server: JoinHandle<std::io::Result<()>>,
    background: Background,
    grace: Duration,
}

/// Starts a service: its routes, and what every service has. Call it inside an actix system.
///
/// # Errors
/// When the port cannot be had.
pub fn start(
    settings: &ServerSettings,
    service: Service,
    background: Background,
    configure: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
) -> Result<RunningServer, StartError> {
    let Service { name, default_port, openapi, readiness } = service;
    let address = SocketAddr::new(settings.host, settings.port.unwrap_or(default_port));
    let description = described(openapi).to_json()?;
    let timeout = RequestTimeout(settings.request_timeout());
    let body_timeout = BodyTimeout(settings.body_timeout());
    let in_flight = InFlight::new(settings.max_in_flight);
    let max_body_bytes = settings.max_body_bytes;
    let factory = move || {
        let description = description.clone();
        App::new()
            .app_data(timeout)
            .app_data(body_timeout)
            .app_data(BoundTo(address.ip()))
            .app_data(in_flight.clone())
            .app_data(web::PayloadConfig::new(max_body_bytes))
            .app_data(BodyLimit(max_body_bytes))
            // For handlers that take actix's own extractor.
            .app_data(web::JsonConfig::default().limit(max_body_bytes))
            .app_data(web::QueryConfig::default().error_handler(|error, _| query_problem(&error).into()))
            .app_data(web::PathConfig::default().error_handler(|error, _| path_problem(&error).into()))
            .wrap(from_fn(head_as_get))
            .wrap(from_fn(local_names_only))
            .wrap(from_fn(problems))
            .wrap(from_fn(measure))
            .wrap(TracingLogger::<ServerSpan>::new())
            .configure(health::routes(name, readiness.clone()))
            .route("/metrics", web::get().to(metrics))
            // The first route that fits is taken: a service may describe itself better than with one fixed text.
            .configure(configure.clone())
            .route(
                "/openapi.json",
                web::get().to(move || {
                    let description = description.clone();
                    async move { HttpResponse::Ok().content_type("application/json").body(description) }
                }),
            )
    };
    let grace = settings.shutdown_grace();
    let bind_error = |source| StartError::Bind { service: name, address, source };
    let mut server = HttpServer::new(factory)
        .disable_signals()
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(grace.as_secs().max(1))
        .bind(address)
        .map_err(bind_error)?;
    if let Some(workers) = settings.workers {
        server = server.workers(usize::from(workers));
    }
    let address = server.addrs().first().copied().unwrap_or(address);
    let server: Server = server.run();
    let handle = server.handle();
    tracing::info!(address = %address, version = env!("CARGO_PKG_VERSION"), "{name} listens");
    Ok(RunningServer { name, address, handle, server: actix_web::rt::spawn(server), background, grace })
}

impl RunningServer {
    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.address
    }

    /// `http://host:port/`.
    #[must_use]
    pub fn base_url(&self) -> Url {
        let text = format!("http://{}/", self.address);
        match Url::parse(&text) {
            Ok(url) => url,
            Err(error) => unreachable!("a socket address is a valid authority: {error}"),
        }
    }

    /// Stops accepting, lets running requests end, then ends the background tasks; bounded by the grace time twice.
    pub async fn stop(self) {
        // Tasks that hold requests open (streams of events) heed the token, so it is cancelled first.
        self.background.token().cancel();
        let limit = self.grace + Duration::from_millis(500);
        if tokio::time::timeout(limit, self.handle.stop(true)).await.is_err() {
            tracing::warn!(service = self.name, "requests did not end in time and are cut off");
            self.handle.stop(false).await;
        }
        self.background.stop(self.grace).await;
        match self.server.await {
            Ok(Ok(())) => tracing::info!("{} stopped", self.name),
            Ok(Err(error)) => {
                tracing::error!(error = %error, "{} stopped with an error", self.name)
            }
            Err(error) => tracing::error!(error = %error, "{} could not be joined", self.name),
        }
    }

    /// Serves until `until` is ready (a signal), then stops.
    pub async fn run_until(self, until: impl Future<Output = ()>) {
        until.await;
        self.stop().await;
    }
}

async fn metrics() -> Result<HttpResponse, Problem> {
    telemetry::metrics::render()
        .map(|text| HttpResponse::Ok().content_type(telemetry::metrics::CONTENT_TYPE).body(text))
        .ok_or_else(|| {
            Problem::new(
                StatusCode::NOT_FOUND,
                "metrics_off",
                "Metrics are off. TELEMETRY_ENABLED=true turns all telemetry on, METRICS_ENABLED=true these metrics alone.",
            )
        })
}

fn query_problem(error: &QueryPayloadError) -> Problem {
    let wrong = match error {
        QueryPayloadError::Deserialize(error) => wrong_in_address(&error.to_string()),
        _ => "it cannot be read".to_owned(),
    };
    Problem::new(StatusCode::BAD_REQUEST, "bad_query", format!("The query cannot be understood: {wrong}."))
}

fn path_problem(_error: &PathError) -> Problem {
    // What the error says is about types of Rust; a path has few parts, and the description says what each takes.
    let detail = "A part of the path is not what this call takes. GET /openapi.json says what is.";
    Problem::new(StatusCode::BAD_REQUEST, "bad_path", detail)
}
