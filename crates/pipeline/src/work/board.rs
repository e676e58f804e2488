//! What a worker is at, for people.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use domain::pipeline::{PipelineId, TriggerMode};
use domain::{DecisionId, Symbol};
use serde::Serialize;
use telemetry::metrics::pipeline::WORKER_BUSY;
use utoipa::ToSchema;

use crate::store::Claim;

/// An execution that the worker is at.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct AtWork {
    /// Its id.
    pub(super) execution_id: DecisionId,
    /// Of which pipeline.
    pub(super) pipeline_id: PipelineId,
    /// Name of the pipeline, as it was when this was set off.
    pub(super) pipeline: String,
    /// Which market it is about.
    pub(super) symbol: Symbol,
    /// What set it off.
    pub(super) trigger_mode: TriggerMode,
    /// Which attempt it is, from 1.
    pub(super) attempt: u16,
    /// The step that is being done; null before the first and after the last.
    pub(super) step: Option<String>,
    /// When the attempt began.
    pub(super) since: DateTime<Utc>,
}

type Seats = Arc<Mutex<BTreeMap<DecisionId, AtWork>>>;

/// What is being done. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Board(Seats);

/// A place on the board, for as long as it is held.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    execution_id: DecisionId,
}

fn locked(seats: &Seats) -> MutexGuard<'_, BTreeMap<DecisionId, AtWork>> {
    seats.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for charts")]
fn count(seats: &BTreeMap<DecisionId, AtWork>) {
    WORKER_BUSY.set(seats.len() as f64, &[]);
}

impl Board {
    /// Puts an attempt onto the board.
    pub(super) fn sit(&self, claim: &Claim, now: DateTime<Utc>) -> Seat {
        let execution = &claim.execution;
        let at = AtWork {
            execution_id: execution.execution_id.clone(),
            pipeline_id: execution.pipeline_id.clone(),
            pipeline: claim.pipeline.name.clone(),
            symbol: execution.symbol.clone(),
            trigger_mode: execution.trigger_mode,
            attempt: execution.attempts,
            step: None,
            since: now,
        };
        let mut seats = locked(&self.0);
        seats.insert(execution.execution_id.clone(), at);
        count(&seats);
        Seat { seats: Arc::clone(&self.0), execution_id: execution.execution_id.clone() }
    }

    /// All of it, the longest first.
    pub(super) fn all(&self) -> Vec<AtWork> {
        let mut all: Vec<AtWork> = locked(&self.0).values().cloned().collect();
        all.sort_by_key(|at| at.since);
        all
    }
}

impl Seat {
    /// Which step is being done.
    pub(super) fn at(&self, step: Option<&str>) {
        if let Some(at) = locked(&self.seats).get_mut(&self.execution_id) {
            at.step = step.map(str::to_owned);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = locked(&self.seats);
        seats.remove(&self.execution_id);
        count(&seats);
    }
}
