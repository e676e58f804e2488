//! However a worker ends while it is at an execution: that has one end, one order and one message, and each of its steps is
//! done and paid once.
//!
//! Work is killed wherever it waits, and how often it waits is the machine's to say: an answer that is there already is not
//! waited for. What matters most, the moment between an effect and its row, is met for certain.

use std::time::Duration;

use domain::pipeline::{ExecutionStatus, Pipeline, TriggerMode};
use rust_decimal::Decimal;
use serde_json::json;
use storage::testing::{TestDatabase, engines};
use storage::{Database, DatabaseSettings};
use url::Url;
use web::testing::{Killed, eventually};
use web::{Background, CancellationToken};

use self::fakes::{Asked, Everybody, Failure, words};
use super::{Worker, WorkerConfig};
use crate::store::{self, Enqueued, New, Store, StoreError, now};

#[path = "../../tests/it/fakes.rs"]
#[expect(dead_code, reason = "made for the tests of the service, which use all of it")]
mod fakes;

/// More steps than anything has: it never ends.
const ENDLESS: usize = 2_000;

/// A process, as far as an execution goes. Dropping it ends what keeps its database up.
struct Process {
    worker: Worker,
    background: Background,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.background.token().cancel();
    }
}

impl Process {
    async fn start(test: &TestDatabase, everybody: &Url) -> Self {
        // What a process that was killed holds is free the sooner.
        let settings = DatabaseSettings {
            database_acquire_timeout_ms: 1_500,
            database_statement_timeout_ms: 1_500,
            ..test.settings()
        };
        let config = WorkerConfig::ephemeral(settings.clone(), everybody);
        let database = Database::open(store::DATABASE, &settings, store::migrations()).unwrap();
        let mut background = Background::new();
        background.spawn("database", |stop| database.clone().keep_up(stop));
        eventually("the database is there", async || database.ready().await.ok()).await;
        Self { worker: Worker::new(Store::new(database), &config.worker), background }
    }

    /// Claims an execution, and does what is left of it.
    async fn turn(&self) -> Result<(), StoreError> {
        if let Some(held) = self.worker.claim().await? {
            self.worker.execute(held, &CancellationToken::new()).await;
        }
        Ok(())
    }
}

async fn made(store: &Store) -> Pipeline {
    let request = json!({
        "name": "killed", "trigger": {"mode": "signal"}, "max_attempts": 10,
        "steps": [
            {"name": "look", "agent": "market_snapshot"}, {"name": "ask", "agent": "llm_decision"},
            {"name": "limits", "agent": "risk_check", "minimum_confidence": "0.5"},
            {"name": "order", "agent": "place_order"}, {"name": "tell", "agent": "notify"},
        ],
    });
    let request: domain::pipeline::PipelineRequest = serde_json::from_value(request).unwrap();
    request.check().unwrap();
    store.create(&request, now()).await.unwrap()
}

async fn set_off(store: &Store, pipeline: &Pipeline, number: usize) -> Option<domain::DecisionId> {
    let mut transaction = store.database().begin().await.ok()?;
    let new = New {
        pipeline,
        trigger_mode: TriggerMode::Manual,
        signal: None,
        symbol: "BTCUSDT".parse().unwrap(),
        dedupe: Some(format!("{number}")),
        context: "{}",
    };
    let enqueued = Store::enqueue(&mut transaction, &new, now()).await.ok()?;
    transaction.commit().await.ok()?;
    match enqueued {
        Enqueued::New { execution_id } | Enqueued::Before { execution_id } => Some(execution_id),
        other => panic!("{other:?}"),
    }
}

