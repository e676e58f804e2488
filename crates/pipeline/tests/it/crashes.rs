//! However a process ends while it writes: what it wrote is whole, or is not there, and doing it again makes it so once.
//!
//! Work is killed wherever it waits, and how often it waits is the machine's to say: an answer that is there already is not
//! waited for. Once a round is certain, and after each kill everything has to be right.

use domain::pipeline::ExecutionStatus;
use domain::{DecisionId, PageQuery, SignalEvent};
use pipeline::store::{Filter, Store};
use rust_decimal::Decimal;
use storage::testing::TestDatabase;
use web::testing::{Killed, eventually};

use crate::world::{LEASE, World, signal, step, t};

/// More steps than anything has: it never ends.
const ENDLESS: usize = 2_000;

pub(crate) async fn killed_at_every_step_of_taking_a_signal(database: TestDatabase) {
    let world = World::open(&database).await;
    let pipelines = [world.pipeline("one").await, world.pipeline("two").await];
    let numbered = |number: u32| {
        let mut bytes = [7; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        SignalEvent { signal_id: DecisionId::from_bytes(bytes), ..signal(0) }
    };
    let take = async |world: &World, event: &SignalEvent| {
        let mut transaction = world.store.database().begin().await.ok()?;
        let taken = Store::take_signal(&mut transaction, event, &pipelines, "{}", t(1)).await.ok()?;
        transaction.commit().await.ok()?;
        Some(taken.is_some())
    };
    let (mut killed, mut rounds, mut steps, mut number) = (0, 0, 0, 0);
    while rounds < 3 {
        assert!(steps < ENDLESS, "it never ends");
        number += 1;
        let event = numbered(number);
        // A process of its own, as far as its connections go.
        let process = World::open(&database).await;
        let ended = Killed::after(steps, take(&process, &event)).await;
        drop(process);
        // Whoever gets the message again takes the signal, or finds that it was taken.
        let again = eventually("it is taken", async || take(&world, &event).await).await;
        if ended == Some(Some(true)) {
            assert!(!again, "step {steps}: it was taken");
        }
        let filter = Filter { signal_id: Some(event.signal_id.clone()), ..Filter::default() };
        let executions = world.store.executions(&PageQuery::default(), &filter).await.unwrap().items;
        let matches = world.store.matches(&event.signal_id, &PageQuery::default()).await.unwrap().unwrap();
        assert_eq!((executions.len(), matches.items.len()), (2, 2), "step {steps}: each pipeline once");
        for _ in 0..2 {
            let claim = world.claim("w", t(2)).await;
            world.store.finish(&claim, ExecutionStatus::Success, None, t(3)).await.unwrap();
        }
        steps += 1;
        if ended.is_some() {
            (rounds, steps) = (rounds + 1, 0);
        } else {
            killed += 1;
        }
    }
    assert!(killed >= 3, "{killed} were killed");
}

pub(crate) async fn killed_at_every_step_of_a_worker_s_attempt(database: TestDatabase) {
    let world = World::open(&database).await;
    let pipeline = world.pipeline("one").await;
    let attempt = async |world: &World, now: i64| {
        let claim = world.store.claim("w", LEASE, t(now)).await.ok()??;
        for name in ["look", "judge", "tell"] {
            if claim.done(name).is_none() {
                let run = step(name, claim.execution.attempts, "0.25");
                world.store.record_step(&claim, &run, t(now)).await.ok()?;
            }
        }
        world.store.finish(&claim, ExecutionStatus::Success, None, t(now)).await.ok()
    };
    let (mut killed, mut paid) = (0, Decimal::ZERO);
    for steps in 0.. {
        assert!(steps < ENDLESS, "it never ends");
        let id = eventually("it is set off", async || {
            let mut transaction = world.store.database().begin().await.ok()?;
            let new = pipeline::store::New {
                pipeline: &pipeline,
                trigger_mode: domain::pipeline::TriggerMode::Manual,
                signal: None,
                symbol: "BTCUSDT".parse().unwrap(),
                dedupe: Some(format!("step {steps}")),
                context: "{}",
            };
            let enqueued = Store::enqueue(&mut transaction, &new, t(0)).await.ok()?;
            transaction.commit().await.ok()?;
            match enqueued {
                pipeline::store::Enqueued::New { execution_id }
                | pipeline::store::Enqueued::Before { execution_id } => Some(execution_id),
                other => panic!("{other:?}"),
            }
        })
        .await;
        let process = World::open(&database).await;
        let ended = Killed::after(steps, attempt(&process, 1)).await;
        drop(process);
        // Somebody else goes on once the lease has run out.
        let done = eventually("it is through", async || {
            for running in world.store.running().await.ok()? {
                world.store.take_away(&running, t(100)).await.ok()?;
            }
            let kept = world.store.execution(&id).await.ok()??;
            if kept.status == ExecutionStatus::Queued {
                attempt(&world, 100).await?;
            }
            let kept = world.store.execution(&id).await.ok()??;
            (kept.status == ExecutionStatus::Success).then_some(kept)
        })
        .await;
        let mut names: Vec<&str> = done.steps.iter().map(|step| step.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["judge", "look", "tell"], "killed at {steps}: each step once");
        assert_eq!(done.cost_usd, "0.75".parse().unwrap(), "killed at {steps}: each is paid once");
        paid += done.cost_usd;
        assert_eq!(world.store.spending(&pipeline.pipeline_id, t(0)).await.unwrap(), paid, "killed at {steps}");
        if ended.is_some() {
            break;
        }
        killed += 1;
    }
    assert!(killed >= 1, "{killed} were killed");
}
