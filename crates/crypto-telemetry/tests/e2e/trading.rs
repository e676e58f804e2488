//! From a TradingView alert to a paper order and a message: as it goes, and when something dies on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rand::{Rng, RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::backends::Span;
use crate::stack::Stack;
use crate::wait::until;

/// A hook's address, made by the command that people use.
pub(crate) fn hook(stack: &Stack, name: &str) -> String {
    // Requests at random find the way to halt trading, too.
    let resume = json!({"state": "running", "by": "cli", "reason": "a trial begins"});
    let resumed = stack.http.put(stack.url("ORDER_PORT", "/v1/trading/state")).json(&resume).send().unwrap();
    assert!(resumed.status().is_success(), "{}", resumed.text().unwrap());
    let (well, said) = stack.run(&["hooks", "create", name, "--json"]);
    assert!(well, "{said}");
    let made: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    made["url"].as_str().unwrap_or_else(|| panic!("no url in {said}")).to_owned()
}

/// An alert as TradingView fills in the template of `hooks create`; `number` makes it one of a kind.
pub(crate) fn alert(symbol: &str, action: &str, number: usize) -> Value {
    json!({
        "ticker": symbol,
        "exchange": "BINANCE",
        "close": "41234.5",
        "timenow": chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        "interval": "5",
        "strategy.order.action": action,
        "strategy.order.id": format!("order {number}"),
        "strategy.order.contracts": "0.001",
    })
}

fn post(stack: &Stack, hook: &str, body: &Value) -> (u16, Value) {
    let response = stack.http.post(hook).json(body).send().unwrap();
    (response.status().as_u16(), response.json().unwrap())
}

/// An alert that is taken: its signal's id, and the trace.
pub(crate) fn accepted(stack: &Stack, hook: &str, body: &Value) -> (String, String) {
    let (status, answer) = post(stack, hook, body);
    assert_eq!((status, answer["status"].as_str()), (200, Some("accepted")), "{answer}");
    let text = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}")).to_owned();
    (text("signal_id"), text("trace_id"))
}

fn order(stack: &Stack, id: &str) -> Option<Value> {
    stack.json(&stack.url("ORDER_PORT", &format!("/v1/trading/orders/{id}")), &[])
}

pub(crate) fn filled(stack: &Stack, id: &str) -> Value {
    until(&format!("order {id} is filled"), || order(stack, id).filter(|order| order["status"] == "filled"))
}

/// Messages of the bot in the chat of the simulator's first person.
pub(crate) fn messages(stack: &Stack) -> Vec<Value> {
    let found = stack.json(&stack.url("SIMULATOR_PORT", "/control/telegram/chats/1001/messages"), &[]);
    let found = found.unwrap_or_default();
    found.as_array().or_else(|| found["messages"].as_array()).cloned().unwrap_or_default()
}

pub(crate) fn text_of(message: &Value) -> &str {
    message["text"].as_str().or_else(|| message["caption"].as_str()).unwrap_or_default()
}

/// How often an order of each client id came to the simulated exchange, whether or not it took it: it knows a client id
/// again, so that one sent twice would be taken once, too.
pub(crate) fn received(stack: &Stack) -> BTreeMap<String, u64> {
    let account = stack.json(&stack.url("SIMULATOR_PORT", "/control/bingx"), &[]).unwrap();
    let orders = account["client_order_ids"].as_object().unwrap_or_else(|| panic!("no orders in {account}"));
    orders.iter().map(|(id, counted)| (id.clone(), counted["received"].as_u64().unwrap())).collect()
}

pub(crate) fn is_whole(spans: &[Span], services: &[&str]) -> bool {
    services.iter().all(|service| spans.iter().any(|span| span.service == *service))
        && spans.iter().all(|span| span.parent.is_empty() || spans.iter().any(|parent| parent.id == span.parent))
}

