//! From a signal by the bus and a pipeline to a paper order and a message: as it goes, and when processes die on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::backends::Span;
use crate::stack::{Beside, Stack};
use crate::trading::{accepted, alert, filled, hook, is_whole, messages, named, received, text_of};
use crate::wait::until;

/// Whom a signal that ends in an order and a message goes through.
const WAY: [&str; 7] = [
    "signal-generator",
    "trigger-dispatcher",
    "pipeline-worker",
    "market-data-service",
    "decision-service",
    "order-service",
    "notifier-service",
];

/// A pipeline that is there from now on: its id.
fn pipeline(stack: &Stack, body: &Value) -> String {
    let (status, made) = stack.post("PIPELINE_PORT", "/v1/pipelines", body);
    assert_eq!(status, 201, "{made:#}");
    let id = made["pipeline_id"].as_str().unwrap().to_owned();
    // What the dispatcher has read, it heeds.
    let read_after = chrono::Utc::now();
    until("the dispatcher has read the pipelines since", || {
        let dispatcher = stack.json(&stack.url("DISPATCHER_PORT", "/v1/dispatcher"), &[])?;
        let read_at: chrono::DateTime<chrono::Utc> = dispatcher["pipelines"]["refreshed_at"].as_str()?.parse().ok()?;
        (read_at > read_after).then_some(())
    });
    id
}

/// A signal by hand, asked for until it is answered: its id, and the trace.
fn signal(stack: &Stack, key: &str, body: &Value) -> (String, String) {
    let url = stack.url("GENERATOR_PORT", "/v1/signals");
    let made = until("the signal is taken", || {
        let response = stack.http.post(&url).header("Idempotency-Key", key).json(body).send().ok()?;
        let status = response.status();
        assert!(!status.is_client_error(), "{status} {}", response.text().unwrap());
        status.is_success().then(|| response.json::<Value>().ok())?
    });
    (made["signal"]["signal_id"].as_str().unwrap().to_owned(), made["trace_id"].as_str().unwrap_or_default().to_owned())
}

/// All pages of a list.
fn every(stack: &Stack, path: &str, query: &[(&str, &str)]) -> Option<Vec<Value>> {
    let (mut items, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut query = query.to_vec();
        query.push(("limit", "100"));
        if let Some(cursor) = &cursor {
            query.push(("cursor", cursor));
        }
        let page = stack.json(&stack.url("PIPELINE_PORT", path), &query)?;
        items.extend(page["items"].as_array()?.clone());
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Some(items);
        }
    }
}

/// The one execution of a pipeline that a signal has set off, with its steps, once it is at its end.
fn ended(stack: &Stack, pipeline_id: &str, signal_id: &str) -> Value {
    let id = until("the execution is at its end", || {
        let query = [("pipeline_id", pipeline_id), ("signal_id", signal_id)];
        let items = every(stack, "/v1/executions", &query)?;
        let [one] = items.as_slice() else { return None };
        let status = one["status"].as_str()?;
        matches!(status, "success" | "failed" | "cancelled").then(|| one["execution_id"].as_str().unwrap().to_owned())
    });
    stack.json(&stack.url("PIPELINE_PORT", &format!("/v1/executions/{id}")), &[]).unwrap()
}

/// The id of the order that a step has placed, as its summary says it.
fn order_of(execution: &Value, step: &str) -> String {
    let steps = execution["steps"].as_array().unwrap();
    let step = steps.iter().find(|run| run["name"] == step).unwrap_or_else(|| panic!("no {step} in {execution:#}"));
    let summary = step["summary"].as_str().unwrap();
    summary.rsplit("order ").next().unwrap().to_owned()
}

