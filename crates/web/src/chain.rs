//! A link of the business chain: handing a request on to whatever service comes next (spec E1).

use std::future::Future;
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use clap::Args;
use domain::{ChainContext, ChainPart, ChainReply, Hop, PartStatus, ProcessRequest};
use sha2::{Digest as _, Sha256};
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use url::Url;

use crate::{Probe, Problem, Readiness, Upstream, UpstreamError, UpstreamErrorKind, UpstreamSettings};

/// Longest wait for the rest of the chain, where nothing else is set; below the time limit of requests (30 s).
const LONGEST_WAIT: Duration = Duration::from_secs(25);

/// Header of an answer that repeats an earlier one, because the idempotency key is the same.
pub const REPLAYED: &str = "idempotent-replayed";

/// Where a service of the chain stands in it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Business chain")]
pub struct ChainSettings {
    /// Base URL of the service behind this one, http://127.0.0.1:5002; POST {url}/process is called. The chain's last
    /// service has none ("none" where a default has to be undone)
    #[arg(long, env = "NEXT_SERVICE_URL", value_parser = next_url)]
    pub next_service_url: Option<Next>,

    /// What that service is called in errors, spans and metrics: lower-case letters, digits and '-'
    #[arg(long, env = "NEXT_SERVICE_NAME", value_parser = service_name)]
    pub next_service_name: Option<String>,

    /// Longest wait for the services behind this one, in milliseconds. Left out, it is shorter the further behind, so that
    /// whoever waits for a service that hangs answers before its own caller gives up (api-gateway 25000, user-service
    /// 20000, order-service 3000)
    #[arg(long, env = "NEXT_SERVICE_TIMEOUT_MS", value_parser = clap::value_parser!(u64).range(50..=25_000))]
    pub next_service_timeout_ms: Option<u64>,

    /// Put users' names and e-mail addresses onto spans, beside their ids
    #[arg(long, env = "TRACE_PERSONAL_DATA", default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub trace_personal_data: bool,
}

/// What `NEXT_SERVICE_URL` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The chain ends here.
    None,
    /// The base URL of the next service.
    At(Url),
}