pub(crate) fn named<'a>(spans: &'a [Span], service: &str, name: &str) -> &'a Span {
    spans
        .iter()
        .find(|span| span.service == service && span.name == name)
        .unwrap_or_else(|| panic!("no span {name} of {service} in {spans:#?}"))
}

pub(crate) fn alert_to_order_and_message(stack: &Stack) {
    let hook = hook(stack, "one-trace");
    let token = hook.rsplit('/').next().unwrap().to_owned();
    let (id, trace_id) = accepted(stack, &hook, &alert("BTCUSDT", "buy", 1));
    let order = filled(stack, &id);
    // A real price of the moment: one of the recorded month, which lies between its low and its high.
    let price: f64 = order["average_price"].as_str().unwrap().parse().unwrap();
    assert!((32_000.0..49_000.0).contains(&price), "{order:#}");
    assert_eq!((order["side"].as_str(), order["mode"].as_str()), (Some("buy"), Some("paper")), "{order:#}");
    assert_eq!(order["trace_id"].as_str(), Some(trace_id.as_str()), "{order:#}");
    assert_eq!(received(stack).get(&id), Some(&1));

    // One message, which says how it ended, with buttons.
    let message = until("the chat has a message about the filled order", || {
        messages(stack).into_iter().find(|message| {
            let text = text_of(message).to_lowercase();
            text.contains(&trace_id) && text.contains("filled")
        })
    });
    let text = text_of(&message);
    assert!(text.contains("PAPER") && text.contains("BTCUSDT"), "{text}");
    assert!(message["reply_markup"]["inline_keyboard"][0][0]["callback_data"].is_string(), "{message:#}");
    let about = messages(stack).iter().filter(|message| text_of(message).contains(&trace_id)).count();
    assert_eq!(about, 1, "an order is one message, which is edited");

    let services = ["signal-service", "order-service", "market-data-service", "audit-service", "notifier-service"];
    let spans = stack.trace(&trace_id, |spans| {
        is_whole(spans, &services) && spans.iter().any(|span| span.name.contains("sendMessage"))
    });
    let roots: Vec<&Span> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    assert_eq!(roots.len(), 1, "one alert, one root: {roots:#?}");
    let ingest = named(&spans, "signal-service", "SignalService.ingest");
    assert_eq!(ingest.attributes["crypto.symbol"], "BTCUSDT");
    let handle = named(&spans, "order-service", "OrderService.handle_signal");
    assert_eq!(handle.attributes["order.id"], id);
    for span in &spans {
        for (name, value) in &span.attributes {
            assert!(!value.contains(&token), "the hook's token is in {name} of {span:#?}");
        }
    }
    let logs = stack.services_logging(&trace_id);
    assert!(logs.contains("signal-service") && logs.contains("order-service"), "{logs:?}");

    // Every step is on the trail.
    let trail = until("the trail has the order's end", || {
        let url = stack.url("AUDIT_PORT", &format!("/v1/events?decision_id={id}"));
        let page = stack.json(&url, &[])?;
        page.to_string().contains("filled").then_some(page)
    });
    assert!(trail.to_string().contains("submitted"), "{trail:#}");
}

pub(crate) fn retried_alert(stack: &Stack) {
    let hook = hook(stack, "sent-twice");
    let body = alert("ETHUSDT", "buy", 2);
    let (id, first_trace) = accepted(stack, &hook, &body);
    let (status, again) = post(stack, &hook, &body);
    assert_eq!((status, again["status"].as_str()), (200, Some("duplicate")), "{again}");
    assert_eq!(again["signal_id"].as_str(), Some(id.as_str()), "{again}");
    let trace_id = again["trace_id"].as_str().unwrap();
    assert_ne!(trace_id, first_trace);
    // Tempo's own JSON, because spans of the other tests have no links.
    let url = stack.url("TEMPO_PORT", &format!("/api/traces/{trace_id}"));
    until("the second trace has a link to the first one", || {
        let trace = stack.json(&url, &[])?;
        let links = links_of(&trace);
        // Tempo writes ids in base64.
        links.iter().any(|link| link == &first_trace).then_some(())
    });
    filled(stack, &id);
    assert_eq!(received(stack).get(&id), Some(&1));
}

