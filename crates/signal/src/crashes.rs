//! However a process ends while it takes an alert or hands a signal on: what was answered is handed on under its one id,
//! and what was not may be sent again and is still one signal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::HttpResponse;
use bus::{Bus, BusSettings};
use cache::Cache;
use cache::testing::{Kept, Server};
use domain::trading::Signal;
use secrecy::SecretString;
use serde_json::json;
use storage::testing::{TestDatabase, engines};
use storage::{Database, DatabaseSettings, QueryType, Statement};
use url::Url;
use web::testing::{Killed, eventually, fake};
use web::{Background, CancellationToken};

use crate::alerts::Alerts;
use crate::dispatch::Dispatch;
use crate::error::IngestError;
use crate::hooks::Hooks;
use crate::ingest::{Intake, Taken};
use crate::message::{Alert, BodyKind};
use crate::publish::Publisher;
use crate::queue::Queue;
use crate::signals::Signals;

/// More steps than anything has: it never ends.
const ENDLESS: usize = 2_000;

/// What order-service has got.
#[derive(Clone, Default)]
struct Orders(Arc<Mutex<Got>>);

#[derive(Default)]
struct Got {
    /// How often each id came.
    times: BTreeMap<String, usize>,
    /// The ids in the order in which they first came.
    line: Vec<String>,
}

impl Orders {
    fn start(&self) -> Url {
        let orders = self.clone();
        fake(move |_request, body| {
            let orders = orders.clone();
            async move {
                // The probe asks for nothing.
                let Ok(signal) = serde_json::from_slice::<Signal>(&body) else { return HttpResponse::Ok().finish() };
                let id = signal.signal_id.to_string();
                let times = {
                    let Got { times, line } = &mut *orders.0.lock().unwrap();
                    let times = times.entry(id.clone()).or_default();
                    *times += 1;
                    if *times == 1 {
                        line.push(id.clone());
                    }
                    *times
                };
                HttpResponse::Ok().json(json!({"signal_id": id, "result": "ordered", "replayed": times > 1}))
            }
        })
    }

    fn times(&self) -> BTreeMap<String, usize> {
        self.0.lock().unwrap().times.clone()
    }

    fn line(&self) -> Vec<String> {
        self.0.lock().unwrap().line.clone()
    }
}

/// A process, as far as taking and handing on go. Dropping it ends what keeps its database up.
struct Process {
    database: Database,
    hooks: Hooks,
    intake: Intake,
    dispatch: Dispatch,
    background: Background,
}

impl Process {
    async fn start(test: &TestDatabase, orders: &Url) -> Self {
        Self::start_with(test, orders, Cache::default()).await
    }

    async fn start_with(test: &TestDatabase, orders: &Url, cache: Cache) -> Self {
        // What a process that was killed holds is free the sooner.
        let settings = DatabaseSettings {
            database_acquire_timeout_ms: 1_500,
            database_statement_timeout_ms: 1_500,
            ..test.settings()
        };
        let database = Database::open(crate::NAME, &settings, crate::migrations()).unwrap();
        let mut background = Background::new();
        background.spawn("database", |stop| database.clone().keep_up(stop));
        eventually("the database is there", async || database.ready().await.ok()).await;
        let signals = Signals::new(database.clone());
        let queue = Queue::new(signals.clone());
        let dispatch = Dispatch::new(database.clone(), orders, signals, queue.clone());
        let bus = Bus::open(crate::NAME, &BusSettings::at(test.url())).unwrap();
        let publisher = Publisher::new(database.clone(), bus, Duration::from_secs(5)).unwrap();
        let alerts = Alerts::new(cache);
        let intake = Intake::new(database.clone(), dispatch.clone(), publisher, alerts, queue, Vec::new());
        Self { hooks: Hooks::new(database.clone()), database, intake, dispatch, background }
    }

    /// An alert, from its token to what is answered.
    async fn take(&self, token: &SecretString, text: &str) -> Result<Taken, IngestError> {
        let hook = self.hooks.by_token(token).await?.ok_or(IngestError::UnknownHook)?;
        self.intake.take(&hook, Alert::read(text.as_bytes(), BodyKind::Text)?, text.as_bytes()).await
    }

    /// The same until the database takes it: what is left of a process that was killed may hold it for a moment.
    async fn taken(&self, token: &SecretString, text: &str) -> Taken {
        eventually(text, async || match self.take(token, text).await {
            Ok(taken) => Some(taken),
            Err(error) => {
                assert!(error.is_failure(), "{text}: {error}");
                None
            }
        })
        .await
    }

    async fn count(&self, sql: &'static str) -> i64 {
        self.database.fetch_one::<(i64,)>(Statement::new(QueryType::Select, "signals", sql)).await.unwrap().0
    }