fn next_url(text: &str) -> Result<Next, String> {
    if text == "none" || text.is_empty() {
        return Ok(Next::None);
    }
    let url = Url::parse(text).map_err(|error| format!("no URL like http://127.0.0.1:5002: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("no http:// or https:// URL with a host".to_owned());
    }
    Ok(Next::At(url))
}

fn service_name(text: &str) -> Result<String, String> {
    let well_formed = (1..=40).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if well_formed { Ok(text.to_owned()) } else { Err("1 to 40 lower-case letters, digits and '-'".to_owned()) }
}

impl ChainSettings {
    /// For tests: the next service at this address, or none.
    #[must_use]
    pub fn to(next: Option<Url>) -> Self {
        Self {
            next_service_url: Some(next.map_or(Next::None, Next::At)),
            next_service_name: None,
            next_service_timeout_ms: None,
            trace_personal_data: false,
        }
    }

    /// The link to the next service, if there is one: where the settings say, else at this usual address. For the first
    /// of the chain, which waits longest.
    #[must_use]
    pub fn link(&self, usual: Option<(&'static str, &str)>) -> Option<NextLink> {
        self.link_within(usual, LONGEST_WAIT)
    }

    /// The same with another usual wait.
    #[must_use]
    pub fn link_within(&self, usual: Option<(&'static str, &str)>, wait: Duration) -> Option<NextLink> {
        let usual_name = usual.map_or("next-service", |(name, _)| name);
        let url = match &self.next_service_url {
            Some(Next::None) => return None,
            Some(Next::At(url)) => url.clone(),
            None => usual.and_then(|(_, url)| url.parse().ok())?,
        };
        let name = match &self.next_service_name {
            // Names of upstreams are static words everywhere; this one is made once, when the service starts.
            Some(name) => Box::leak(name.clone().into_boxed_str()),
            None => usual_name,
        };
        Some(NextLink::new(name, url, self.next_service_timeout_ms.map_or(wait, Duration::from_millis)))
    }
}

/// The next service of the chain.
#[derive(Debug, Clone)]
pub struct NextLink {
    upstream: Upstream,
    probe: Probe,
    timeout: Duration,
}

/// What the services behind answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedOn {
    /// Their parts.
    pub reply: ChainReply,
    /// Whether it is an earlier answer, repeated.
    pub replayed: bool,
}

impl NextLink {
    /// The service at a base URL, called `name` in errors, spans and metrics.
    #[must_use]
    pub fn new(name: &'static str, base_url: Url, timeout: Duration) -> Self {
        let upstream = Upstream::new(UpstreamSettings {
            attempt_timeout: timeout,
            total_timeout: timeout,
            ..UpstreamSettings::new(name, base_url).internal()
        });
        let probe = Probe::new("next-service-probe", &upstream);
        Self { upstream, probe, timeout }
    }

    /// Who comes next.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.upstream.name()
    }

    /// Longest that [`NextLink::hand_on`] takes, with all its tries.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Hands a request on. It is sent again where that may help and does no harm: when it carries an idempotency key.
    ///
    /// # Errors
    /// What went wrong with the last attempt, with the name of the link that failed.
    pub async fn hand_on(&self, request: &ProcessRequest) -> Result<HandedOn, UpstreamError> {
        let keyed = request.context.as_ref().is_some_and(|context| context.idempotency_key.is_some());
        let call = self.upstream.post("/process").json(request);
        let response = if keyed { call.retryable() } else { call }.send().await?;
        let reply: ChainReply = response.json()?;
        if reply.parts.is_empty() {
            return Err(UpstreamError {
                upstream: self.name(),
                kind: UpstreamErrorKind::Malformed("a reply without any part".to_owned()),
                attempts: 1,
            });
        }
        Ok(HandedOn { reply, replayed: response.header(REPLAYED) == Some("true") })
    }

    /// Adds it to what a service needs.
    #[must_use]
    pub fn checked_in(&self, readiness: Readiness) -> Readiness {
        readiness.probe(self.name(), self.probe.clone())
    }
}

/// What a service of the chain answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Processed {
    /// Its part, and those of the services behind it.
    pub reply: ChainReply,
    /// Whether an earlier try of the same request has done it already.
    pub replayed: bool,
}

impl From<Processed> for HttpResponse {
    fn from(processed: Processed) -> Self {
        let mut response = Self::Ok();
        if processed.replayed {
            response.insert_header((REPLAYED, "true"));
        }
        response.json(processed.reply)
    }
}

/// Why a service of the chain gives no answer.
pub trait ChainError: std::error::Error {
    /// A bounded word, for `error.type`.
    fn label(&self) -> &'static str;
    /// Whether something failed, rather than was refused.
    fn is_failure(&self) -> bool;
}

/// Does a service's part within its span, which declares `idempotency.replayed`: it says whether the answer is a
/// repeated one, and has the exception where the part failed.
///
/// # Errors
/// Those of the work.
pub async fn observed<E: ChainError + 'static>(
    span: Span,
    work: impl Future<Output = Result<Processed, E>>,
) -> Result<Processed, E> {
    async {
        let outcome = work.await;
        match &outcome {
            Ok(processed) => {
                Span::current().record("idempotency.replayed", processed.replayed);
            }
            Err(error) if error.is_failure() => telemetry::record_exception(error.label(), error),
            Err(_) => {}
        }
        outcome
    }
    .instrument(span)
    .await
}

/// Most of what other services hand on that is put onto a span, in bytes of JSON.
const MOST_SHOWN: usize = 4_096;

/// Most recoveries that are put onto a span.
const MOST_RECOVERIES: usize = 16;

