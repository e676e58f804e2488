//! Several dispatchers and workers share the work, on every engine of the bus: each in a thread of its own, with its own
//! port, and two of them die half way.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "it/fakes.rs"]
#[expect(dead_code, reason = "made for the tests of one worker, which use all of it")]
mod fakes;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread::JoinHandle;

use bus::NewMessage;
use bus::testing::{Kept, TestBus};
use chrono::DateTime;
use domain::pipeline::{Execution, ExecutionStatus, MatchOutcome, Pipeline};
use domain::{DecisionId, PageQuery, SIGNALS_TOPIC, SignalEvent};
use pipeline::dispatch::{self, DispatcherConfig};
use pipeline::store::{DATABASE, Filter, Store, migrations, now};
use pipeline::work::{self, WorkerConfig};
use serde_json::{Value, json};
use storage::testing::{Cluster, TestDatabase};
use storage::{Database, DatabaseSettings};
use telemetry::testing::metric_values;
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use web::testing::{eventually, get};
use web::{Background, RunningServer, StartError};

use fakes::{Asked, Everybody, Failure};

const SIGNALS: u32 = 300;
const AT_ONCE: u32 = 10;
const SYMBOLS: [&str; 5] = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT"];

fn main() -> ExitCode {
    bus::testing::run(&[bus::test!(two_dispatchers_and_four_workers_share_and_two_die)])
}

