//! A span and metrics for each statement.
//!
//! Attributes: <https://opentelemetry.io/docs/specs/semconv/database/database-spans/>

use std::fmt;
use std::pin::Pin;
use std::time::Instant;

use telemetry::metrics::storage::{QUERY_DURATION, QUERY_ERRORS};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::error::Failure;
use crate::lease::Control;
use crate::target::Target;
use crate::{Statement, StorageError};

/// What the spans of one database have in common.
#[derive(Debug)]
pub(crate) struct Described {
    system: &'static str,
    namespace: String,
    address: Option<String>,
    port: Option<i64>,
}

impl Described {
    pub(crate) fn new(target: &Target) -> Self {
        let (address, port) = target.server();
        Self { system: target.system(), namespace: target.namespace(), address, port }
    }
}

/// What is told about one statement.
#[derive(Clone, Copy)]
pub(crate) struct Told {
    operation: &'static str,
    label: &'static str,
    collection: Option<&'static str>,
    sql: &'static str,
}

impl Told {
    pub(crate) const fn statement(statement: &Statement) -> Self {
        Self {
            operation: statement.query_type.operation(),
            label: statement.query_type.label(),
            collection: Some(statement.collection),
            sql: statement.sql,
        }
    }

    pub(crate) const fn control(control: Control, sqlite: bool) -> Self {
        Self { operation: control.operation(), label: control.label(), collection: None, sql: control.sql(sqlite) }
    }

    fn span(&self, database: &Described) -> Span {
        tracing::info_span!(
            "db_query",
            otel.name = %self,
            otel.kind = "client",
            db.system.name = database.system,
            db.namespace = database.namespace,
            db.operation.name = self.operation,
            db.collection.name = self.collection,
            db.query.text = self.sql,
            db.query.summary = %self,
            db.response.returned_rows = Empty,
            db.response.status_code = Empty,
            server.address = database.address,
            server.port = database.port,
        )
    }
}

/// The summary: `SELECT users`.
impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation)?;
        self.collection.map_or(Ok(()), |collection| write!(f, " {collection}"))
    }
}

/// Runs a statement within its span and measures it. `work` also tells how many rows came back, if rows can; it is boxed,
/// because a driver's future is large, and every caller's would hold room for it.
pub(crate) async fn observed<T>(
    database: &Described,
    told: Told,
    work: Pin<Box<impl Future<Output = Result<(T, Option<usize>), Failure>>>>,
) -> Result<T, StorageError> {
    let span = told.span(database);
    match measured(told, work.instrument(span.clone())).await {
        Ok((done, rows)) => {
            if let Some(rows) = rows {
                span.record("db.response.returned_rows", i64::try_from(rows).unwrap_or(i64::MAX));
            }
            Ok(done)
        }
        Err(failure) => {
            span.in_scope(|| telemetry::record_exception(failure.error.label(), &failure.error));
            if let Some(code) = failure.code {
                span.record("db.response.status_code", code);
            }
            Err(failure.error)
        }
    }
}

/// Runs a statement and measures it.
pub(crate) async fn measured<T>(told: Told, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let started = Instant::now();
    let result = work.await;
    QUERY_DURATION.record(started.elapsed().as_secs_f64(), &[("query_type", told.label)]);
    if let Err(failure) = &result {
        QUERY_ERRORS.add(1, &[("query_type", told.label), ("reason", failure.error.label())]);
    }
    result
}
