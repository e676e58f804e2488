//! The door of `/api`: who comes in, how often, under which request id, and what does not come in with them.

mod address;
mod key_file;
mod keys;
mod limits;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, HttpRequest, ResponseError as _};
use ipnet::IpNet;
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::FutureExt as _;
use telemetry::metrics::gateway::REQUESTS_REJECTED;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use web::{Background, Problem, StartError};

use crate::config::DoorSettings;
use address::client_network;
use key_file::KeyFile;
pub use keys::{KeyNameError, NewKey};
use limits::{Client, Limits};

/// Header that names a request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Header that may carry a key, beside `Authorization: Bearer`.
const API_KEY: &str = "x-api-key";

/// Longer than any key that was made here.
const MAX_PRESENTED: usize = 256;

/// Who is told to be asking where no keys are asked for.
const ANYBODY: &str = "anybody";

/// Decides who comes in.
#[derive(Clone)]
pub(crate) struct Door {
    keys: Option<KeyFile>,
    limits: Limits,
    trusted: Vec<IpNet>,
}

/// What is known of a request that came in; among its extensions.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Name of its key, or a word for everybody.
    pub(crate) client: Arc<str>,
    /// The request's id.
    pub(crate) request_id: String,
}

impl Caller {
    /// The caller of a request that went through the door.
    ///
    /// # Errors
    /// When it did not, which is a defect.
    pub(crate) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        request.extensions().get::<Self>().cloned().ok_or_else(|| {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong here.")
        })
    }
}

impl Door {
    /// A door as the settings want it, with what keeps it up to date.
    ///
    /// # Errors
    /// When the file with the keys cannot be used.
    pub(crate) fn new(settings: &DoorSettings, background: &mut Background) -> Result<Self, StartError> {
        let keys = settings.api_keys_file.clone().map(KeyFile::open).transpose()?;
        if let Some(keys) = keys.clone() {
            background.spawn("api-keys", |stop| keys.keep_up(stop));
        } else {
            tracing::warn!("no API key is asked for: API_KEYS_FILE names no file, and only this machine can connect");
        }
        let limits = Limits::new(settings);
        background.spawn("rate-limits", |stop| limits.clone().keep_small(stop));
        Ok(Self { keys, limits, trusted: settings.networks() })
    }

    /// Who comes in.
    fn admit(&self, request: &ServiceRequest) -> Result<Arc<str>, Refused> {
        let address = client_network(self.client(request));
        let client: Arc<str> = match &self.keys {
            // Without keys only this machine can connect; but a page of somebody else's whose name suddenly leads to this
            // machine (DNS rebinding) is asked for by this machine's own browser. It still says its name.
            None if !web::is_local_name(request.head()) => return Err(Refused::ForeignHost),
            None => ANYBODY.into(),
            Some(file) => match presented(request.headers()).and_then(|key| file.keys().name_of(key)) {
                Some(name) => name,
                None => {
                    self.limits.failure(address).map_err(Refused::TooManyFailures)?;
                    return Err(Refused::Unauthorized);
                }
            },
        };
        let counted = if self.keys.is_some() { Client::Key(Arc::clone(&client)) } else { Client::Address(address) };
        self.limits.request(counted).map_err(Refused::TooMany)?;
        Ok(client)
    }

    /// Where a request comes from, behind whatever proxy that is trusted.
    pub(crate) fn client(&self, request: &ServiceRequest) -> IpAddr {
        web::client_address(request.peer_addr(), request.headers(), &self.trusted)
    }
}

/// Why somebody does not come in.
#[derive(Debug, Clone, Copy)]
enum Refused {
    ForeignHost,
    Unauthorized,
    TooManyFailures(Duration),
    TooMany(Duration),
}

