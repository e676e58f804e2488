//! trigger-dispatcher, with a bus that is a log on the same engine.

use std::collections::HashMap;
use std::sync::Arc;

use bus::testing::{Kept, TestBus};
use bus::{BusSettings, NewMessage};
use domain::pipeline::{Budget, ExecutionStatus, MatchOutcome, Pipeline, PipelineRequest, SignalMatch};
use domain::{DecisionId, PageQuery, SIGNALS_TOPIC, SignalEvent};
use opentelemetry::trace::{SpanId, TraceContextExt as _, TraceId};
use opentelemetry_sdk::trace::SpanData;
use pipeline::dispatch::{self, DispatcherConfig};
use pipeline::store::{Filter, Store, now};
use serde_json::{Value, json};
use storage::testing::{Cluster, TestDatabase};
use storage::{DatabaseSettings, QueryType, Statement};
use telemetry::testing::{attribute, finished_spans, metric_values};
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use web::RunningServer;
use web::testing::{eventually, get, post_text, ready, url};

use crate::world::{World, request, signal, t};

/// A dispatcher, and what stands around it.
struct Dispatch {
    server: RunningServer,
    world: World,
    kept: Kept,
    config: DispatcherConfig,
    _bus: TestBus,
}

impl Dispatch {
    async fn start(database: &TestDatabase, change: impl FnOnce(&mut DispatcherConfig)) -> Self {
        telemetry::testing::init();
        let bus = if database.engine() == "sqlite" { TestBus::sqlite() } else { TestBus::postgres() };
        let mut config = DispatcherConfig::ephemeral(database.settings(), bus.settings());
        change(&mut config);
        let world = World::open(database).await;
        let server = dispatch::start(config.clone()).await.unwrap();
        ready(&server).await;
        let kept = bus.open();
        eventually("the bus is there", async || kept.bus.ready().await.ok()).await;
        Self { server, world, kept, config, _bus: bus }
    }

    async fn another(&self) -> RunningServer {
        let server = dispatch::start(self.config.clone()).await.unwrap();
        ready(&server).await;
        server
    }

    async fn publish(&self, payloads: impl IntoIterator<Item = String>) {
        let messages = payloads.into_iter().map(|payload| NewMessage::new("BTCUSDT", payload)).collect();
        self.kept.bus.publish_all(SIGNALS_TOPIC, messages).await.unwrap();
    }

    async fn standing(&self) -> Value {
        get(&url(&self.server, "/v1/dispatcher")).await.ok()
    }

    /// A change of the pipelines has come here.
    async fn heeded(&self) {
        let clock = self.world.store.clock().await.unwrap();
        eventually("the change is heeded", async || {
            (self.standing().await["pipelines"]["change_number"].as_i64()? >= clock).then_some(())
        })
        .await;
    }

    /// So many messages are on the bus, and all are committed.
    async fn worked_through(&self, messages: i64) {
        eventually("everything is committed", async || {
            let standing = self.standing().await;
            let partitions = standing["signals"]["partitions"].as_array()?;
            let ends: i64 = partitions.iter().map(|partition| partition["end_offset"].as_i64().unwrap()).sum();
            (ends == messages && standing["signals"]["lag_messages"] == 0).then_some(())
        })
        .await;
    }

    async fn matches(&self, id: &DecisionId) -> Option<Vec<SignalMatch>> {
        self.world.store.matches(id, &PageQuery::default()).await.unwrap().map(|page| page.items)
    }

    /// What a signal did, once it has been taken.
    async fn taken(&self, event: &SignalEvent) -> Vec<SignalMatch> {
        eventually("the signal is taken", async || self.matches(&event.signal_id).await).await
    }

    async fn make(&self, name: &str, change: impl FnOnce(&mut PipelineRequest)) -> Pipeline {
        let mut wanted = request(name);
        change(&mut wanted);
        let made = self.world.store.create(&wanted, now()).await.unwrap();
        self.heeded().await;
        made
    }

