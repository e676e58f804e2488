//! One outgoing call with all its attempts.

use std::str::FromStr as _;
use std::time::{Duration, Instant};

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use awc::error::{PayloadError, SendRequestError};
use bytes::Bytes;
use opentelemetry::propagation::Injector;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use telemetry::metrics::http::{CLIENT_REQUEST_DURATION, CLIENT_RETRIES};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use url::Url;

use crate::ProblemBody;

use super::retry::{parse_retry_after, wait};
use super::{Upstream, UpstreamError, UpstreamErrorKind, client};

/// A call that is being put together.
#[must_use = "nothing is sent before send()"]
pub struct UpstreamRequest {
    upstream: Upstream,
    method: Method,
    template: &'static str,
    path: Option<String>,
    query: Option<String>,
    headers: HeaderMap,
    body: Option<Bytes>,
    retryable: bool,
    timeout: Option<Duration>,
    /// What made the request unusable while it was put together; told by [`UpstreamRequest::send`].
    broken: Option<String>,
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

    /// Sends it, again where that is allowed and may help, within the time limit.
    ///
    /// # Errors
    /// [`UpstreamError`] with what went wrong in the last attempt.
    pub async fn send(self) -> Result<UpstreamResponse, UpstreamError> {
        let settings = &self.upstream.shared.settings;
        let breaker = &self.upstream.shared.breaker;
        let deadline = Instant::now() + self.timeout.unwrap_or(settings.total_timeout);
        let max_attempts = if self.retryable { settings.max_attempts.max(1) } else { 1 };
        let error = |kind, attempts| UpstreamError { upstream: settings.name, kind, attempts };
        if let Some(reason) = self.broken.clone() {
            return Err(error(UpstreamErrorKind::Malformed(format!("the request cannot be sent: {reason}")), 0));
        }
        let url = self.url().map_err(|reason| error(UpstreamErrorKind::Malformed(reason), 0))?;
        let mut attempt = 1;
        loop {
            if let Err(retry_after) = breaker.admit(Instant::now()) {
                tracing::warn!(
                    upstream = settings.name,
                    retry_after_ms = millis(retry_after),
                    "not called: circuit open"
                );
                return Err(error(UpstreamErrorKind::CircuitOpen { retry_after }, attempt - 1));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let limit = self.timeout.unwrap_or(settings.attempt_timeout).min(left);
            let kind = match self.attempt(&url, attempt, limit).await {
                Ok(response) => {
                    breaker.succeeded();
                    return Ok(response);
                }
                Err(kind) => kind,
            };
            if kind.is_failure() {
                breaker.failed(Instant::now());
            } else {
                breaker.succeeded();
            }
            let asked = match &kind {
                UpstreamErrorKind::Status { retry_after, .. } => *retry_after,
                _ => None,
            };
            let pause = wait(attempt, asked);
            let left = deadline.saturating_duration_since(Instant::now());
            // A wait that leaves no time for an answer is no help to anybody.
            if attempt >= max_attempts || !kind.is_transient() || pause >= left {
                return Err(error(kind, attempt));
            }
            CLIENT_RETRIES.add(1, &[("upstream", settings.name), ("reason", kind.label())]);
            tracing::info!(
                upstream = settings.name,
                attempt,
                reason = kind.label(),
                wait_ms = millis(pause),
                "trying again"
            );
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    fn url(&self) -> Result<Url, String> {
        let base = &self.upstream.shared.settings.base_url;
        let path = self.path.as_deref().unwrap_or(self.template);
        let mut url = base.clone();
        url.set_path(&format!("{}/{}", base.path().trim_end_matches('/'), path.trim_start_matches('/')));
        url.set_query(self.query.as_deref());
        if url.cannot_be_a_base() { Err("the base URL cannot have a path".to_owned()) } else { Ok(url) }
    }

    async fn attempt(&self, url: &Url, attempt: u32, limit: Duration) -> Result<UpstreamResponse, UpstreamErrorKind> {
        let name = self.upstream.shared.settings.name;
        let method = self.method.as_str();
        // The query is left out: it may hold what is nobody's business.
        let span = tracing::info_span!(
            "http_call",
            otel.name = format!("{method} {}", self.template),
            otel.kind = "client",
            otel.status_code = Empty,
            http.request.method = method,
            // Numbers are signed: unsigned ones would reach the trace as text.
            http.request.resend_count = (attempt > 1).then(|| i64::from(attempt - 1)),
            http.response.status_code = Empty,
            url.template = self.template,
            url.path = url.path(),
            server.address = url.host_str(),
            server.port = url.port_or_known_default().map(i64::from),
            peer.service = name,
            error.type = Empty,
        );
        let started = Instant::now();
        let outcome = async {
            tokio::time::timeout(limit, self.exchange(url, limit)).await.unwrap_or(Err(UpstreamErrorKind::Timeout))
        }
        .instrument(span.clone())
        .await;
        let label = match &outcome {
            Ok(response) => response.status.to_string(),
            Err(UpstreamErrorKind::Status { status, .. }) => status.to_string(),
            Err(kind) => kind.label().to_owned(),
        };
        if let Err(kind) = &outcome {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", label.as_str());
            if let UpstreamErrorKind::Status { status, .. } = kind {
                span.record("http.response.status_code", i64::from(*status));
            }
            span.in_scope(|| tracing::warn!(upstream = name, error = %kind, "outgoing call failed"));
        } else if let Ok(response) = &outcome {
            span.record("http.response.status_code", i64::from(response.status));
        }
        CLIENT_REQUEST_DURATION
            .record(started.elapsed().as_secs_f64(), &[("upstream", name), ("method", method), ("outcome", &label)]);
        outcome
    }

    async fn exchange(&self, url: &Url, limit: Duration) -> Result<UpstreamResponse, UpstreamErrorKind> {
        let settings = &self.upstream.shared.settings;
        let mut request = client().request(self.method.clone(), url.as_str()).timeout(limit);
        for (name, value) in &self.headers {
            request = request.insert_header((name.clone(), value.clone()));
        }
        telemetry::propagation::inject(
            &Span::current().context(),
            &mut Headers { headers: request.headers_mut(), baggage: settings.internal },
        );
        let sent = match &self.body {
            Some(body) => request.send_body(body.clone()),
            None => request.send(),
        };
        let mut response = sent.await.map_err(|error| match error {
            SendRequestError::Timeout => UpstreamErrorKind::Timeout,
            SendRequestError::Response(error) => UpstreamErrorKind::Malformed(error.to_string()),
            other => UpstreamErrorKind::Connect(other.to_string()),
        })?;
        let status = response.status();
        let body = response.body().limit(settings.max_response_bytes).await.map_err(|error| match error {
            PayloadError::Overflow => UpstreamErrorKind::TooLarge,
            other => UpstreamErrorKind::Connect(format!("the answer broke off: {other}")),
        })?;
        if status.is_success() {
            return Ok(UpstreamResponse {
                upstream: settings.name,
                status: status.as_u16(),
                headers: response.headers().clone(),
                body,
            });
        }
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| parse_retry_after(value, chrono::Utc::now()));
        let problem = settings.internal.then(|| ProblemBody::of_ours(&body)).flatten().map(Box::new);
        Err(UpstreamErrorKind::Status { status: status.as_u16(), body, retry_after, problem })
    }
}

struct Headers<'a> {
    headers: &'a mut HeaderMap,
    baggage: bool,
}

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        // Baggage says who asks: that is nobody's business outside.
        if key.eq_ignore_ascii_case("baggage") && !self.baggage {
            return;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::from_str(key), HeaderValue::from_str(&value)) {
            self.headers.insert(name, value);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
