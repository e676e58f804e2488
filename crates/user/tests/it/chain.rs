//! user-service → order-service → audit-service, and what can stand between them.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use domain::{ChainPart, ChainReply, PartStatus};
use futures_util::{StreamExt as _, stream};
use opentelemetry::trace::{SpanKind, TraceId};
use opentelemetry_sdk::trace::SpanData;
use serde_json::json;
use storage::DatabaseSettings;
use storage::testing::TestDatabase;
use telemetry::testing::{attribute, finished_spans};
use url::Url;
use web::RunningServer;
use web::testing::{eventually, fake, get, post, ready, url};

use crate::fraud_check::FraudCheck;

/// Everything behind the gateway.
struct Chain {
    user: RunningServer,
    order: RunningServer,
    audit: RunningServer,
    market_data: RunningServer,
    simulator: RunningServer,
}

impl Chain {
    /// `between` makes the service between user and order, if there is to be one, from order-service's address.
    async fn start(database: &DatabaseSettings, between: impl FnOnce(Url) -> Url) -> Self {
        telemetry::testing::init();
        let simulator = simulator::start(simulator::Config::ephemeral()).await.unwrap();
        let address = format!("http://{}", simulator.addr());
        let config = market_data::Config::ephemeral(&address, &address.replace("http://", "ws://")).unwrap();
        let market_data = market_data::start(config).await.unwrap();
        let audit = audit::start(audit::Config::ephemeral(database.clone(), None)).await.unwrap();
        let config = order::Config::ephemeral(database.clone(), market_data.base_url(), Some(audit.base_url()));
        let order = order::start(config).await.unwrap();
        let config = user::Config::ephemeral(database.clone(), Some(between(order.base_url())));
        let user = user::start(config).await.unwrap();
        Self { user, order, audit, market_data, simulator }
    }

    async fn ready(&self) {
        for server in [&self.market_data, &self.audit, &self.order, &self.user] {
            ready(server).await;
        }
    }

    async fn stop(self) {
        for server in [self.user, self.order, self.audit, self.market_data, self.simulator] {
            server.stop().await;
        }
    }
}

fn purchase() -> serde_json::Value {
    purchase_of("k")
}

fn purchase_of(key: &str) -> serde_json::Value {
    json!({"user_id": 1001, "user_name": "John Doe", "action": "purchase", "context": {"idempotency_key": key}})
}

fn services(reply: &serde_json::Value) -> Vec<&str> {
    reply["parts"].as_array().unwrap().iter().map(|part| part["service"].as_str().unwrap()).collect()
}

async fn whole_trace(trace_id: &str, servers: usize) -> Vec<SpanData> {
    let id = TraceId::from_hex(trace_id).unwrap();
    eventually("every service's span has ended", async || {
        let spans: Vec<SpanData> =
            finished_spans().into_iter().filter(|span| span.span_context.trace_id() == id).collect();
        let ended = spans.iter().filter(|span| span.name == "POST /process" && span.span_kind == SpanKind::Server);
        (ended.count() >= servers).then_some(spans)
    })
    .await
}

pub(crate) async fn the_whole_chain_is_one_trace(database: TestDatabase) {
    let chain = Chain::start(&database.settings(), |order| order).await;
    chain.ready().await;
    let reply = post(&url(&chain.user, "/process"), &purchase()).await.ok();
    assert_eq!(services(&reply), ["user-service", "order-service", "audit-service"]);
    assert!(reply["parts"].as_array().unwrap().iter().all(|part| part["status"] == "done"), "{reply}");
    let row = get(&url(&chain.audit, "/audit")).await.ok()["items"][0].clone();
    let hops: Vec<&str> = row["context"]["context"]["hops"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hop| hop["service"].as_str().unwrap())
        .collect();
    assert_eq!(hops, ["user-service", "order-service"], "the technical context came along");
    assert_eq!(row["context"]["context"]["user"]["name"], "John Doe", "and who it is for");
    assert_eq!(row["order_id"], reply["parts"][1]["data"]["order"]["id"]);

    let spans = whole_trace(row["trace_id"].as_str().unwrap(), 3).await;
    for name in ["UserService.process", "OrderService.process", "OrderService.price_item", "AuditService.process"] {
        let span = spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}"));
        assert!(attribute(span, "user.id").is_none_or(|id| id == "1001"));
    }
    for query in ["INSERT users", "INSERT orders", "INSERT order_items", "INSERT audit_logs"] {
        assert!(spans.iter().any(|span| span.name == query), "no span of {query}");
    }
    chain.stop().await;
}