    /// Does what waits, as workers do.
    async fn execute(&self) -> usize {
        let mut done = 0;
        while let Some(claim) = self.world.store.claim("w", crate::world::LEASE, now()).await.unwrap() {
            self.world.store.finish(&claim, ExecutionStatus::Success, None, now()).await.unwrap();
            done += 1;
        }
        done
    }
}

fn text(event: &SignalEvent) -> String {
    serde_json::to_string(event).unwrap()
}

fn outcomes(matches: &[SignalMatch]) -> Vec<MatchOutcome> {
    matches.iter().map(|found| found.outcome).collect()
}

fn counted(name: &str, labels: &[(&str, &str)]) -> f64 {
    metric_values(name, labels).iter().sum()
}

fn spans_of(trace: TraceId) -> Vec<SpanData> {
    finished_spans().into_iter().filter(|span| span.span_context.trace_id() == trace).collect()
}

/// Does something in a trace of its own: its id.
async fn in_a_trace(work: impl Future<Output = ()>) -> TraceId {
    let span = tracing::info_span!(parent: None, "a test's signal");
    work.instrument(span.clone()).await;
    span.context().span().span_context().trace_id()
}

pub(crate) async fn a_signal_sets_off_what_it_matches_in_one_trace(database: TestDatabase) {
    let dispatch = Dispatch::start(&database, |_| {}).await;
    let made = dispatch.make("one", |_| {}).await;
    dispatch.make("for others", |p| p.trigger = on(json!({"tickers": ["ETHUSDT"]}))).await;
    dispatch.make("not enabled", |p| p.enabled = false).await;
    dispatch.make("surer", |p| p.trigger = on(json!({"minimum_confidence": "0.86"}))).await;
    let every = dispatch.make("every one", |p| p.trigger = on(json!({}))).await;
    let matched = counted("pipelines_matched_total", &[("ticker", "BTCUSDT")]);
    let event = signal(1);
    let trace = in_a_trace(dispatch.publish([text(&event)])).await;
    let matches = dispatch.taken(&event).await;
    let mut ids: Vec<_> = matches.iter().map(|found| found.pipeline_id.clone()).collect();
    let mut expected = vec![made.pipeline_id.clone(), every.pipeline_id];
    ids.sort();
    expected.sort();
    assert_eq!((ids, outcomes(&matches)), (expected, vec![MatchOutcome::Enqueued; 2]));
    // From the publisher to whoever executes it is one trace.
    let spans = eventually("the match has ended", async || {
        let spans = spans_of(trace);
        spans.iter().any(|span| span.name == "TriggerDispatcher.match").then_some(spans)
    })
    .await;
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}"));
    let (sent, matched_in) = (named("send signals"), named("TriggerDispatcher.match"));
    assert_eq!(matched_in.parent_span_id, sent.span_context.span_id());
    for (name, value) in [
        ("signal.id", event.signal_id.as_str()),
        ("signal.type", "golden_cross"),
        ("crypto.symbol", "BTCUSDT"),
        ("signal.repeated", "false"),
        ("pipelines.matched", "2"),
        ("pipelines.enqueued", "2"),
        ("pipelines.skipped", "0"),
        ("messaging.destination.name", "signals"),
    ] {
        assert_eq!(attribute(matched_in, name).as_deref(), Some(value), "{name}");
    }
    let inserts = spans.iter().filter(|span| span.parent_span_id == matched_in.span_context.span_id()).count();
    assert!(inserts >= 5, "{inserts} statements are part of it");
    let link = matched_in.links.iter().next().unwrap().span_context.clone();
    let batch = eventually("the batch has ended", async || spans_of(link.trace_id()).pop()).await;
    assert_eq!(
        (batch.name.as_ref(), batch.span_context.span_id()),
        ("TriggerDispatcher.process_batch", link.span_id())
    );
    assert_eq!((batch.parent_span_id, link.trace_id() == trace), (SpanId::INVALID, false));
    for _ in 0..2 {
        let claim = dispatch.world.claim("w", now()).await;
        assert_eq!(claim.execution.trace_id.as_deref(), Some(trace.to_string().as_str()));
        assert!(claim.context.contains(&matched_in.span_context.span_id().to_string()), "{}", claim.context);
        assert_eq!(claim.execution.signal.as_ref(), Some(&event));
    }
    assert!(counted("pipelines_matched_total", &[("ticker", "BTCUSDT")]) >= matched + 2.0);
    dispatch.server.stop().await;
}

