//! Executions in the store: set off, claimed, ended.

use std::time::Duration;

use chrono::TimeDelta;
use domain::PageQuery;
use domain::pipeline::{ExecutionStatus, StepRun, StepStatus, TriggerMode};
use pipeline::store::{Enqueued, Filter, New, Store, StoreError};
use rust_decimal::Decimal;
use serde_json::json;
use storage::testing::TestDatabase;
use storage::{QueryType, Statement};
use telemetry::testing::metric_values;
use web::testing::eventually;

use crate::world::{LEASE, World, id_of, request, signal, step, t};

pub(crate) async fn from_the_queue_to_its_end(database: TestDatabase) {
    let world = World::open(&database).await;
    let store = &world.store;
    let pipeline = world.pipeline("one").await;
    assert_eq!(store.claim("w", LEASE, t(0)).await.unwrap(), None, "there is nothing to do");
    let id = world.queued(&pipeline, t(1)).await;
    let waiting = store.execution(&id).await.unwrap().unwrap();
    assert_eq!((waiting.status, waiting.attempts, waiting.max_attempts), (ExecutionStatus::Queued, 0, 3));
    assert_eq!((waiting.queued_at, waiting.started_at, waiting.finished_at), (t(1), None, None));
    assert_eq!((waiting.pipeline_revision, waiting.trigger_mode), (1, TriggerMode::Manual));
    let claim = world.claim("worker-1", t(2)).await;
    assert_eq!(
        (&claim.execution.execution_id, &claim.pipeline, claim.context.as_str()),
        (&id, &pipeline.request, "{}")
    );
    assert_eq!((claim.execution.attempts, claim.execution.worker.as_deref()), (1, Some("worker-1")));
    assert_eq!(store.claim("w", LEASE, t(2)).await.unwrap(), None, "it is somebody's");
    store.record_step(&claim, &step("look", 1, "0"), t(3)).await.unwrap();
    store.record_step(&claim, &step("judge", 1, "0.000315"), t(3)).await.unwrap();
    let unfit = store.finish(&claim, ExecutionStatus::Queued, None, t(4)).await;
    assert!(matches!(unfit, Err(StoreError::NoEnd(ExecutionStatus::Queued))), "{unfit:?}");
    let ended = store.finish(&claim, ExecutionStatus::Success, Some("it is\0 through"), t(4)).await.unwrap();
    assert_eq!((ended.status, ended.started_at, ended.finished_at), (ExecutionStatus::Success, Some(t(2)), Some(t(4))));
    let done = store.execution(&id).await.unwrap().unwrap();
    assert_eq!((done.status, done.detail.as_deref()), (ExecutionStatus::Success, Some("it is through")));
    assert_eq!((done.cost_usd, done.finished_at), ("0.000315".parse().unwrap(), Some(t(4))));
    let names: Vec<&str> = done.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["look", "judge"]);
    let judged = &done.steps[1];
    assert_eq!((judged.summary.as_str(), judged.duration_ms), ("it was done", 12));
    assert_eq!((&judged.output, judged.started_at), (&json!({"action": "BUY", "text": "a\u{0}b"}), t(1)));
    // It is over: the next one may come.
    world.queued(&pipeline, t(5)).await;
}

pub(crate) async fn a_pipeline_has_one_at_a_time(database: TestDatabase) {
    let worlds = [World::open(&database).await, World::open(&database).await];
    let pipeline = worlds[0].pipeline("one").await;
    let attempts = (0..10).map(|number| worlds[number % 2].enqueue(&pipeline, None, t(1)));
    let results = futures_util::future::join_all(attempts).await;
    let set_off = results.iter().filter(|result| matches!(result, Enqueued::New { .. })).count();
    let passed_by = results.iter().filter(|result| **result == Enqueued::AlreadyRunning).count();
    assert_eq!((set_off, passed_by), (1, 9), "{results:?}");
    // It runs now, and still is the one; another pipeline's is its own.
    let claim = worlds[0].claim("w", t(2)).await;
    assert_eq!(worlds[1].enqueue(&pipeline, None, t(2)).await, Enqueued::AlreadyRunning);
    worlds[1].queued(&worlds[0].pipeline("two").await, t(2)).await;
    worlds[0].store.finish(&claim, ExecutionStatus::Failed, None, t(3)).await.unwrap();
    worlds[1].queued(&pipeline, t(4)).await;
}

