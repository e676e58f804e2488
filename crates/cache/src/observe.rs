//! A span and metrics for each command.
//!
//! Attributes: <https://opentelemetry.io/docs/specs/semconv/db/redis/>. Keys and values are none of them.

use std::time::Instant;

use telemetry::metrics::redis::{COMMAND_DURATION, COMMANDS_FAILED, LOOKUPS};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::Shelf;
use crate::error::CacheError;
use crate::target::Target;

/// What the spans of one cache have in common.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    address: String,
    port: Option<i64>,
    namespace: String,
}

impl Described {
    pub(crate) fn new(target: &Target) -> Self {
        Self {
            address: target.address.clone(),
            port: target.port.map(i64::from),
            namespace: target.database.to_string(),
        }
    }
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Get,
    Mget,
    Set,
}

impl Operation {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Mget => "MGET",
            Self::Set => "SET",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Mget => "mget",
            Self::Set => "set",
        }
    }
}

fn span(described: &Described, operation: Operation) -> Span {
    tracing::info_span!(
        "redis_command",
        otel.name = format!("redis {}", operation.name()),
        otel.kind = "client",
        db.system.name = "redis",
        db.namespace = described.namespace,
        db.operation.name = operation.name(),
        db.response.status_code = Empty,
        server.address = described.address,
        server.port = described.port,
    )
}

/// Runs a command within its span, unless `quietly`, and measures it.
pub(crate) async fn observed<T>(
    described: &Described,
    operation: Operation,
    quietly: bool,
    work: impl Future<Output = Result<T, CacheError>>,
) -> Result<T, CacheError> {
    let started = Instant::now();
    let result = if quietly {
        work.await
    } else {
        let span = span(described, operation);
        let result = work.instrument(span.clone()).await;
        if let Err(error) = &result {
            span.in_scope(|| telemetry::record_exception(error.label(), error));
            if let Some(code) = error.code() {
                span.record("db.response.status_code", code);
            }
        }
        result
    };
    let labels = [("command", operation.label())];
    COMMAND_DURATION.record(started.elapsed().as_secs_f64(), &labels);
    if result.is_err() {
        COMMANDS_FAILED.add(1, &labels);
    }
    result
}

/// What looking for something came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Hit,
    Miss,
    Unreadable,
    Failed,
    Away,
}

pub(crate) fn looked(shelf: Shelf, outcome: Outcome) {
    let outcome = match outcome {
        Outcome::Hit => "hit",
        Outcome::Miss => "miss",
        Outcome::Unreadable => "unreadable",
        Outcome::Failed => "failed",
        Outcome::Away => "away",
    };
    LOOKUPS.add(1, &[("cache", shelf.word()), ("outcome", outcome)]);
}
