//! Signals in the store, and what is swept.

use chrono::TimeDelta;
use domain::PageQuery;
use domain::SignalEvent;
use domain::pipeline::{Budget, ExecutionStatus, MatchOutcome, Pipeline, SignalMatch};
use pipeline::store::Store;
use storage::testing::TestDatabase;

use crate::world::{LEASE, World, request, signal, step, t};

async fn take(world: &World, signal: &SignalEvent, pipelines: &[Pipeline]) -> Option<Vec<SignalMatch>> {
    let mut transaction = world.store.database().begin().await.unwrap();
    let context = r#"{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}"#;
    let taken = Store::take_signal(&mut transaction, signal, pipelines, context, t(10)).await.unwrap();
    transaction.commit().await.unwrap();
    taken
}

pub(crate) async fn a_signal_is_matched_once(database: TestDatabase) {
    let world = World::open(&database).await;
    let store = &world.store;
    let idle = world.pipeline("idle").await;
    let busy = world.pipeline("busy").await;
    world.queued(&busy, t(0)).await;
    let mut poor = request("poor");
    poor.budget = Some(Budget { usd_per_day: "0".parse().unwrap() });
    let poor = store.create(&poor, t(0)).await.unwrap();
    // One twice, as a cache never has it: it is one.
    let pipelines = [idle.clone(), busy.clone(), poor.clone(), idle.clone()];
    let event = signal(1);
    let matches = take(&world, &event, &pipelines).await.unwrap();
    assert_eq!(matches.len(), 3);
    let of = |pipeline: &Pipeline| matches.iter().find(|found| found.pipeline_id == pipeline.pipeline_id).unwrap();
    assert_eq!(of(&idle).outcome, MatchOutcome::Enqueued);
    assert_eq!((of(&busy).outcome, &of(&busy).execution_id), (MatchOutcome::SkippedRunning, &None));
    assert_eq!((of(&poor).outcome, &of(&poor).execution_id), (MatchOutcome::SkippedBudget, &None));
    let execution = store.execution(of(&idle).execution_id.as_ref().unwrap()).await.unwrap().unwrap();
    assert_eq!(execution.signal, Some(event.clone()));
    assert_eq!(execution.trace_id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    // Again, from another process and to other pipelines: it has been here.
    let other = World::open(&database).await;
    assert_eq!(take(&other, &event, &pipelines).await, None);
    let page = store.matches(&event.signal_id, &PageQuery::default()).await.unwrap().unwrap();
    let mut kept = page.items;
    kept.reverse();
    assert_eq!(kept, matches);
    let query = PageQuery { limit: Some("2".to_owned()), cursor: None };
    let first = store.matches(&event.signal_id, &query).await.unwrap().unwrap();
    let query = PageQuery { limit: Some("2".to_owned()), cursor: first.next_cursor };
    assert_eq!(store.matches(&event.signal_id, &query).await.unwrap().unwrap().items.len(), 1);
    // Nobody wanted it, and that is known; of another nothing is.
    assert_eq!(take(&world, &signal(2), &[]).await.unwrap(), []);
    assert_eq!(store.matches(&signal(2).signal_id, &PageQuery::default()).await.unwrap().unwrap().items, []);
    assert_eq!(store.matches(&signal(3).signal_id, &PageQuery::default()).await.unwrap(), None);
}

pub(crate) async fn nothing_remains_of_a_signal_that_was_not_committed(database: TestDatabase) {
    let world = World::open(&database).await;
    let pipeline = [world.pipeline("one").await];
    let mut transaction = world.store.database().begin().await.unwrap();
    let taken = Store::take_signal(&mut transaction, &signal(1), &pipeline, "{}", t(1)).await.unwrap();
    assert_eq!(taken.unwrap().len(), 1);
    transaction.rollback().await.unwrap();
    assert_eq!(world.store.claim("w", LEASE, t(9)).await.unwrap(), None);
    assert_eq!(take(&world, &signal(1), &pipeline).await.unwrap()[0].outcome, MatchOutcome::Enqueued);
}

pub(crate) async fn a_cache_of_the_past_sets_off_what_is_there_now(database: TestDatabase) {
    let world = World::open(&database).await;
    let store = &world.store;
    let mut changed = Vec::new();
    for name in ["changed", "disabled", "for others", "deleted"] {
        changed.push(world.pipeline(name).await);
    }
    let mut better = request("changed");
    better.description = "as it is now".to_owned();
    store.replace(&changed[0].pipeline_id, None, &better, t(1)).await.unwrap();
    let mut disabled = request("disabled");
    disabled.enabled = false;
    store.replace(&changed[1].pipeline_id, None, &disabled, t(1)).await.unwrap();
    let others = serde_json::json!({"mode": "signal", "tickers": ["ETHUSDT"]});
    let mut other = request("for others");
    other.trigger = serde_json::from_value(others).unwrap();
    store.replace(&changed[2].pipeline_id, None, &other, t(1)).await.unwrap();
    store.delete(&changed[3].pipeline_id, None, t(1)).await.unwrap();
    let matches = take(&world, &signal(1), &changed).await.unwrap();
    assert_eq!(matches.len(), 1, "{matches:?}");
    assert_eq!(matches[0].pipeline_id, changed[0].pipeline_id);
    let claim = world.claim("w", t(20)).await;
    assert_eq!((claim.pipeline.description.as_str(), claim.execution.pipeline_revision), ("as it is now", 2));
}

/// Two dispatchers that have the same message, side by side.
pub(crate) async fn of_two_that_take_a_signal_one_does(database: TestDatabase) {
    let (one, two) = (World::open(&database).await, World::open(&database).await);
    let mut pipelines = Vec::new();
    for number in 0..5 {
        pipelines.push(one.pipeline(&format!("p{number}")).await);
    }
    for number in 0..10 {
        let event = signal(number);
        let (first, second) = futures_util::join!(take(&one, &event, &pipelines), take(&two, &event, &pipelines));
        assert_eq!([&first, &second].into_iter().filter(|taken| taken.is_some()).count(), 1, "{first:?} {second:?}");
        for _ in 0..5 {
            let claim = one.claim("w", t(20)).await;
            one.store.finish(&claim, ExecutionStatus::Success, None, t(21)).await.unwrap();
        }
        assert_eq!(one.store.claim("w", LEASE, t(20)).await.unwrap(), None, "five, and no more");
    }
}

pub(crate) async fn what_is_old_goes(database: TestDatabase) {
    let world = World::open(&database).await;
    let store = &world.store;
    let pipelines = [world.pipeline("one").await, world.pipeline("two").await, world.pipeline("three").await];
    let matches = take(&world, &signal(1), &pipelines).await.unwrap();
    let [done, failed] = [ExecutionStatus::Success, ExecutionStatus::Failed].map(async |status| {
        let claim = world.claim("w", t(20)).await;
        store.record_step(&claim, &step("look", 1, "0.1"), t(21)).await.unwrap();
        store.finish(&claim, status, None, t(22)).await.unwrap().execution_id
    });
    let (done, failed) = (done.await, failed.await);
    let waits = matches.iter().filter_map(|found| found.execution_id.clone());
    let waits = waits.into_iter().find(|id| *id != done && *id != failed).unwrap();
    let gone = world.pipeline("gone").await;
    store.delete(&gone.pipeline_id, None, t(0)).await.unwrap();
    // Nothing is old enough.
    let day = TimeDelta::days(1);
    assert_eq!(store.sweep(t(9), 100, t(0) + day - TimeDelta::seconds(1)).await.unwrap(), Default::default());
    assert_eq!(store.changes(0, 100).await.unwrap().len(), 4);
    // The deleted pipeline is known for a day.
    let swept = store.sweep(t(9), 100, t(0) + day).await.unwrap();
    assert_eq!((swept.pipelines, swept.executions, swept.signals), (1, 0, 0));
    assert_eq!(store.changes(0, 100).await.unwrap().len(), 3);
    // A little at a time, with steps and matches.
    let swept = store.sweep(t(22), 1, t(30)).await.unwrap();
    assert_eq!((swept.executions, swept.signals, swept.is_full(1)), (1, 1, true));
    assert_eq!(store.matches(&signal(1).signal_id, &PageQuery::default()).await.unwrap(), None);
    let swept = store.sweep(t(22), 100, t(30)).await.unwrap();
    assert_eq!((swept.executions, swept.signals, swept.is_full(100)), (1, 0, false));
    for id in [done, failed] {
        assert_eq!(store.execution(&id).await.unwrap(), None);
    }
    assert_eq!(store.execution(&waits).await.unwrap().unwrap().status, ExecutionStatus::Queued);
    assert_eq!(store.claim("w", LEASE, t(40)).await.unwrap().unwrap().execution.execution_id, waits);
    assert_eq!(store.sweep(t(9) + day, 100, t(30)).await.unwrap().days, 2, "what yesterday cost");
}