pub(crate) async fn the_same_sets_off_one(database: TestDatabase) {
    let world = World::open(&database).await;
    let pipeline = world.pipeline("one").await;
    let execution_id = id_of(world.enqueue(&pipeline, Some("key"), t(1)).await);
    let before = Enqueued::Before { execution_id };
    assert_eq!(world.enqueue(&pipeline, Some("key"), t(1)).await, before);
    assert_eq!(world.enqueue(&pipeline, Some("another"), t(1)).await, Enqueued::AlreadyRunning);
    let claim = world.claim("w", t(2)).await;
    world.store.finish(&claim, ExecutionStatus::Success, None, t(3)).await.unwrap();
    assert_eq!(world.enqueue(&pipeline, Some("key"), t(4)).await, before, "also when it is over");
    id_of(world.enqueue(&pipeline, Some("another"), t(4)).await);
}

pub(crate) async fn a_pipeline_of_the_past_sets_nothing_off(database: TestDatabase) {
    let world = World::open(&database).await;
    let old = world.pipeline("one").await;
    let new = world.store.replace(&old.pipeline_id, None, &old.request, t(1)).await.unwrap().pipeline;
    assert_eq!(world.enqueue(&old, None, t(2)).await, Enqueued::Changed);
    world.queued(&new, t(2)).await;
    assert_eq!(world.enqueue(&old, None, t(2)).await, Enqueued::Changed);
    // What is deleted is not executed, unless a worker is at it.
    let ended = world.store.delete(&new.pipeline_id, None, t(3)).await.unwrap();
    assert_eq!((ended.len(), ended[0].status), (1, ExecutionStatus::Cancelled));
    assert_eq!(world.store.claim("w", LEASE, t(9)).await.unwrap(), None);
    assert_eq!(world.enqueue(&new, None, t(4)).await, Enqueued::Changed);
    let other = world.pipeline("two").await;
    world.queued(&other, t(4)).await;
    let claim = world.claim("w", t(5)).await;
    assert_eq!(world.store.delete(&other.pipeline_id, None, t(6)).await.unwrap(), []);
    world.store.finish(&claim, ExecutionStatus::Success, None, t(7)).await.unwrap();
}

/// Whoever switches a pipeline off wants no further orders of it.
pub(crate) async fn what_waits_of_a_pipeline_that_is_disabled_is_cancelled(database: TestDatabase) {
    let world = World::open(&database).await;
    let store = &world.store;
    let disabled = async |pipeline: &pipeline::store::Replaced, now: i64| {
        let mut wanted = pipeline.pipeline.request.clone();
        wanted.enabled = false;
        store.replace(&pipeline.pipeline.pipeline_id, None, &wanted, t(now)).await.unwrap()
    };
    let made = world.pipeline("one").await;
    let other = world.queued(&world.pipeline("two").await, t(0)).await;
    let waiting = world.queued(&made, t(1)).await;
    // A change that does not disable it cancels nothing.
    let changed = store.replace(&made.pipeline_id, None, &made.request, t(2)).await.unwrap();
    assert_eq!(changed.cancelled, []);
    let off = disabled(&changed, 3).await;
    assert_eq!(off.cancelled.iter().map(|ended| &ended.execution_id).collect::<Vec<_>>(), [&waiting]);
    let kept = store.execution(&waiting).await.unwrap().unwrap();
    assert_eq!((kept.status, kept.finished_at), (ExecutionStatus::Cancelled, Some(t(3))));
    assert_eq!(kept.detail.as_deref(), Some("the pipeline was disabled"));
    // By hand it is set off nevertheless, and goes on when it is changed while it is off.
    let by_hand = world.queued(&off.pipeline, t(4)).await;
    assert_eq!(disabled(&off, 5).await.cancelled, []);
    assert_eq!(world.claim("w", t(6)).await.execution.execution_id, other);
    let claim = world.claim("w", t(6)).await;
    assert_eq!(claim.execution.execution_id, by_hand);
    // One that runs goes on.
    let on = store.replace(&made.pipeline_id, None, &made.request, t(7)).await.unwrap();
    assert_eq!(disabled(&on, 8).await.cancelled, []);
    store.finish(&claim, ExecutionStatus::Success, None, t(9)).await.unwrap();
}