fn on(mut fields: Value) -> domain::pipeline::Trigger {
    fields["mode"] = json!("signal");
    serde_json::from_value(fields).unwrap()
}

pub(crate) async fn what_is_no_signal_is_passed_by(database: TestDatabase) {
    let dispatch = Dispatch::start(&database, |_| {}).await;
    dispatch.make("one", |_| {}).await;
    let poison = counted("signals_poison_total", &[]);
    let bad = |change: fn(&mut Value)| {
        let mut value = serde_json::to_value(signal(1)).unwrap();
        change(&mut value);
        value.to_string()
    };
    let messages = [
        "no JSON".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        String::new(),
        bad(|s| s["confidence"] = json!("1.01")),
        bad(|s| s["symbol"] = json!("no symbol")),
        bad(|s| s["reason"] = json!("x".repeat(1_001))),
        bad(|s| s["reason"] = json!("\u{0}")),
        bad(|s| s["generated_at"] = json!("+262142-12-31T23:59:59Z")),
    ];
    let count = 9;
    assert_eq!(messages.len(), count);
    let trace = in_a_trace(dispatch.publish(messages)).await;
    dispatch.publish([text(&signal(2))]).await;
    assert_eq!(outcomes(&dispatch.taken(&signal(2)).await), [MatchOutcome::Enqueued], "nothing was in its way");
    dispatch.worked_through(10).await;
    assert_eq!(dispatch.matches(&signal(1).signal_id).await, None);
    // Each was looked at once.
    let spans = spans_of(trace);
    let looks: Vec<&SpanData> = spans.iter().filter(|span| span.name == "TriggerDispatcher.match").collect();
    assert_eq!(looks.len(), count);
    assert!(looks.iter().all(|span| attribute(span, "error.type").is_some()));
    assert!(counted("signals_poison_total", &[]) >= poison + 9.0);
    dispatch.server.stop().await;
}

pub(crate) async fn signals_of_other_versions_are_taken(database: TestDatabase) {
    let dispatch = Dispatch::start(&database, |_| {}).await;
    dispatch.make("one", |_| {}).await;
    let mut later = serde_json::to_value(signal(1)).unwrap();
    later["version"] = json!(7);
    later["horizon"] = json!({"minutes": [30]});
    let mut older = serde_json::to_value(signal(2)).unwrap();
    older.as_object_mut().unwrap().remove("version");
    older.as_object_mut().unwrap().remove("reason");
    dispatch.publish([later.to_string()]).await;
    assert_eq!(outcomes(&dispatch.taken(&signal(1)).await), [MatchOutcome::Enqueued]);
    dispatch.publish([older.to_string()]).await;
    assert_eq!(outcomes(&dispatch.taken(&signal(2)).await), [MatchOutcome::SkippedRunning]);
    dispatch.server.stop().await;
}