/// The service is made of what docs/CHAIN.md says and of nothing that is ours.
pub(crate) async fn another_service_can_be_put_into_it(database: TestDatabase) {
    let mut own = None;
    let chain = Chain::start(&database.settings(), |order| {
        let server = FraudCheck::start(order.as_str());
        own.insert(server).url().parse().unwrap()
    })
    .await;
    chain.ready().await;
    let reply = post(&url(&chain.user, "/process"), &purchase()).await.ok();
    assert_eq!(services(&reply), ["user-service", "fraud-check", "order-service", "audit-service"]);
    assert_eq!(reply["parts"][1]["data"]["score"], 3, "{reply}");
    let row = get(&url(&chain.audit, "/audit")).await.ok()["items"][0].clone();
    assert_eq!(row["context"]["context"]["business"]["fraud-check"]["score"], 3, "{row}");
    let spans = whole_trace(row["trace_id"].as_str().unwrap(), 3).await;
    // It makes no spans, so order-service's hangs below the call that reached it.
    let order = spans.iter().find(|span| span.name == "OrderService.process").unwrap();
    let served = spans.iter().find(|span| span.span_context.span_id() == order.parent_span_id).unwrap();
    let caller = spans.iter().find(|span| span.span_context.span_id() == served.parent_span_id);
    assert_eq!(caller.map(|span| span.span_kind.clone()), Some(SpanKind::Client), "{spans:?}");
    // That an answer is a repeated one is told on.
    let direct = format!("{}/process", own.as_ref().unwrap().url());
    for replayed in ["", "true"] {
        let answer = post(&direct, &purchase_of("direct")).await;
        assert_eq!((answer.status, answer.header("idempotent-replayed")), (200, replayed), "{}", answer.text);
    }
    // What the services behind it refuse comes back as they said it.
    let unknown = json!({"user_id": 5, "action": "buy", "items": [{"symbol": "NOPEUSDT", "quantity": 1}]});
    let _ = post(&url(&chain.user, "/process"), &unknown).await.problem(404, "unknown_symbol");
    // One that fails behind it is named as it says.
    chain.order.stop().await;
    let problem = post(&url(&chain.user, "/process"), &purchase_of("another")).await;
    assert_eq!((problem.status, problem.json()["upstream"].as_str()), (502, Some("order-service")), "{}", problem.text);
    // Readiness tells of the service itself.
    drop(own);
    eventually("user-service is not ready without it", async || {
        (get(&url(&chain.user, "/health/ready")).await.status == 503).then_some(())
    })
    .await;
    for server in [chain.user, chain.audit, chain.market_data, chain.simulator] {
        server.stop().await;
    }
}

pub(crate) async fn a_link_that_fails_is_named(database: TestDatabase) {
    let chain = Chain::start(&database.settings(), |order| order).await;
    chain.ready().await;
    chain.market_data.stop().await;
    let problem = post(&url(&chain.user, "/process"), &purchase()).await;
    assert_eq!(problem.json()["upstream"], "market-data-service", "the link that failed, not the one that told of it");
    assert_eq!(problem.json()["trace_id"].as_str().unwrap().len(), 32);
    let spans = whole_trace(problem.json()["trace_id"].as_str().unwrap(), 2).await;
    let failed: Vec<&SpanData> =
        spans.iter().filter(|span| span.events.iter().any(|event| event.name == "exception")).collect();
    assert!(failed.len() >= 3, "item, order and user each have the exception: {failed:?}");
    let told = format!("{:?}", failed.iter().map(|span| &span.events).collect::<Vec<_>>());
    assert!(told.contains("caused by: "), "with what caused it: {told}");
    chain.order.stop().await;
    let problem = post(&url(&chain.user, "/process"), &purchase()).await;
    assert_eq!(problem.json()["upstream"], "order-service", "{}", problem.text);
    for server in [chain.user, chain.audit, chain.simulator] {
        server.stop().await;
    }
    // A service that answers with something else is named too.
    let odd = fake(|_, _| async { HttpResponse::Ok().json(ChainReply { parts: Vec::<ChainPart>::new() }) });
    let config = user::Config::ephemeral(database.settings(), Some(odd));
    let user = user::start(config).await.unwrap();
    ready(&user).await;
    let problem = post(&url(&user, "/process"), &purchase()).await;
    assert_eq!(
        (problem.status, problem.json()["code"].as_str()),
        (502, Some("upstream_malformed")),
        "{}",
        problem.text
    );
    assert_eq!(serde_json::to_value(PartStatus::Done).unwrap(), "done");
    user.stop().await;
}

