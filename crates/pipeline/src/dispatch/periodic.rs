//! Pipelines that a clock sets off.
//!
//! The time since 1970 is cut into slots as long as a pipeline says, and each slot sets off one execution, known by a key
//! that names the slot: any number of dispatchers, and any clock that is put back and forth, make one. A slot in which no
//! dispatcher ran is not made up for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::pipeline::{PipelineId, Trigger, TriggerMode};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use storage::outbox::store_context;
use telemetry::metrics::dispatcher::{ENQUEUED, SKIPPED_BUDGET, SKIPPED_RUNNING};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use web::CancellationToken;

use super::cache::Cache;
use super::index;
use crate::store::{Enqueued, New, Store, StoreError, now};

/// Time between two looks at the clock.
const EVERY: Duration = Duration::from_secs(1);

/// Looks at the clock.
pub(crate) struct Clock {
    store: Store,
    cache: Arc<Cache>,
    /// The slot of each pipeline for which everything is done: by number of the pipeline.
    done: HashMap<u128, i64>,
}

/// What a slot came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Enqueued,
    /// Somebody else has set it off.
    Before,
    SkippedRunning,
    SkippedBudget,
    /// It is another pipeline by now, or none.
    Changed,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Enqueued => "enqueued",
            Self::Before => "before",
            Self::SkippedRunning => "skipped_running",
            Self::SkippedBudget => "skipped_budget",
            Self::Changed => "changed",
        }
    }
}

const fn slot(at: DateTime<Utc>, every_seconds: u32) -> i64 {
    at.timestamp().div_euclid(if every_seconds == 0 { 1 } else { every_seconds as i64 })
}

/// The slot that a pipeline is to be set off for, if it is: not the one in which it was made or changed last, with which
/// it would begin in the middle. A clock that was a little ahead then changes nothing about that; one that was far ahead
/// does not count.
fn due(every_seconds: u32, updated_at: DateTime<Utc>, now: DateTime<Utc>) -> Option<i64> {
    let slot_now = slot(now, every_seconds);
    let made_in = slot(updated_at, every_seconds);
    (made_in != slot_now && made_in != slot_now + 1).then_some(slot_now)
}

impl Clock {
    pub(crate) fn new(store: Store, cache: Arc<Cache>) -> Self {
        Self { store, cache, done: HashMap::new() }
    }