pub(crate) async fn what_runs_or_is_too_dear_is_passed_by(database: TestDatabase) {
    let dispatch = Dispatch::start(&database, |_| {}).await;
    let free = dispatch.make("free", |_| {}).await;
    let poor = dispatch
        .make("poor", |p| {
            p.budget = Some(Budget { usd_per_day: "0".parse().unwrap() });
            p.trigger = on(json!({"tickers": ["BTCUSDT"]}));
        })
        .await;
    let before = [
        counted("pipelines_skipped_running_total", &[]),
        counted("pipelines_skipped_budget_total", &[]),
        counted("pipelines_enqueued_total", &[("status", "skipped")]),
        counted("signals_repeated_total", &[]),
    ];
    // All in one batch: the second finds that the first has set it off.
    dispatch.publish([1, 2, 1].map(|number| text(&signal(number)))).await;
    let by_pipeline = |matches: Vec<SignalMatch>| -> HashMap<_, _> {
        matches.into_iter().map(|found| (found.pipeline_id, found.outcome)).collect()
    };
    let first = by_pipeline(dispatch.taken(&signal(1)).await);
    let second = by_pipeline(dispatch.taken(&signal(2)).await);
    dispatch.worked_through(3).await;
    assert_eq!(
        [first[&free.pipeline_id], second[&free.pipeline_id]],
        [MatchOutcome::Enqueued, MatchOutcome::SkippedRunning]
    );
    assert_eq!([first[&poor.pipeline_id], second[&poor.pipeline_id]], [MatchOutcome::SkippedBudget; 2]);
    assert_eq!(dispatch.execute().await, 1);
    let after = [
        counted("pipelines_skipped_running_total", &[]),
        counted("pipelines_skipped_budget_total", &[]),
        counted("pipelines_enqueued_total", &[("status", "skipped")]),
        counted("signals_repeated_total", &[]),
    ];
    // Other tests count, too.
    for ((before, after), more) in before.into_iter().zip(after).zip([1.0, 2.0, 3.0, 1.0]) {
        assert!(after >= before + more, "{before} {after}");
    }
    dispatch.publish([text(&signal(3))]).await;
    assert_eq!(by_pipeline(dispatch.taken(&signal(3)).await)[&free.pipeline_id], MatchOutcome::Enqueued);
    dispatch.server.stop().await;
}

pub(crate) async fn changes_of_pipelines_are_heeded_while_it_runs(database: TestDatabase) {
    // Only what has changed is read, never everything again.
    let dispatch = Dispatch::start(&database, |config| config.dispatcher.full_refresh_seconds = 86_400).await;
    let read_at = dispatch.standing().await["pipelines"]["read_at"].clone();
    let mut number = 0;
    let mut matched = async || {
        number += 1;
        dispatch.publish([text(&signal(number))]).await;
        let count = dispatch.taken(&signal(number)).await.len();
        dispatch.execute().await;
        count
    };
    assert_eq!(matched().await, 0);
    let made = dispatch.make("one", |_| {}).await;
    let clock = json!({"mode": "periodic", "every_seconds": 604_800, "symbol": "BTCUSDT"});
    dispatch.make("clock", |p| p.trigger = serde_json::from_value(clock).unwrap()).await;
    assert_eq!(matched().await, 1);
    let standing = dispatch.standing().await;
    assert_eq!((&standing["pipelines"]["on_signals"], &standing["pipelines"]["on_clocks"]), (&json!(1), &json!(1)));
    let bytes = standing["pipelines"]["size_bytes"].as_u64().unwrap();
    assert!((100..100_000).contains(&bytes), "{bytes}");
    let store = &dispatch.world.store;
    let mut changed = made.request.clone();
    changed.enabled = false;
    store.replace(&made.pipeline_id, None, &changed, now()).await.unwrap();
    dispatch.heeded().await;
    assert_eq!(matched().await, 0);
    changed.enabled = true;
    store.replace(&made.pipeline_id, None, &changed, now()).await.unwrap();
    dispatch.heeded().await;
    assert_eq!(matched().await, 1);
    store.delete(&made.pipeline_id, None, now()).await.unwrap();
    dispatch.heeded().await;
    assert_eq!(matched().await, 0);
    assert_eq!(dispatch.standing().await["pipelines"]["read_at"], read_at);
    dispatch.server.stop().await;
}