    async fn end(self) {
        self.background.token().cancel();
    }
}

fn run(test: impl AsyncFn(TestDatabase)) {
    for database in engines() {
        actix_web::rt::System::new().block_on(test(database));
    }
}

/// Every other one says when it was sent, and all the others are known by their words.
fn alert(number: usize) -> String {
    let time = if number.is_multiple_of(2) { " timenow=2026-01-31T12:00:00Z" } else { "" };
    format!("ticker=BTCUSDT action=buy order_id={number}{time}")
}

#[test]
fn killed_at_every_step_of_taking_an_alert() {
    run(async |database| {
        let orders = Orders::default();
        let url = orders.start();
        let process = Process::start(&database, &url).await;
        let token = process.hooks.create("crashes".to_owned().try_into().unwrap()).await.unwrap().1;
        process.end().await;
        // Where there is a Redis, with it: then nothing stands there that is not in the database.
        let redis = Server::start();
        let kept = match &redis {
            Some(redis) => Some(Kept::open(&redis.settings()).connected().await),
            None => None,
        };
        let cache = kept.as_ref().map(|kept| kept.cache.clone()).unwrap_or_default();
        let (mut answered, mut sent) = (BTreeMap::new(), 0);
        // How many steps there are depends on what the database has ready: more than once through all of them.
        for _ in 0..4 {
            for steps in 0.. {
                assert!(steps < ENDLESS, "it never ends");
                let process = Process::start_with(&database, &url, cache.clone()).await;
                let ended = Killed::after(steps, process.take(&token, &alert(sent))).await;
                process.end().await;
                sent += 1;
                match ended {
                    None => {}
                    Some(Ok(taken)) => {
                        assert!(!taken.duplicate, "step {steps}: nobody sent it before");
                        answered.insert(sent - 1, taken.signal_id);
                        break;
                    }
                    // What is left of the process before holds the database for a moment: it is to be sent again.
                    Some(Err(error)) => assert!(error.is_failure(), "step {steps}: {error}"),
                }
            }
        }
        let killed = sent - answered.len();
        assert!(killed > 10, "{killed} were killed");
        let process = Process::start_with(&database, &url, cache).await;
        if let Some(redis) = &redis {
            let shared = redis.keys();
            assert!(shared.len() >= answered.len(), "{} of {} that were answered", shared.len(), answered.len());
            for key in shared {
                let shared: serde_json::Value = serde_json::from_str(&redis.ask::<String>(&["GET", &key])).unwrap();
                let id = shared["value"]["signal_id"].as_str().unwrap().to_owned();
                let statement =
                    Statement::new(QueryType::Select, "signals", "SELECT COUNT(*) FROM signals WHERE id = $1").bind(id);
                assert_eq!(process.database.fetch_one::<(i64,)>(statement).await.unwrap().0, 1, "{shared}");
            }
        }
        // The sender sends all of them again, and once more.
        let mut accepted = BTreeSet::new();
        for number in 0..sent {
            let again = process.taken(&token, &alert(number)).await;
            if let Some(id) = answered.get(&number) {
                assert_eq!((again.duplicate, &again.signal_id), (true, id), "alert {number}: it was answered");
            }
            let once_more = process.taken(&token, &alert(number)).await;
            assert_eq!((once_more.duplicate, &once_more.signal_id), (true, &again.signal_id), "alert {number}");
            assert!(accepted.insert(again.signal_id.to_string()), "alert {number}: a signal of its own");
        }
        assert_eq!(process.count("SELECT COUNT(*) FROM signals").await, i64::try_from(sent).unwrap());
        assert_eq!(process.count("SELECT signals FROM hooks").await, i64::try_from(sent).unwrap());
        let published = "SELECT COUNT(DISTINCT key) FROM outbox_entries WHERE outbox = 'published'";
        assert_eq!(process.count(published).await, i64::try_from(sent).unwrap(), "each is to be published");
        let stop = CancellationToken::new();
        let delivering = actix_web::rt::spawn(process.dispatch.clone().deliver(stop.clone()));
        eventually("all are executed", async || {
            let waiting = process.count("SELECT COUNT(*) FROM signals WHERE status <> 'executed'").await;
            (waiting == 0).then_some(())
        })
        .await;
        stop.cancel();
        delivering.await.unwrap();
        assert_eq!(orders.times(), accepted.into_iter().map(|id| (id, 1)).collect(), "each once, and no other");
        process.end().await;
    });
}