/// Nobody deletes a pipeline behind the back of a transaction that sets it off.
pub(crate) async fn what_is_set_off_while_its_pipeline_is_deleted_is_cancelled(database: TestDatabase) {
    let (one, two) = (World::open(&database).await, World::open(&database).await);
    let pipeline = one.pipeline("one").await;
    let mut transaction = one.store.database().begin().await.unwrap();
    let new = New {
        pipeline: &pipeline,
        trigger_mode: TriggerMode::Manual,
        signal: None,
        symbol: "BTCUSDT".parse().unwrap(),
        dedupe: None,
        context: "{}",
    };
    let id = id_of(Store::enqueue(&mut transaction, &new, t(1)).await.unwrap());
    let is_deleted = std::cell::Cell::new(false);
    let (deleted, ()) = futures_util::join!(
        async {
            let deleted = two.store.delete(&pipeline.pipeline_id, None, t(2)).await;
            is_deleted.set(true);
            deleted
        },
        async {
            eventually("it waits, or is through", async || {
                let statement = Statement::new(
                    QueryType::Select,
                    "pg_stat_activity",
                    "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
                );
                let (waiting,): (i64,) = one.store.database().fetch_one(statement).await.unwrap();
                (is_deleted.get() || waiting > 0).then_some(())
            })
            .await;
            transaction.commit().await.unwrap();
        }
    );
    let cancelled = deleted.unwrap();
    assert_eq!(cancelled.iter().map(|ended| &ended.execution_id).collect::<Vec<_>>(), [&id]);
    assert_eq!(one.store.claim("w", LEASE, t(3)).await.unwrap(), None);
}

/// What a snapshot was is large, and of an execution that has ended well nobody goes on.
pub(crate) async fn what_a_snapshot_was_is_kept_until_its_execution_ends_well(database: TestDatabase) {
    let world = World::open(&database).await;
    let store = &world.store;
    let look = |attempt| StepRun { agent: "market_snapshot".to_owned(), ..step("look", attempt, "0") };
    for (status, is_kept) in
        [(ExecutionStatus::Success, false), (ExecutionStatus::Failed, true), (ExecutionStatus::Cancelled, true)]
    {
        let id = world.queued(&world.pipeline(status.as_str()).await, t(0)).await;
        let claim = world.claim("w", t(0)).await;
        store.record_step(&claim, &look(1), t(1)).await.unwrap();
        store.record_step(&claim, &step("judge", 1, "0"), t(1)).await.unwrap();
        store.finish(&claim, status, None, t(2)).await.unwrap();
        let kept = store.execution(&id).await.unwrap().unwrap();
        assert_eq!(kept.steps[0].output == look(1).output, is_kept, "{status}");
        assert_eq!(kept.steps[0].output.is_null(), !is_kept, "{status}");
        assert_eq!(kept.steps[0].summary, "it was done");
        assert_eq!(kept.steps[1].output, step("judge", 1, "0").output, "what is small stays");
    }
}

pub(crate) async fn one_that_is_executed_is_as_it_was(database: TestDatabase) {
    let world = World::open(&database).await;
    let pipeline = world.pipeline("one").await;
    world.queued(&pipeline, t(1)).await;
    world.store.replace(&pipeline.pipeline_id, None, &request("another"), t(2)).await.unwrap();
    let claim = world.claim("w", t(3)).await;
    assert_eq!((claim.pipeline.name.as_str(), claim.execution.pipeline_revision), ("one", 1));
}

