//! Asks Tempo and Loki.

use std::str::FromStr;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde::Serialize;
use url::Url;
use web::{Upstream, UpstreamError, UpstreamErrorKind, UpstreamSettings};

use crate::{LogsView, TraceView, loki, otlp, tree};

/// Most log lines of one answer.
const MAX_LINES: usize = 500;

/// A trace id: 32 hex digits, not all zero. Safe in a path and in a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceId(String);

/// A text that is no trace id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a trace id is 32 hex digits")]
pub struct TraceIdError;

impl TraceId {
    /// The digits, lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TraceId {
    type Err = TraceIdError;

    fn from_str(text: &str) -> Result<Self, TraceIdError> {
        let hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        (hex && text.bytes().any(|digit| digit != b'0')).then(|| Self(text.to_ascii_lowercase())).ok_or(TraceIdError)
    }
}

/// Why a trace or its logs cannot be shown.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TraceError {
    /// Tempo does not know it (yet).
    #[error("Tempo has no trace {0}")]
    NotFound(String),
    /// Tempo or Loki failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// Reads traces and their logs.
#[derive(Debug, Clone)]
pub struct TraceReader {
    tempo: Upstream,
    loki: Upstream,
    look_back: TimeDelta,
}

impl TraceReader {
    /// Reads from these addresses; logs no older than `look_back`.
    #[must_use]
    pub fn new(tempo_url: Url, loki_url: Url, look_back: TimeDelta) -> Self {
        let upstream = |name, url| {
            Upstream::new(UpstreamSettings {
                attempt_timeout: Duration::from_secs(5),
                total_timeout: Duration::from_secs(8),
                // The page and the command line ask again by themselves.
                max_attempts: 1,
                max_response_bytes: 16 * 1024 * 1024,
                ..UpstreamSettings::new(name, url)
            })
        };
        Self { tempo: upstream("tempo", tempo_url), loki: upstream("loki", loki_url), look_back }
    }

    /// One trace as a tree.
    ///
    /// # Errors
    /// [`TraceError::NotFound`] while Tempo has none of its spans.
    pub async fn trace(&self, id: &TraceId) -> Result<TraceView, TraceError> {
        let not_found = || TraceError::NotFound(id.as_str().to_owned());
        let answer = self
            .tempo
            .get("/api/v2/traces/{trace_id}")
            .path(format!("/api/v2/traces/{}", id.as_str()))
            .header("accept", "application/json")
            .send()
            .await;
        let answer = match answer {
            Err(UpstreamError { kind: UpstreamErrorKind::Status { status: 404, .. }, .. }) => return Err(not_found()),
            other => other?,
        };
        let spans = otlp::read(&answer.body).map_err(|error| malformed(&self.tempo, error.to_string()))?;
        tree::build(id.as_str(), spans).ok_or_else(not_found)
    }

    /// The log lines of one trace; none is an empty list, since they may still be on their way.
    ///
    /// # Errors
    /// When Loki fails.
    pub async fn logs(&self, id: &TraceId) -> Result<LogsView, TraceError> {
        #[derive(Serialize)]
        struct Query<'a> {
            query: &'a str,
            start: String,
            end: String,
            limit: usize,
            direction: &'static str,
        }
        let now = Utc::now();
        let nanos = |at: chrono::DateTime<Utc>| at.timestamp_nanos_opt().unwrap_or_default().to_string();
        let query = Query {
            query: &format!(r#"{{service_name=~".+"}} | trace_id="{}""#, id.as_str()),
            start: nanos(now - self.look_back),
            // Clocks of other machines may be a little ahead.
            end: nanos(now + TimeDelta::minutes(1)),
            limit: MAX_LINES,
            direction: "forward",
        };
        let answer = self.loki.get("/loki/api/v1/query_range").query(&query).send().await?;
        loki::read(id.as_str(), &answer.body, MAX_LINES).map_err(|reason| malformed(&self.loki, reason).into())
    }
}

fn malformed(upstream: &Upstream, reason: String) -> UpstreamError {
    UpstreamError { upstream: upstream.name(), kind: UpstreamErrorKind::Malformed(reason), attempts: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_are_ids() {
        assert_eq!(
            "4BF92F3577B34DA6A3CE929D0E0E4736".parse::<TraceId>().unwrap().as_str(),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
        for text in [
            "",
            "4bf9",
            "00000000000000000000000000000000",
            "4bf92f3577b34da6a3ce929d0e0e473\"",
            "../../../../../../../../../../../",
        ] {
            assert_eq!(text.parse::<TraceId>(), Err(TraceIdError), "{text}");
        }
    }
}