/// Ids of the traces that spans have links to.
fn links_of(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match value {
                Value::Array(links) if name == "links" => {
                    links.iter().filter_map(|link| link["traceId"].as_str()).map(hex).collect()
                }
                other => links_of(other),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(links_of).collect(),
        _ => Vec::new(),
    }
}

/// An id in hexadecimal digits, however Tempo wrote it.
fn hex(id: &str) -> String {
    use base64::Engine as _;
    if id.len() == 32 {
        return id.to_ascii_lowercase();
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(id).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every metric that requirement 2 names, with its labels, through the Collector and natively.
pub(crate) fn metrics(stack: &Stack) {
    let hook = hook(stack, "metrics");
    for (number, action) in [(3, "buy"), (4, "sell")] {
        let (id, _) = accepted(stack, &hook, &alert("SOLUSDT", action, number));
        filled(stack, &id);
    }
    stack.ask_btc();
    let update = json!({"user_id": 1001, "text": "/status"});
    assert_eq!(stack.post("SIMULATOR_PORT", "/control/telegram/updates", &update).0 / 100, 2);
    for query in [
        r#"tradingview_signals_ingested_total{symbol="SOLUSDT",action="buy"} > 0"#,
        r#"tradingview_signal_ingest_duration_seconds_count{outcome="accepted"} > 0"#,
        "tvtelegrambingx_signal_queue_depth >= 0",
        r#"tvtelegrambingx_order_transitions_total{symbol="SOLUSDT",status="filled"} > 0"#,
        r#"tvtelegrambingx_order_notional_usd_total{action="sell"} > 0"#,
        r#"tvtelegrambingx_realised_pnl_usd{symbol="SOLUSDT"}"#,
        "tvtelegrambingx_realised_pnl_total_usd",
        r#"tvtelegrambingx_bot_backend_requests_total{outcome="ok"} > 0"#,
        "tvtelegrambingx_bot_backend_request_duration_seconds_count > 0",
        "tvtelegrambingx_bot_updates_total > 0",
        "histogram_quantile(0.99, sum by (le) (trading_signal_to_submit_seconds_bucket)) > 0",
    ] {
        until(query, || (!stack.promql(query).is_empty()).then_some(()));
    }
    for (port, names) in [
        ("SIGNAL_PORT", &["tradingview_signals_ingested_total", "tvtelegrambingx_signal_queue_depth"][..]),
        ("NOTIFIER_PORT", &["tvtelegrambingx_bot_backend_requests_total", "tvtelegrambingx_bot_updates_total"]),
        ("ORDER_PORT", &["tvtelegrambingx_order_transitions_total", "tvtelegrambingx_realised_pnl_total_usd"]),
    ] {
        let native = stack.http.get(stack.url(port, "/metrics")).send().unwrap().text().unwrap();
        for name in names {
            assert!(native.contains(name), "{port} has no {name} natively");
        }
    }
}

/// Panels of what goes wrong: empty where nothing does.
const EMPTY_WHEN_ALL_IS_WELL: [&str; 3] = ["Calls that failed", "Requests that failed", "Steps that failed"];

/// What the dashboards ask, Prometheus and Loki understand, and have data for.
pub(crate) fn dashboards_have_data(stack: &Stack) {
    let hook = hook(stack, "dashboards");
    for (number, action) in [(5, "buy"), (6, "sell")] {
        let (id, _) = accepted(stack, &hook, &alert("BTCUSDT", action, number));
        filled(stack, &id);
    }
    // What is refused and what is repeated has its panels, too.
    let (status, _) = post(stack, &hook, &json!({"ticker": "BTCUSDT", "action": "think"}));
    assert_eq!(status, 422);
    let mut large = alert("BTCUSDT", "buy", 9);
    large["strategy.order.contracts"] = json!("5");
    let (id, _) = accepted(stack, &hook, &large);
    assert_eq!(post(stack, &hook, &large).1["status"], "duplicate");
    let refused = until("what is too large is refused", || {
        stack
            .json(&stack.url("SIGNAL_PORT", &format!("/v1/signals/{id}")), &[])
            .filter(|signal| signal["status"] == "executed")
    });
    assert_eq!(refused["result"], "refused", "{refused:#}");
    stack.ask_btc();
    let update = json!({"user_id": 1001, "text": "/balance"});
    assert_eq!(stack.post("SIMULATOR_PORT", "/control/telegram/updates", &update).0 / 100, 2);
    let folder = crate::stack::root().join("grafana/dashboards");
    let mut panels = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let dashboard: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            let targets = panel["targets"].as_array().cloned().unwrap_or_default();
            for query in targets.iter().filter_map(|target| target["expr"].as_str()) {
                panels += 1;
                let query = filled_in(query);
                let what = format!("{}, {title}: {query}", file.file_name().unwrap().display());
                let loki = query.starts_with('{');
                let (port, path) =
                    if loki { ("LOKI_PORT", "/loki/api/v1/query_range") } else { ("PROMETHEUS_PORT", "/api/v1/query") };
                let url = stack.url(port, path);
                let answer = stack.json(&url, &[("query", &query)]);
                assert!(answer.is_some(), "refused: {what}");
                if !loki && !EMPTY_WHEN_ALL_IS_WELL.contains(&title) {
                    until(&format!("there is data for {what}"), || {
                        let answer = stack.json(&url, &[("query", &query)])?;
                        (!answer["data"]["result"].as_array()?.is_empty()).then_some(())
                    });
                }
            }
        }
    }
    assert!(panels > 20, "{panels} queries");
}

