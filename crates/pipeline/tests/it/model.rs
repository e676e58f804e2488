//! The store against a small model: whatever is done in whatever order, an execution makes the moves that
//! `ExecutionStatus` allows and no other, and what is known of it is what was done.

use std::collections::BTreeMap;

use domain::DecisionId;
use domain::pipeline::{ExecutionStatus, Pipeline};
use pipeline::store::{Claim, Enqueued, StoreError};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rust_decimal::Decimal;
use storage::testing::TestDatabase;

use crate::world::{LEASE, World, request, step, t};

const PIPELINES: usize = 2;

#[derive(Debug, Clone, Copy)]
enum Move {
    Enqueue(usize),
    Claim,
    /// Of one of the claims there ever were.
    Step(usize, u8),
    Heartbeat(usize),
    Finish(usize, ExecutionStatus),
    Retry(usize),
    Expire,
    Replay(usize),
    Discard(usize),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let any = 0..8_usize;
    let end = prop::sample::select(ExecutionStatus::ALL.to_vec());
    let one = prop_oneof![
        3 => (0..PIPELINES).prop_map(Move::Enqueue),
        4 => Just(Move::Claim),
        3 => (any.clone(), 0..3_u8).prop_map(|(claim, step)| Move::Step(claim, step)),
        1 => any.clone().prop_map(Move::Heartbeat),
        3 => (any.clone(), end).prop_map(|(claim, status)| Move::Finish(claim, status)),
        2 => any.clone().prop_map(Move::Retry),
        1 => Just(Move::Expire),
        2 => any.clone().prop_map(Move::Replay),
        1 => any.prop_map(Move::Discard),
    ];
    prop::collection::vec(one, 1..40)
}

/// What the model knows of an execution.
#[derive(Debug, Clone)]
struct Known {
    pipeline: usize,
    status: ExecutionStatus,
    attempts: u16,
    max_attempts: u16,
    steps: Vec<(u16, u8)>,
}

struct Model<'a> {
    world: &'a World,
    pipelines: Vec<Pipeline>,
    executions: Vec<(DecisionId, Known)>,
    /// Every claim there was, with the place of its execution.
    claims: Vec<(usize, Claim)>,
    clock: i64,
}

fn is_active(status: ExecutionStatus) -> bool {
    matches!(status, ExecutionStatus::Queued | ExecutionStatus::Running)
}