pub(crate) async fn each_is_claimed_by_one(database: TestDatabase) {
    let worlds = [World::open(&database).await, World::open(&database).await];
    let mut waiting = Vec::new();
    for number in 0..12 {
        let pipeline = worlds[0].pipeline(&format!("p{number}")).await;
        waiting.push(worlds[0].queued(&pipeline, t(number)).await);
    }
    let workers = (0..4).map(|number| {
        let store = worlds[number % 2].store.clone();
        async move {
            let mut claimed = Vec::new();
            while let Some(claim) = store.claim(&format!("w{number}"), LEASE, t(100)).await.unwrap() {
                assert_eq!(claim.execution.worker, Some(format!("w{number}")));
                claimed.push(claim.execution.execution_id);
            }
            claimed
        }
    });
    let mut claimed = futures_util::future::join_all(workers).await.concat();
    claimed.sort();
    waiting.sort();
    assert_eq!(claimed, waiting);
}

pub(crate) async fn the_oldest_is_first(database: TestDatabase) {
    let world = World::open(&database).await;
    let mut waiting = Vec::new();
    for number in 0..10 {
        let pipeline = world.pipeline(&format!("p{number}")).await;
        // Whatever the clock says of whoever sets it off.
        waiting.push(world.queued(&pipeline, t(10 - number)).await);
    }
    for expected in &waiting {
        assert_eq!(&world.claim("w", t(100)).await.execution.execution_id, expected);
    }
}

/// Clocks of machines differ, and jump: what was set off by one that is ahead is due, what runs is nobody else's by any time,
/// and an attempt that was put off by one that is ahead is not put off for ever.
pub(crate) async fn no_clock_of_another_machine_counts(database: TestDatabase) {
    let world = World::open(&database).await;
    let store = &world.store;
    let day = 86_400;
    for (number, enqueued, claimed) in [(0, day, 0), (1, 0, day), (2, -day, 0), (3, 0, -day)] {
        let pipeline = world.pipeline(&format!("p{number}")).await;
        let id = world.queued(&pipeline, t(enqueued)).await;
        let claim = world.claim("w", t(claimed)).await;
        assert_eq!(claim.execution.execution_id, id);
        for other in [-10 * day, 0, 10 * day] {
            assert_eq!(store.claim("other", LEASE, t(other)).await.unwrap(), None, "it is somebody's");
        }
        store.heartbeat(&claim).await.unwrap();
        // A worker that dies here is followed, whatever its clock has been.
        assert_eq!(world.take_all_away(t(0)).await.0, 1);
        let claim = world.claim("next", t(0)).await;
        // Put off by a minute, as its worker's clock has it.
        store.retry_later(&claim, "later", t(10 * day + 60), t(10 * day)).await.unwrap();
        assert_eq!(store.claim("w", LEASE, t(10 * day)).await.unwrap(), None, "by that clock it is not due");
        let claim = world.claim("w", t(0)).await;
        assert_eq!(claim.execution.execution_id, id, "nothing is put off for ten days");
        store.finish(&claim, ExecutionStatus::Success, None, t(0)).await.unwrap();
    }
}