/// A query with what Grafana puts in the places of its variables.
fn filled_in(query: &str) -> String {
    let mut query = query.to_owned();
    for (variable, value) in [
        ("__rate_interval", "1m"),
        ("__interval", "15s"),
        ("__range", "10m"),
        ("environment", "development"),
        ("symbol", ".*"),
    ] {
        for written in [format!("${{{variable}:regex}}"), format!("${{{variable}}}"), format!("${variable}")] {
            query = query.replace(&written, value);
        }
    }
    query
}

/// Both services are killed again and again while alerts come: every alert that was taken ends in exactly one order at the
/// exchange, and in none twice.
pub(crate) fn killed_services(stack: &Stack) {
    const SENDERS: usize = 3;
    const ALERTS: usize = 25;
    let hook = hook(stack, "killed");
    let seen_before: BTreeSet<String> = received(stack).into_keys().collect();
    let accepted_ids = Mutex::new(BTreeSet::new());
    let (sent, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (hook, accepted_ids, sent) = (&hook, &accepted_ids, &sent);
                scope.spawn(move || {
                    for number in 0..ALERTS {
                        let symbol = ["BTCUSDT", "ETHUSDT", "SOLUSDT"][sender];
                        let action = if number % 2 == 0 { "buy" } else { "sell" };
                        let body = alert(symbol, action, 1_000 * (sender + 1) + number);
                        // As TradingView does it: no answer, or one of 500 and above, is sent again.
                        let id = until("the alert is taken", || {
                            let response = stack.http.post(hook).json(&body).send().ok()?;
                            let status = response.status();
                            assert!(!status.is_client_error(), "{status} {}", response.text().unwrap());
                            let answer: Value = status.is_success().then(|| response.json().ok())??;
                            Some(answer["signal_id"].as_str().unwrap().to_owned())
                        });
                        accepted_ids.lock().unwrap().insert(id);
                        sent.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        let killer = scope.spawn(|| {
            let victims = [
                "order-service",
                "signal-service",
                "order-service",
                "notifier-service",
                "order-service",
                "audit-service",
            ];
            for victim in victims.iter().cycle() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let seen = sent.load(Ordering::SeqCst);
                stack.kill(victim);
                stack.wait_ready(victim);
                // A few alerts between two deaths, so that each meets handling at another step.
                until("alerts go on", || {
                    (over.load(Ordering::SeqCst) || sent.load(Ordering::SeqCst) > seen).then_some(())
                });
            }
        });
        for sender in senders {
            sender.join().unwrap();
        }
        over.store(true, Ordering::SeqCst);
        killer.join().unwrap();
    });
    let ids = accepted_ids.into_inner().unwrap();
    assert_eq!(ids.len(), SENDERS * ALERTS, "an alert, a signal");
    for id in &ids {
        let url = stack.url("SIGNAL_PORT", &format!("/v1/signals/{id}"));
        until(&format!("signal {id} is executed"), || {
            stack.json(&url, &[]).filter(|signal| signal["status"] == "executed")
        });
        filled(stack, id);
    }
    let received = received(stack);
    for id in &ids {
        assert_eq!(received.get(id), Some(&1), "{id} came to the exchange so often");
    }
    let strangers: Vec<&String> =
        received.keys().filter(|id| !ids.contains(*id) && !seen_before.contains(*id)).collect();
    assert!(strangers.is_empty(), "orders that no alert asked for: {strangers:?}");
}

/// Telegram is away for a minute, the bot dies in between: each message arrives, once, in order.
pub(crate) fn telegram_away(stack: &Stack) {
    const ORDERS: usize = 6;
    // Of what the trial before had so many of: while more than twenty wait, orders are told together in one message.
    until("the bot has said all it had to say", || {
        let native = stack.http.get(stack.url("NOTIFIER_PORT", "/metrics")).send().ok()?.text().ok()?;
        let depth = native.lines().find(|line| line.starts_with("telegram_outbox_depth"))?;
        depth.ends_with(" 0").then_some(())
    });
    let hook = hook(stack, "telegram-away");
    let faults = stack.url("SIMULATOR_PORT", "/control/faults");
    let fault = json!({"target": "telegram", "kind": "server_error", "status": 502, "duration_ms": 60_000});
    assert!(stack.http.post(&faults).json(&fault).send().unwrap().status().is_success());
    let mut traces = Vec::new();
    for number in 0..ORDERS {
        let (id, trace_id) =
            accepted(stack, &hook, &alert("BTCUSDT", if number % 2 == 0 { "buy" } else { "sell" }, 7_000 + number));
        filled(stack, &id);
        traces.push(trace_id);
        if number == ORDERS / 2 {
            stack.kill("notifier-service");
            // It cannot be ready: Telegram is away. It lives, and takes what it is told.
            let live = stack.url("NOTIFIER_PORT", "/health/live");
            until("the bot's process is back", || stack.is_ok(&live).then_some(()));
        }
    }
    let arrived = until("each order has its message", || {
        let texts: Vec<String> = messages(stack).iter().map(|message| text_of(message).to_owned()).collect();
        let places: Vec<usize> =
            traces.iter().map_while(|trace| texts.iter().position(|text| text.contains(trace.as_str()))).collect();
        (places.len() == ORDERS).then_some((texts, places))
    });
    let (texts, places) = arrived;
    assert!(places.is_sorted(), "in another order than they happened: {places:?}");
    for trace in &traces {
        let about = texts.iter().filter(|text| text.contains(trace.as_str())).count();
        assert_eq!(about, 1, "messages of {trace}");
    }
    until("the bot is ready again", || stack.is_ok(&stack.url("NOTIFIER_PORT", "/health/ready")).then_some(()));
}

/// The exchange is away: webhooks are answered all the same, signals wait, each of the three alerts fires for its reason and
/// reaches its receiver; when all is well again, so are they.
pub(crate) fn alerts_reach_their_receivers(stack: &Stack) {
    let hook = hook(stack, "alerts");
    let faults = stack.url("SIMULATOR_PORT", "/control/faults");
    // The breaker would give up on calls; a socket that breaks off leaves an order unknown. Refused calls do neither.
    let fault = json!({"target": "bingx", "kind": "server_error", "status": 503, "duration_ms": 300_000});
    assert!(stack.http.post(&faults).json(&fault).send().unwrap().status().is_success());
    stack.stop("market-data-service");
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(accepted(stack, &hook, &alert("BTCUSDT", "buy", 8_000 + number)).0);
    }
    let fired = |receiver: &'static str, name: &'static str| {
        until(&format!("{name} reaches {receiver}"), || {
            // The bot is asked all the while, in vain.
            stack.ask(&json!({"symbols": ["BTCUSDT"]}));
            stack.alerts.told_of(receiver, "firing", |labels| labels["alertname"] == name)
        })
    };
    fired("automation", "TradingViewSignalBacklog");
    fired("platform", "BotBackendReachability");
    stack.start_again("market-data-service");
    fired("exchange", "BingXOrderFailures");
    let status = stack.json(&stack.url("ORDER_PORT", "/v1/trading/state"), &[]).unwrap();
    assert_eq!(status["state"], "running", "nobody gave ALERT_TRADING_URL: {status:#}");
    let escalated =
        until("what nobody resolves is escalated", || stack.alerts.told_of("escalation", "firing", |_| true));
    assert!(escalated["annotations"]["summary"].as_str().unwrap().contains("not been resolved"), "{escalated:#}");

    assert!(stack.http.delete(&faults).send().unwrap().status().is_success());
    for id in &ids {
        filled(stack, id);
    }
    for (receiver, name) in [
        ("automation", "TradingViewSignalBacklog"),
        ("platform", "BotBackendReachability"),
        ("exchange", "BingXOrderFailures"),
    ] {
        until(&format!("{receiver} is told that {name} is over"), || {
            stack.alerts.told_of(receiver, "resolved", |labels| labels["alertname"] == name)
        });
    }
}

