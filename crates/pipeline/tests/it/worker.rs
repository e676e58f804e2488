//! pipeline-worker, before stand-ins of the services that its steps ask.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::pipeline::{Execution, ExecutionStatus, Pipeline, StepRun, StepStatus, TriggerMode};
use domain::trading::{Refusal, RefusalCode, SignalAction, SignalSource};
use domain::{Action, DecisionId, SignalEvent, StrategyName};
use opentelemetry::trace::TraceId;
use opentelemetry_sdk::trace::SpanData;
use pipeline::store::{New, Store, Watch, now};
use pipeline::work::WorkerConfig;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use storage::testing::TestDatabase;
use telemetry::testing::{attribute, finished_spans, metric_values};
use web::RunningServer;
use web::testing::{eventually, get, ready, url};

use crate::fakes::{Asked, Everybody, Failure, words};
use crate::world::{LEASE, World, id_of, signal};

/// A store, somebody to ask, and a way to start workers.
struct Floor {
    world: World,
    everybody: Everybody,
    config: WorkerConfig,
}

impl Floor {
    async fn open(database: &TestDatabase) -> Self {
        telemetry::testing::init();
        let everybody = Everybody::new();
        let config = WorkerConfig::ephemeral(database.settings(), &everybody.start());
        Self { world: World::open(database).await, everybody, config }
    }

    fn store(&self) -> &Store {
        &self.world.store
    }

    async fn worker(&self) -> RunningServer {
        let server = pipeline::work::start(self.config.clone()).await.unwrap();
        ready(&server).await;
        server
    }

    /// A pipeline of these steps.
    async fn pipeline(&self, name: &str, steps: Value, change: impl FnOnce(&mut Value)) -> Pipeline {
        let mut body = json!({"name": name, "trigger": {"mode": "signal"}, "steps": steps});
        change(&mut body);
        let request: domain::pipeline::PipelineRequest = serde_json::from_value(body).unwrap();
        request.check().unwrap();
        self.store().create(&request, now()).await.unwrap()
    }

    async fn set_off(&self, pipeline: &Pipeline, signal: Option<&SignalEvent>, context: &str) -> DecisionId {
        let mut transaction = self.store().database().begin().await.unwrap();
        let new = New {
            pipeline,
            trigger_mode: if signal.is_some() { TriggerMode::Signal } else { TriggerMode::Manual },
            signal,
            symbol: "BTCUSDT".parse().unwrap(),
            dedupe: None,
            context,
        };
        let enqueued = Store::enqueue(&mut transaction, &new, now()).await.unwrap();
        transaction.commit().await.unwrap();
        id_of(enqueued)
    }

    async fn execution(&self, id: &DecisionId) -> Execution {
        self.store().execution(id).await.unwrap().unwrap()
    }

    async fn comes_to(&self, id: &DecisionId, status: ExecutionStatus) -> Execution {
        eventually(&format!("{id} is {status}"), async || {
            let kept = self.execution(id).await;
            assert!(!kept.status.is_final() || kept.status == status, "{kept:?}");
            (kept.status == status).then_some(kept)
        })
        .await
    }

    /// A pipeline of these steps set off, executed by a worker: as it is at its end.
    async fn executed(&self, steps: Value, change: impl FnOnce(&mut Value), signal: Option<&SignalEvent>) -> Execution {
        let pipeline = self.pipeline(&uuid::Uuid::new_v4().to_string(), steps, change).await;
        let id = self.set_off(&pipeline, signal, "{}").await;
        let worker = self.worker().await;
        let ended = eventually("it is at its end", async || {
            let kept = self.execution(&id).await;
            kept.status.is_final().then_some(kept)
        })
        .await;
        worker.stop().await;
        ended
    }
}

/// Each step and how it ended.
fn steps(execution: &Execution) -> Vec<(&str, &str, u16)> {
    execution.steps.iter().map(|run| (run.name.as_str(), run.status.as_str(), run.attempt)).collect()
}

fn run_of<'a>(execution: &'a Execution, name: &str) -> &'a StepRun {
    execution.steps.iter().rev().find(|run| run.name == name).unwrap()
}