pub(crate) fn signal_to_order_and_message(stack: &Stack) {
    // Trading runs.
    drop(hook(stack, "one-trace-of-a-signal"));
    let pipeline_id = pipeline(
        stack,
        &json!({
            "name": format!("one trace {}", stack.engine),
            "trigger": {"mode": "signal", "signal_types": ["one_trace"], "tickers": ["ETHUSDT"], "minimum_confidence": "0.8"},
            "steps": [
                {"name": "look", "agent": "market_snapshot", "interval": "5m", "candles": 100},
                {"name": "judge", "agent": "technical_analysis"},
                {"name": "limits", "agent": "risk_check", "minimum_confidence": "0", "agrees_with_signal": false, "maximum_price_age_seconds": 60},
                {"name": "tell", "agent": "notify"},
            ],
        }),
    );
    let ordering = pipeline(
        stack,
        &json!({
            "name": format!("one order {}", stack.engine),
            "trigger": {"mode": "signal", "signal_types": ["one_trace"], "tickers": ["ETHUSDT"]},
            "steps": [{"name": "order", "agent": "place_order", "size": {"notional": "25"}}],
        }),
    );
    let body = json!({"symbol": "ETHUSDT", "action": "buy", "signal_type": "one_trace", "confidence": "0.85"});
    let key = format!("one-trace-{:08x}", rand::random::<u32>());
    let (signal_id, trace_id) = signal(stack, &key, &body);
    assert_eq!(signal(stack, &key, &body).0, signal_id, "the same key, the same signal");

    let execution = ended(stack, &pipeline_id, &signal_id);
    assert_eq!(
        (execution["status"].as_str(), execution["attempts"].as_u64()),
        (Some("success"), Some(1)),
        "{execution:#}"
    );
    assert_eq!(execution["trace_id"].as_str(), Some(trace_id.as_str()), "{execution:#}");
    let steps: Vec<_> =
        execution["steps"].as_array().unwrap().iter().map(|step| (&step["name"], &step["status"])).collect();
    let done = json!("success");
    assert_eq!(
        steps,
        [("look", &done), ("judge", &done), ("limits", &done), ("tell", &done)]
            .map(|(name, status)| (json!(name), status))
            .iter()
            .map(|(name, status)| (name, *status))
            .collect::<Vec<_>>()
    );

    let ordered = ended(stack, &ordering, &signal_id);
    assert_eq!(ordered["status"], "success", "{ordered:#}");
    let order = filled(stack, &order_of(&ordered, "order"));
    assert_eq!(
        (&order["side"], &order["mode"], &order["source"]),
        (&json!("buy"), &json!("paper"), &json!("pipeline"))
    );
    assert_eq!(order["trace_id"].as_str(), Some(trace_id.as_str()), "{order:#}");
    assert_eq!(received(stack).get(order["id"].as_str().unwrap()), Some(&1));

    // People are told by whom, what was found, and where to look.
    let message = until("the chat has the words of the pipeline", || {
        messages(stack)
            .into_iter()
            .find(|message| text_of(message).contains(execution["execution_id"].as_str().unwrap()))
    });
    let text = text_of(&message);
    assert!(text.contains("one trace") && text.contains("judge: ") && text.contains(&trace_id), "{text}");

    let spans = stack.trace(&trace_id, |spans| {
        is_whole(spans, &WAY) && spans.iter().filter(|span| span.name == "PipelineWorker.execute").count() == 2
    });
    let roots: Vec<&Span> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    assert_eq!(roots.len(), 1, "one signal, one root: {roots:#?}");
    let matched = named(&spans, "trigger-dispatcher", "TriggerDispatcher.match");
    assert_eq!(matched.attributes["signal.id"], signal_id);
    assert_eq!(matched.attributes["pipelines.matched"], "2");
    let judged = named(&spans, "pipeline-worker", "step judge");
    assert_eq!(judged.attributes["pipeline.step.agent"], "technical_analysis");
    let logs = stack.services_logging(&trace_id);
    assert!(logs.contains("pipeline-worker"), "{logs:?}");
    for id in [pipeline_id, ordering] {
        remove(stack, &id);
    }
}

fn remove(stack: &Stack, id: &str) {
    let url = stack.url("PIPELINE_PORT", &format!("/v1/pipelines/{id}"));
    let revision = stack.json(&url, &[]).unwrap()["revision"].as_i64().unwrap();
    let deleted = stack.http.delete(&url).header("If-Match", format!("\"{revision}\"")).send().unwrap();
    assert!(deleted.status().is_success(), "{} {}", deleted.status(), deleted.text().unwrap());
}

