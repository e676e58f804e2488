//! Journeys through a gateway that keeps count.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use actix_web::web::{Bytes, Data, Path, Query, ServiceConfig, get, post};
use actix_web::{HttpRequest, HttpResponse};
use domain::{PageQuery, ProcessRequest};
use serde_json::json;

use super::super::journeys::Step;
use super::{ANSWER, Fake, plan, run};

/// What the gateway saw.
#[derive(Default)]
struct Seen {
    /// Requests by kind.
    counts: BTreeMap<&'static str, u64>,
    /// Idempotency keys, how often each came, and with what.
    keys: BTreeMap<String, (u64, Bytes)>,
    users: BTreeSet<i64>,
    actions: BTreeSet<String>,
    cursors: BTreeSet<String>,
    api_keys: BTreeSet<Option<String>>,
    /// Keys that were given a second order.
    lies: u64,
    lying: bool,
}

type Shared = Arc<Mutex<Seen>>;

fn see(seen: &Shared, request: &HttpRequest, kind: &'static str) {
    let mut seen = seen.lock().unwrap();
    *seen.counts.entry(kind).or_default() += 1;
    let key = request.headers().get("x-api-key").map(|key| key.to_str().unwrap().to_owned());
    seen.api_keys.insert(key);
}

async fn ask(seen: Data<Shared>, request: HttpRequest) -> HttpResponse {
    see(&seen, &request, "ask");
    HttpResponse::Ok().body(ANSWER)
}

async fn process(seen: Data<Shared>, request: HttpRequest, body: Bytes) -> HttpResponse {
    see(&seen, &request, "process");
    let key = request.headers().get("idempotency-key").unwrap().to_str().unwrap().to_owned();
    let read: ProcessRequest = serde_json::from_slice(&body).unwrap();
    let mut seen = seen.lock().unwrap();
    seen.users.insert(read.user_id.get());
    seen.actions.insert(read.action.to_string());
    let known = seen.keys.entry(key.clone()).or_insert_with(|| (0, body.clone()));
    known.0 += 1;
    assert_eq!(known.1, body, "one key, one request");
    let lie = known.0 > 1 && seen.lying;
    seen.lies += u64::from(lie);
    let order = if lie { "another".to_owned() } else { format!("order of {key}") };
    HttpResponse::Ok().json(json!({"status": "done", "request_id": "r", "services": [
        {"service": "user-service", "status": "done", "worked_ms": 1, "data": {"id": 1001}},
        {"service": "order-service", "status": "done", "worked_ms": 1, "data": {"order": {"id": order}}},
    ]}))
}

async fn orders(seen: Data<Shared>, request: HttpRequest, query: Query<PageQuery>) -> HttpResponse {
    assert_eq!(query.limit.as_deref(), Some("20"));
    let Some(cursor) = query.into_inner().cursor else {
        see(&seen, &request, "orders");
        return HttpResponse::Ok().json(json!({"items": [{"user_id": 1001}, {"user_id": 1002}], "next_cursor": "a&b"}));
    };
    see(&seen, &request, "orders_next");
    seen.lock().unwrap().cursors.insert(cursor);
    HttpResponse::Ok().json(json!({"items": [], "next_cursor": null}))
}

fn gateway(seen: &Shared) -> impl Fn(&mut ServiceConfig) + Clone + use<> {
    let seen = seen.clone();
    move |config| {
        let user = async |seen: Data<Shared>, request: HttpRequest, id: Path<i64>| {
            see(&seen, &request, "user");
            assert!(matches!(*id, 1001 | 1002), "nobody with id {id} has ordered");
            HttpResponse::Ok().json(json!({"id": *id, "name": null}))
        };
        let fixed = |kind: &'static str, body: serde_json::Value| {
            get().to(move |seen: Data<Shared>, request: HttpRequest| {
                see(&seen, &request, kind);
                let body = body.clone();
                async move { HttpResponse::Ok().json(body) }
            })
        };
        config
            .app_data(Data::new(seen.clone()))
            .route("/api/v1/ask", post().to(ask))
            .route("/api/v1/process", post().to(process))
            .route("/api/v1/orders", get().to(orders))
            .route("/api/v1/users/{id}", get().to(user))
            .route("/api/v1/prices/{symbol}", fixed("price", json!({"price": "46224.00"})))
            .route("/api/v1/candles/{symbol}", fixed("candles", json!({"candles": []})))
            .route("/api/v1/audit", fixed("audit", json!({"items": [], "next_cursor": null})));
    }
}

