//! Recording and reading.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use serde_json::{Value, json};
use storage::testing::TestDatabase;
use telemetry::testing::{attribute, finished_spans};
use web::RunningServer;
use web::testing::{call, eventually, fake, get, post, post_text, ready, url};

pub(crate) async fn start(database: &TestDatabase) -> RunningServer {
    telemetry::testing::init();
    let server = audit::start(audit::Config::ephemeral(database.settings(), None)).await.unwrap();
    ready(&server).await;
    server
}

/// As order-service hands it on.
fn request(order: &str) -> Value {
    json!({
        "user_id": 7, "user_name": "Ann", "action": "purchase", "decision_id": "0123456789abcdef0123456789abcdef",
        "context": {
            "request_id": "r-1", "idempotency_key": format!("key-{order}"),
            "order": {
                "id": order, "user_id": 7, "action": "purchase", "total": "46.224", "currency": "USDT", "items": [],
                "decision_id": null, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "created_at": "2026-01-01T00:00:00Z"
            },
            "business": {"fraud-check": {"score": 3}},
        },
    })
}

fn order(number: u32) -> String {
    format!("{number:032x}")
}

pub(crate) async fn a_request_is_recorded_with_its_context(database: TestDatabase) {
    let server = start(&database).await;
    let reply = post(&url(&server, "/process"), &request(&order(1))).await;
    let body = reply.ok();
    assert_eq!(reply.header("idempotent-replayed"), "");
    assert_eq!(
        (body["parts"].as_array().unwrap().len(), body["parts"][0]["service"].as_str()),
        (1, Some("audit-service"))
    );
    let row = get(&url(&server, "/audit")).await.ok()["items"][0].clone();
    assert_eq!(row["id"], body["parts"][0]["data"]["audit"]["id"]);
    assert_eq!(row["order_id"], order(1));
    assert_eq!(row["decision_id"], "0123456789abcdef0123456789abcdef");
    assert_eq!(row["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736", "the request's own trace");
    // The whole of it, to the last member, also of services that are not known here.
    assert_eq!(row["context"]["context"]["business"], json!({"fraud-check": {"score": 3}}));
    assert_eq!(row["context"]["context"]["order"]["total"], "46.224");
    assert_eq!(row["context"]["user_name"], "Ann");
    server.stop().await;
}

/// Whoever looks at a late row's span sees that it was late and why, and which way the request came. What services hand on
/// is shown only where personal data is.
pub(crate) async fn the_context_is_on_the_span(database: TestDatabase) {
    telemetry::testing::init();
    for (number, switched_on) in [(1, false), (2, true)] {
        let mut config = audit::Config::ephemeral(database.settings(), None);
        config.chain.trace_personal_data = switched_on;
        let server = audit::start(config).await.unwrap();
        ready(&server).await;
        let mut request = request(&order(number));
        // The same orders are recorded on the other engine: the decision is this one's alone.
        let decision = uuid::Uuid::new_v4().simple().to_string();
        request["decision_id"] = json!(decision);
        request["context"]["hops"] = json!([
            {"service": "api-gateway", "version": "1.0.0", "at": "2026-01-01T00:00:00Z", "worked_ms": 1},
            {"service": "order-service", "version": "1.2.0", "at": "2026-01-01T00:00:00Z", "worked_ms": 2},
        ]);
        request["context"]["errors"] = json!([{
            "service": "order-service", "code": "next_service_deferred", "detail": "audit-service was away",
            "recovery": "Handed on from the outbox.",
        }]);
        post(&url(&server, "/process"), &request).await.ok();
        let span = eventually("the span", async || {
            finished_spans().into_iter().find(|span| {
                span.name == "AuditService.process"
                    && attribute(span, "decision.id").as_deref() == Some(decision.as_str())
            })
        })
        .await;
        assert_eq!(attribute(&span, "request.id").as_deref(), Some("r-1"));
        assert_eq!(attribute(&span, "chain.hops").as_deref(), Some("api-gateway 1.0.0 > order-service 1.2.0"));
        let recovered = span.events.iter().find(|event| event.name == "recovered").unwrap();
        let told = format!("{:?}", recovered.attributes);
        assert!(told.contains("next_service_deferred") && told.contains("audit-service was away"), "{told}");
        let business = attribute(&span, "chain.business");
        assert_eq!(business.as_deref(), switched_on.then_some(r#"{"fraud-check":{"score":3}}"#));
        server.stop().await;
    }
}

pub(crate) async fn an_event_is_recorded_once(database: TestDatabase) {
    let server = start(&database).await;
    let first = post(&url(&server, "/process"), &request(&order(1))).await.ok();
    for _ in 0..3 {
        let again = post(&url(&server, "/process"), &request(&order(1))).await;
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert_eq!(again.ok()["parts"][0]["data"], first["parts"][0]["data"]);
    }
    // Another process on the same database knows it too.
    let second = start(&database).await;
    assert_eq!(post(&url(&second, "/process"), &request(&order(1))).await.header("idempotent-replayed"), "true");
    assert_eq!(get(&url(&second, "/audit")).await.ok()["items"].as_array().unwrap().len(), 1);
    // Without an order, the key tells.
    let keyed = json!({"user_id": 7, "action": "test", "context": {"idempotency_key": "k"}});
    post(&url(&server, "/process"), &keyed).await.ok();
    post(&url(&second, "/process"), &keyed).await.ok();
    // And without either, every request is an event.
    let bare = json!({"user_id": 7, "action": "test"});
    post(&url(&server, "/process"), &bare).await.ok();
    post(&url(&server, "/process"), &bare).await.ok();
    assert_eq!(get(&url(&server, "/audit")).await.ok()["items"].as_array().unwrap().len(), 4);
    server.stop().await;
    second.stop().await;
}

pub(crate) async fn many_deliveries_at_once_make_one_row(database: TestDatabase) {
    let (one, other) = (start(&database).await, start(&database).await);
    let calls: Vec<_> = (0..20)
        .map(|number| {
            let address = url(if number % 2 == 0 { &one } else { &other }, "/process");
            actix_web::rt::spawn(async move { post(&address, &request(&order(1))).await.ok() })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for call in calls {
        ids.insert(call.await.unwrap()["parts"][0]["data"]["audit"]["id"].as_i64().unwrap());
    }
    assert_eq!(ids.len(), 1, "everybody is told of the same row");
    assert_eq!(get(&url(&one, "/audit")).await.ok()["items"].as_array().unwrap().len(), 1);
    one.stop().await;
    other.stop().await;
}

pub(crate) async fn rows_are_never_changed(database: TestDatabase) {
    let server = start(&database).await;
    post(&url(&server, "/process"), &request(&order(1))).await.ok();
    for method in ["PUT", "PATCH", "DELETE", "POST"] {
        let reply = call(method, &url(&server, "/audit")).await;
        assert_eq!(reply.status, 405, "{method}: {}", reply.text);
        let reply = call(method, &url(&server, "/audit/1")).await;
        assert_eq!(reply.status, 404, "{method}: {}", reply.text);
    }
    // Nor by whoever has the database.
    for statement in ["UPDATE audit_logs SET action = 'nothing'", "DELETE FROM audit_logs"] {
        let refused = run(&database, statement).await.unwrap_err().to_string();
        assert!(refused.contains("never"), "{statement}: {refused}");
    }
    if database.engine() == "postgresql" {
        let refused = run(&database, "TRUNCATE audit_logs").await.unwrap_err().to_string();
        assert!(refused.contains("never"), "{refused}");
    } else {
        // REPLACE asks no trigger against deleting.
        let replace = "INSERT OR REPLACE INTO audit_logs (id, event_id, user_id, action, context, recorded_at) \
                       SELECT id, event_id, user_id, 'nothing', context, recorded_at FROM audit_logs";
        run(&database, replace).await.unwrap();
    }
    assert_eq!(get(&url(&server, "/audit")).await.ok()["items"][0]["action"], "purchase");
    server.stop().await;
}

/// With a connection that is not the service's.
pub(crate) async fn run(database: &TestDatabase, statement: &'static str) -> Result<(), sqlx::Error> {
    use sqlx::{Connection as _, Executor as _};
    match database.folder() {
        Some(folder) => {
            let file = format!("sqlite://{}/audit-service.db", folder.display());
            sqlx::SqliteConnection::connect(&file).await?.execute(statement).await.map(drop)
        }
        None => {
            let mut connection = sqlx::PgConnection::connect(database.url()).await?;
            connection.execute("SET search_path TO audit_service").await?;
            connection.execute(statement).await.map(drop)
        }
    }
}

pub(crate) async fn the_trail_is_read_in_pages(database: TestDatabase) {
    let server = start(&database).await;
    for number in 1..=7 {
        let mut request = request(&order(number));
        request["user_id"] = json!(if number % 2 == 0 { 8 } else { 7 });
        post(&url(&server, "/process"), &request).await.ok();
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(&url(&server, &format!("/audit?limit=3{cursor}"))).await.ok();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        seen.extend(items.iter().map(|row| row["order_id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, (1..=7).rev().map(order).collect::<Vec<_>>(), "newest first, each once");
    let of = |page: Value| page["items"].as_array().unwrap().len();
    assert_eq!(of(get(&url(&server, "/audit?user_id=8")).await.ok()), 3);
    let trace = "4BF92F3577B34DA6A3CE929D0E0E4736";
    assert_eq!(of(get(&url(&server, &format!("/audit?trace_id={trace}"))).await.ok()), 7);
    assert_eq!(of(get(&url(&server, &format!("/audit?trace_id={trace}&user_id=7"))).await.ok()), 4);
    assert_eq!(of(get(&url(&server, "/audit?user_id=99")).await.ok()), 0);
    let described = get(&url(&server, "/openapi.json")).await.ok();
    let parameters = described["paths"]["/audit"]["get"]["parameters"].to_string();
    for name in ["limit", "cursor", "user_id", "trace_id"] {
        assert!(parameters.contains(&format!("\"{name}\"")), "{name} is not described: {parameters}");
    }
    server.stop().await;
}

pub(crate) async fn bad_input_gets_a_sentence(database: TestDatabase) {
    let server = start(&database).await;
    for (query, code, says) in [
        ("limit=0", "bad_limit", "from 1 to 200"),
        ("limit=201", "bad_limit", "from 1 to 200"),
        ("limit=-1", "bad_limit", "from 1 to 200"),
        ("limit=999999", "bad_limit", "from 1 to 200"),
        ("cursor=x", "bad_cursor", "next_cursor"),
        ("user_id=-1", "bad_query", "user_id is a whole number"),
        ("user_id=x", "bad_query", "user_id is a whole number"),
        ("trace_id=zz", "bad_query", "32 hex digits"),
    ] {
        let problem = get(&url(&server, &format!("/audit?{query}"))).await.problem(400, code);
        assert!(problem["detail"].as_str().unwrap().contains(says), "{query}: {problem}");
    }
    let json_type = [("content-type", "application/json")];
    for body in
        ["", "[]", "{}", r#"[1, null, null, "x"]"#, r#"{"user_id": 1}"#, r#"{"user_id": 1, "action": "x", "extra": 1}"#]
    {
        assert_eq!(post_text(&url(&server, "/process"), &json_type, body).await.status, 400, "{body}");
    }
    assert_eq!(get(&url(&server, "/audit")).await.ok()["items"].as_array().unwrap().len(), 0);
    server.stop().await;
}

pub(crate) async fn a_chain_may_go_on_behind(database: TestDatabase) {
    telemetry::testing::init();
    let behind = fake(|request, body| async move {
        // A stand-in for a service of somebody's own.
        let handed: Value = serde_json::from_slice(&body).unwrap_or_default();
        match request.path() {
            "/health/live" => HttpResponse::Ok().finish(),
            _ => HttpResponse::Ok().json(json!({"parts": [{
                "service": "archive", "status": "done", "worked_ms": 1, "data": {"hops": handed["context"]["hops"]},
            }]})),
        }
    });
    let server = audit::start(audit::Config::ephemeral(database.settings(), Some(behind))).await.unwrap();
    ready(&server).await;
    let body = eventually("an answer", async || {
        let reply = post(&url(&server, "/process"), &request(&order(1))).await;
        (reply.status == 200).then(|| reply.json())
    })
    .await;
    assert_eq!(body["parts"][1]["service"], "archive", "{body}");
    assert_eq!(body["parts"][1]["data"]["hops"][0]["service"], "audit-service", "{body}");
    server.stop().await;
}
