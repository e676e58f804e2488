//! Requests that go through to a service, and its answers that come back as they are made.
//!
//! Only what is meant to pass does: the method and path of a way through, the query, and the headers named here. Cookies,
//! credentials, baggage and whatever says something about one connection only stay outside.

pub(crate) mod table;

use std::sync::Arc;
use std::time::Duration;

use ::web::{CancellationToken, Problem, Upstream, UpstreamSettings, UpstreamStream};
use actix_web::body::{BodyStream, SizedStream};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};
use actix_web::web::{self, Bytes, Data, ServiceConfig};
use actix_web::{Error, HttpRequest, HttpResponse};
use futures_util::StreamExt as _;
use telemetry::metrics::gateway::REQUESTS_REJECTED;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use crate::config::ServiceUrls;
use crate::door::{Caller, REQUEST_ID};
use table::{Behind, Kind, WAYS, Way};

/// Longest query that is handed on.
const MAX_QUERY: usize = 4_096;

/// Request headers that pass.
const REQUEST_HEADERS: [&str; 3] = ["accept", "accept-language", "last-event-id"];

/// Response headers that pass.
const RESPONSE_HEADERS: [HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::CACHE_CONTROL,
    header::ETAG,
    header::LAST_MODIFIED,
    HeaderName::from_static("x-accel-buffering"),
];

/// The services, and who listens to them.
#[derive(Clone)]
pub(crate) struct Proxy {
    services: Arc<[(Behind, Upstream)]>,
    ask_timeout: Duration,
    listeners: Arc<Semaphore>,
    max_listeners: u32,
    stop: CancellationToken,
}

impl Proxy {
    pub(crate) fn new(urls: &ServiceUrls, stop: CancellationToken) -> Self {
        let at = |behind: Behind| -> &Url {
            match behind {
                Behind::User => &urls.user_url,
                Behind::Order => &urls.order_url,
                Behind::Audit => &urls.audit_url,
                Behind::Notifier => &urls.notifier_url,
                Behind::MarketData => &urls.market_data_url,
                Behind::Decision => &urls.decision_url,
            }
        };
        let services = Behind::ALL.map(|behind| {
            let settings = UpstreamSettings {
                // A read may itself ask an exchange that is given several seconds.
                attempt_timeout: Duration::from_secs(5),
                ..UpstreamSettings::new(behind.name(), at(behind).clone()).internal()
            };
            (behind, Upstream::new(settings))
        });
        Self {
            services: services.into(),
            ask_timeout: urls.ask_timeout(),
            listeners: Arc::new(Semaphore::new(urls.max_stream_clients as usize)),
            max_listeners: urls.max_stream_clients,
            stop,
        }
    }

    /// A service, by which it is.
    pub(crate) fn service(&self, behind: Behind) -> Option<&Upstream> {
        self.services.iter().find(|(which, _)| *which == behind).map(|(_, upstream)| upstream)
    }

    async fn forward(&self, way: &'static Way, request: &HttpRequest, body: Bytes) -> Result<HttpResponse, Problem> {
        let Some(service) = self.service(way.to) else {
            return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", "There is nothing at this path."));
        };
        let caller = Caller::of(request)?;
        let path = there(way, request)?;
        let query = request.query_string();
        if query.len() > MAX_QUERY {
            let detail = format!("The query has {} bytes; at most {MAX_QUERY} are taken.", query.len());
            return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_query", detail));
        }
        let place = if way.kind == Kind::Events { Some(self.place()?) } else { None };
        let mut call = match way.kind {
            Kind::Read | Kind::Events => service.get(way.path),
            Kind::Ask => {
                ::web::check_json_headers(request)?;
                service.post(way.path).timeout(self.ask_timeout).body("application/json", body)
            }
        };
        for name in REQUEST_HEADERS {
            if let Some(value) = request.headers().get(name).and_then(|value| value.to_str().ok()) {
                call = call.header(name, value);
            }
        }
        let call = call.header(REQUEST_ID.as_str(), &caller.request_id).path(path).encoded_query(query);
        let answer = call.stream(way.kind.idle()).await?;
        Ok(self.hand_on(answer, place))
    }

    fn hand_on(&self, answer: UpstreamStream, place: Option<OwnedSemaphorePermit>) -> HttpResponse {
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
        let mut response = HttpResponse::build(status);
        for name in RESPONSE_HEADERS {
            if let Some(value) = answer.headers.get(&name) {
                response.insert_header((name, value.clone()));
            }
        }
        let length = answer.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        // Streams have no end of their own: a service that stops must not wait for them.
        let stopped = self.stop.clone().cancelled_owned();
        let body = answer.into_body().take_until(Box::pin(stopped)).map(move |piece| {
            // The place is the stream's, as long as it lasts.
            let _held = &place;
            piece
        });
        match length {
            Some(length) => response.body(SizedStream::new(length, body)),
            None => response.body(BodyStream::new(body)),
        }
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.listeners).try_acquire_owned().map_err(|_none_free| {
            REQUESTS_REJECTED.add(1, &[("reason", "too_many_streams")]);
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_clients",
                format!("{} clients listen already, which is as many as may. Try again later.", self.max_listeners),
            )
            .retry_after(Duration::from_secs(5))
        })
    }
}

/// The path at the service. A part that changes may hold nothing that has a meaning in a path.
fn there(way: &Way, request: &HttpRequest) -> Result<String, Problem> {
    let Some(name) = way.part else {
        return Ok(way.path.to_owned());
    };
    let part = request.match_info().get(name).unwrap_or_default();
    let harmless = (1..=64).contains(&part.len())
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !harmless {
        let detail = format!("The {name} in the path has 1 to 64 letters A-Z a-z, digits, '-' and '_'.");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_path", detail));
    }
    Ok(way.path.replace(&format!("{{{name}}}"), part))
}

/// A body that could not be read; that it took too long is told by whoever watches its time.
fn unread(error: &Error) -> Problem {
    match error.as_response_error().status_code() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is larger than what is taken.")
        }
        _ => Problem::new(StatusCode::BAD_REQUEST, "bad_body", "The body could not be read."),
    }
}

/// Adds the ways through, below a scope of this path.
pub(crate) fn routes(scope: &'static str) -> impl Fn(&mut ServiceConfig) {
    move |config| {
        for way in &WAYS {
            let forward = move |proxy: Data<Proxy>, request: HttpRequest, body: Result<Bytes, Error>| async move {
                proxy.forward(way, &request, body.map_err(|error| unread(&error))?).await
            };
            let route = match way.kind {
                Kind::Read | Kind::Events => web::get().to(forward),
                Kind::Ask => web::post().to(forward),
            };
            config.service(web::resource(way.from.strip_prefix(scope).unwrap_or(way.from)).route(route));
        }
    }
}