/// What the feed of changes does not tell: a deleted pipeline that was swept long ago, a database of yesterday.
pub(crate) async fn everything_is_read_anew_now_and_then(database: TestDatabase) {
    let dispatch = Dispatch::start(&database, |config| config.dispatcher.full_refresh_seconds = 1).await;
    dispatch.make("one", |_| {}).await;
    assert_eq!(dispatch.standing().await["pipelines"]["on_signals"], 1);
    let execute = async |sql| {
        let statement = Statement::new(QueryType::Delete, "pipelines", sql);
        dispatch.world.store.database().execute(statement).await.unwrap();
    };
    execute("DELETE FROM pipelines").await;
    eventually("it is forgotten", async || (dispatch.standing().await["pipelines"]["on_signals"] == 0).then_some(()))
        .await;
    execute("UPDATE pipeline_clock SET change_number = 0").await;
    eventually("the older database is heeded", async || {
        (dispatch.standing().await["pipelines"]["change_number"] == 0).then_some(())
    })
    .await;
    dispatch.server.stop().await;
}

/// A clock sets one off that was made long ago, in a trace of its own.
pub(crate) async fn a_clock_sets_pipelines_off(database: TestDatabase) {
    let dispatch = Dispatch::start(&database, |_| {}).await;
    let other = dispatch.another().await;
    let mut wanted = request("clock");
    let trigger = json!({"mode": "periodic", "every_seconds": 604_800, "symbol": "ETHUSDT"});
    wanted.trigger = serde_json::from_value(trigger).unwrap();
    let made = dispatch.world.store.create(&wanted, t(0)).await.unwrap();
    let execution = eventually("it is set off", async || {
        let filter = Filter { pipeline_id: Some(made.pipeline_id.clone()), ..Filter::default() };
        dispatch.world.store.executions(&PageQuery::default(), &filter).await.unwrap().items.pop()
    })
    .await;
    assert_eq!((execution.symbol.as_str(), execution.trigger_mode.as_str()), ("ETHUSDT", "periodic"));
    let trace = TraceId::from_hex(execution.trace_id.as_deref().unwrap()).unwrap();
    let root = eventually("its span has ended", async || {
        spans_of(trace).into_iter().find(|span| span.name == "TriggerDispatcher.periodic")
    })
    .await;
    assert_eq!(root.parent_span_id, SpanId::INVALID);
    assert_eq!(attribute(&root, "pipeline.outcome").as_deref(), Some("enqueued"));
    assert_eq!(attribute(&root, "execution.id").as_deref(), Some(execution.execution_id.as_str()));
    other.stop().await;
    dispatch.server.stop().await;
}

pub(crate) async fn two_dispatchers_take_each_signal_once(database: TestDatabase) {
    const SYMBOLS: [&str; 5] = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT"];
    let dispatch = Dispatch::start(&database, |config| config.dispatcher.batch = 40).await;
    for symbol in SYMBOLS {
        dispatch.make(symbol, |p| p.trigger = on(json!({"tickers": [symbol]}))).await;
    }
    let other = dispatch.another().await;
    eventually("they share the partitions", async || {
        let mine = dispatch.standing().await["signals"]["partitions"].as_array()?.len();
        (mine == 2).then_some(())
    })
    .await;
    let event = |number: usize| SignalEvent {
        signal_id: DecisionId::from_bytes([&number.to_be_bytes()[..], &[9; 8]].concat().try_into().unwrap()),
        symbol: SYMBOLS[number % SYMBOLS.len()].parse().unwrap(),
        ..signal(0)
    };
    let mut executed = 0;
    for begin in (0..400).step_by(20) {
        // A fifth comes once more.
        for number in (begin..begin + 20).flat_map(|number| vec![number; if number % 4 == 0 { 2 } else { 1 }]) {
            let event = event(number);
            let message = NewMessage::new(event.symbol.as_str(), text(&event));
            dispatch.kept.bus.publish(SIGNALS_TOPIC, message).await.unwrap();
        }
        executed += dispatch.execute().await;
    }
    let mut enqueued = 0;
    for number in 0..400 {
        let matches = dispatch.taken(&event(number)).await;
        assert_eq!(matches.len(), 1, "signal {number}");
        enqueued += matches.iter().filter(|found| found.outcome == MatchOutcome::Enqueued).count();
    }
    executed += dispatch.execute().await;
    assert!(enqueued == executed && enqueued >= SYMBOLS.len(), "{enqueued} set off, {executed} executed");
    other.stop().await;
    // Its partitions are the other's at once.
    dispatch.worked_through(500).await;
    dispatch.server.stop().await;
}