pub(crate) async fn whoever_lost_it_writes_nothing(database: TestDatabase) {
    let world = World::open(&database).await;
    let store = &world.store;
    let pipeline = world.pipeline("one").await;
    let id = world.queued(&pipeline, t(0)).await;
    let lost = world.claim("slow", t(0)).await;
    let seen = store.running().await.unwrap();
    store.heartbeat(&lost).await.unwrap();
    assert_eq!(store.take_away(&seen[0], t(49)).await.unwrap(), None, "it was heard of since");
    assert_eq!(world.take_all_away(t(50)).await, (1, Vec::new()));
    assert_eq!(store.take_away(&seen[0], t(51)).await.unwrap(), None, "it does not run");
    let refuse = async |when: &str| {
        let finished = store.finish(&lost, ExecutionStatus::Success, None, t(60)).await;
        assert!(matches!(finished, Err(StoreError::Fenced)), "{when}: {finished:?}");
        let retried = store.retry_later(&lost, "again", t(60), t(60)).await;
        assert!(matches!(retried, Err(StoreError::Fenced)), "{when}: {retried:?}");
        let beaten = store.heartbeat(&lost).await;
        assert!(matches!(beaten, Err(StoreError::Fenced)), "{when}: {beaten:?}");
        let recorded = store.record_step(&lost, &step("look", 1, "1"), t(60)).await;
        assert!(matches!(recorded, Err(StoreError::Fenced)), "{when}: {recorded:?}");
    };
    refuse("while it waits").await;
    let claim = world.claim("quick", t(61)).await;
    refuse("while another is at it").await;
    store.finish(&claim, ExecutionStatus::Failed, Some("no"), t(62)).await.unwrap();
    refuse("when it is over").await;
    // Somebody replays it: the attempts of now are none of before.
    store.replay(&id).await.unwrap();
    world.claim("quick", t(64)).await;
    refuse("when it is replayed").await;
    let now = store.execution(&id).await.unwrap().unwrap();
    assert_eq!((now.status, now.worker.as_deref()), (ExecutionStatus::Running, Some("quick")));
    assert_eq!((now.steps.len(), now.cost_usd), (0, Decimal::ZERO));
    assert_eq!(store.spending(&pipeline.pipeline_id, t(60)).await.unwrap(), Decimal::ZERO);
}

pub(crate) async fn attempts_are_used_up(database: TestDatabase) {
    let world = World::open(&database).await;
    let store = &world.store;
    let pipeline = world.pipeline("one").await;
    let id = world.queued(&pipeline, t(0)).await;
    // By a failure that is said.
    let claim = world.claim("w", t(0)).await;
    store.record_step(&claim, &step("look", 1, "0"), t(1)).await.unwrap();
    let mut failed = step("judge", 1, "0");
    failed.status = StepStatus::Failed;
    store.record_step(&claim, &failed, t(1)).await.unwrap();
    assert_eq!(store.retry_later(&claim, "decision-service is away", t(10), t(1)).await.unwrap(), None);
    assert_eq!(store.claim("w", LEASE, t(9)).await.unwrap(), None, "not yet");
    assert_eq!(world.enqueue(&pipeline, None, t(9)).await, Enqueued::AlreadyRunning, "it waits for its next attempt");
    // By one that is not.
    let claim = world.claim("w", t(10)).await;
    assert_eq!(claim.execution.attempts, 2);
    assert_eq!(claim.done("look").unwrap().attempt, 1, "what was done is known");
    assert_eq!(claim.done("judge"), None, "what failed was not done");
    assert_eq!(claim.execution.detail.as_deref(), Some("decision-service is away"));
    assert_eq!(world.take_all_away(t(40)).await.0, 1);
    // The last.
    let claim = world.claim("w", t(41)).await;
    assert_eq!(claim.execution.started_at, Some(t(0)), "since the first");
    let (queued, failed) = world.take_all_away(t(80)).await;
    assert_eq!((queued, failed.len()), (0, 1));
    assert_eq!((failed[0].status, &failed[0].execution_id), (ExecutionStatus::Failed, &id));
    let dead = store.execution(&id).await.unwrap().unwrap();
    assert_eq!((dead.status, dead.attempts, dead.finished_at), (ExecutionStatus::Failed, 3, Some(t(80))));
    assert_eq!(dead.detail.as_deref(), Some("its worker was not heard of any more"));
    // Said as well.
    let id = world.queued(&pipeline, t(90)).await;
    for attempt in 1..=3 {
        let claim = world.claim("w", t(90)).await;
        let ended = store.retry_later(&claim, "no", t(90), t(91)).await.unwrap();
        assert_eq!(ended.map(|ended| ended.status), (attempt == 3).then_some(ExecutionStatus::Failed), "{attempt}");
    }
    assert_eq!(store.execution(&id).await.unwrap().unwrap().status, ExecutionStatus::Failed);
}