/// TradingView's alerts go to order-service as ever, and set off pipelines.
pub(crate) fn alert_sets_off_pipelines(stack: &Stack) {
    let hook = hook(stack, "pipelines");
    let pipeline_id = pipeline(
        stack,
        &json!({
            "name": "what TradingView says",
            "trigger": {"mode": "signal", "signal_types": ["tradingview"], "tickers": ["SOLUSDT"]},
            "steps": [{"name": "tell", "agent": "notify", "text": "TradingView has spoken"}],
        }),
    );
    let (signal_id, trace_id) = accepted(stack, &hook, &alert("SOLUSDT", "buy", 70));
    filled(stack, &signal_id);
    let execution = ended(stack, &pipeline_id, &signal_id);
    assert_eq!(
        (execution["status"].as_str(), execution["trace_id"].as_str()),
        (Some("success"), Some(trace_id.as_str()))
    );
    assert_eq!(execution["signal"]["source"], "tradingview");
    until("the chat has its words", || {
        messages(stack)
            .iter()
            .any(|message| text_of(message).contains("TradingView has spoken") && text_of(message).contains(&trace_id))
            .then_some(())
    });
    remove(stack, &pipeline_id);
}

/// Crossings of averages on the prices of the recorded month become orders and messages. Averages of two and three candles
/// cross every few minutes; a generator beside the stack's own looks for those.
pub(crate) fn crossings_become_orders(stack: &Stack) {
    drop(hook(stack, "crossings"));
    let pipeline_id = pipeline(
        stack,
        &json!({
            "name": "every crossing",
            "trigger": {"mode": "signal", "signal_types": ["golden_cross", "death_cross"]},
            "steps": [
                {"name": "order", "agent": "place_order", "size": {"notional": "25"}},
                {"name": "tell", "agent": "notify"},
            ],
        }),
    );
    let folder = format!("sqlite://{}/crossings/", stack.data().display());
    let _generator = stack.beside(
        "signal-generator",
        &[
            ("DATABASE_URL", folder),
            ("GENERATOR_INTERVALS", "1m".to_owned()),
            ("GENERATOR_FAST_CANDLES", "2".to_owned()),
            ("GENERATOR_SLOW_CANDLES", "3".to_owned()),
            ("GENERATOR_LOOK_INTERVAL_MS", "1000".to_owned()),
        ],
    );
    // A minute has a candle: this waits for what comes, not for a computer.
    let began = Instant::now();
    let execution = loop {
        let found = every(stack, "/v1/executions", &[("pipeline_id", &pipeline_id), ("status", "success")]);
        if let Some(execution) = found.and_then(|items| items.first().cloned()) {
            break execution;
        }
        assert!(began.elapsed() < Duration::from_secs(600), "no crossing in ten minutes of three markets");
        std::thread::sleep(Duration::from_millis(500));
    };
    let signal = &execution["signal"];
    assert_eq!(signal["source"], "golden_cross_generator");
    let counted =
        r#"signals_generated_total{signal_type=~"golden_cross|death_cross",source="golden_cross_generator"} > 0"#;
    until(counted, || (!stack.promql(counted).is_empty()).then_some(()));
    let expected = if signal["signal_type"] == "golden_cross" { "buy" } else { "sell" };
    assert_eq!(signal["action"], expected, "{signal:#}");
    let id = execution["execution_id"].as_str().unwrap();
    let whole = stack.json(&stack.url("PIPELINE_PORT", &format!("/v1/executions/{id}")), &[]).unwrap();
    let order = filled(stack, &order_of(&whole, "order"));
    assert_eq!(
        (&order["side"], &order["symbol"], &order["mode"]),
        (&json!(expected), &signal["symbol"], &json!("paper"))
    );
    until("the chat has it", || messages(stack).iter().any(|message| text_of(message).contains(id)).then_some(()));
    // It was true: the closing prices of the candles say so, and the signal names the last of them.
    let candles = stack
        .json(
            &stack.url("MARKET_DATA_PORT", &format!("/v1/candles/{}", signal["symbol"].as_str().unwrap())),
            &[("interval", "1m"), ("limit", "60")],
        )
        .unwrap();
    let closed_at: chrono::DateTime<chrono::Utc> = signal["candle_closed_at"].as_str().unwrap().parse().unwrap();
    let candles = candles["candles"].as_array().unwrap_or_else(|| panic!("no candles in {candles}"));
    let time =
        |candle: &Value| -> chrono::DateTime<chrono::Utc> { candle["close_time"].as_str().unwrap().parse().unwrap() };
    let last = candles.iter().position(|candle| time(candle) == closed_at);
    let last = last.unwrap_or_else(|| panic!("no candle that closed at {closed_at} in {candles:#?}"));
    let close = |place: usize| -> f64 { candles[place]["close"].as_str().unwrap().parse().unwrap() };
    let sum = |last: usize, length: usize| (0..length).map(|back| close(last - back)).sum::<f64>();
    let distance = |last: usize| sum(last, 2) / 2.0 - sum(last, 3) / 3.0;
    let (before, after) = (distance(last - 1), distance(last));
    assert!(
        if expected == "buy" { before <= 0.0 && after > 0.0 } else { before >= 0.0 && after < 0.0 },
        "{before} {after}"
    );
    remove(stack, &pipeline_id);
}