/// A signal that the database refuses is passed by, and those around it are taken.
pub(crate) async fn one_that_cannot_be_taken_takes_no_other_with_it(database: TestDatabase) {
    let dispatch = Dispatch::start(&database, |_| {}).await;
    dispatch.make("one", |_| {}).await;
    let sql = if database.engine() == "sqlite" {
        "CREATE TRIGGER refuse BEFORE INSERT ON signals_matched \
         WHEN NEW.signal_id = '0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d' BEGIN SELECT RAISE(ABORT, 'refused'); END"
    } else {
        "ALTER TABLE signals_matched ADD CONSTRAINT refuse CHECK (signal_id <> '0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d')"
    };
    let statement = Statement::new(QueryType::Update, "signals_matched", sql);
    dispatch.world.store.database().execute(statement).await.unwrap();
    let poison = counted("signals_poison_total", &[]);
    let trace = in_a_trace(dispatch.publish([1, 13, 2].map(|number| text(&signal(number))))).await;
    assert_eq!(outcomes(&dispatch.taken(&signal(1)).await), [MatchOutcome::Enqueued]);
    assert_eq!(outcomes(&dispatch.taken(&signal(2)).await), [MatchOutcome::SkippedRunning]);
    dispatch.worked_through(3).await;
    assert_eq!(dispatch.matches(&signal(13).signal_id).await, None);
    assert!(counted("signals_poison_total", &[]) >= poison + 1.0);
    let errors: Vec<_> = spans_of(trace)
        .iter()
        .filter(|span| span.name == "TriggerDispatcher.match")
        .map(|span| attribute(span, "error.type").unwrap_or_default())
        .collect();
    assert_eq!(errors.iter().filter(|kind| *kind == "refused").count(), 1, "{errors:?}");
    dispatch.server.stop().await;
}

/// Somebody else holds what a signal needs for longer than a statement may take.
pub(crate) async fn what_is_in_the_way_is_waited_for(database: TestDatabase) {
    let dispatch = Dispatch::start(&database, |config| config.database.database_statement_timeout_ms = 200).await;
    dispatch.make("one", |_| {}).await;
    let failed = || counted("db_query_errors_total", &[("reason", "timeout")]);
    let before = failed();
    let mut transaction = dispatch.world.store.database().begin().await.unwrap();
    Store::take_signal(&mut transaction, &signal(1), &[], "{}", t(1)).await.unwrap().unwrap();
    dispatch.publish([1, 2].map(|number| text(&signal(number)))).await;
    eventually("it has been in the way", async || (failed() >= before + 2.0).then_some(())).await;
    transaction.rollback().await.unwrap();
    assert_eq!(outcomes(&dispatch.taken(&signal(1)).await), [MatchOutcome::Enqueued]);
    assert_eq!(outcomes(&dispatch.taken(&signal(2)).await), [MatchOutcome::SkippedRunning]);
    dispatch.worked_through(2).await;
    dispatch.server.stop().await;
}