/// Puts what a request has gathered on its way onto the current span: the services it came through, what was recovered
/// from (an event each), and, where personal data may be seen, what services have handed on, for nobody knows what that is.
pub fn show_context(context: &ChainContext, personal_data: bool) {
    let span = Span::current();
    if let Some(id) = &context.request_id {
        span.set_attribute("request.id", id.clone());
    }
    let hops: Vec<String> = context.hops.iter().map(|hop| format!("{} {}", hop.service, hop.version)).collect();
    span.set_attribute("chain.hops", hops.join(" > "));
    // What came as JSON can be written as JSON.
    if personal_data
        && !context.business.is_empty()
        && let Ok(mut business) = serde_json::to_string(&context.business)
    {
        business.truncate(business.floor_char_boundary(MOST_SHOWN));
        span.set_attribute("chain.business", business);
    }
    for error in context.errors.iter().take(MOST_RECOVERIES) {
        telemetry::record_recovered(&error.service, &error.code, &error.detail, &error.recovery);
    }
}

/// A key that was used for another request.
#[must_use]
pub fn key_mismatch() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "key_mismatch",
        "This Idempotency-Key was used for another request. Use a new key for every new request.",
    )
}

/// What a request asks for, in a word: the same for two tries of it, whatever the context they come in.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn fingerprint(request: &ProcessRequest) -> Result<String, serde_json::Error> {
    // Named one by one: a context can be large, and is not to be copied for this.
    let bare = ProcessRequest {
        user_id: request.user_id,
        user_name: request.user_name.clone(),
        user_email: request.user_email.clone(),
        action: request.action.clone(),
        items: request.items.clone(),
        decision_id: request.decision_id.clone(),
        context: None,
    };
    Ok(URL_SAFE_NO_PAD.encode(Sha256::digest(serde_json::to_vec(&bare)?)))
}

/// A request as a service of the chain takes it: well-formed, and with a context that can be kept.
///
/// # Errors
/// 400 `bad_context` with what is wrong.
pub fn accepted(request: ProcessRequest) -> Result<ProcessRequest, Problem> {
    if let Some(context) = &request.context {
        context.check().map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, "bad_context", format!("The context cannot be used: {error}."))
        })?;
    }
    Ok(request)
}

/// One service's work on one request, for its hop in the context and its part of the reply.
#[derive(Debug)]
pub struct Work {
    service: &'static str,
    at: DateTime<Utc>,
    started: Instant,
    worked_ms: Option<u64>,
}

impl Work {
    /// Begins now.
    #[must_use]
    pub fn begin(service: &'static str) -> Self {
        Self { service, at: Utc::now(), started: Instant::now(), worked_ms: None }
    }

    /// The service's own work is done, and the request goes on: puts its hop into the context.
    pub fn hand_over(&mut self, context: &mut ChainContext) {
        let worked_ms = *self.worked_ms.get_or_insert_with(|| millis(self.started.elapsed()));
        context.hops.push(Hop {
            service: self.service.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: self.at,
            worked_ms,
        });
    }

    /// The service's part, before those of the services behind it.
    #[must_use]
    pub fn reply(self, data: serde_json::Value, behind: Vec<ChainPart>) -> ChainReply {
        let worked_ms = self.worked_ms.unwrap_or_else(|| millis(self.started.elapsed()));
        let own = ChainPart { service: self.service.to_owned(), status: PartStatus::Done, worked_ms, data };
        ChainReply { parts: std::iter::once(own).chain(behind).collect() }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_where_the_settings_say() {
        let usual = Some(("order-service", "http://127.0.0.1:5002"));
        let mut settings = ChainSettings::to(None);
        assert!(settings.link(usual).is_none(), "none undoes the usual one");
        settings.next_service_url = None;
        assert_eq!(settings.link(usual).map(|link| link.name()), Some("order-service"));
        assert!(settings.link(None).is_none());
        settings.next_service_url = Some(next_url("http://127.0.0.1:7000").unwrap());
        settings.next_service_name = Some("fraud-check".to_owned());
        assert_eq!(settings.link(usual).map(|link| link.name()), Some("fraud-check"));
    }

    #[test]
    fn addresses_and_names_are_checked() {
        assert_eq!(next_url("none"), Ok(Next::None));
        for bad in ["127.0.0.1:5002", "ftp://x/", "order"] {
            assert!(next_url(bad).is_err(), "{bad}");
        }
        assert!(service_name("fraud-check").is_ok() && service_name("Fraud Check").is_err());
    }
}