/// What the flood is made of.
enum Post {
    /// A new alert.
    Alert(Value),
    /// One that has been sent, or is being sent, under this number.
    Again(usize),
    /// What is no alert, with its content type.
    Garbage(Vec<u8>, &'static str),
}

/// Ten thousand webhooks, many at once: new alerts, repetitions, and garbage in random order. Every new one is one signal
/// with one outcome, every repetition is known, all garbage is refused.
pub(crate) fn ten_thousand_webhooks(stack: &Stack) {
    const POSTS: usize = 10_000;
    const SENDERS: usize = 16;
    let hook = hook(stack, "flood");
    let mut random = rand::rngs::Xoshiro256PlusPlus::seed_from_u64(6);
    let mut alerts: Vec<Value> = Vec::new();
    let posts: Vec<Post> = (0..POSTS)
        .map(|number| match random.random_range(0..20) {
            0..2 => {
                let symbol = ["BTCUSDT", "ETHUSDT", "SOLUSDT"][random.random_range(0..3)];
                let action = ["buy", "sell"][random.random_range(0..2)];
                alerts.push(alert(symbol, action, 100_000 + number));
                Post::Alert(alerts.last().unwrap().clone())
            }
            2..12 if !alerts.is_empty() => Post::Again(random.random_range(0..alerts.len())),
            _ => garbage(&mut random),
        })
        .collect();
    let mut numbered = Vec::new();
    let mut next = 0;
    for post in &posts {
        numbered.push(match post {
            Post::Alert(_) => {
                next += 1;
                Some(next - 1)
            }
            Post::Again(of) => Some(*of),
            Post::Garbage(..) => None,
        });
    }
    // Ids by the number of the alert, with how often each was accepted.
    let answers: Mutex<BTreeMap<usize, (BTreeSet<String>, usize)>> = Mutex::default();
    let turn = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                while let Some((post, number)) = {
                    let place = turn.fetch_add(1, Ordering::SeqCst);
                    posts.get(place).zip(numbered.get(place))
                } {
                    let request = match post {
                        Post::Alert(body) => stack.http.post(&hook).json(body),
                        Post::Again(of) => stack.http.post(&hook).json(&alerts[*of]),
                        Post::Garbage(body, kind) => {
                            stack.http.post(&hook).header("content-type", *kind).body(body.clone())
                        }
                    };
                    let response = request.send().unwrap();
                    let status = response.status();
                    let answer: Value = response.json().unwrap();
                    match number {
                        None => assert!(status.is_client_error(), "{status} for garbage: {answer}"),
                        Some(number) => {
                            assert!(status.is_success(), "{status}: {answer}");
                            let mut answers = answers.lock().unwrap();
                            let (ids, accepted) = answers.entry(*number).or_default();
                            ids.insert(answer["signal_id"].as_str().unwrap().to_owned());
                            *accepted += usize::from(answer["status"] == "accepted");
                        }
                    }
                }
            });
        }
    });
    let answers = answers.into_inner().unwrap();
    assert_eq!(answers.len(), alerts.len());
    for (number, (ids, accepted)) in &answers {
        assert!(ids.len() == 1 && *accepted == 1, "alert {number}: {ids:?}, accepted {accepted} times");
    }
    let waiting = || {
        let native = stack.http.get(stack.url("SIGNAL_PORT", "/metrics")).send().ok()?.text().ok()?;
        let depth = native.lines().find(|line| line.starts_with("tvtelegrambingx_signal_queue_depth"))?;
        depth.rsplit(' ').next()?.parse::<f64>().ok()
    };
    // However long it takes, as long as it goes on.
    let mut left = f64::MAX;
    while left > 0.0 {
        left = until("signals are carried out", || waiting().filter(|now| *now < left));
    }
    let orders = every_order(stack);
    let received = received(stack);
    for (ids, _) in answers.values() {
        for id in ids {
            let signal = stack.json(&stack.url("SIGNAL_PORT", &format!("/v1/signals/{id}")), &[]).unwrap();
            assert_eq!(signal["status"], "executed", "{signal:#}");
            assert_eq!(signal["result"], "ordered", "{signal:#}");
            assert_eq!(orders.get(id).map(String::as_str), Some("filled"), "order {id}");
            assert_eq!(received.get(id), Some(&1), "{id} came to the exchange so often");
        }
    }
}