/// The database ends with its server and comes back; the bus is there all the time.
pub(crate) async fn a_database_that_goes_away_is_waited_for(database: TestDatabase) {
    let cluster = Arc::new(actix_web::rt::task::spawn_blocking(Cluster::start).await.unwrap());
    let pipelines = DatabaseSettings { database_acquire_timeout_ms: 500, ..DatabaseSettings::at(&cluster.database()) };
    let dispatch = Dispatch::start(&database, |config| config.database = pipelines.clone()).await;
    let world = World::at(&pipelines).await;
    world.store.create(&request("one"), now()).await.unwrap();
    eventually("it is known", async || (dispatch.standing().await["pipelines"]["on_signals"] == 1).then_some(())).await;
    dispatch.publish([text(&signal(1))]).await;
    let taken = async |number| world.store.matches(&signal(number).signal_id, &PageQuery::default()).await.ok()?;
    eventually("the first is taken", async || taken(1).await).await;
    let server = Arc::clone(&cluster);
    actix_web::rt::task::spawn_blocking(move || server.crash()).await.unwrap();
    dispatch.publish([2, 3].map(|number| text(&signal(number)))).await;
    let report = eventually("it is not ready", async || {
        let report = get(&url(&dispatch.server, "/health/ready")).await;
        (report.status == 503).then(|| report.json())
    })
    .await;
    let failing: Vec<&str> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["status"] != "ok")
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!(failing, ["database"], "what it remembers of the pipelines it still has");
    let server = Arc::clone(&cluster);
    actix_web::rt::task::spawn_blocking(move || server.start_again()).await.unwrap();
    for number in [2, 3] {
        assert_eq!(eventually("it is taken", async || taken(number).await).await.items.len(), 1, "signal {number}");
    }
    dispatch.worked_through(3).await;
    dispatch.server.stop().await;
}