/// A service in a thread, and a runtime, of its own.
struct Process {
    address: SocketAddr,
    /// True: in order. False: where it stands, without a word to anybody.
    end: oneshot::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Process {
    fn start<F>(start: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<RunningServer, StartError>>,
    {
        let (end, ended) = oneshot::channel();
        let (told, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async {
                // All that the service does is in here, and is dropped with it.
                let tasks = LocalSet::new();
                let life = async {
                    let server = start().await.unwrap();
                    told.send(server.addr()).unwrap();
                    if ended.await.unwrap() {
                        server.stop().await;
                    }
                };
                tasks.run_until(life).await;
            });
        });
        Self { address: address.recv().unwrap(), end, thread }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn is_ready(&self) {
        eventually("it is ready", async || (get(&self.url("/health/ready")).await.status == 200).then_some(())).await;
    }

    async fn end(self, in_order: bool) {
        self.end.send(in_order).unwrap();
        actix_web::rt::task::spawn_blocking(|| self.thread.join().unwrap()).await.unwrap();
    }
}

fn event(number: u32) -> SignalEvent {
    let mut bytes = [9; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    SignalEvent {
        version: 1,
        signal_id: DecisionId::from_bytes(bytes),
        signal_type: if number.is_multiple_of(2) { "golden_cross" } else { "mock" }.parse().unwrap(),
        source: "mock_generator".parse().unwrap(),
        symbol: SYMBOLS[number as usize % SYMBOLS.len()].parse().unwrap(),
        action: domain::trading::SignalAction::Buy,
        confidence: "0.85".parse().unwrap(),
        price: Some("46224".parse().unwrap()),
        interval: None,
        candle_closed_at: None,
        reason: None,
        generated_at: now(),
    }
}

/// Whoever asks the store.
struct World {
    store: Store,
    background: Background,
}

impl Drop for World {
    fn drop(&mut self) {
        self.background.token().cancel();
    }
}

impl World {
    async fn open(settings: &DatabaseSettings) -> Self {
        let database = Database::open(DATABASE, settings, migrations()).unwrap();
        let mut background = Background::new();
        background.spawn("database", |stop| database.clone().keep_up(stop));
        eventually("the database is there", async || database.ready().await.ok()).await;
        Self { store: Store::new(database), background }
    }

    async fn pipeline(&self, name: &str, mut trigger: Value) -> Pipeline {
        trigger["mode"] = json!("signal");
        let request = json!({
            "name": name, "trigger": trigger, "max_attempts": 10,
            "steps": [{"name": "order", "agent": "place_order"}, {"name": "tell", "agent": "notify"}],
        });
        let request: domain::pipeline::PipelineRequest = serde_json::from_value(request).unwrap();
        request.check().unwrap();
        self.store.create(&request, DateTime::UNIX_EPOCH).await.unwrap()
    }

    async fn execution(&self, id: &DecisionId) -> Execution {
        self.store.execution(id).await.unwrap().unwrap()
    }

    async fn executions_of(&self, number: u32) -> Vec<Execution> {
        let filter = Filter { signal_id: Some(event(number).signal_id), ..Filter::default() };
        self.store.executions(&PageQuery::default(), &filter).await.unwrap().items
    }

    /// Every signal of these has been taken, and what it set off is at its end.
    async fn is_through(&self, signals: std::ops::Range<u32>) {
        eventually("everything is through", async || {
            for number in signals.clone() {
                self.store.matches(&event(number).signal_id, &PageQuery::default()).await.unwrap()?;
            }
            let depth = self.store.depth().await.unwrap();
            (depth.queued + depth.running == 0).then_some(())
        })
        .await;
    }
}

/// Each third comes twice.
async fn publish(kept: &Kept, signals: std::ops::Range<u32>) {
    for number in signals.flat_map(|number| vec![number; if number.is_multiple_of(3) { 2 } else { 1 }]) {
        let event = event(number);
        let message = NewMessage::new(event.symbol.as_str(), serde_json::to_string(&event).unwrap());
        kept.bus.publish(SIGNALS_TOPIC, message).await.unwrap();
    }
}

async fn two_dispatchers_and_four_workers_share_and_two_die(bus: TestBus) {
    telemetry::testing::init();
    // With Kafka the executions are in PostgreSQL, where there is one.
    let own = match bus.engine() {
        "kafka" if Cluster::is_possible() => Some(TestDatabase::postgres()),
        "kafka" => Some(TestDatabase::sqlite()),
        _ => None,
    };
    let settings = own.as_ref().or(bus.database()).unwrap().settings();
    let everybody = Everybody::new();
    let address = everybody.start();
    let world = World::open(&settings).await;
    let pipelines = [
        world.pipeline("golden", json!({"signal_types": ["golden_cross"], "tickers": ["BTCUSDT", "SOLUSDT"]})).await,
        world.pipeline("ether", json!({"tickers": ["ETHUSDT"]})).await,
        world.pipeline("every one", json!({})).await,
    ];
    let dispatcher = || {
        let config = DispatcherConfig::ephemeral(settings.clone(), bus.settings());
        Process::start(move || dispatch::start(config))
    };
    let (one, two) = (dispatcher(), dispatcher());
    let mut workers = BTreeMap::new();
    for name in ["w-0", "w-1", "w-2", "w-3"] {
        let mut config = WorkerConfig::ephemeral(settings.clone(), &address);
        config.worker.worker_id = Some(name.to_owned());
        // Whoever is at one is at no other.
        (config.worker.concurrency, config.worker.lease_seconds) = (1, 4);
        workers.insert(name.to_owned(), Process::start(move || work::start(config)));
    }
    for process in [&one, &two].into_iter().chain(workers.values()) {
        process.is_ready().await;
    }
    eventually("they share the partitions", async || {
        for process in [&one, &two] {
            let standing = get(&process.url("/v1/dispatcher")).await.ok();
            (standing["signals"]["partitions"].as_array()?.len() == 2).then_some(())?;
        }
        Some(())
    })
    .await;
    let kept = bus.open();
    eventually("the bus is there", async || kept.bus.ready().await.ok()).await;
    for begin in (0..SIGNALS / 2).step_by(AT_ONCE as usize) {
        publish(&kept, begin..begin + AT_ONCE).await;
        world.is_through(begin..begin + AT_ONCE).await;
    }

    // One worker has its order placed, and never hears of it; the others do what else there is.
    everybody.fail(Asked::Order, &[Failure::Silent]);
    let half = SIGNALS / 2;
    publish(&kept, half..half + AT_ONCE).await;
    let orphan = eventually("an order is not answered", async || everybody.silent().pop()).await;
    let orphan: DecisionId = orphan["sender_order_id"].as_str().unwrap().parse().unwrap();
    let victim = world.execution(&orphan).await.worker.unwrap();
    let others = eventually("others work on", async || {
        let mut by = BTreeSet::new();
        for number in half..half + AT_ONCE {
            let ended = world.executions_of(number).await.into_iter().filter(|one| one.status.is_final());
            by.extend(ended.filter_map(|one| one.worker).filter(|worker| *worker != victim));
        }
        (!by.is_empty()).then_some(by)
    })
    .await;
    assert!(others.iter().all(|other| workers.contains_key(other)), "{others:?}");
    // Both end where they stand: the dispatcher while there is something to read.
    publish(&kept, half + AT_ONCE..half + 3 * AT_ONCE).await;
    workers.remove(&victim).unwrap().end(false).await;
    one.end(false).await;
    world.is_through(half..half + 3 * AT_ONCE).await;
    for begin in (half + 3 * AT_ONCE..SIGNALS).step_by(AT_ONCE as usize) {
        publish(&kept, begin..begin + AT_ONCE).await;
        world.is_through(begin..begin + AT_ONCE).await;
    }

    // Each signal was matched once, each execution has one end, and one order and one message.
    let (mut all, mut by) = (BTreeMap::new(), BTreeSet::new());
    for number in 0..SIGNALS {
        let event = event(number);
        let matches = world.store.matches(&event.signal_id, &PageQuery::default()).await.unwrap().unwrap().items;
        let found: BTreeSet<_> = matches.iter().map(|found| &found.pipeline_id).collect();
        let fits = |pipeline: &&Pipeline| {
            let domain::pipeline::Trigger::Signal(trigger) = &pipeline.request.trigger else { panic!("{pipeline:?}") };
            trigger.matches(&event)
        };
        let expected: BTreeSet<_> = pipelines.iter().filter(fits).map(|pipeline| &pipeline.pipeline_id).collect();
        assert_eq!((found, matches.len()), (expected.clone(), expected.len()), "signal {number}");
        let enqueued: BTreeSet<_> = matches.iter().filter_map(|found| found.execution_id.clone()).collect();
        let executions = world.executions_of(number).await;
        assert_eq!(executions.iter().map(|one| one.execution_id.clone()).collect::<BTreeSet<_>>(), enqueued);
        assert!(matches.iter().all(|found| found.execution_id.is_some() == (found.outcome == MatchOutcome::Enqueued)));
        for execution in executions {
            assert_eq!(execution.status, ExecutionStatus::Success, "{execution:?}");
            by.extend(execution.worker.clone());
            all.insert(execution.execution_id.clone(), execution);
        }
    }
    // Whenever ten come, three that are idle are set off.
    assert!(all.len() >= 3 * 28, "{} were set off", all.len());
    assert!(by.len() > 1, "{by:?}");
    let taken_up = world.execution(&orphan).await;
    assert!(taken_up.attempts >= 2 && taken_up.worker.as_ref() != Some(&victim), "{taken_up:?}");
    let ids: Vec<_> = all.keys().map(DecisionId::to_string).collect();
    let mut ordered: Vec<_> = everybody.orders().into_iter().filter_map(|order| order.sender_order_id).collect();
    ordered.sort_unstable();
    assert_eq!(ordered, ids, "one order each");
    let mut told: Vec<_> = everybody.notices().iter().map(|notice| fakes::words(notice).1.to_string()).collect();
    told.sort_unstable();
    assert_eq!(told, ids, "one message each");
    for pipeline in &pipelines {
        let id = &pipeline.pipeline_id;
        let ends: f64 = metric_values("pipeline_executions_total", &[("pipeline_id", id.as_str())]).iter().sum();
        let executed = all.values().filter(|one| one.pipeline_id == *id).count();
        assert_eq!(ends.to_string(), executed.to_string(), "one end each");
    }
    two.end(true).await;
    for (_, worker) in workers {
        worker.end(true).await;
    }
}