/// 1,000 requests of 50 users, 64 at a time, a fifth of them sent twice: an order and an audit row each, and no user twice.
pub(crate) async fn a_thousand_requests_at_once(database: TestDatabase) {
    const REQUESTS: usize = 1_000;
    let chain = Chain::start(&database.settings(), |order| order).await;
    chain.ready().await;
    let address = url(&chain.user, "/process");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let replies: Vec<(usize, String)> = stream::iter(0..REQUESTS)
        .map(|number| {
            let (http, address) = (http.clone(), address.clone());
            async move {
                let body = json!({
                    "user_id": 1 + number % 50, "action": "purchase",
                    "items": [{"symbol": "ETHUSDT", "quantity": "0.25"}],
                    "context": {"idempotency_key": format!("k{number}")},
                });
                let send = || async {
                    let reply = http.post(&address).json(&body).send().await.unwrap();
                    (reply.status().as_u16(), reply.json::<serde_json::Value>().await.unwrap())
                };
                // Both at once: the second is told that the first is being worked on, or gets its answer.
                let (first, second) = if number % 5 == 0 {
                    let (first, second) = futures_util::future::join(send(), send()).await;
                    (first, Some(second))
                } else {
                    (send().await, None)
                };
                let answers = [Some(first), second].into_iter().flatten();
                let (done, refused): (Vec<_>, Vec<_>) = answers.partition(|(status, _)| *status == 200);
                assert!(refused.iter().all(|(_, body)| body["code"] == "key_in_progress"), "{refused:?}");
                let ids: BTreeSet<String> = done
                    .iter()
                    .map(|(_, reply)| reply["parts"][1]["data"]["order"]["id"].as_str().unwrap().to_owned())
                    .collect();
                assert_eq!(ids.len(), 1, "one order a key: {done:?}");
                (number, ids.into_iter().next().unwrap())
            }
        })
        .buffer_unordered(64)
        .collect()
        .await;
    let told: BTreeSet<String> = replies.into_iter().map(|(_, id)| id).collect();
    assert_eq!(told.len(), REQUESTS);
    assert_eq!(every(&chain.order, "/orders", "id").await, told, "every order that somebody was told of, and no other");
    let audited = eventually("every order is audited", async || {
        let audited = every(&chain.audit, "/audit", "order_id").await;
        (audited.len() >= REQUESTS).then_some(audited)
    })
    .await;
    assert_eq!(audited, told, "one audit row an order");
    assert_eq!(every(&chain.user, "/users", "id").await.len(), 50, "no user twice");
    chain.stop().await;
}