/// What stands in the cache is in the database: it is put there after the commit, and not where that fails.
#[test]
fn a_commit_that_fails_shares_nothing() {
    run(async |database| {
        let Some(redis) = Server::start() else { return };
        let kept = Kept::open(&redis.settings()).connected().await;
        let process = Process::start_with(&database, &Orders::default().start(), kept.cache.clone()).await;
        let token = process.hooks.create("crashes".to_owned().try_into().unwrap()).await.unwrap().1;
        let execute =
            async |sql| process.database.execute(Statement::new(QueryType::Insert, "trap", sql)).await.unwrap();
        // Every signal brings a row with it that is looked at when everything else is done.
        execute("CREATE TABLE trap (x BIGINT PRIMARY KEY, missing BIGINT REFERENCES trap (x) DEFERRABLE INITIALLY DEFERRED)").await;
        if database.engine() == "sqlite" {
            execute("CREATE TRIGGER trap AFTER INSERT ON signals BEGIN INSERT INTO trap VALUES (1, 2); END").await;
        } else {
            execute("CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO trap VALUES (1, 2); RETURN NULL; END'").await;
            execute("CREATE TRIGGER trap AFTER INSERT ON signals FOR EACH ROW EXECUTE FUNCTION trap()").await;
        }
        let refused = process.take(&token, &alert(0)).await.unwrap_err();
        assert!(refused.is_failure(), "{refused}");
        assert!(redis.keys().is_empty(), "{:?}", redis.keys());
        execute(if database.engine() == "sqlite" { "DROP TRIGGER trap" } else { "DROP TRIGGER trap ON signals" }).await;
        assert!(!process.taken(&token, &alert(0)).await.duplicate);
        assert_eq!(redis.keys().len(), 1);
        process.end().await;
    });
}

/// A symbol of its own, whose signals wait for no other's.
fn symbol(number: usize) -> String {
    let letter = |place: usize| {
        char::from(b'A' + u8::try_from(number / 26_usize.pow(u32::try_from(place).unwrap()) % 26).unwrap())
    };
    format!("X{}{}USDT", letter(1), letter(0))
}

#[test]
fn killed_at_every_step_of_handing_a_signal_on() {
    run(async |database| {
        let orders = Orders::default();
        let url = orders.start();
        let first = Process::start(&database, &url).await;
        let token = first.hooks.create("crashes".to_owned().try_into().unwrap()).await.unwrap().1;
        first.end().await;
        let (mut ids, mut steps, mut done) = (Vec::new(), 0, false);
        while !done {
            let process = Process::start(&database, &url).await;
            let mut of_step = Vec::new();
            for which in ["1", "2"] {
                let text = format!("ticker={} action=sell order_id={which} timenow=1800000000", symbol(steps));
                of_step.push(process.taken(&token, &text).await.signal_id.to_string());
            }
            ids.push(of_step);
            // It delivers for ever: all that ends it is the kill.
            let killed = Killed::after(steps, process.dispatch.clone().deliver(CancellationToken::new())).await;
            assert_eq!(killed, None);
            let left = Statement::new(
                QueryType::Select,
                "outbox_entries",
                "SELECT COUNT(*) FROM outbox_entries WHERE outbox = 'signals' AND order_group = $1",
            );
            done = process.database.fetch_one::<(i64,)>(left.bind(symbol(steps))).await.unwrap().0 == 0;
            process.end().await;
            steps += 1;
            assert!(steps < 26 * 26, "it never ends");
        }
        assert!(steps > 10, "it has more steps than {steps}");
        let known = orders.times().len();
        assert!(known > 0 && known < ids.len() * 2, "{known} of {}: some died before and some after", ids.len() * 2);
        // Whoever comes after them hands on what is left, once nobody holds it any more.
        let process = Process::start(&database, &url).await;
        let stop = CancellationToken::new();
        let delivering = actix_web::rt::spawn(process.dispatch.clone().deliver(stop.clone()));
        eventually("all are executed, and nothing is left", async || {
            let waiting = process.count("SELECT COUNT(*) FROM signals WHERE status <> 'executed'").await;
            let left = process.count("SELECT COUNT(*) FROM outbox_entries WHERE outbox = 'signals'").await;
            ((waiting, left) == (0, 0)).then_some(())
        })
        .await;
        stop.cancel();
        delivering.await.unwrap();
        let all: BTreeSet<String> = ids.iter().flatten().cloned().collect();
        assert_eq!(orders.times().into_keys().collect::<BTreeSet<_>>(), all, "each is known by its one id");
        let line = orders.line();
        let place = |id: &String| line.iter().position(|known| known == id).unwrap();
        for (step, of_step) in ids.iter().enumerate() {
            assert!(place(&of_step[0]) < place(&of_step[1]), "killed at step {step}: the first goes first");
        }
        process.end().await;
    });
}
