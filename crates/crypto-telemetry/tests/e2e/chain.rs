//! The business chain on the whole stack: gateway → user → order → audit, its database queries, and its failures.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::backends::Span;
use crate::stack::{CHAIN, Stack};
use crate::wait::until;

/// The two requests of requirement 4, as its readers will type them.
const SHORT: &str = r#"{"user_id": 1001, "action": "test_trace"}"#;
const LONG: &str =
    r#"{"user_id": 1001, "user_name": "John Doe", "user_email": "john@example.com", "action": "purchase"}"#;

impl Stack {
    /// `POST /api/v1/process`: status, whether the answer is a repeated one, body.
    fn process(&self, body: &str, key: Option<&str>) -> (u16, bool, Value) {
        self.process_if_there(body, key).expect("the gateway answers")
    }

    /// The same; nothing when the connection is refused or breaks, as it does while the gateway is killed.
    fn process_if_there(&self, body: &str, key: Option<&str>) -> Option<(u16, bool, Value)> {
        let mut request = self
            .http
            .post(self.url("GATEWAY_PORT", "/api/v1/process"))
            .header("content-type", "application/json")
            .body(body.to_owned());
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().ok()?;
        let replayed = response.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
        Some((response.status().as_u16(), replayed, response.json().ok()?))
    }

    fn read(&self, path: &str) -> Value {
        let url = self.url("GATEWAY_PORT", path);
        self.json(&url, &[]).unwrap_or_else(|| panic!("{path} is not answered"))
    }
}

fn part<'a>(reply: &'a Value, service: &str) -> &'a Value {
    let parts = reply["services"].as_array().unwrap();
    parts.iter().find(|part| part["service"] == service).unwrap_or_else(|| panic!("no part of {service} in {reply}"))
}

fn order_id(reply: &Value) -> String {
    part(reply, "order-service")["data"]["order"]["id"].as_str().unwrap().to_owned()
}

fn is_whole(spans: &[Span]) -> bool {
    CHAIN.iter().all(|service| spans.iter().any(|span| span.service == *service && span.kind == "SERVER"))
        && spans.iter().all(|span| span.parent.is_empty() || spans.iter().any(|parent| parent.id == span.parent))
}

