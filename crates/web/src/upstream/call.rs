//! The attempts of an outgoing call: time limits, retries, circuit breaker; each attempt a span.

use std::str::FromStr as _;
use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::error::ParseError;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use awc::ClientResponse;
use awc::error::{ConnectError, PayloadError, SendRequestError};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::LocalBoxStream;
use opentelemetry::propagation::Injector;
use telemetry::metrics::http::{CLIENT_REQUEST_DURATION, CLIENT_RETRIES};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use url::Url;

use crate::ProblemBody;

use super::retry::{parse_retry_after, wait};
use super::{UpstreamError, UpstreamErrorKind, UpstreamRequest, client};

/// The head of an answer, with the body still to come.
pub(super) type Response = ClientResponse<LocalBoxStream<'static, Result<Bytes, PayloadError>>>;

/// A body in one piece.
pub(super) async fn bounded(response: &mut Response, limit_bytes: usize) -> Result<Bytes, UpstreamErrorKind> {
    response.body().limit(limit_bytes).await.map_err(|error| match error {
        PayloadError::Overflow => UpstreamErrorKind::TooLarge,
        other => broken_off(&other),
    })
}

/// An answer whose end did not come.
pub(super) fn broken_off(error: &PayloadError) -> UpstreamErrorKind {
    UpstreamErrorKind::Broken(format!("the answer broke off: {error}"))
}

impl UpstreamRequest {
    /// Sends it, again where that is allowed and may help, within the time limit; `read` makes of a 2xx answer what the
    /// caller wants.
    pub(super) async fn call<T>(
        &self,
        read: impl AsyncFn(Response) -> Result<T, UpstreamErrorKind>,
    ) -> Result<T, UpstreamError> {
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
                // The breaker has warned once, when it opened: under load this is thousands a second.
                tracing::info!(
                    upstream = settings.name,
                    retry_after_ms = millis(retry_after),
                    "not called: circuit open"
                );
                return Err(error(UpstreamErrorKind::CircuitOpen { retry_after }, attempt - 1));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let limit = self.timeout.unwrap_or(settings.attempt_timeout).min(left);
            // Boxed: the client's future is large, and every caller's would hold room for it.
            let kind = match Box::pin(self.attempt(&url, attempt, limit, &read)).await {
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
                // Signed: unsigned numbers would reach the span's event as text.
                attempt = i64::from(attempt),
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

    async fn attempt<T>(
        &self,
        url: &Url,
        attempt: u32,
        limit: Duration,
        read: &impl AsyncFn(Response) -> Result<T, UpstreamErrorKind>,
    ) -> Result<T, UpstreamErrorKind> {
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
            tokio::time::timeout(limit, self.exchange(url, limit, read))
                .await
                .unwrap_or(Err(UpstreamErrorKind::Timeout))
        }
        .instrument(span.clone())
        .await;
        let label = match &outcome {
            Ok((status, _)) => status.to_string(),
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
        } else if let Ok((status, _)) = &outcome {
            span.record("http.response.status_code", i64::from(*status));
        }
        CLIENT_REQUEST_DURATION
            .record(started.elapsed().as_secs_f64(), &[("upstream", name), ("method", method), ("outcome", &label)]);
        outcome.map(|(_, answer)| answer)
    }

    async fn exchange<T>(
        &self,
        url: &Url,
        limit: Duration,
        read: &impl AsyncFn(Response) -> Result<T, UpstreamErrorKind>,
    ) -> Result<(u16, T), UpstreamErrorKind> {
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
        let response = sent.await.map_err(not_answered)?;
        // One type for all: what decompresses has no name.
        let mut response: Response = response.map_body(|_, body| Payload::Stream { payload: body.boxed_local() });
        let status = response.status();
        if status.is_success() {
            return Ok((status.as_u16(), read(response).await?));
        }
        let body = bounded(&mut response, settings.max_response_bytes).await?;
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| parse_retry_after(value, chrono::Utc::now()));
        let problem = settings.internal.then(|| ProblemBody::of_ours(&body)).flatten().map(Box::new);
        Err(UpstreamErrorKind::Status { status: status.as_u16(), body, retry_after, problem })
    }
}

/// Why there is no answer. What matters most is whether the request may have been read: only an error that surely came
/// before the first byte was sent is a [`UpstreamErrorKind::Connect`].
fn not_answered(error: SendRequestError) -> UpstreamErrorKind {
    match error {
        SendRequestError::Timeout => UpstreamErrorKind::Timeout,
        // awc says so when a connection ended before an answer came, too.
        SendRequestError::Connect(ConnectError::Disconnected) => {
            UpstreamErrorKind::Broken("it ended before an answer came".to_owned())
        }
        SendRequestError::Response(ParseError::Io(error)) => UpstreamErrorKind::Broken(error.to_string()),
        SendRequestError::Response(error) => UpstreamErrorKind::Malformed(error.to_string()),
        SendRequestError::Connect(_)
        | SendRequestError::Url(_)
        | SendRequestError::Http(_)
        | SendRequestError::TunnelNotSupported => UpstreamErrorKind::Connect(error.to_string()),
        other => UpstreamErrorKind::Broken(other.to_string()),
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

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
