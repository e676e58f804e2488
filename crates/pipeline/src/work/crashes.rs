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

/// Goes on with an execution as if its worker had not been heard of for a lease: as it is at its end.
async fn taken_up(survivor: &Process, id: &domain::DecisionId) -> domain::pipeline::Execution {
    let store = survivor.worker.store();
    eventually("it is through", async || {
        for running in store.running().await.ok()? {
            store.take_away(&running, now()).await.ok()?;
        }
        // Also what was put off for a moment.
        let due = now() + Duration::from_secs(2);
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
    // What an answer that was lost has cost is in decision-service's budget alone: nobody here knows it.
    assert_eq!(kept.cost_usd, Decimal::new(315, 6), "{when}: and what its answer cost is booked once");
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

/// Whose claim is made and not heard of has made no attempt.
async fn claimed_unheard(database: TestDatabase) {
    telemetry::testing::init();
    let everybody = Everybody::new();
    let process = Process::start(&database, &everybody.start()).await;
    let (worker, store) = (&process.worker, process.worker.store());
    let mut request = made(store).await.request;
    (request.name, request.max_attempts) = ("once".to_owned(), 1);
    let pipeline = store.create(&request, now()).await.unwrap();
    // Wherever the claim ends.
    for steps in 0.. {
        assert!(steps < ENDLESS, "it never ends");
        let id = eventually("it is set off", async || set_off(store, &pipeline, steps).await).await;
        let ended = Killed::after(steps, worker.claim()).await;
        let heard = ended.is_some();
        if let Some(held) = ended {
            // It is known, and not given back.
            let held = held.unwrap().unwrap();
            worker.hand_back_unheard().await.unwrap();
            store.heartbeat(&held.claim).await.unwrap();
            store.hand_back(&held.claim, "the test is through").await.unwrap();
        }
        eventually("it waits, with its attempt", async || {
            worker.hand_back_unheard().await.ok()?;
            let kept = store.execution(&id).await.ok()??;
            (kept.status == ExecutionStatus::Queued && kept.attempts + 1 == kept.max_attempts).then_some(())
        })
        .await;
        eventually("it is put away", async || {
            worker.hand_back_unheard().await.ok()?;
            store.discard(&id, now()).await.ok()
        })
        .await;
        if heard {
            break;
        }
    }
    // Behind what the database has done, for certain.
    let id = eventually("it is set off", async || set_off(store, &pipeline, ENDLESS).await).await;
    let claim = store.claim(worker.id(), worker.lease(), now()).await.unwrap().unwrap();
    *worker.unheard().lock().await = vec![(&claim).into()];
    worker.hand_back_unheard().await.unwrap();
    assert!(worker.unheard().lock().await.is_empty(), "it is settled");
    let kept = store.execution(&id).await.unwrap().unwrap();
    assert_eq!((kept.status, kept.attempts, kept.max_attempts), (ExecutionStatus::Queued, 1, 2));
    assert!(matches!(store.heartbeat(&claim).await, Err(StoreError::Fenced)));
    process.turn().await.unwrap();
    assert_eq!(store.execution(&id).await.unwrap().unwrap().status, ExecutionStatus::Success);
}

/// The end is written, its answer lost, and the lease over.
async fn ended_unheard(database: TestDatabase) {
    telemetry::testing::init();
    let everybody = Everybody::new();
    let process = Process::start(&database, &everybody.start()).await;
    let (worker, store) = (&process.worker, process.worker.store());
    let pipeline = made(store).await;
    let counted = |status: &str| -> f64 {
        let labels = [("status", status), ("pipeline_id", pipeline.pipeline_id.as_str())];
        telemetry::testing::metric_values("pipeline_executions_total", &labels).iter().sum()
    };
    // Its lease is over when it begins.
    let over = tokio::time::Instant::now().checked_sub(worker.lease()).unwrap();
    let end = async |number: usize, by_another: bool| {
        let id = eventually("it is set off", async || set_off(store, &pipeline, number).await).await;
        let claim = store.claim(worker.id(), worker.lease(), now()).await.unwrap().unwrap();
        if by_another {
            let last = "UPDATE executions SET max_attempts = attempts WHERE status = 'running'";
            let statement = storage::Statement::new(storage::QueryType::Update, "executions", last);
            store.database().execute(statement).await.unwrap();
            for running in store.running().await.unwrap() {
                store.take_away(&running, now()).await.unwrap();
            }
        } else {
            store.finish(&claim, ExecutionStatus::Failed, Some("for good"), now()).await.unwrap();
        }
        let held = super::lease::Held::new(claim, worker.lease(), over);
        worker.ended(&held, super::failure::StepError::for_good("test", "for good")).await;
        id
    };
    end(1, false).await;
    assert_eq!(counted("failed"), 1.0, "there is nobody else to count it");
    end(2, true).await;
    assert_eq!(counted("failed"), 1.0, "whoever took it away counts it");
}

#[test]
fn an_end_whose_answer_was_lost_is_counted() {
    for database in engines() {
        actix_web::rt::System::new().block_on(ended_unheard(database));
    }
}

#[test]
fn a_claim_that_was_not_heard_of_is_no_attempt() {
    for database in engines() {
        actix_web::rt::System::new().block_on(claimed_unheard(database));
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