pub(crate) async fn a_step_is_written_down_and_paid_once(database: TestDatabase) {
    let world = World::open(&database).await;
    let store = &world.store;
    let mut wanted = request("one");
    wanted.budget = Some(domain::pipeline::Budget { usd_per_day: "0.50".parse().unwrap() });
    let pipeline = store.create(&wanted, t(0)).await.unwrap();
    let id = world.queued(&pipeline, t(0)).await;
    let claim = world.claim("w", t(0)).await;
    let paid = step("judge", 1, "0.1");
    for _ in 0..3 {
        store.record_step(&claim, &paid, t(1)).await.unwrap();
    }
    // Side by side, and nothing of it is lost.
    let (one, two) = (step("look", 1, "0.2"), step("tell", 1, "0.2"));
    let (one, two) = futures_util::join!(store.record_step(&claim, &one, t(1)), store.record_step(&claim, &two, t(1)));
    one.unwrap();
    two.unwrap();
    let kept = store.execution(&id).await.unwrap().unwrap();
    assert_eq!((kept.cost_usd, kept.steps.len()), ("0.5".parse().unwrap(), 3));
    assert_eq!(kept.steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>(), ["look", "judge", "tell"]);
    assert_eq!(store.spending(&pipeline.pipeline_id, t(2)).await.unwrap(), "0.5".parse().unwrap());
    assert!(store.is_budget_spent(&pipeline, t(2)).await.unwrap());
    let tomorrow = t(0) + TimeDelta::days(1);
    assert_eq!(store.spending(&pipeline.pipeline_id, tomorrow).await.unwrap(), Decimal::ZERO);
    assert!(!store.is_budget_spent(&pipeline, tomorrow).await.unwrap());
}

pub(crate) async fn a_dead_letter_is_replayed_or_thrown_away(database: TestDatabase) {
    let world = World::open(&database).await;
    let store = &world.store;
    let pipeline = world.pipeline("one").await;
    let id = world.queued(&pipeline, t(0)).await;
    let standing = async |expected: ExecutionStatus| {
        let refused = store.replay(&id).await;
        assert!(matches!(&refused, Err(StoreError::Standing(status)) if *status == expected), "{refused:?}");
    };
    standing(ExecutionStatus::Queued).await;
    let claim = world.claim("w", t(1)).await;
    standing(ExecutionStatus::Running).await;
    let refused = store.discard(&id, t(1)).await;
    assert!(matches!(refused, Err(StoreError::Standing(ExecutionStatus::Running))), "{refused:?}");
    store.record_step(&claim, &step("look", 1, "0"), t(1)).await.unwrap();
    store.finish(&claim, ExecutionStatus::Failed, Some("no"), t(2)).await.unwrap();
    let failed = Filter { status: Some(ExecutionStatus::Failed), ..Filter::default() };
    let letters = async || store.executions(&PageQuery::default(), &failed).await.unwrap().items;
    assert_eq!(letters().await.iter().map(|letter| &letter.execution_id).collect::<Vec<_>>(), [&id]);
    // Not while another is under way.
    let other = world.queued(&pipeline, t(3)).await;
    assert!(matches!(store.replay(&id).await, Err(StoreError::Active)));
    assert_eq!(store.discard(&other, t(3)).await.unwrap().status, ExecutionStatus::Cancelled);
    store.replay(&id).await.unwrap();
    let waiting = store.execution(&id).await.unwrap().unwrap();
    assert_eq!((waiting.status, waiting.finished_at, waiting.detail), (ExecutionStatus::Queued, None, None));
    assert_eq!((waiting.attempts, waiting.max_attempts, waiting.started_at), (1, 4, None), "three more");
    let claim = world.claim("w", t(5)).await;
    assert_eq!(claim.done("look").map(|step| step.attempt), Some(1), "it is not done again");
    store.finish(&claim, ExecutionStatus::Failed, Some("no"), t(6)).await.unwrap();
    assert_eq!(store.discard(&id, t(7)).await.unwrap().status, ExecutionStatus::Cancelled);
    let gone = store.execution(&id).await.unwrap().unwrap();
    assert_eq!(
        (gone.status, gone.detail.as_deref()),
        (ExecutionStatus::Cancelled, Some("no")),
        "and why it failed stays"
    );
    standing(ExecutionStatus::Cancelled).await;
    assert_eq!(letters().await, []);
    // Nothing of a pipeline that is deleted is executed again.
    let id = world.queued(&pipeline, t(8)).await;
    let claim = world.claim("w", t(8)).await;
    store.finish(&claim, ExecutionStatus::Failed, None, t(9)).await.unwrap();
    store.delete(&pipeline.pipeline_id, None, t(10)).await.unwrap();
    assert!(matches!(store.replay(&id).await, Err(StoreError::NoPipeline)));
    let nobody = signal(200).signal_id;
    assert!(matches!(store.replay(&nobody).await, Err(StoreError::NoExecution)));
    assert!(matches!(store.discard(&nobody, t(11)).await, Err(StoreError::NoExecution)));
    assert_eq!(store.execution(&nobody).await.unwrap(), None);
}