/// What no webhook takes.
fn garbage(random: &mut impl Rng) -> Post {
    let mut cut = alert("BTCUSDT", "buy", 1).to_string().into_bytes();
    match random.random_range(0..6) {
        0 => {
            cut.truncate(random.random_range(1..cut.len() - 1));
            Post::Garbage(cut, "application/json")
        }
        1 => {
            let mut bytes = vec![0xff; random.random_range(1..200)];
            random.fill_bytes(&mut bytes[1..]);
            Post::Garbage(bytes, "text/plain; charset=utf-8")
        }
        2 => Post::Garbage(br#"{"ticker": "{{ticker}}", "action": "buy"}"#.to_vec(), "application/json"),
        3 => {
            Post::Garbage(br#"{"ticker": "BTCUSDT", "action": "buy", "contracts": "NaN"}"#.to_vec(), "application/json")
        }
        4 => Post::Garbage(b"ticker=BTCUSDT action=think".to_vec(), "text/plain"),
        _ => Post::Garbage(Vec::new(), "text/plain"),
    }
}

/// Every order's status, by id.
fn every_order(stack: &Stack) -> BTreeMap<String, String> {
    let mut orders = BTreeMap::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("limit", "100".to_owned())];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page = stack.json(&stack.url("ORDER_PORT", "/v1/trading/orders"), &query).unwrap();
        for order in page["items"].as_array().unwrap() {
            let text = |name: &str| order[name].as_str().unwrap().to_owned();
            assert!(orders.insert(text("id"), text("status")).is_none(), "an order is on two pages: {order:#}");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return orders,
        }
    }
}