/// Whoever does not know the pipelines would take signals that set nothing off.
pub(crate) async fn without_pipelines_nothing_is_read(database: TestDatabase) {
    let dispatch = Dispatch::start(&database, |_| {}).await;
    dispatch.make("one", |_| {}).await;
    let Dispatch { server, config, .. } = &dispatch;
    let blind = DispatcherConfig {
        database: DatabaseSettings::at("postgres://nobody@127.0.0.1:1/nothing?sslmode=disable"),
        ..config.clone()
    };
    let blind = dispatch::start(blind).await.unwrap();
    let report = get(&url(&blind, "/health/ready")).await;
    let names: Vec<String> = report.json()["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| format!("{} {}", check["name"].as_str().unwrap(), check["status"].as_str().unwrap()))
        .collect();
    assert!(report.status == 503 && names.contains(&"pipelines failing".to_owned()), "{names:?}");
    dispatch.publish([text(&signal(1))]).await;
    assert_eq!(outcomes(&dispatch.taken(&signal(1)).await), [MatchOutcome::Enqueued]);
    dispatch.worked_through(1).await;
    let standing = get(&url(&blind, "/v1/dispatcher")).await.ok();
    assert_eq!((&standing["pipelines"], &standing["signals"]), (&Value::Null, &Value::Null));
    let mine = dispatch.standing().await["signals"]["partitions"].as_array().unwrap().len();
    assert_eq!((mine, get(&url(server, "/health/ready")).await.status), (4, 200), "it shares with nobody");
    blind.stop().await;
    dispatch.server.stop().await;
}

pub(crate) async fn its_standing_is_told(database: TestDatabase) {
    let dispatch = Dispatch::start(&database, |_| {}).await;
    let report = get(&url(&dispatch.server, "/health/ready")).await.ok();
    let names: Vec<_> = report["checks"].as_array().unwrap().iter().map(|check| check["name"].clone()).collect();
    assert_eq!(names, ["database", "bus", "pipelines", "partitions"]);
    dispatch.publish([text(&signal(1))]).await;
    dispatch.worked_through(1).await;
    let standing = dispatch.standing().await;
    let partitions = standing["signals"]["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), 4);
    let end = json!({"committed_offset": 1, "end_offset": 1, "lag_messages": 0});
    let with_one = partitions.iter().find(|partition| partition["end_offset"] == 1).unwrap();
    assert!(end.as_object().unwrap().iter().all(|(name, value)| &with_one[name] == value), "{with_one}");
    assert_eq!((&standing["signals"]["lag_seconds"], standing["trace_id"].as_str().unwrap().len()), (&json!(0.0), 32));
    let described = get(&url(&dispatch.server, "/openapi.json")).await.ok();
    let routes: Vec<&String> =
        described["paths"].as_object().unwrap().keys().filter(|path| path.contains("/v1/")).collect();
    assert_eq!(routes, ["/v1/dispatcher"]);
    let foreign = [("host", "rebound.example.org:8004")];
    let _ = post_text(&url(&dispatch.server, "/v1/dispatcher"), &foreign, "").await.problem(403, "foreign_host");
    for name in ["signals_consumed_total", "batch_size_count", "batch_processing_duration_seconds_count"] {
        assert!(counted(name, &[]) >= 1.0, "{name}");
    }
    for name in ["cache_refresh_duration_seconds_count", "cache_size_bytes"] {
        assert!(counted(name, &[]) >= 1.0, "{name}");
    }
    let group = [("topic", "signals"), ("consumer_group", "trigger-dispatcher")];
    assert!(!metric_values("kafka_consumer_lag_seconds", &group).is_empty());
    assert!(counted("kafka_consumer_offset", &group) >= 0.0);
    dispatch.server.stop().await;
}

/// Whoever asks in the very moment sees everything that a signal did, or that it has not been looked at.
pub(crate) async fn what_a_signal_did_is_told_whole(database: TestDatabase) {
    let (writer, reader) = (World::open(&database).await, World::open(&database).await);
    let pipelines = [writer.pipeline("one").await, writer.pipeline("two").await];
    let task = actix_web::rt::spawn(async move {
        for number in 0..=u8::MAX {
            let mut transaction = writer.store.database().begin().await.unwrap();
            Store::take_signal(&mut transaction, &signal(number), &pipelines, "{}", t(1)).await.unwrap().unwrap();
            transaction.commit().await.unwrap();
        }
        drop(writer);
    });
    for number in 0..=u8::MAX {
        let told = loop {
            let is_through = task.is_finished();
            let told = reader.store.matches(&signal(number).signal_id, &PageQuery::default()).await.unwrap();
            if let Some(told) = told {
                break told.items;
            }
            assert!(!is_through, "signal {number} was never told");
        };
        assert_eq!(told.len(), 2, "signal {number}");
    }
    task.await.unwrap();
}

/// What cannot be used is said before anything begins.
pub(crate) async fn a_bus_that_is_none_is_told(database: TestDatabase) {
    let config = DispatcherConfig::ephemeral(database.settings(), BusSettings::at("redis://127.0.0.1"));
    let refused = dispatch::start(config).await.err().unwrap().to_string();
    assert!(refused.starts_with("BUS_URL"), "{refused}");
}

/// Nobody looks at the pipelines for a minute: what was made before a signal was published is set off all the same.
pub(crate) async fn what_was_made_a_moment_before_is_set_off(database: TestDatabase) {
    let dispatch = Dispatch::start(&database, |config| config.dispatcher.refresh_ms = 60_000).await;
    for number in 200..205 {
        // Not waiting until it is heeded.
        let made = dispatch.world.store.create(&request(&format!("made {number}")), now()).await.unwrap();
        let event = signal(number);
        dispatch.publish([json!(event).to_string()]).await;
        let matches = dispatch.taken(&event).await;
        assert!(matches.iter().any(|found| found.pipeline_id == made.pipeline_id), "{number}: {matches:?}");
    }
    dispatch.server.stop().await;
}