fn everything() -> Value {
    json!([
        {"name": "look", "agent": "market_snapshot", "interval": "5m", "candles": 100},
        {"name": "judge", "agent": "technical_analysis"},
        {"name": "ask", "agent": "llm_decision"},
        {"name": "limits", "agent": "risk_check", "minimum_confidence": "0.6", "agrees_with_signal": true},
        {"name": "order", "agent": "place_order", "size": {"notional": "25"}},
        {"name": "tell", "agent": "notify"},
    ])
}

fn order_and_tell() -> Value {
    json!([{"name": "order", "agent": "place_order"}, {"name": "tell", "agent": "notify"}])
}

fn counted(name: &str, labels: &[(&str, &str)]) -> f64 {
    metric_values(name, labels).iter().sum()
}

pub(crate) async fn from_a_signal_to_an_order_and_a_message(database: TestDatabase) {
    let floor = Floor::open(&database).await;
    let pipeline = floor.pipeline("all of it", everything(), |body| body["budget"] = json!({"usd_per_day": "1"})).await;
    let trace = format!("{:032x}", rand::random::<u128>().max(1));
    let context = format!(r#"{{"traceparent":"00-{trace}-00f067aa0ba902b7-01","baggage":"pipeline.test=yes"}}"#);
    let event = signal(1);
    let id = floor.set_off(&pipeline, Some(&event), &context).await;
    let worker = floor.worker().await;
    let ended = floor.comes_to(&id, ExecutionStatus::Success).await;
    let all = ["look", "judge", "ask", "limits", "order", "tell"];
    assert_eq!(steps(&ended), all.map(|name| (name, "success", 1)));
    assert_eq!((ended.detail.as_deref(), ended.attempts), (None, 1));
    // What a step hands on, and what it cost.
    let cost = "0.000315".parse::<Decimal>().unwrap();
    assert_eq!((ended.cost_usd, run_of(&ended, "ask").cost_usd), (cost, cost));
    assert_eq!(floor.store().spending(&pipeline.pipeline_id, now()).await.unwrap(), cost);
    assert!(run_of(&ended, "look").output.is_null(), "nobody goes on with it");
    assert!(run_of(&ended, "judge").summary.starts_with("BUY with confidence 0.72: Uptrend."));
    assert_eq!(run_of(&ended, "order").output["order"]["status"], "filled");
    assert_eq!(
        floor.everybody.strategies(),
        [Some(StrategyName::Technical), Some(StrategyName::Llm)],
        "each is asked what it is for"
    );
    // What order-service got.
    let orders = floor.everybody.orders();
    let [order] = orders.as_slice() else { panic!("{orders:?}") };
    assert_eq!((order.source, order.hook.as_deref()), (SignalSource::Pipeline, Some("all of it")));
    assert_eq!((order.action, order.notional, order.quantity), (SignalAction::Buy, Some(Decimal::from(25)), None));
    assert_eq!((order.comment.as_deref(), order.interval.as_deref()), (Some("Uptrend."), Some("5m")));
    assert_eq!(order.sender_order_id.as_deref(), Some(id.as_str()));
    assert_eq!(
        order.alerted_at,
        Some(event.generated_at),
        "a decision of now on a signal of long ago is as old as that"
    );
    // What people are told.
    let notices = floor.everybody.notices();
    let [notice] = notices.as_slice() else { panic!("{notices:?}") };
    assert_eq!(notice.notice_id, format!("{id}:tell"));
    assert_eq!(notice.trace_id.as_deref(), Some(trace.as_str()));
    let (name, told_of, text) = words(notice);
    assert_eq!((name.as_str(), told_of), ("all of it", id.clone()));
    for part in ["judge: BUY with confidence 0.72", "order: BUY 0.00054 BTCUSDT (paper) filled"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    // One trace, with everybody in it.
    assert!(floor.everybody.traces().iter().all(|part| *part == trace), "{:?}", floor.everybody.traces());
    assert_eq!(floor.everybody.traces().len(), 6);
    let trace_id = TraceId::from_hex(&trace).unwrap();
    let spans = eventually("the attempt has ended", async || {
        let spans: Vec<SpanData> =
            finished_spans().into_iter().filter(|span| span.span_context.trace_id() == trace_id).collect();
        spans.iter().any(|span| span.name == "PipelineWorker.execute").then_some(spans)
    })
    .await;
    let root = spans.iter().find(|span| span.name == "PipelineWorker.execute").unwrap();
    assert_eq!(root.parent_span_id.to_string(), "00f067aa0ba902b7");
    for (key, value) in [
        ("execution.id", id.as_str()),
        ("execution.status", "success"),
        ("pipeline.id", pipeline.pipeline_id.as_str()),
        ("signal.id", event.signal_id.as_str()),
        ("trigger.mode", "signal"),
        ("crypto.symbol", "BTCUSDT"),
    ] {
        assert_eq!(attribute(root, key).as_deref(), Some(value), "{key}");
    }
    for (name, run) in all.iter().zip(&ended.steps) {
        let span = spans.iter().find(|span| span.name == format!("step {name}")).unwrap();
        assert_eq!(span.parent_span_id, root.span_context.span_id(), "{name}");
        assert_eq!(attribute(span, "pipeline.step.agent"), Some(run.agent.clone()));
        assert_eq!(attribute(span, "pipeline.step.status").as_deref(), Some("success"));
    }
    // Figures of this process: other tests count, too.
    let pipeline_id = ("pipeline_id", pipeline.pipeline_id.as_str());
    assert_eq!(
        counted("pipeline_executions_total", &[("status", "success"), pipeline_id, ("trigger_mode", "signal")]),
        1.0
    );
    assert_eq!(counted("pipeline_execution_duration_seconds_count", &[("status", "success"), pipeline_id]), 1.0);
    for run in &ended.steps {
        let labels = [("agent", run.agent.as_str()), ("status", "success")];
        assert!(counted("pipeline_step_duration_seconds_count", &labels) >= 1.0, "{labels:?}");
    }
    assert!(counted("pipeline_cost_usd_total", &[("agent", "llm_decision")]) > 0.0);
    worker.stop().await;
}

pub(crate) async fn what_steps_decide(database: TestDatabase) {
    let floor = Floor::open(&database).await;
    let event = signal(2);
    // A decision to do nothing is no order, and no failure.
    floor.everybody.decide(Action::Hold, "0.9");
    let steps_of = json!([
        {"name": "look", "agent": "market_snapshot"}, {"name": "judge", "agent": "technical_analysis"},
        {"name": "order", "agent": "place_order"}, {"name": "tell", "agent": "notify", "text": "<b>It holds.</b>"},
    ]);
    let held = floor.executed(steps_of, |_| {}, Some(&event)).await;
    assert_eq!(run_of(&held, "order").summary, "HOLD: nothing is ordered");
    assert_eq!((held.status, floor.everybody.orders().len()), (ExecutionStatus::Success, 0));
    assert_eq!(words(&floor.everybody.notices()[0]).2, "<b>It holds.</b>", "the text that is asked for");

    // What the signal says is ordered where nothing was decided; closing is closing all.
    for (action, number) in [(SignalAction::Sell, 3), (SignalAction::Close, 4)] {
        let event = SignalEvent { action, ..signal(number) };
        let sized =
            json!([{"name": "order", "agent": "place_order", "size": {"quantity": "0.5"}, "paper_only": number == 4}]);
        let ended = floor.executed(sized, |_| {}, Some(&event)).await;
        assert_eq!(ended.status, ExecutionStatus::Success);
        let orders = floor.everybody.orders();
        let order = orders.iter().find(|order| order.action == action).unwrap();
        let quantity = (action == SignalAction::Sell).then(|| "0.5".parse().unwrap());
        assert_eq!((order.quantity, order.notional, order.alerted_at), (quantity, None, Some(event.generated_at)));
        assert_eq!(order.paper_only, number == 4);
    }

    // A check that says no ends it well, and nothing behind it is done.
    floor.everybody.decide(Action::Sell, "0.9");
    let asked = floor.everybody.asked(Asked::Order);
    let ended = floor.executed(everything(), |_| {}, Some(&event)).await;
    assert_eq!(ended.status, ExecutionStatus::Success);
    assert_eq!(ended.detail.as_deref(), Some("limits: the signal says BUY, and the decision SELL"));
    assert_eq!(ended.steps.last().map(|run| run.status), Some(StepStatus::Stopped));
    assert_eq!((ended.steps.len(), floor.everybody.asked(Asked::Order)), (4, asked));

    // A language model that could not decide is said.
    floor.everybody.decide(Action::Buy, "0.9");
    floor.everybody.fall_back("The budget is spent.");
    let ended = floor.executed(everything(), |_| {}, Some(&event)).await;
    let run = run_of(&ended, "ask");
    assert!(run.summary.contains("llm could not decide, technical did: The budget is spent."), "{}", run.summary);
    assert!(run.cost_usd > Decimal::ZERO, "what it cost is paid nevertheless");

    // A limit of order-service ends it well, too.
    floor.everybody.refuse(Refusal::new(RefusalCode::DailyLoss, "Enough for today."));
    let ended = floor.executed(order_and_tell(), |_| {}, Some(&event)).await;
    assert_eq!(ended.status, ExecutionStatus::Success);
    let reason = "order: order-service refused it (daily_loss): Enough for today.";
    assert_eq!((ended.detail.as_deref(), steps(&ended).len()), (Some(reason), 1));
}

pub(crate) async fn an_old_price_is_not_acted_on(database: TestDatabase) {
    let floor = Floor::open(&database).await;
    floor.everybody.age(20_000);
    let steps_of = json!([
        {"name": "look", "agent": "market_snapshot"},
        {"name": "limits", "agent": "risk_check", "maximum_price_age_seconds": 10},
        {"name": "tell", "agent": "notify"},
    ]);
    let ended = floor.executed(steps_of, |_| {}, None).await;
    assert_eq!(ended.status, ExecutionStatus::Success);
    let detail = ended.detail.unwrap();
    assert!(detail.starts_with("limits: the price is 20") && detail.ends_with("10 s is the most"), "{detail}");
    assert_eq!(floor.everybody.asked(Asked::Notice), 0);
}

pub(crate) async fn another_attempt_goes_on_where_one_was(database: TestDatabase) {
    let floor = Floor::open(&database).await;
    let retries = counted("pipeline_retries_total", &[("agent", "place_order")]);
    floor.everybody.fail(Asked::Order, &[Failure::Status(503, "order_unknown", None), Failure::Lost]);
    let ended = floor.executed(everything(), |_| {}, Some(&signal(5))).await;
    assert_eq!((ended.status, ended.attempts, ended.detail.as_deref()), (ExecutionStatus::Success, 3, None));
    assert_eq!(
        steps(&ended),
        [
            ("look", "success", 1),
            ("judge", "success", 1),
            ("ask", "success", 1),
            ("limits", "success", 1),
            ("order", "failed", 1),
            ("order", "failed", 2),
            ("order", "success", 3),
            ("tell", "success", 3),
        ]
    );
    assert_eq!(ended.steps[4].summary, "order-service answered 503 (order_unknown): The words of the problem.");
    let asked = [Asked::Price, Asked::Candles, Asked::Decision, Asked::Order, Asked::Notice];
    assert_eq!(asked.map(|asked| floor.everybody.asked(asked)), [1, 1, 2, 3, 1]);
    assert_eq!(floor.everybody.orders().len(), 1, "one order, whose first answer was lost");
    assert!(counted("pipeline_retries_total", &[("agent", "place_order")]) >= retries + 2.0);
}

pub(crate) async fn what_is_asked_to_be_waited_is_waited(database: TestDatabase) {
    let floor = Floor::open(&database).await;
    let pipeline = floor.pipeline("patient", order_and_tell(), |_| {}).await;
    floor.everybody.fail(Asked::Order, &[Failure::Status(503, "database_away", Some(1_800))]);
    let before = now();
    let id = floor.set_off(&pipeline, Some(&signal(6)), "{}").await;
    let worker = floor.worker().await;
    eventually("it waits for its second attempt", async || {
        let kept = floor.execution(&id).await;
        (kept.status == ExecutionStatus::Queued && kept.attempts == 1).then_some(())
    })
    .await;
    worker.stop().await;
    let store = floor.store();
    let due = before + TimeDelta::seconds(1_799);
    assert_eq!(store.claim("early", LEASE, due).await.unwrap(), None);
    let later = now() + TimeDelta::seconds(1_801);
    assert_eq!(store.claim("late", LEASE, later).await.unwrap().unwrap().execution.attempts, 2);
}

pub(crate) async fn what_can_never_work_is_not_tried_again(database: TestDatabase) {
    let floor = Floor::open(&database).await;
    floor.everybody.fail(Asked::Price, &[Failure::Status(404, "unknown_symbol", None)]);
    let pipeline = floor.pipeline("none such", everything(), |_| {}).await;
    let id = floor.set_off(&pipeline, Some(&signal(7)), "{}").await;
    let worker = floor.worker().await;
    let failed = floor.comes_to(&id, ExecutionStatus::Failed).await;
    assert_eq!((failed.attempts, steps(&failed)), (1, vec![("look", "failed", 1)]));
    let detail = "market-data-service answered 404 (unknown_symbol): The words of the problem.";
    assert_eq!(failed.detail.as_deref(), Some(detail));
    // A dead letter that somebody replays goes on, and to its end.
    floor.store().replay(&id).await.unwrap();
    let ended = floor.comes_to(&id, ExecutionStatus::Success).await;
    assert_eq!((ended.attempts, floor.everybody.orders().len()), (2, 1));
    let pipeline_id = ("pipeline_id", pipeline.pipeline_id.as_str());
    for status in ["failed", "success"] {
        assert_eq!(counted("pipeline_executions_total", &[("status", status), pipeline_id]), 1.0, "{status}");
    }
    worker.stop().await;
}

pub(crate) async fn attempts_are_used_up_and_a_replay_has_as_many_again(database: TestDatabase) {
    let floor = Floor::open(&database).await;
    let away = || vec![Failure::Status(503, "database_away", None); 2];
    floor.everybody.fail(Asked::Order, &away());
    let pipeline = floor.pipeline("twice", order_and_tell(), |body| body["max_attempts"] = json!(2)).await;
    let id = floor.set_off(&pipeline, Some(&signal(8)), "{}").await;
    let worker = floor.worker().await;
    let failed = floor.comes_to(&id, ExecutionStatus::Failed).await;
    assert_eq!((failed.attempts, steps(&failed)), (2, vec![("order", "failed", 1), ("order", "failed", 2)]));
    floor.everybody.fail(Asked::Notice, &[Failure::Status(409, "busy", None)]);
    floor.store().replay(&id).await.unwrap();
    let ended = floor.comes_to(&id, ExecutionStatus::Success).await;
    assert_eq!((ended.attempts, ended.max_attempts), (4, 4));
    assert_eq!(floor.everybody.asked(Asked::Order), 3, "the order is not placed again by the attempt after it");
    worker.stop().await;
}

pub(crate) async fn a_budget_that_is_spent_ends_it(database: TestDatabase) {
    let floor = Floor::open(&database).await;
    let budget = |body: &mut Value| body["budget"] = json!({"usd_per_day": "0.0003"});
    let pipeline = floor.pipeline("poor", everything(), budget).await;
    let worker = floor.worker().await;
    // The first one is asked while something is left, and takes it.
    let first = floor.set_off(&pipeline, Some(&signal(9)), "{}").await;
    floor.comes_to(&first, ExecutionStatus::Success).await;
    let second = floor.set_off(&pipeline, Some(&signal(10)), "{}").await;
    let ended = floor.comes_to(&second, ExecutionStatus::Cancelled).await;
    assert_eq!(ended.detail.as_deref(), Some("the day's budget of 0.0003 USD is spent: 0.000315 USD"));
    assert_eq!(steps(&ended), [("look", "success", 1), ("judge", "success", 1)]);
    let llm = floor.everybody.strategies().iter().filter(|asked| **asked == Some(StrategyName::Llm)).count();
    assert_eq!((llm, floor.everybody.orders().len()), (1, 1));
    let labels = [("status", "cancelled"), ("pipeline_id", pipeline.pipeline_id.as_str())];
    assert_eq!(counted("pipeline_executions_total", &labels), 1.0);
    worker.stop().await;
}

pub(crate) async fn an_attempt_that_takes_too_long_is_given_up(database: TestDatabase) {
    let floor = Floor::open(&database).await;
    floor.everybody.fail(Asked::Order, &[Failure::Never]);
    let impatient = |body: &mut Value| body["timeout_seconds"] = json!(1);
    let ended = floor.executed(order_and_tell(), impatient, Some(&signal(11))).await;
    assert_eq!(steps(&ended), [("order", "failed", 1), ("order", "success", 2), ("tell", "success", 2)]);
    assert_eq!(ended.steps[0].summary, "the attempt took longer than 1 s");
}

pub(crate) async fn a_worker_that_stops_gives_back_what_it_has(database: TestDatabase) {
    let floor = Floor::open(&database).await;
    // The order is there, and whoever made it does not know yet.
    floor.everybody.fail(Asked::Order, &[Failure::Silent]);
    let pipeline = floor.pipeline("interrupted", order_and_tell(), |body| body["max_attempts"] = json!(1)).await;
    let id = floor.set_off(&pipeline, Some(&signal(12)), "{}").await;
    let worker = floor.worker().await;
    let at_work = eventually("it is at its order", async || {
        let report = get(&url(&worker, "/v1/worker")).await.ok();
        (report["executions"][0]["step"] == "order" && floor.everybody.silent().len() == 1).then_some(report)
    })
    .await;
    assert_eq!(at_work["executions"][0]["execution_id"], id.as_str());
    assert_eq!(at_work["executions"][0]["pipeline"], "interrupted");
    worker.stop().await;
    let kept = floor.execution(&id).await;
    assert_eq!((kept.status, kept.attempts, steps(&kept).len()), (ExecutionStatus::Queued, 1, 0));
    assert_eq!(kept.detail.as_deref(), Some("its worker was stopped"));
    // Though it had one attempt only: this was none.
    let next = floor.worker().await;
    let ended = floor.comes_to(&id, ExecutionStatus::Success).await;
    assert_eq!((ended.attempts, floor.everybody.orders().len()), (2, 1));
    next.stop().await;
}

pub(crate) async fn a_worker_that_was_lost_writes_nothing_more(database: TestDatabase) {
    let mut floor = Floor::open(&database).await;
    // Heartbeats come often, and it has no place left to be the one who takes it.
    (floor.config.worker.lease_seconds, floor.config.worker.concurrency) = (1, 1);
    floor.everybody.fail(Asked::Order, &vec![Failure::Never; 10]);
    let pipeline = floor.pipeline("contested", order_and_tell(), |body| body["max_attempts"] = json!(10)).await;
    let id = floor.set_off(&pipeline, Some(&signal(13)), "{}").await;
    let worker = floor.worker().await;
    eventually("it is at its order", async || (floor.everybody.asked(Asked::Order) == 1).then_some(())).await;
    // Somebody who has not heard of it takes it.
    let store = floor.store();
    let claim = eventually("it is taken", async || {
        floor.world.take_all_away(now()).await;
        store.claim("thief", LEASE, now()).await.unwrap()
    })
    .await;
    assert_eq!(claim.execution.execution_id, id);
    eventually("the worker lets go of it", async || {
        let report = get(&url(&worker, "/v1/worker")).await.ok();
        report["executions"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
    let kept = floor.execution(&id).await;
    assert_eq!((kept.status, kept.worker.as_deref()), (ExecutionStatus::Running, Some("thief")));
    assert_eq!((kept.attempts, steps(&kept).len()), (claim.execution.attempts, 0), "nothing was written");
    store.finish(&claim, ExecutionStatus::Success, None, now()).await.unwrap();
    worker.stop().await;
    assert_eq!(floor.execution(&id).await.detail, None);
    assert_eq!((floor.everybody.orders().len(), floor.everybody.notices().len()), (0, 0));
}

pub(crate) async fn what_a_worker_that_died_had_is_taken_up(database: TestDatabase) {
    let mut floor = Floor::open(&database).await;
    floor.config.worker.lease_seconds = 1;
    let lost = counted("pipeline_leases_lost_total", &[]);
    let pipeline = floor.pipeline("orphan", order_and_tell(), |_| {}).await;
    let id = floor.set_off(&pipeline, Some(&signal(14)), "{}").await;
    let claim = floor.store().claim("dead", Duration::ZERO, now()).await.unwrap().unwrap();
    assert_eq!(claim.execution.execution_id, id);
    let worker = floor.worker().await;
    let ended = floor.comes_to(&id, ExecutionStatus::Success).await;
    assert_eq!((ended.attempts, floor.everybody.orders().len()), (2, 1));
    assert!(counted("pipeline_leases_lost_total", &[]) >= lost + 1.0);
    // Of one whose attempts are used up, the end is written and counted.
    let pipeline = floor.pipeline("orphan of one", order_and_tell(), |body| body["max_attempts"] = json!(1)).await;
    worker.stop().await;
    let id = floor.set_off(&pipeline, Some(&signal(15)), "{}").await;
    floor.store().claim("dead", Duration::ZERO, now()).await.unwrap().unwrap();
    let worker = floor.worker().await;
    let failed = floor.comes_to(&id, ExecutionStatus::Failed).await;
    assert_eq!(failed.detail.as_deref(), Some("its worker was not heard of any more"));
    let labels = [("status", "failed"), ("pipeline_id", pipeline.pipeline_id.as_str())];
    eventually("it is counted", async || (counted("pipeline_executions_total", &labels) == 1.0).then_some(())).await;
    worker.stop().await;
}

/// Whatever its clock says, and however long it takes: as long as it is heard of.
pub(crate) async fn a_healthy_worker_loses_nothing_to_others(database: TestDatabase) {
    let mut floor = Floor::open(&database).await;
    floor.config.worker.lease_seconds = 1;
    floor.everybody.fail(Asked::Order, &[Failure::Never]);
    let pipeline = floor.pipeline("healthy", order_and_tell(), |body| body["max_attempts"] = json!(1)).await;
    let day = TimeDelta::days(1);
    let id = floor.set_off(&pipeline, Some(&signal(16)), "{}").await;
    let worker = floor.worker().await;
    eventually("it is at its order", async || (floor.everybody.asked(Asked::Order) == 1).then_some(())).await;
    let others = [floor.worker().await, floor.worker().await];
    // Others look all the time, of which two have clocks that are wrong by a day; several leases go by.
    let store = floor.store();
    let mut watch = Watch::default();
    let first = store.running().await.unwrap();
    let mut seen = first.clone();
    let mut beats = 0;
    eventually("it was heard of for several leases", async || {
        let running = store.running().await.unwrap();
        beats += usize::from(running != seen);
        seen.clone_from(&running);
        let silent = watch.see(running, Duration::from_secs(1), std::time::Instant::now());
        assert_eq!(silent, [], "it is heard of");
        for clock in [now() + day, now() - day] {
            assert_eq!(store.claim("thief", LEASE, clock).await.unwrap(), None);
        }
        (beats >= 10).then_some(())
    })
    .await;
    assert_eq!(
        store.take_away(&first[0], now() + day).await.unwrap(),
        None,
        "what one saw long ago counts for nothing"
    );
    let kept = floor.execution(&id).await;
    assert_eq!((kept.status, kept.attempts), (ExecutionStatus::Running, 1));
    for one in others {
        one.stop().await;
    }
    worker.stop().await;
}

pub(crate) async fn four_workers_do_forty_executions_each_once(database: TestDatabase) {
    let floor = Floor::open(&database).await;
    let mut ids = Vec::new();
    for number in 0..40 {
        let pipeline = floor.pipeline(&format!("one of forty: {number}"), order_and_tell(), |_| {}).await;
        ids.push(floor.set_off(&pipeline, Some(&signal(100 + number)), "{}").await);
    }
    let mut workers = Vec::new();
    for _ in 0..4 {
        workers.push(floor.worker().await);
    }
    let mut by = std::collections::BTreeSet::new();
    for id in &ids {
        let ended = floor.comes_to(id, ExecutionStatus::Success).await;
        assert_eq!((ended.attempts, steps(&ended)), (1, vec![("order", "success", 1), ("tell", "success", 1)]));
        by.insert(ended.worker.unwrap());
    }
    let asked = [Asked::Order, Asked::Notice].map(|asked| floor.everybody.asked(asked));
    assert_eq!((asked, floor.everybody.orders().len(), floor.everybody.notices().len()), ([40, 40], 40, 40));
    assert!(!by.is_empty() && by.len() <= 4, "{by:?}");
    for worker in workers {
        worker.stop().await;
    }
}

/// An execution of which a snapshot was taken so long ago, and which waits for its next attempt.
async fn with_snapshot(floor: &Floor, steps_of: Value, taken_at: DateTime<Utc>) -> DecisionId {
    // As one that was executed has it, and keeps it for somebody who replays it.
    floor.everybody.fail(Asked::Notice, &[Failure::Status(404, "no_chat", None)]);
    let like = floor.executed(steps_of.clone(), |_| {}, None).await;
    assert!(!run_of(&like, "look").output["candles"]["candles"].as_array().unwrap().is_empty());
    let pipeline = floor.pipeline(&uuid::Uuid::new_v4().to_string(), steps_of, |_| {}).await;
    let id = floor.set_off(&pipeline, None, "{}").await;
    let store = floor.store();
    let claim = store.claim("w", LEASE, now()).await.unwrap().unwrap();
    let run = StepRun { started_at: taken_at, attempt: 1, ..run_of(&like, "look").clone() };
    store.record_step(&claim, &run, now()).await.unwrap();
    store.retry_later(&claim, "later", now(), now()).await.unwrap();
    id
}

pub(crate) async fn a_snapshot_is_taken_again_only_when_it_is_too_old_to_decide_on(database: TestDatabase) {
    let floor = Floor::open(&database).await;
    let steps_of = json!([
        {"name": "look", "agent": "market_snapshot"}, {"name": "judge", "agent": "technical_analysis"},
        {"name": "tell", "agent": "notify"},
    ]);
    for (age, looks) in [(0, 0), (31, 1)] {
        let id = with_snapshot(&floor, steps_of.clone(), now() - TimeDelta::seconds(age)).await;
        let (prices, decisions) = (floor.everybody.asked(Asked::Price), floor.everybody.decided().len());
        let worker = floor.worker().await;
        let ended = floor.comes_to(&id, ExecutionStatus::Success).await;
        worker.stop().await;
        assert_eq!(floor.everybody.asked(Asked::Price), prices + looks, "{age} s old");
        assert_eq!(steps(&ended).iter().filter(|(name, ..)| *name == "look").count(), 1 + looks);
        let request = floor.everybody.decided().remove(decisions);
        assert!(request.price.age_ms < 30_000, "its age is what it is by now: {}", request.price.age_ms);
    }
}

/// decision-service may be told to take no price that is as old as others bear.
pub(crate) async fn a_snapshot_that_was_too_old_for_a_decision_is_taken_again(database: TestDatabase) {
    let floor = Floor::open(&database).await;
    floor.everybody.fail(Asked::Decision, &[Failure::Status(422, "stale_price", None)]);
    let steps_of = json!([
        {"name": "look", "agent": "market_snapshot"}, {"name": "judge", "agent": "technical_analysis"},
        {"name": "tell", "agent": "notify"},
    ]);
    let ended = floor.executed(steps_of, |_| {}, None).await;
    assert_eq!(ended.status, ExecutionStatus::Success);
    assert_eq!(
        steps(&ended),
        [
            ("look", "success", 1),
            ("judge", "failed", 1),
            ("look", "success", 2),
            ("judge", "success", 2),
            ("tell", "success", 2)
        ]
    );
    assert_eq!(ended.steps[1].output, json!({"error": "stale_price"}));
}

/// Only because an attempt before has failed, nothing is too old for a check that would have been passed.
pub(crate) async fn a_snapshot_that_is_too_old_for_a_check_is_taken_again(database: TestDatabase) {
    let floor = Floor::open(&database).await;
    let steps_of = json!([
        {"name": "look", "agent": "market_snapshot"},
        {"name": "limits", "agent": "risk_check", "maximum_price_age_seconds": 5},
        {"name": "tell", "agent": "notify"},
    ]);
    let id = with_snapshot(&floor, steps_of, now() - TimeDelta::seconds(6)).await;
    let worker = floor.worker().await;
    let ended = floor.comes_to(&id, ExecutionStatus::Success).await;
    worker.stop().await;
    assert_eq!(ended.detail, None, "nothing has stopped it");
    let expected = [("look", "success", 1), ("look", "success", 2), ("limits", "success", 2), ("tell", "success", 2)];
    assert_eq!(steps(&ended), expected);
}

pub(crate) async fn it_says_who_it_is(database: TestDatabase) {
    let mut floor = Floor::open(&database).await;
    floor.config.worker.worker_id = Some("w-1".to_owned());
    let worker = floor.worker().await;
    let report = get(&url(&worker, "/v1/worker")).await.ok();
    assert_eq!((&report["worker_id"], &report["concurrency"]), (&json!("w-1"), &json!(4)));
    assert_eq!((&report["lease_seconds"], &report["executions"]), (&json!(15), &json!([])));
    assert!(report["trace_id"].is_string());
    let description = get(&url(&worker, "/openapi.json")).await.ok();
    assert!(description["paths"]["/v1/worker"]["get"].is_object());
    let health = get(&url(&worker, "/health/ready")).await.ok();
    let names: Vec<&str> =
        health["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["database", "market-data-service", "decision-service", "order-service", "notifier-service"]);
    worker.stop().await;
}