    /// Looks until `stop` is cancelled.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut said = false;
        loop {
            let looked = tokio::select! {
                () = stop.cancelled() => return,
                looked = self.look(now()) => looked,
            };
            match looked {
                Ok(()) => said = false,
                // The database says itself that it is away.
                Err(error) if error.is_passing() => {}
                Err(error) => {
                    if !std::mem::replace(&mut said, true) {
                        tracing::error!(error = %error, "pipelines that a clock sets off cannot be set off; it is tried again");
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Sets off what is due. One that fails keeps no other from it, unless the database is away; the first failure is told.
    pub(crate) async fn look(&mut self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let known = self.cache.periodic();
        if self.done.len() > known.len() {
            let ids: std::collections::HashSet<u128> = known.iter().map(|periodic| periodic.id).collect();
            self.done.retain(|id, _| ids.contains(id));
        }
        let mut failed = None;
        for periodic in known {
            let Some(slot) = due(periodic.every_seconds, periodic.updated_at, now) else { continue };
            if self.done.get(&periodic.id) == Some(&slot) {
                continue;
            }
            let Some(id) = index::id(periodic.id) else { continue };
            match self.set_off(&id, periodic.every_seconds, slot, now).await {
                // It comes again as it is now.
                Ok(Outcome::Changed) => {}
                Ok(_) => {
                    self.done.insert(periodic.id, slot);
                }
                Err(error) if error.is_passing() => return Err(error),
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn set_off(
        &self,
        id: &PipelineId,
        every_seconds: u32,
        slot: i64,
        now: DateTime<Utc>,
    ) -> Result<Outcome, StoreError> {
        let key = Store::slot_key(id, slot);
        // Most often another dispatcher was here first: that is no trace.
        if self.store.was_set_off(&key).await? {
            return Ok(Outcome::Before);
        }
        let span = tracing::info_span!(
            parent: None,
            "TriggerDispatcher.periodic",
            pipeline.id = %id,
            pipeline.slot = slot,
            pipeline.outcome = Empty,
            crypto.symbol = Empty,
            execution.id = Empty,
        );
        let work = async {
            let outcome = self.enqueue(id, every_seconds, key, now).await;
            match &outcome {
                Ok(outcome) => {
                    Span::current().record("pipeline.outcome", outcome.as_str());
                }
                Err(error) => telemetry::record_exception("storage", error),
            }
            outcome
        };
        let outcome = work.instrument(span).await?;
        match outcome {
            Outcome::Enqueued => ENQUEUED.add(1, &[("status", "enqueued")]),
            Outcome::SkippedRunning => {
                ENQUEUED.add(1, &[("status", "skipped")]);
                SKIPPED_RUNNING.add(1, &[]);
            }
            Outcome::SkippedBudget => {
                ENQUEUED.add(1, &[("status", "skipped")]);
                SKIPPED_BUDGET.add(1, &[]);
            }
            Outcome::Before | Outcome::Changed => {}
        }
        Ok(outcome)
    }

    async fn enqueue(
        &self,
        id: &PipelineId,
        every_seconds: u32,
        key: String,
        now: DateTime<Utc>,
    ) -> Result<Outcome, StoreError> {
        let Some(pipeline) = self.store.pipeline(id).await?.filter(|pipeline| pipeline.request.enabled) else {
            return Ok(Outcome::Changed);
        };
        let symbol = match &pipeline.request.trigger {
            Trigger::Periodic(periodic) if periodic.every_seconds == every_seconds => periodic.symbol.clone(),
            _ => return Ok(Outcome::Changed),
        };
        Span::current().record("crypto.symbol", symbol.as_str());
        if self.store.is_budget_spent(&pipeline, now).await? {
            return Ok(Outcome::SkippedBudget);
        }
        let context = store_context(&Context::current().with_cleared_baggage());
        let new = New {
            pipeline: &pipeline,
            trigger_mode: TriggerMode::Periodic,
            signal: None,
            symbol,
            dedupe: Some(key),
            context: &context,
        };
        let mut transaction = self.store.database().begin().await?;
        let enqueued = Store::enqueue(&mut transaction, &new, now).await?;
        transaction.commit().await?;
        Ok(match enqueued {
            Enqueued::New { execution_id } => {
                Span::current().record("execution.id", execution_id.as_str());
                Outcome::Enqueued
            }
            Enqueued::Before { .. } => Outcome::Before,
            Enqueued::AlreadyRunning => Outcome::SkippedRunning,
            Enqueued::Changed => Outcome::Changed,
        })
    }
}

#[cfg(test)]
mod tests {
    use domain::pipeline::{Budget, PipelineRequest};
    use serde_json::json;

    use super::*;
    use crate::dispatch::testing::{Process, at, on_engines};

    fn every(seconds: u32) -> serde_json::Value {
        json!({"mode": "periodic", "every_seconds": seconds, "symbol": "BTCUSDT"})
    }

    #[test]
    fn a_slot_begins_at_its_multiple_and_is_not_begun_in_the_middle() {
        let due = |seconds: i64| due(10, at(1_005), at(seconds));
        let found = [1_005, 1_009, 1_010, 1_019, 1_020].map(due);
        assert_eq!(found, [None, None, Some(101), Some(101), Some(102)]);
        // Made by a clock that was a little ahead; by one that was far ahead; before 1970, too.
        assert_eq!([due(999), due(989), due(-1)], [None, Some(98), Some(-1)]);
    }

    #[test]
    fn each_slot_sets_off_one_whoever_looks_and_however_often() {
        on_engines(async |database, bus| {
            let (one, two) = (Process::start(&database, &bus).await, Process::start(&database, &bus).await);
            let made = one.make("one", every(60), at(30)).await;
            two.cache.refresh().await.unwrap();
            let (mut first, mut second) = (one.clock(), two.clock());
            first.look(at(59)).await.unwrap();
            assert_eq!(one.execute().await, 0, "it was made in the middle of this slot");
            for now in [60, 61, 119] {
                let looked = futures_util::join!(first.look(at(now)), second.look(at(now)));
                looked.0.unwrap();
                looked.1.unwrap();
            }
            let execution = one.store.execution_of(&Store::slot_key(&made.pipeline_id, 1)).await.unwrap().unwrap();
            assert_eq!((execution.trigger_mode, execution.symbol.as_str()), (TriggerMode::Periodic, "BTCUSDT"));
            assert_eq!((execution.signal, execution.queued_at), (None, at(60)));
            assert_eq!(one.execute().await, 1);
            // Slots in which nobody looked are not made up for.
            second.look(at(600)).await.unwrap();
            first.look(at(601)).await.unwrap();
            assert_eq!(one.execute().await, 1);
            // A process that begins knows nothing, and does nothing twice.
            one.clock().look(at(602)).await.unwrap();
            assert_eq!(one.execute().await, 0);
        });
    }

    #[test]
    fn a_clock_that_is_put_back_and_forth_changes_nothing() {
        on_engines(async |database, bus| {
            let one = Process::start(&database, &bus).await;
            one.make("one", every(60), at(0)).await;
            let mut clock = one.clock();
            let mut executed = Vec::new();
            for now in [600, 660, 610, 720, 665, 725, 100_000, 730, 100_001, 780] {
                clock.look(at(now)).await.unwrap();
                executed.push(one.execute().await);
            }
            assert_eq!(executed, [1, 1, 0, 1, 0, 0, 1, 0, 0, 1]);
        });
    }

    #[test]
    fn what_runs_or_is_too_dear_is_passed_by_for_the_slot() {
        on_engines(async |database, bus| {
            let one = Process::start(&database, &bus).await;
            one.make("busy", every(60), at(0)).await;
            let mut poor: PipelineRequest = serde_json::from_value(json!({
                "name": "poor", "trigger": every(60), "steps": [{"name": "tell", "agent": "notify"}],
            }))
            .unwrap();
            poor.budget = Some(Budget { usd_per_day: rust_decimal::Decimal::ZERO });
            one.store.create(&poor, at(0)).await.unwrap();
            one.cache.refresh().await.unwrap();
            let mut clock = one.clock();
            clock.look(at(60)).await.unwrap();
            // It waits, or runs, into the next slot.
            clock.look(at(120)).await.unwrap();
            assert_eq!(one.execute().await, 1);
            clock.look(at(125)).await.unwrap();
            assert_eq!(one.execute().await, 0, "it does not begin late");
            clock.look(at(180)).await.unwrap();
            assert_eq!(one.execute().await, 1);
        });
    }

    #[test]
    fn one_that_was_changed_is_set_off_as_it_is_now() {
        on_engines(async |database, bus| {
            let one = Process::start(&database, &bus).await;
            let made = one.make("one", every(60), at(0)).await;
            let mut clock = one.clock();
            // The cache does not know it yet.
            let mut request = made.request.clone();
            request.trigger = serde_json::from_value(every(100)).unwrap();
            one.store.replace(&made.pipeline_id, None, &request, at(10)).await.unwrap();
            clock.look(at(60)).await.unwrap();
            assert_eq!(one.execute().await, 0);
            one.cache.refresh().await.unwrap();
            clock.look(at(61)).await.unwrap();
            assert_eq!(one.execute().await, 0, "it was changed in the middle of this slot");
            clock.look(at(100)).await.unwrap();
            assert_eq!(one.execute().await, 1);
            request.enabled = false;
            one.store.replace(&made.pipeline_id, None, &request, at(110)).await.unwrap();
            clock.look(at(200)).await.unwrap();
            one.cache.refresh().await.unwrap();
            clock.look(at(300)).await.unwrap();
            assert_eq!((one.execute().await, one.cache.periodic()), (0, vec![]));
        });
    }
}