/// Goes on with an execution once its lease has run out, by a clock that is ahead of it: as it is at its end.
async fn taken_up(survivor: &Process, id: &domain::DecisionId) -> domain::pipeline::Execution {
    let store = survivor.worker.store();
    eventually("it is through", async || {
        store.give_back_expired(10, now() + Duration::from_secs(60)).await.ok()?;
        // What is given back waits until that clock's now: theirs is brought back.
        let due = now() + Duration::from_secs(61);
        if let Some(claim) = store.claim("survivor", survivor.worker.lease(), due).await.ok()? {
            let asked = tokio::time::Instant::now();
            let held = super::lease::Held::new(claim, survivor.worker.lease(), asked);
            survivor.worker.execute(held, &CancellationToken::new()).await;
        }
        let kept = store.execution(id).await.ok()??;
        assert!(!kept.status.is_final() || kept.status == ExecutionStatus::Success, "{kept:?}");
        (kept.status == ExecutionStatus::Success).then_some(kept)
    })
    .await
}

/// It was done once: its steps, what it cost, its order and its message; of so many executions that were.
fn is_once(kept: &domain::pipeline::Execution, everybody: &Everybody, done: usize, when: &str) {
    let names: Vec<&str> = kept.steps.iter().map(|run| run.name.as_str()).collect();
    assert_eq!(names, ["look", "ask", "limits", "order", "tell"], "{when}: each is done once");
    assert_eq!(kept.cost_usd, Decimal::new(315, 6), "{when}: and paid once");
    let id = &kept.execution_id;
    let orders = everybody.orders();
    let of = |order: &&domain::trading::Signal| order.sender_order_id.as_deref() == Some(id.as_str());
    assert_eq!((orders.iter().filter(of).count(), orders.len()), (1, done), "{when}: one order");
    let notices = everybody.notices();
    let told = notices.iter().filter(|notice| words(notice).1 == *id).count();
    assert_eq!((told, notices.len()), (1, done), "{when}: one message");
}

async fn killed_at_every_step(database: TestDatabase) {
    telemetry::testing::init();
    let everybody = Everybody::new();
    let address = everybody.start();
    let survivor = Process::start(&database, &address).await;
    let store = survivor.worker.store();
    let pipeline = made(store).await;
    let mut killed = 0;
    for steps in 0.. {
        assert!(steps < ENDLESS, "it never ends");
        let id = eventually("it is set off", async || set_off(store, &pipeline, steps).await).await;
        let victim = Process::start(&database, &address).await;
        let ended = Killed::after(steps, victim.turn()).await;
        drop(victim);
        let kept = taken_up(&survivor, &id).await;
        is_once(&kept, &everybody, steps + 1, &format!("step {steps}"));
        if ended.is_some() {
            break;
        }
        killed += 1;
    }
    assert!(killed >= 1, "{killed} were killed");
}

/// Between what a step does at others and its row.
async fn killed_before_the_row(database: TestDatabase) {
    telemetry::testing::init();
    let everybody = Everybody::new();
    let address = everybody.start();
    let survivor = Process::start(&database, &address).await;
    let store = survivor.worker.store();
    let pipeline = made(store).await;
    let all = [Asked::Price, Asked::Candles, Asked::Decision, Asked::Order, Asked::Notice];
    for (number, asked) in all.into_iter().enumerate() {
        let id = eventually("it is set off", async || set_off(store, &pipeline, number).await).await;
        let victim = Process::start(&database, &address).await;
        let before = everybody.asked(asked);
        everybody.fail(asked, &[Failure::Silent]);
        tokio::select! {
            () = eventually("it is done", async || (everybody.silent().len() == number + 1).then_some(())) => {}
            ended = victim.turn() => panic!("{asked:?}: {ended:?}"),
        }
        drop(victim);
        let kept = taken_up(&survivor, &id).await;
        assert!(everybody.asked(asked) >= before + 2 && kept.attempts == 2, "{asked:?}: it was tried again");
        is_once(&kept, &everybody, number + 1, &format!("{asked:?}"));
    }
}

#[test]
fn an_execution_has_one_end_however_its_workers_end() {
    for database in engines() {
        actix_web::rt::System::new().block_on(killed_at_every_step(database));
    }
}

#[test]
fn what_was_done_and_not_written_down_happens_once() {
    for database in engines() {
        actix_web::rt::System::new().block_on(killed_before_the_row(database));
    }
}