/// Every metric of D1 to D5, with its labels, after one run.
pub(crate) fn metrics(stack: &Stack) {
    drop(hook(stack, "metrics-of-pipelines"));
    let pipeline_id = pipeline(
        stack,
        &json!({
            "name": "metrics",
            "trigger": {"mode": "signal", "signal_types": ["metrics"]},
            "steps": [{"name": "look", "agent": "market_snapshot"}, {"name": "judge", "agent": "technical_analysis"}],
        }),
    );
    let folder = format!("sqlite://{}/random-signals/", stack.data().display());
    let _random = stack.beside(
        "signal-generator",
        &[
            ("DATABASE_URL", folder),
            ("GENERATOR_MOCK_PER_MINUTE", "120".to_owned()),
            ("GENERATOR_INTERVALS", "none".to_owned()),
        ],
    );
    let body = json!({"symbol": "BTCUSDT", "action": "buy", "signal_type": "metrics"});
    let (signal_id, _) = signal(stack, &format!("metrics-{:08x}", rand::random::<u32>()), &body);
    assert_eq!(ended(stack, &pipeline_id, &signal_id)["status"], "success");
    drop(stack.json(&stack.url("WORKER_PORT", "/v1/worker"), &[]).unwrap());
    let generator = r#"service_name="signal-generator""#;
    let dispatcher = r#"service_name="trigger-dispatcher""#;
    let worker = r#"service_name="pipeline-worker""#;
    let mut queries = vec![
        format!(r#"signals_generated_total{{{generator},signal_type="other",source="by_hand"}} > 0"#),
        format!(r#"signals_generated_total{{{generator},signal_type="mock",source="mock_generator"}} > 0"#),
        format!(r#"signal_generation_duration_seconds_count{{{generator},signal_type="mock"}} > 0"#),
        format!("kafka_publish_duration_seconds_count{{{generator}}} > 0"),
        format!("kafka_publish_success_total{{{generator}}} > 0"),
        format!("kafka_publish_failure_total{{{generator}}} >= 0"),
        format!("signals_consumed_total{{{dispatcher}}} > 0"),
        format!("batch_size_count{{{dispatcher}}} > 0"),
        format!("batch_processing_duration_seconds_count{{{dispatcher}}} > 0"),
        format!(r#"pipelines_matched_total{{{dispatcher},ticker="BTCUSDT"}} > 0"#),
        format!(r#"pipelines_enqueued_total{{{dispatcher},status="enqueued"}} > 0"#),
        format!(r#"pipelines_enqueued_total{{{dispatcher},status="skipped"}} >= 0"#),
        format!("pipelines_skipped_running_total{{{dispatcher}}} >= 0"),
        format!("cache_size_bytes{{{dispatcher}}} > 0"),
        format!("cache_refresh_duration_seconds_count{{{dispatcher}}} > 0"),
        format!("kafka_consumer_lag_seconds{{{dispatcher}}} >= 0"),
        format!("kafka_consumer_offset{{{dispatcher}}} >= 0"),
        format!(
            r#"pipeline_executions_total{{{worker},status="success",pipeline_id="{pipeline_id}",trigger_mode="signal"}} > 0"#
        ),
        format!(
            r#"pipeline_execution_duration_seconds_count{{{worker},status="success",pipeline_id="{pipeline_id}"}} > 0"#
        ),
        r#"pipeline_queue_depth{service_name="pipeline-service",status="queued"} >= 0"#.to_owned(),
        format!(r#"pipeline_step_duration_seconds_count{{{worker},agent="technical_analysis",status="success"}} > 0"#),
    ];
    for service in ["signal-generator", "pipeline-service", "trigger-dispatcher", "pipeline-worker"] {
        let of = format!(r#"service_name="{service}""#);
        queries.extend([
            format!(r#"db_query_duration_seconds_count{{{of},query_type!=""}} > 0"#),
            format!("db_active_connections{{{of}}} >= 0"),
            format!("db_pool_size{{{of}}} > 0"),
            format!("process_cpu_seconds_total{{{of}}} > 0"),
            format!("process_resident_memory_bytes{{{of}}} > 0"),
        ]);
    }
    // Where there is a cache.
    if stack.has_cache() {
        queries.push(
            r#"redis_command_duration_seconds_count{service_name="market-data-service",command!=""} > 0"#.to_owned(),
        );
    }
    for service in ["signal-generator", "pipeline-service", "trigger-dispatcher", "pipeline-worker"] {
        let of = format!(r#"service_name="{service}""#);
        let request = r#"method=~"GET|POST",route=~"/v1/.*""#;
        queries.extend([
            format!(r#"http_server_request_duration_seconds_count{{{of},{request},status_code=~"2.."}} > 0"#),
            format!("http_server_active_requests{{{of},{request}}} >= 0"),
        ]);
    }
    for query in &queries {
        until(query, || (!stack.promql(query).is_empty()).then_some(()));
    }
    remove(stack, &pipeline_id);
}

/// Generator, dispatchers and workers are killed at random while signals come, two dispatchers and four workers side by
/// side: every signal is matched once, every execution ends once, and every order comes to the exchange once.
pub(crate) fn killed_processes(stack: &Stack) {
    const FOR: Duration = Duration::from_secs(60);
    const ORDERING: usize = 2;
    drop(hook(stack, "killed-pipelines"));
    let steps = [
        json!([{"name": "order", "agent": "place_order", "size": {"notional": "25"}}]),
        json!([{"name": "order", "agent": "place_order", "size": {"notional": "25"}}]),
        json!([{"name": "look", "agent": "market_snapshot"}, {"name": "judge", "agent": "technical_analysis"}]),
    ];
    let pipelines: Vec<String> = (0..)
        .zip(&steps)
        .map(|(number, steps)| {
            let body = json!({
                "name": format!("killed {number}"), "max_attempts": 10, "steps": steps,
                "trigger": {"mode": "signal", "signal_types": ["killed"]},
            });
            pipeline(stack, &body)
        })
        .collect();
    let seen_before: BTreeSet<String> = received(stack).into_keys().collect();
    let more = |service: &str| stack.beside(service, &[]);
    let beside: Mutex<Vec<(&str, Beside)>> = Mutex::new(
        ["trigger-dispatcher", "pipeline-worker", "pipeline-worker", "pipeline-worker"]
            .map(|name| (name, more(name)))
            .into(),
    );
    let (sent, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let ids = Mutex::new(BTreeSet::new());
    let run = rand::random::<u32>();
    let mut kills = 0;
    std::thread::scope(|scope| {
        for (sender, symbol) in ["BTCUSDT", "ETHUSDT", "SOLUSDT"].into_iter().enumerate() {
            let (ids, sent, over) = (&ids, &sent, &over);
            scope.spawn(move || {
                for number in 0.. {
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                    let action = if number % 2 == 0 { "buy" } else { "sell" };
                    let body = json!({"symbol": symbol, "action": action, "signal_type": "killed"});
                    let (id, _) = signal(stack, &format!("killed-{run}-{sender}-{number}"), &body);
                    assert!(ids.lock().unwrap().insert(id), "a key, a signal");
                    sent.fetch_add(1, Ordering::SeqCst);
                    // As fast as a person could read them: the load is not what is tried here.
                    std::thread::sleep(Duration::from_millis(200));
                }
            });
        }
        // Whatever happens to it, the senders end.
        struct End<'a>(&'a AtomicBool);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let _end = End(&over);
        let mut random = rand::rngs::StdRng::seed_from_u64(u64::from(run));
        let began = Instant::now();
        while began.elapsed() < FOR {
            kills += 1;
            let seen = sent.load(Ordering::SeqCst);
            let of_stack = ["signal-generator", "trigger-dispatcher", "pipeline-worker"];
            let victim = random.random_range(0..of_stack.len() + beside.lock().unwrap().len());
            if let Some(victim) = of_stack.get(victim) {
                stack.wait_ready(victim);
                stack.kill(victim);
            } else {
                let mut beside = beside.lock().unwrap();
                let (name, process) = &mut beside[victim - of_stack.len()];
                // Dropped, it is killed.
                *process = more(name);
            }
            // A few signals between two deaths, so that each meets the work at another step.
            until("signals go on", || (sent.load(Ordering::SeqCst) > seen + 2).then_some(()));
        }
    });
    let ids = ids.into_inner().unwrap();
    assert!(ids.len() > kills && kills > 10, "{} signals, {kills} deaths", ids.len());

    // Each signal is matched with each pipeline, once.
    let mut enqueued: BTreeMap<String, String> = BTreeMap::new();
    for id in &ids {
        let matches = until(&format!("signal {id} is matched"), || {
            let matches = every(stack, &format!("/v1/signals/{id}/matches"), &[])?;
            (matches.len() >= pipelines.len()).then_some(matches)
        });
        let of: BTreeSet<&str> = matches.iter().map(|matched| matched["pipeline_id"].as_str().unwrap()).collect();
        assert_eq!(
            (matches.len(), of),
            (pipelines.len(), pipelines.iter().map(String::as_str).collect()),
            "{matches:#?}"
        );
        for matched in &matches {
            if matched["outcome"] == "enqueued" {
                let execution = matched["execution_id"].as_str().unwrap().to_owned();
                let before = enqueued.insert(execution, matched["pipeline_id"].as_str().unwrap().to_owned());
                assert!(before.is_none(), "one execution of two signals: {matched}");
            } else {
                // It says what was passed by.
                assert_eq!(matched["outcome"], "skipped_running", "{matched}");
            }
        }
    }
    // Each execution ends, once, and there is no other.
    let mut orders = 0;
    for (number, pipeline_id) in pipelines.iter().enumerate() {
        let executions = until(&format!("executions of pipeline {number} are at their end"), || {
            let executions = every(stack, "/v1/executions", &[("pipeline_id", pipeline_id)])?;
            let ended = executions.iter().all(|one| !matches!(one["status"].as_str(), Some("queued" | "running")));
            ended.then_some(executions)
        });
        let found: BTreeSet<&str> = executions.iter().map(|one| one["execution_id"].as_str().unwrap()).collect();
        let wanted: BTreeSet<&str> =
            enqueued.iter().filter(|(_, of)| *of == pipeline_id).map(|(id, _)| id.as_str()).collect();
        assert_eq!((executions.len(), &found), (wanted.len(), &wanted), "executions of pipeline {number}");
        for execution in &executions {
            assert_eq!(execution["status"], "success", "{execution:#}");
        }
        let workers: BTreeSet<&str> = executions.iter().filter_map(|one| one["worker"].as_str()).collect();
        assert!(workers.len() > 1, "the work is shared: {workers:?}");
        if number < ORDERING {
            orders += executions.len();
        }
    }
    // Each order came to the exchange once.
    let new: BTreeMap<String, u64> = received(stack).into_iter().filter(|(id, _)| !seen_before.contains(id)).collect();
    let doubled: Vec<_> = new.iter().filter(|(_, times)| **times != 1).collect();
    assert!(doubled.is_empty(), "came to the exchange more than once: {doubled:?}");
    assert_eq!(new.len(), orders, "an execution that orders, an order");
    drop(beside);
    for id in &pipelines {
        remove(stack, id);
    }
}