pub(crate) fn documented_requests(stack: &Stack) {
    let (status, _, short) = stack.process(SHORT, None);
    assert_eq!(status, 200, "{short}");
    let (status, _, long) = stack.process(LONG, None);
    assert_eq!(status, 200, "{long}");
    for reply in [&short, &long] {
        let names: Vec<&str> =
            reply["services"].as_array().unwrap().iter().map(|part| part["service"].as_str().unwrap()).collect();
        assert_eq!(names, stack.parts, "{reply}");
        assert_eq!(reply["status"], "done", "{reply}");
    }
    let order = &part(&long, "order-service")["data"]["order"];
    assert_eq!((order["currency"].as_str(), order["items"].as_array().unwrap().len()), (Some("USDT"), 1), "{order}");
    // 0.001 BTC at a price of that month, to the last digit.
    let price: rust_decimal::Decimal = order["items"][0]["unit_price"].as_str().unwrap().parse().unwrap();
    let total: rust_decimal::Decimal = order["total"].as_str().unwrap().parse().unwrap();
    assert_eq!(total, price * rust_decimal::Decimal::new(1, 3), "{order}");
    assert_eq!(part(&long, "user-service")["data"]["user"]["name"], "John Doe");

    let trace_id = long["trace_id"].as_str().unwrap();
    let spans = stack.trace(trace_id, is_whole);
    assert_eq!(spans.iter().filter(|span| span.parent.is_empty()).count(), 1, "one request, one root");
    for (service, queries) in [
        ("user-service", vec!["INSERT users"]),
        ("order-service", vec!["INSERT orders", "INSERT order_items", "COMMIT"]),
        ("audit-service", vec!["INSERT audit_logs"]),
    ] {
        for query in queries {
            let span = spans
                .iter()
                .find(|span| span.service == service && span.name == query)
                .unwrap_or_else(|| panic!("no query {query} of {service} in {spans:#?}"));
            assert_eq!((span.kind.as_str(), span.attributes["db.system.name"].as_str()), ("CLIENT", stack.engine));
            let text = span.attributes.get("db.query.text").cloned().unwrap_or_default();
            assert!(!text.contains("John") && !text.contains("1001"), "a value is in the statement: {text}");
        }
    }
    assert!(
        spans.iter().any(|span| span.name == "OrderService.price_item"
            && span.attributes["crypto.symbol"] == "BTCUSDT"
            && span.attributes["order.item.total"] == total.to_string()),
        "an item has a span"
    );
    let user = spans.iter().find(|span| span.name == "UserService.process").unwrap();
    assert_eq!((user.attributes["user.id"].as_str(), user.attributes["user.name"].as_str()), ("1001", "John Doe"));

    until("each service of the chain has a log line of the trace in Loki", || {
        let found = stack.services_logging(trace_id);
        CHAIN.iter().all(|service| found.contains(*service)).then_some(())
    });
    for service in &CHAIN[1..] {
        for query in [
            format!(r#"sum(db_query_duration_seconds_count{{service_name="{service}",query_type="insert"}}) > 0"#),
            format!(r#"count(db_active_connections{{service_name="{service}"}}) > 0"#),
            format!(r#"sum(db_pool_size{{service_name="{service}"}}) > 0"#),
        ] {
            until(&query, || (!stack.promql(&query).is_empty()).then_some(()));
        }
    }
    // What was written is there to be read, and says which trace it was.
    let id = order_id(&long);
    assert_eq!(stack.read(&format!("/api/v1/orders/{id}"))["trace_id"], trace_id);
    assert_eq!(stack.read("/api/v1/users/1001")["email"], "john@example.com");
    let trail = stack.read(&format!("/api/v1/audit?trace_id={trace_id}"));
    assert_eq!(trail["items"][0]["order_id"], id.as_str(), "{trail}");
    assert_eq!(trail["items"][0]["context"]["context"]["order"]["total"], order["total"], "{trail}");
}

/// A service that user-service is told of by `USER_NEXT_SERVICE_URL` has its part, and what it found out is kept.
pub(crate) fn another_service(stack: &Stack) {
    let (status, _, reply) = stack.process(LONG, None);
    assert_eq!(status, 200, "{reply}");
    assert_eq!(part(&reply, "fraud-check")["data"]["score"], 3, "{reply}");
    let trace_id = reply["trace_id"].as_str().unwrap();
    let trail = stack.read(&format!("/api/v1/audit?trace_id={trace_id}"));
    assert_eq!(trail["items"][0]["context"]["context"]["business"]["fraud-check"]["score"], 3, "{trail}");
    // It makes no spans of its own, and the trace goes on all the same; the calls to it are under its name.
    let spans = stack.trace(trace_id, is_whole);
    let order = spans.iter().find(|span| span.service == "order-service" && span.kind == "SERVER").unwrap();
    let caller = spans.iter().find(|span| span.id == order.parent).unwrap();
    assert_eq!((caller.service.as_str(), caller.kind.as_str()), ("user-service", "CLIENT"), "{spans:#?}");
    assert!(caller.attributes.values().any(|value| value == "fraud-check"), "{caller:#?}");
}

/// Requirement 4's four queries, each for a trace of our own (spec E5).
pub(crate) fn traceql(stack: &Stack) {
    let (_, _, fine) = stack.process(SHORT, None);
    let fine = fine["trace_id"].as_str().unwrap().to_owned();
    let failed = stack.failed_ask();
    let slow = stack.slow_ask();
    for (query, wanted) in [
        (r"{}", &fine),
        (r#"{resource.service.name="user-service"}"#, &fine),
        ("{status=error}", &failed),
        ("{duration>1s}", &slow),
    ] {
        until(&format!("{query} finds {wanted}"), || {
            let answer = stack.json(&stack.url("TEMPO_PORT", "/api/search"), &[("q", query), ("limit", "5000")])?;
            let wanted = wanted.trim_start_matches('0');
            answer["traces"].as_array()?.iter().any(|trace| trace["traceID"].as_str() == Some(wanted)).then_some(())
        });
    }
}

impl Stack {
    /// Asks a language model that answers late: the trace id of an ask of more than a second.
    fn slow_ask(&self) -> String {
        self.llm_fault(&json!({"target": "llm", "kind": "latency", "duration_ms": 60_000, "latency_ms": 1_300}))
    }

    /// Asks a language model that fails: the trace id of an ask with an error in it, which technical then answers.
    fn failed_ask(&self) -> String {
        self.llm_fault(&json!({"target": "llm", "kind": "server_error", "duration_ms": 60_000}))
    }

    fn llm_fault(&self, fault: &Value) -> String {
        let faults = self.url("SIMULATOR_PORT", "/control/faults");
        let injected: Value = self.http.post(&faults).json(fault).send().unwrap().json().unwrap();
        let (status, body) = self.ask(&json!({"symbols": ["BTCUSDT"], "strategy": "llm"}));
        assert_eq!(status, 200, "{body}");
        let removed = self.http.delete(format!("{faults}/{}", injected["id"])).send().unwrap();
        assert!(removed.status().is_success());
        body["trace_id"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn repetition(stack: &Stack) {
    let body = r#"{"user_id": 2002, "action": "purchase", "items": [{"symbol": "ETHUSDT", "quantity": "0.5"}]}"#;
    let key = format!("e2e-{}", std::process::id());
    let (status, replayed, first) = stack.process(body, Some(&key));
    assert_eq!((status, replayed), (200, false), "{first}");
    for _ in 0..3 {
        let (status, replayed, again) = stack.process(body, Some(&key));
        assert_eq!((status, replayed), (200, true), "{again}");
        assert_eq!(order_id(&again), order_id(&first));
        assert_eq!(part(&again, "audit-service"), part(&first, "audit-service"));
    }
    let (status, _, other) = stack.process(SHORT, Some(&key));
    assert_eq!((status, other["code"].as_str()), (422, Some("key_mismatch")), "{other}");
    assert_eq!(stack.read("/api/v1/orders?user_id=2002")["items"].as_array().unwrap().len(), 1);
    assert_eq!(stack.read("/api/v1/audit?user_id=2002")["items"].as_array().unwrap().len(), 1);
}

/// The order stands, and its audit row is written later, in order, in the trace of the request.
pub(crate) fn audit_away(stack: &Stack) {
    stack.stop("audit-service");
    let replies: Vec<Value> = (0..6)
        .map(|number| {
            let (status, _, reply) =
                stack.process(&format!(r#"{{"user_id": 3003, "action": "deferred_{number}"}}"#), None);
            assert_eq!(status, 200, "{reply}");
            assert_eq!(reply["status"], "deferred", "{reply}");
            assert_eq!(part(&reply, "audit-service")["status"], "deferred", "{reply}");
            reply
        })
        .collect();
    assert_eq!(stack.read("/api/v1/orders?user_id=3003")["items"].as_array().unwrap().len(), 6);
    stack.start_again("audit-service");
    let trail = until("every row is written", || {
        let trail = stack.read("/api/v1/audit?user_id=3003");
        (trail["items"].as_array().unwrap().len() == 6).then_some(trail)
    });
    // The trail is newest first.
    let written: Vec<&str> =
        trail["items"].as_array().unwrap().iter().rev().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(written, ["deferred_0", "deferred_1", "deferred_2", "deferred_3", "deferred_4", "deferred_5"]);
    let traces: Vec<&str> =
        trail["items"].as_array().unwrap().iter().rev().map(|row| row["trace_id"].as_str().unwrap()).collect();
    assert_eq!(traces, replies.iter().map(|reply| reply["trace_id"].as_str().unwrap()).collect::<Vec<_>>());
    // The late delivery is in the request's own trace.
    stack.trace(traces[0], |spans| {
        spans.iter().any(|span| span.service == "audit-service" && span.name == "AuditService.process")
    });
    // And nothing is left to be delivered.
    let (_, _, next) = until("orders are audited at once again", || {
        let reply = stack.process(SHORT, None);
        (reply.2["status"] == "done").then_some(reply)
    });
    assert_eq!(part(&next, "audit-service")["status"], "done");
}

/// Whoever asked is told which link failed, and the trace shows why.
pub(crate) fn link_away(stack: &Stack) {
    stack.stop("order-service");
    let (status, _, problem) = stack.process(SHORT, None);
    assert!(matches!(status, 502..=504), "{status} {problem}");
    assert_eq!(problem["upstream"], "order-service", "{problem}");
    let trace_id = problem["trace_id"].as_str().unwrap().to_owned();
    let spans = stack.trace(&trace_id, |spans| {
        spans.iter().any(|span| span.name == "UserService.process")
            && spans.iter().any(|span| span.service == "api-gateway" && span.kind == "SERVER")
    });
    let failed = spans.iter().find(|span| span.name == "UserService.process").unwrap();
    assert!(failed.events.contains("exception"), "the span of the link that noticed has the exception: {failed:#?}");
    let tries = spans
        .iter()
        .filter(|span| span.service == "user-service" && span.kind == "CLIENT" && span.name == "POST /process");
    assert!(tries.count() > 1, "it was tried again, each try a span: {spans:#?}");
    stack.start_again("order-service");
    until("orders are made again", || (stack.process(SHORT, None).0 == 200).then_some(()));
}

/// Services of the chain, and the one that it has its prices from, crash while eight clients order; whoever gets no answer asks again with the same key. One order
/// and one audit row a key, at the end.
pub(crate) fn chain_killed(stack: &Stack) {
    const CLIENTS: usize = 8;
    const ORDERS: usize = 40;
    let answered = AtomicUsize::new(0);
    let told = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (answered, told) = (&answered, &told);
            scope.spawn(move || {
                for number in 0..ORDERS {
                    let name = format!("crash_{client}_{number}");
                    let body = format!(
                        r#"{{"user_id": {}, "action": "{name}", "items": [{{"symbol": "BTCUSDT", "quantity": "0.5"}}]}}"#,
                        4000 + client
                    );
                    let key = format!("{name}-{}", std::process::id());
                    let id = until("an order is answered", || {
                        let (status, _, reply) = stack.process_if_there(&body, Some(&key))?;
                        assert!(matches!(status, 200 | 409 | 502..=504), "{status}: {reply}");
                        (status == 200).then(|| order_id(&reply))
                    });
                    assert!(told.lock().unwrap().insert(id), "two keys, one order");
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        // Each kill while the others' requests are under way: after so many answers, of 320.
        for (after, services) in [
            (20, &["audit-service"][..]),
            (70, &["order-service"]),
            (120, &["market-data-service"]),
            (170, &["user-service"]),
            (220, &["api-gateway"]),
            (270, &["user-service", "order-service", "market-data-service", "audit-service"]),
        ] {
            until("so many orders are answered", || (answered.load(Ordering::SeqCst) >= after).then_some(()));
            services.iter().for_each(|service| stack.kill(service));
        }
    });
    let told = told.into_inner().unwrap();
    assert_eq!(told.len(), CLIENTS * ORDERS, "an order a key");
    let crashed = |entry: &Value| entry["action"].as_str().unwrap().starts_with("crash_");
    let orders = stack.every("/api/v1/orders", |order| crashed(order).then(|| order["id"].clone()));
    assert_eq!(orders, told, "no order that nobody was told of, none that is lost, none twice");
    until("one audit row an order", || {
        let rows = stack.every("/api/v1/audit", |row| crashed(row).then(|| row["order_id"].clone()));
        assert!(rows.is_subset(&told), "a row of no order");
        (rows.len() == told.len()).then_some(())
    });
}

impl Stack {
    /// What `pick` takes of every entry of a list, through all its pages; nothing twice.
    fn every(&self, path: &str, pick: impl Fn(&Value) -> Option<Value>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut cursor = String::new();
        loop {
            let page = self.read(&format!("{path}?limit=200{cursor}"));
            for picked in page["items"].as_array().unwrap().iter().filter_map(&pick) {
                assert!(found.insert(picked.as_str().unwrap().to_owned()), "{picked} twice");
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    }
}

pub(crate) fn bad_requests(stack: &Stack) {
    for (body, status) in [
        ("", 400),
        ("{", 400),
        (r#"{"action": "purchase"}"#, 400),
        (r#"{"user_id": 0, "action": "purchase"}"#, 400),
        (r#"{"user_id": "1", "action": "purchase"}"#, 400),
        (r#"{"user_id": 1, "action": "drop table users; --"}"#, 400),
        (r#"{"user_id": 1, "action": "buy", "user_email": "nobody"}"#, 400),
        (r#"{"user_id": 1, "action": "buy", "items": [{"symbol": "BTCUSDT", "quantity": -1}]}"#, 400),
        (r#"{"user_id": 1, "action": "buy", "items": [{"symbol": "NOPEUSDT", "quantity": 1}]}"#, 404),
        (r#"{"user_id": 1, "action": "buy", "context": {}}"#, 400),
    ] {
        let (found, _, problem) = stack.process(body, None);
        assert_eq!(found, status, "{body} → {problem}");
        let sentence = problem["detail"].as_str().unwrap();
        assert!(sentence.len() > 15 && problem["trace_id"].as_str().unwrap().len() == 32, "{body} → {problem}");
    }
}
