//! One outgoing call with all its attempts.

use std::str::FromStr as _;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::bounded;
use super::{Upstream, UpstreamError, UpstreamErrorKind, UpstreamStream};

/// A call that is being put together.
#[must_use = "nothing is sent before send()"]
pub struct UpstreamRequest {
    pub(super) upstream: Upstream,
    pub(super) method: Method,
    pub(super) template: &'static str,
    pub(super) path: Option<String>,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    pub(super) retryable: bool,
    pub(super) timeout: Option<Duration>,
    /// What made the request unusable while it was put together; told by [`UpstreamRequest::send`].
    pub(super) broken: Option<String>,
}

/// A 2xx answer.
#[derive(Debug, Clone)]
pub struct UpstreamResponse {
    /// Who answered.
    pub upstream: &'static str,
    /// The status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, bounded by the settings.
    pub body: Bytes,
}

impl UpstreamResponse {
    /// The body read as JSON.
    ///
    /// # Errors
    /// [`UpstreamErrorKind::Malformed`] with what was wrong.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, UpstreamError> {
        serde_json::from_slice(&self.body).map_err(|error| UpstreamError {
            upstream: self.upstream,
            kind: UpstreamErrorKind::Malformed(error.to_string()),
            attempts: 1,
        })
    }

    /// One header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl UpstreamRequest {
    pub(super) fn new(upstream: Upstream, method: Method, template: &'static str) -> Self {
        Self {
            upstream,
            method,
            template,
            path: None,
            query: None,
            headers: HeaderMap::new(),
            body: None,
            retryable: false,
            timeout: None,
            broken: None,
        }
    }

    /// The path, where it differs from the template.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// The query, form-encoded.
    pub fn query(mut self, query: &impl Serialize) -> Self {
        match serde_urlencoded::to_string(query) {
            Ok(text) => self.query = Some(text),
            Err(error) => self.broken = Some(format!("query: {error}")),
        }
        self
    }

    /// A header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::from_str(name), HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) => {
                self.headers.insert(name, value);
            }
            _ => self.broken = Some(format!("header {name} cannot be sent")),
        }
        self
    }

    /// A bearer token.
    pub fn bearer(self, token: &SecretString) -> Self {
        self.header("authorization", &format!("Bearer {}", token.expose_secret()))
    }

    /// A JSON body.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => {
                self.body = Some(bytes.into());
                self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
            Err(error) => self.broken = Some(format!("body: {error}")),
        }
        self
    }

    /// Says that another attempt does no harm.
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// A time limit of its own for each attempt and the whole call.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// A body of any kind.
    pub fn body(mut self, media_type: &str, body: Bytes) -> Self {
        self.body = Some(body);
        self.header(CONTENT_TYPE.as_str(), media_type)
    }

    /// A query that is encoded already.
    pub fn encoded_query(mut self, query: &str) -> Self {
        self.query = (!query.is_empty()).then(|| query.to_owned());
        self
    }

    /// Sends it, again where that is allowed and may help, within the time limit.
    ///
    /// # Errors
    /// [`UpstreamError`] with what went wrong in the last attempt.
    pub async fn send(self) -> Result<UpstreamResponse, UpstreamError> {
        let settings = &self.upstream.shared.settings;
        self.call(async |mut response| {
            let body = bounded(&mut response, settings.max_response_bytes).await?;
            Ok(UpstreamResponse {
                upstream: settings.name,
                status: response.status().as_u16(),
                headers: response.headers().clone(),
                body,
            })
        })
        .await
    }

    /// Sends it as [`UpstreamRequest::send`] does, and hands its answer on as it comes. The time limits end with the
    /// answer's head; from then on, `idle` is the longest wait for the next piece. Whoever drops the answer ends the call.
    ///
    /// # Errors
    /// [`UpstreamError`] with what went wrong in the last attempt; an answer other than 2xx is one too.
    pub async fn stream(mut self, idle: Duration) -> Result<UpstreamStream, UpstreamError> {
        // Pieces of a compressed answer need not come when they are sent.
        self.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let name = self.upstream.name();
        self.call(async |response| Ok(UpstreamStream::of(name, response, idle))).await
    }
}
