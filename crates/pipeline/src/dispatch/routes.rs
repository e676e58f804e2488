//! The API: how the dispatcher stands.

use std::sync::{Arc, PoisonError};

use actix_web::get;
use actix_web::web::{Data, Json, ServiceConfig};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};
use web::ProblemBody;

use super::cache::Cache;
use super::consume::Shown;

/// The description of this route.
#[derive(OpenApi)]
#[openapi(
    info(title = "trigger-dispatcher", description = "Signals and clocks set pipelines off"),
    paths(dispatcher),
    components(schemas(ProblemBody))
)]
pub(crate) struct Api;

/// Adds the route.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    routes.service(dispatcher);
}

/// What the route tells of.
pub(crate) struct Overview {
    pub(crate) cache: Arc<Cache>,
    pub(crate) shown: Shown,
}

/// How a dispatcher stands. Reply of `GET /v1/dispatcher`.
#[derive(Debug, Serialize, ToSchema)]
struct Dispatcher {
    /// The pipelines that it remembers; null before they have been read.
    pipelines: Option<Pipelines>,
    /// How far it is with signals; null before it has read any.
    signals: Option<Signals>,
    /// Trace of the request that this answers; absent when telemetry is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

/// Pipelines that are remembered: those that are enabled.
#[derive(Debug, Serialize, ToSchema)]
struct Pipelines {
    /// Signals set off so many of them.
    on_signals: usize,
    /// A clock sets off so many of them.
    on_clocks: usize,
    /// Memory that they take.
    size_bytes: usize,
    /// The last change of a pipeline that is known here.
    change_number: i64,
    /// When it was looked last whether there are others.
    refreshed_at: DateTime<Utc>,
    /// When all of them were read last.
    read_at: DateTime<Utc>,
}

/// How far the reading of signals is, in the partitions that are this dispatcher's.
#[derive(Debug, Serialize, ToSchema)]
struct Signals {
    /// When it was looked last.
    looked_at: DateTime<Utc>,
    /// Signals in its partitions that have not been worked through; none where it has no partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_messages: Option<u64>,
    /// Age of the oldest of them, in seconds; 0 when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_seconds: Option<f64>,
    /// Each partition.
    partitions: Vec<Partition>,
}

/// A partition of the bus's topic.
#[derive(Debug, Serialize, ToSchema)]
struct Partition {
    /// Its number.
    partition: i32,
    /// The first signal that has not been worked through.
    committed_offset: i64,
    /// The offset that the next signal will have.
    end_offset: i64,
    /// Signals that have not been worked through.
    lag_messages: i64,
}

/// How this dispatcher stands
///
/// Another process beside it has partitions of its own, and says so itself.
#[utoipa::path(tag = "dispatcher", responses((status = 200, body = Dispatcher)))]
#[get("/v1/dispatcher")]
async fn dispatcher(overview: Data<Overview>) -> Json<Dispatcher> {
    let pipelines = overview.cache.cached().map(|cached| Pipelines {
        on_signals: cached.on_signals,
        on_clocks: cached.on_clocks,
        size_bytes: cached.bytes,
        change_number: cached.change_number,
        refreshed_at: cached.looked_at,
        read_at: cached.read_at,
    });
    let shown = overview.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let signals = shown.map(|(standing, looked_at)| Signals {
        looked_at,
        lag_messages: (!standing.partitions.is_empty()).then_some(standing.lag_messages),
        lag_seconds: (!standing.partitions.is_empty()).then(|| standing.lag_seconds()),
        partitions: standing
            .partitions
            .iter()
            .map(|standing| Partition {
                partition: standing.partition,
                committed_offset: standing.committed_offset,
                end_offset: standing.end_offset,
                lag_messages: (standing.end_offset - standing.committed_offset).max(0),
            })
            .collect(),
    });
    Json(Dispatcher { pipelines, signals, trace_id: telemetry::trace_id() })
}