#[actix_web::test]
async fn every_step_reaches_the_gateway_and_is_counted() {
    let seen = Shared::default();
    let server = Fake::start(gateway(&seen));
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), "k3y\n").unwrap();
    let report = run(&plan(&[
        "--gateway-url",
        &server.url,
        "--api-key-file",
        key.path().to_str().unwrap(),
        "--journeys",
        "ask=5,process=3,reads=2",
        "--rate",
        "500",
        "--for",
        "1s",
        "--repeat-percent",
        "50",
    ]))
    .await;
    let all = &report.tally.all;
    assert_eq!((report.tally.begun(), all.failed(), all.rate_limited), (500, 0, 0), "{:?}", all.failures);
    let sent: BTreeMap<Step, u64> = report
        .tally
        .walks
        .iter()
        .flat_map(|walks| &walks.steps)
        .map(|(step, requests)| (*step, requests.answered()))
        .collect();
    let seen = seen.lock().unwrap();
    let at = |kind: &str| seen.counts[kind];
    assert_eq!(sent[&Step::Process] + sent[&Step::ProcessAgain], at("process"));
    for step in [Step::Ask, Step::Price, Step::Candles, Step::Orders, Step::OrdersNext, Step::User, Step::Audit] {
        assert_eq!(sent[&step], at(step.name()), "{}", step.name());
        assert!(sent[&step] > 0, "{}", step.name());
    }
    assert_eq!(seen.counts.values().sum::<u64>(), all.sent);
    for walks in &report.tally.walks {
        assert_eq!((walks.latencies.count(), walks.failed), (walks.begun, 0));
    }
    let twice = seen.keys.values().filter(|(times, _)| *times == 2).count();
    assert_eq!(u64::try_from(twice).unwrap(), sent[&Step::ProcessAgain]);
    assert_eq!(u64::try_from(seen.keys.len()).unwrap(), sent[&Step::Process], "a key of its own each");
    assert!(seen.users.iter().all(|id| (1_001..=1_050).contains(id)), "{:?}", seen.users);
    assert_eq!(seen.actions.iter().collect::<Vec<_>>(), ["purchase", "test_trace"]);
    assert_eq!(seen.cursors.iter().collect::<Vec<_>>(), ["a&b"]);
    assert_eq!(seen.api_keys.iter().collect::<Vec<_>>(), [&Some("k3y".to_owned())]);
}

#[actix_web::test]
async fn a_second_order_for_one_key_is_an_error() {
    let seen = Shared::default();
    seen.lock().unwrap().lying = true;
    let server = Fake::start(gateway(&seen));
    let line = ["--journeys", "process", "--rate", "200", "--for", "250ms", "--repeat-percent", "40"];
    let report = run(&plan(&[&line[..], &["--gateway-url", &server.url]].concat())).await;
    let lies = seen.lock().unwrap().lies;
    assert!(lies > 0 && lies < 50, "{lies} of 50");
    let failures: Vec<(String, u64)> = report.tally.all.failures.clone().into_iter().collect();
    assert_eq!(failures, [("not_idempotent".to_owned(), lies)]);
    assert_eq!((report.tally.all.answered(), report.tally.walks[0].failed), (50, lies));
    // The next run has keys of its own, even with the same seed: none of its orders is one of these.
    run(&plan(&[&line[..], &["--gateway-url", &server.url]].concat())).await;
    assert_eq!(seen.lock().unwrap().keys.len(), 100);
}

#[actix_web::test]
async fn a_purchase_without_an_order_is_no_answer() {
    let server = Fake::start(|config| {
        let nothing = async || HttpResponse::Ok().json(json!({"status": "done", "request_id": "r", "services": []}));
        config.route("/api/v1/process", post().to(nothing));
    });
    let line = ["--journeys", "process", "--rate", "200", "--for", "200ms"];
    let report = run(&plan(&[&line[..], &["--gateway-url", &server.url]].concat())).await;
    let failed = report.tally.all.failures.get("no_order_id").copied().unwrap_or(0);
    let walks = &report.tally.walks[0];
    assert!(failed > 0 && failed < 40, "purchases fail, test_trace does not: {failed} of 40");
    assert_eq!((walks.failed, walks.latencies.count()), (failed, 40 - failed));
}