pub(crate) async fn of_two_that_replay_two_letters_one_does(database: TestDatabase) {
    let (one, two) = (World::open(&database).await, World::open(&database).await);
    let pipeline = one.pipeline("one").await;
    let mut letters = Vec::new();
    for number in 0..2 {
        letters.push(one.queued(&pipeline, t(number)).await);
        let claim = one.claim("w", t(number)).await;
        one.store.finish(&claim, ExecutionStatus::Failed, None, t(number)).await.unwrap();
    }
    let (first, second) = futures_util::join!(one.store.replay(&letters[0]), two.store.replay(&letters[1]));
    let replayed = [&first, &second].into_iter().filter(|result| result.is_ok()).count();
    let refused = [&first, &second].into_iter().filter(|result| matches!(result, Err(StoreError::Active))).count();
    assert_eq!((replayed, refused), (1, 1), "{first:?} {second:?}");
}

pub(crate) async fn they_are_listed_by_what_is_named(database: TestDatabase) {
    let world = World::open(&database).await;
    let store = &world.store;
    let (one, two) = (world.pipeline("one").await, world.pipeline("two").await);
    let event = signal(1);
    let mut transaction = store.database().begin().await.unwrap();
    let both = [one.clone(), two.clone()];
    let matched = Store::take_signal(&mut transaction, &event, &both, "{}", t(0)).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(matched.unwrap().len(), 2);
    let claim = world.claim("w", t(1)).await;
    let ended_of = claim.execution.pipeline_id.clone();
    store.finish(&claim, ExecutionStatus::Success, None, t(2)).await.unwrap();
    let by_hand = world.queued(if ended_of == one.pipeline_id { &one } else { &two }, t(3)).await;
    let count = async |filter: Filter| store.executions(&PageQuery::default(), &filter).await.unwrap().items.len();
    let any = Filter::default();
    let status = Some(ExecutionStatus::Queued);
    let signal_id = Some(event.signal_id.clone());
    let pipeline_id = Some(ended_of);
    assert_eq!(count(any.clone()).await, 3);
    assert_eq!(count(Filter { status, ..any.clone() }).await, 2);
    assert_eq!(count(Filter { pipeline_id: pipeline_id.clone(), ..any.clone() }).await, 2);
    assert_eq!(count(Filter { signal_id: signal_id.clone(), ..any.clone() }).await, 2);
    assert_eq!(count(Filter { status, pipeline_id: pipeline_id.clone(), ..any.clone() }).await, 1);
    assert_eq!(count(Filter { status, signal_id: signal_id.clone(), ..any.clone() }).await, 1);
    assert_eq!(
        count(Filter { signal_id: signal_id.clone(), pipeline_id: pipeline_id.clone(), ..any.clone() }).await,
        1
    );
    assert_eq!(count(Filter { status, signal_id, pipeline_id }).await, 0);
    let query = PageQuery { limit: Some("1".to_owned()), cursor: None };
    let first = store.executions(&query, &any).await.unwrap();
    assert_eq!(first.items[0].execution_id, by_hand, "the newest first");
    let query = PageQuery { limit: Some("2".to_owned()), cursor: first.next_cursor };
    let rest = store.executions(&query, &any).await.unwrap();
    assert_eq!((rest.items.len(), rest.next_cursor), (2, None));
    assert!(rest.items.iter().all(|execution| execution.signal.as_ref() == Some(&event)));
}