/// One member of every entry of a list, through all its pages; no value twice.
async fn every(server: &RunningServer, path: &str, member: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let page = get(&url(server, &format!("{path}?limit=200{cursor}"))).await.ok();
        for entry in page["items"].as_array().unwrap() {
            assert!(found.insert(entry[member].to_string().trim_matches('"').to_owned()), "{member} twice: {entry}");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

/// A user's request that nobody can serve is no failure, and every service refuses what no database would take.
pub(crate) async fn what_is_refused_is_no_failure(database: TestDatabase) {
    let chain = Chain::start(&database.settings(), |order| order).await;
    chain.ready().await;
    let unknown = json!({"user_id": 5, "action": "buy", "items": [{"symbol": "NOPEUSDT", "quantity": 1}]});
    let refused = post(&url(&chain.user, "/process"), &unknown).await.problem(404, "unknown_symbol");
    let spans = whole_trace(refused["trace_id"].as_str().unwrap(), 2).await;
    let failed: Vec<_> = spans
        .iter()
        .filter(|span| span.events.iter().any(|event| event.name == "exception"))
        .map(|span| span.name.clone())
        .collect();
    assert!(failed.is_empty(), "a client's mistake is no exception: {failed:?}");
    for server in [&chain.user, &chain.order, &chain.audit] {
        for context in [
            json!({"idempotency_key": "a\u{0}b"}),
            json!({"idempotency_key": "k".repeat(16_384)}),
            json!({"business": {"x": "a\u{0}b"}}),
            json!({"business": {"x": "y".repeat(100_000)}}),
            json!({"unknown": 1}),
        ] {
            let body = json!({"user_id": 5, "action": "x", "context": context});
            let reply = post(&url(server, "/process"), &body).await;
            assert_eq!(reply.status, 400, "{}: {}", server.base_url(), reply.text);
        }
    }
    assert_eq!(every(&chain.audit, "/audit", "id").await.len(), 0);
    chain.stop().await;
}

pub(crate) async fn a_chain_that_begins_without_its_databases(database: TestDatabase) {
    telemetry::testing::init();
    if database.engine() == "sqlite" {
        // A folder that cannot be made is not away: it is a setting that cannot be used.
        let nowhere = DatabaseSettings::at("sqlite:///dev/null/folder/");
        let refused = user::start(user::Config::ephemeral(nowhere, None)).await.err().unwrap();
        assert!(refused.to_string().contains("DATABASE_URL"), "{refused}");
        return;
    }
    // Nobody listens there.
    let away = DatabaseSettings::at("postgres://nobody@127.0.0.1:1/none");
    let user = user::start(user::Config::ephemeral(away, None)).await.unwrap();
    let refused = post(&url(&user, "/process"), &purchase()).await;
    let problem = refused.problem(503, "database_away");
    assert!(problem.get("upstream").is_none(), "the service's own database is the service: {problem}");
    // Whoever comes before it says which service that was.
    let before = user::Config::ephemeral(database.settings(), Some(user.base_url()));
    let before = user::start(before).await.unwrap();
    let told = eventually("its own database is there", async || {
        let reply = post(&url(&before, "/process"), &purchase()).await;
        (reply.json()["upstream"] == "order-service").then_some(reply)
    })
    .await;
    let _ = told.problem(503, "database_away");
    before.stop().await;
    assert_eq!(get(&url(&user, "/health/live")).await.status, 200);
    let ready = get(&url(&user, "/health/ready")).await;
    assert_eq!((ready.status, ready.json()["checks"][0]["name"].as_str()), (503, Some("database")), "{}", ready.text);
    user.stop().await;
}

/// As it is after 24 hours: user-service has forgotten the key, order-service never does.
pub(crate) async fn a_key_that_user_service_has_forgotten_is_still_that_order_s(database: TestDatabase) {
    let mut chain = Chain::start(&database.settings(), |order| order).await;
    chain.ready().await;
    let first = post(&url(&chain.user, "/process"), &purchase()).await;
    assert_eq!(first.header("idempotent-replayed"), "");
    let first = first.ok();
    let forgotten = || if database.engine() == "sqlite" { TestDatabase::sqlite() } else { TestDatabase::postgres() };
    let after_a_day = async |chain: &mut Chain, database: &TestDatabase| {
        let config = user::Config::ephemeral(database.settings(), Some(chain.order.base_url()));
        let before = std::mem::replace(&mut chain.user, user::start(config).await.unwrap());
        before.stop().await;
        ready(&chain.user).await;
    };
    let (one, other) = (forgotten(), forgotten());
    after_a_day(&mut chain, &one).await;
    let again = post(&url(&chain.user, "/process"), &purchase()).await;
    assert_eq!(again.header("idempotent-replayed"), "true", "{}", again.text);
    assert_eq!(again.ok()["parts"][1]["data"]["order"]["id"], first["parts"][1]["data"]["order"]["id"]);
    // The key is not free for another request.
    after_a_day(&mut chain, &other).await;
    let mut another = purchase();
    another["action"] = json!("sell");
    post(&url(&chain.user, "/process"), &another).await.problem(422, "key_mismatch");
    for (server, path) in [(&chain.order, "/orders"), (&chain.audit, "/audit")] {
        assert_eq!(get(&url(server, path)).await.ok()["items"].as_array().unwrap().len(), 1, "{path}");
    }
    chain.stop().await;
}