impl Refused {
    const fn label(self) -> &'static str {
        match self {
            Self::ForeignHost => "foreign_host",
            Self::Unauthorized => "unauthorized",
            Self::TooManyFailures(_) => "too_many_failures",
            Self::TooMany(_) => "rate_limited",
        }
    }

    fn problem(self) -> Problem {
        match self {
            Self::ForeignHost => Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                self.label(),
                "Without API keys this gateway answers as localhost, 127.0.0.1 or [::1] only. Set API_KEYS_FILE to answer under another name.",
            ),
            Self::Unauthorized => Problem::new(
                StatusCode::UNAUTHORIZED,
                self.label(),
                "An API key is needed, as 'Authorization: Bearer KEY' or 'X-Api-Key: KEY'. This request has none, or none that is known.",
            ),
            Self::TooManyFailures(wait) => Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                self.label(),
                format!(
                    "Too many requests without a valid API key came from this address. Try again in {} s.",
                    seconds(wait)
                ),
            )
            .retry_after(wait),
            Self::TooMany(wait) => Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                self.label(),
                format!("These are more requests than are let in. Try again in {} s.", seconds(wait)),
            )
            .retry_after(wait),
        }
    }
}

fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// The key that a request shows.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let key = match headers.get(API_KEY) {
        Some(key) => key.to_str().ok()?,
        None => {
            let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(key)?
        }
    };
    Some(key.trim()).filter(|key| !key.is_empty() && key.len() <= MAX_PRESENTED)
}

/// The id that the client gave its request, if it may be repeated in headers and logs; else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    let usable = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    given.filter(usable).map_or_else(|| uuid::Uuid::new_v4().simple().to_string(), str::to_owned)
}

/// The middleware of everything under `/api`.
pub(crate) async fn door(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let request_id = request_id(request.headers());
    let span = tracing::Span::current();
    // Set and not recorded: the span is made where nobody knows of these.
    span.set_attribute("request.id", request_id.clone());
    let door = request.app_data::<Data<Door>>();
    let admitted = door.map(|door| door.admit(&request).map_err(|refused| (refused, door.client(&request))));
    let response = match admitted {
        Some(Ok(client)) => {
            span.set_attribute("api.client", client.to_string());
            request.extensions_mut().insert(Caller { client, request_id: request_id.clone() });
            // Baggage says who asks, to every service of the chain: that is not for outsiders to say.
            let context = Context::current().with_cleared_baggage();
            next.call(request).with_context(context).await?.map_into_boxed_body()
        }
        Some(Err((refused, address))) => {
            REQUESTS_REJECTED.add(1, &[("reason", refused.label())]);
            // Who comes without a key is known by nothing else.
            let mut response = refused.problem().asked_by(address, request_id.as_str()).error_response();
            if matches!(refused, Refused::Unauthorized) {
                let challenge = HeaderValue::from_static("Bearer realm=\"crypto-telemetry\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            request.into_response(response)
        }
        // A door that is not there is shut.
        None => {
            let problem =
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong here.");
            request.into_response(problem.error_response())
        }
    };
    Ok(labelled(response, &request_id))
}

fn labelled(mut response: ServiceResponse<BoxBody>, request_id: &str) -> ServiceResponse<BoxBody> {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        // Answers of now, some of them for one client only.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_key_is_shown_in_either_header() {
        assert_eq!(presented(&headers(&[("x-api-key", "ct_a")])), Some("ct_a"));
        assert_eq!(presented(&headers(&[("authorization", "Bearer ct_a")])), Some("ct_a"));
        assert_eq!(presented(&headers(&[("authorization", "bearer  ct_a")])), Some("ct_a"));
        assert_eq!(presented(&headers(&[("authorization", "Basic ct_a"), ("x-api-key", "ct_b")])), Some("ct_b"));
        for none in [&[][..], &[("authorization", "Basic ct_a")], &[("authorization", "ct_a")], &[("x-api-key", " ")]] {
            assert_eq!(presented(&headers(none)), None, "{none:?}");
        }
    }

    #[test]
    fn a_request_id_is_taken_when_it_is_harmless() {
        assert_eq!(request_id(&headers(&[("x-request-id", "a.B-1_")])), "a.B-1_");
        for odd in ["", "a b", "a;b", "\"a\"", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
            let made = request_id(&headers(&[("x-request-id", odd)]));
            assert!(made != odd && made.len() == 32, "{odd}: {made}");
        }
    }
}