/// What a later program has written, or somebody by hand, keeps nobody else's from being executed.
pub(crate) async fn one_that_cannot_be_read_has_failed(database: TestDatabase) {
    let world = World::open(&database).await;
    let store = &world.store;
    telemetry::testing::init();
    let pipeline = world.pipeline("one").await;
    let broken = world.queued(&pipeline, t(0)).await;
    let sound = world.queued(&world.pipeline("two").await, t(1)).await;
    let statement = Statement::new(
        QueryType::Update,
        "executions",
        "UPDATE executions SET pipeline = '{\"steps\": [{\"name\": \"x\", \"agent\": \"of a later version\"}]}' WHERE id = $1",
    );
    store.database().execute(statement.bind(broken.as_str())).await.unwrap();
    assert_eq!(world.claim("w", t(2)).await.execution.execution_id, sound);
    let failed = store.execution(&broken).await.unwrap().unwrap();
    assert_eq!(failed.status, ExecutionStatus::Failed);
    assert_eq!(failed.detail.as_deref(), Some("an execution's pipeline in the database is none"));
    let labels = [("status", "failed"), ("pipeline_id", pipeline.pipeline_id.as_str())];
    let counted: f64 = metric_values("pipeline_executions_total", &labels).iter().sum();
    assert_eq!(counted, 1.0, "an end as any other");
    assert_eq!(store.claim("w", LEASE, t(3)).await.unwrap(), None);
}

/// It would stand before all others for ever.
pub(crate) async fn one_whose_steps_cannot_be_read_has_failed(database: TestDatabase) {
    let world = World::open(&database).await;
    let store = &world.store;
    let broken = world.queued(&world.pipeline("one").await, t(0)).await;
    let claim = world.claim("w", t(0)).await;
    store.record_step(&claim, &step("look", 1, "0"), t(0)).await.unwrap();
    store.retry_later(&claim, "later", t(0), t(0)).await.unwrap();
    let sound = world.queued(&world.pipeline("two").await, t(1)).await;
    let statement = Statement::new(
        QueryType::Update,
        "execution_steps",
        "UPDATE execution_steps SET status = 'of a later version'",
    );
    store.database().execute(statement).await.unwrap();
    assert_eq!(world.claim("w", t(2)).await.execution.execution_id, sound);
    assert_eq!(store.claim("w", LEASE, t(3)).await.unwrap(), None);
    let failed = Filter { status: Some(ExecutionStatus::Failed), ..Filter::default() };
    let failed = store.executions(&PageQuery::default(), &failed).await.unwrap().items;
    let ends: Vec<_> = failed.iter().map(|one| (&one.execution_id, one.detail.as_deref())).collect();
    assert_eq!(ends, [(&broken, Some("a step's status in the database is none"))]);
}

pub(crate) async fn what_there_is_to_do_is_counted(database: TestDatabase) {
    let world = World::open(&database).await;
    let store = &world.store;
    assert_eq!(store.depth().await.unwrap(), pipeline::store::Depth::default());
    for number in 0..4 {
        world.queued(&world.pipeline(&format!("p{number}")).await, t(number)).await;
    }
    let claim = world.claim("w", t(9)).await;
    store.finish(&claim, ExecutionStatus::Failed, None, t(9)).await.unwrap();
    store.claim("w", Duration::from_secs(1), t(9)).await.unwrap().unwrap();
    let depth = store.depth().await.unwrap();
    assert_eq!((depth.queued, depth.running, depth.failed, depth.oldest_queued), (2, 1, 1, Some(t(2))));
}