impl Model<'_> {
    fn has_active(&self, pipeline: usize) -> bool {
        self.executions.iter().any(|(_, known)| known.pipeline == pipeline && is_active(known.status))
    }

    fn go(&mut self, place: usize, to: ExecutionStatus) {
        let known = &mut self.executions[place].1;
        assert!(known.status.may_become(to), "{} to {to}", known.status);
        known.status = to;
    }

    /// One of the claims, and whether it holds.
    fn claim(&self, which: usize) -> Option<(usize, Claim, bool)> {
        let (place, claim) = self.claims.get(which % self.claims.len().max(1))?.clone();
        let known = &self.executions[place].1;
        let holds = known.status == ExecutionStatus::Running && known.attempts == claim.execution.attempts;
        Some((place, claim, holds))
    }

    fn fenced<T: std::fmt::Debug>(result: Result<T, StoreError>, holds: bool) -> Option<T> {
        match result {
            Ok(value) => {
                assert!(holds, "a worker that lost it wrote: {value:?}");
                Some(value)
            }
            Err(StoreError::Fenced) => {
                assert!(!holds, "a worker that has it was refused");
                None
            }
            Err(other) => panic!("{other}"),
        }
    }

    async fn make(&mut self, next: Move) {
        self.clock += 1;
        let (store, now) = (&self.world.store, t(self.clock));
        match next {
            Move::Enqueue(pipeline) => {
                let enqueued = self.world.enqueue(&self.pipelines[pipeline], None, now).await;
                match enqueued {
                    Enqueued::New { execution_id } => {
                        assert!(!self.has_active(pipeline), "two at once");
                        let known = Known {
                            pipeline,
                            status: ExecutionStatus::Queued,
                            attempts: 0,
                            max_attempts: 2,
                            steps: Vec::new(),
                        };
                        self.executions.push((execution_id, known));
                    }
                    Enqueued::AlreadyRunning => assert!(self.has_active(pipeline)),
                    other => panic!("{other:?}"),
                }
            }
            Move::Claim => match store.claim("w", LEASE, now).await.unwrap() {
                None => assert!(self.executions.iter().all(|(_, known)| known.status != ExecutionStatus::Queued)),
                Some(claim) => {
                    let place = self.executions.iter().position(|(id, _)| *id == claim.execution.execution_id).unwrap();
                    self.go(place, ExecutionStatus::Running);
                    let known = &mut self.executions[place].1;
                    known.attempts += 1;
                    assert_eq!(known.attempts, claim.execution.attempts);
                    assert_eq!(known.steps.len(), claim.execution.steps.len());
                    self.claims.push((place, claim));
                }
            },
            Move::Step(which, number) => {
                let Some((place, claim, holds)) = self.claim(which) else { return };
                let name = claim.pipeline.steps[usize::from(number)].name.clone();
                let run = step(&name, claim.execution.attempts, "0.25");
                if Self::fenced(store.record_step(&claim, &run, now).await, holds).is_some() {
                    let steps = &mut self.executions[place].1.steps;
                    let key = (claim.execution.attempts, number);
                    if !steps.contains(&key) {
                        steps.push(key);
                    }
                }
            }
            Move::Heartbeat(which) => {
                let Some((_, claim, holds)) = self.claim(which) else { return };
                Self::fenced(store.heartbeat(&claim).await, holds);
            }
            Move::Finish(which, status) => {
                let Some((place, claim, holds)) = self.claim(which) else { return };
                let ended = store.finish(&claim, status, None, now).await;
                if !status.is_final() {
                    assert!(matches!(ended, Err(StoreError::NoEnd(_))), "{ended:?}");
                } else if Self::fenced(ended, holds).is_some() {
                    self.go(place, status);
                }
            }
            Move::Retry(which) => {
                let Some((place, claim, holds)) = self.claim(which) else { return };
                let Some(ended) = Self::fenced(store.retry_later(&claim, "no", now, now).await, holds) else { return };
                let known = &self.executions[place].1;
                let used_up = known.attempts >= known.max_attempts;
                assert_eq!(ended.is_some(), used_up);
                self.go(place, if used_up { ExecutionStatus::Failed } else { ExecutionStatus::Queued });
            }
            Move::Expire => {
                self.clock += 31;
                let now = t(self.clock);
                let (taken, ended) = self.world.take_all_away(now).await;
                let (mut queued, mut failed) = (0, 0);
                for place in 0..self.executions.len() {
                    let known = &self.executions[place].1;
                    if known.status == ExecutionStatus::Running {
                        let used_up = known.attempts >= known.max_attempts;
                        *if used_up { &mut failed } else { &mut queued } += 1;
                        self.go(place, if used_up { ExecutionStatus::Failed } else { ExecutionStatus::Queued });
                    }
                }
                assert_eq!((taken, ended.len()), (queued, failed));
            }
            Move::Replay(which) => {
                if self.executions.is_empty() {
                    return;
                }
                let place = which % self.executions.len();
                let (id, known) = self.executions[place].clone();
                match store.replay(&id).await {
                    Ok(()) => {
                        assert!(!self.has_active(known.pipeline), "two at once");
                        self.go(place, ExecutionStatus::Queued);
                        self.executions[place].1.max_attempts = known.attempts + 2;
                    }
                    Err(StoreError::Standing(status)) => {
                        assert_eq!(status, known.status);
                        assert_ne!(status, ExecutionStatus::Failed);
                    }
                    Err(StoreError::Active) => assert!(self.has_active(known.pipeline)),
                    Err(other) => panic!("{other}"),
                }
            }
            Move::Discard(which) => {
                if self.executions.is_empty() {
                    return;
                }
                let place = which % self.executions.len();
                let (id, known) = self.executions[place].clone();
                match store.discard(&id, now).await {
                    Ok(_) => self.go(place, ExecutionStatus::Cancelled),
                    Err(StoreError::Standing(status)) => {
                        assert_eq!(status, known.status);
                        assert!(!matches!(status, ExecutionStatus::Failed | ExecutionStatus::Queued));
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }

    /// What the store knows is what the model knows.
    async fn compare(&self) {
        let mut spent: BTreeMap<usize, Decimal> = BTreeMap::new();
        for (id, known) in &self.executions {
            let kept = self.world.store.execution(id).await.unwrap().unwrap();
            assert_eq!(
                (kept.status, kept.attempts, kept.max_attempts),
                (known.status, known.attempts, known.max_attempts)
            );
            assert_eq!(kept.steps.len(), known.steps.len());
            let cost = Decimal::new(25, 2) * Decimal::from(known.steps.len());
            assert_eq!(kept.cost_usd, cost);
            assert_eq!(kept.finished_at.is_some(), known.status.is_final());
            *spent.entry(known.pipeline).or_default() += cost;
        }
        for (place, pipeline) in self.pipelines.iter().enumerate() {
            let kept = self.world.store.spending(&pipeline.pipeline_id, t(0)).await.unwrap();
            assert_eq!(kept, spent.get(&place).copied().unwrap_or_default());
        }
    }
}

/// What fails is said with what led to it.
struct Told(String);

impl Drop for Told {
    #[expect(clippy::print_stderr, reason = "of a test that fails")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

pub(crate) async fn whatever_is_done_in_whatever_order(database: TestDatabase) {
    let world = World::open(&database).await;
    let mut runner = TestRunner::default();
    for round in 0..24 {
        let plan = moves().new_tree(&mut runner).unwrap().current();
        let mut pipelines = Vec::new();
        for number in 0..PIPELINES {
            let mut wanted = request(&format!("{round} {number}"));
            wanted.max_attempts = 2;
            pipelines.push(world.store.create(&wanted, t(0)).await.unwrap());
        }
        let _told = Told(format!("{plan:?}"));
        let mut model = Model { world: &world, pipelines, executions: Vec::new(), claims: Vec::new(), clock: 0 };
        for next in plan {
            model.make(next).await;
        }
        model.compare().await;
        // Nothing of this round is in the way of the next one.
        for pipeline in &model.pipelines {
            world.store.delete(&pipeline.pipeline_id, None, t(3_000)).await.unwrap();
        }
        world.take_all_away(t(100_000)).await;
        while let Some(claim) = world.store.claim("w", LEASE, t(100_000)).await.unwrap() {
            world.store.finish(&claim, ExecutionStatus::Cancelled, None, t(100_000)).await.unwrap();
        }
    }
}
