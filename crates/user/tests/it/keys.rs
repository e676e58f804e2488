//! Idempotency keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix_web::HttpResponse;
use cache::CacheSettings;
use cache::testing::Server;
use serde_json::{Value, json};
use storage::testing::TestDatabase;
use tokio::sync::Notify;
use web::RunningServer;
use web::testing::{Reply, eventually, fake, get, post, ready, url};

/// A stand-in for the next service: counts its calls, answers when it may, and how it is told.
#[derive(Clone, Default)]
struct Next {
    calls: Arc<AtomicU32>,
    failing: Arc<AtomicU32>,
    held: Arc<std::sync::atomic::AtomicBool>,
    replays: Arc<std::sync::atomic::AtomicBool>,
    release: Arc<Notify>,
}

impl Next {
    async fn behind(&self, database: &TestDatabase) -> RunningServer {
        self.behind_with(database, &CacheSettings::none()).await
    }

    /// With a cache, which is connected when this returns.
    async fn behind_with(&self, database: &TestDatabase, cache: &CacheSettings) -> RunningServer {
        telemetry::testing::init();
        let next = self.clone();
        let address = fake(move |request, _body| {
            let next = next.clone();
            async move {
                if request.path() != "/process" {
                    return HttpResponse::Ok().finish();
                }
                let call = next.calls.fetch_add(1, Ordering::SeqCst) + 1;
                if next.held.load(Ordering::SeqCst) {
                    next.release.notified().await;
                }
                if next.failing.load(Ordering::SeqCst) > 0 {
                    next.failing.fetch_sub(1, Ordering::SeqCst);
                    return HttpResponse::BadRequest().finish();
                }
                let mut answer = HttpResponse::Ok();
                if next.replays.load(Ordering::SeqCst) {
                    answer.insert_header(("idempotent-replayed", "true"));
                }
                answer.json(json!({"parts": [{
                    "service": "stand-in", "status": "done", "worked_ms": 0, "data": {"call": call},
                }]}))
            }
        });
        let config =
            user::Config { cache: cache.clone(), ..user::Config::ephemeral(database.settings(), Some(address)) };
        let server = user::start(config).await.unwrap();
        ready(&server).await;
        if cache.redis_url.is_some() {
            eventually("its cache is there", async || (cache_status(&server).await == "ok").then_some(())).await;
        }
        server
    }
}

/// What the service says of its cache.
async fn cache_status(server: &RunningServer) -> String {
    let checks = get(&url(server, "/health/ready")).await.json()["checks"].take();
    let cache = checks.as_array().unwrap().iter().find(|check| check["name"] == "cache").unwrap();
    cache["status"].as_str().unwrap().to_owned()
}

fn keyed(key: &str) -> Value {
    json!({"user_id": 7, "action": "purchase", "context": {"idempotency_key": key}})
}

async fn process(server: &RunningServer, body: &Value) -> Reply {
    post(&url(server, "/process"), body).await
}

pub(crate) async fn a_repetition_gets_the_first_answer(database: TestDatabase) {
    let next = Next::default();
    let server = next.behind(&database).await;
    let first = process(&server, &keyed("k")).await;
    assert_eq!(first.header("idempotent-replayed"), "");
    let again = process(&server, &keyed("k")).await;
    assert_eq!((again.header("idempotent-replayed"), again.ok()), ("true", first.ok()));
    server.stop().await;
    // Another process knows it too, and nothing was done twice.
    let server = next.behind(&database).await;
    assert_eq!(process(&server, &keyed("k")).await.ok(), first.ok());
    assert_eq!(next.calls.load(Ordering::SeqCst), 1);
    assert_eq!(get(&url(&server, "/users/7")).await.ok()["request_count"], 1);
    // Without a key every request is one.
    process(&server, &json!({"user_id": 7, "action": "purchase"})).await.ok();
    process(&server, &json!({"user_id": 7, "action": "purchase"})).await.ok();
    assert_eq!(next.calls.load(Ordering::SeqCst), 3);
    server.stop().await;
}

pub(crate) async fn a_key_is_for_one_request(database: TestDatabase) {
    let next = Next::default();
    let server = next.behind(&database).await;
    process(&server, &keyed("k")).await.ok();
    for (member, value) in [("user_id", json!(8)), ("action", json!("sell")), ("user_name", json!("Bob"))] {
        let mut other = keyed("k");
        other[member] = value;
        process(&server, &other).await.problem(422, "key_mismatch");
    }
    // What differs between two tries of the same request does not count.
    let mut same = keyed("k");
    same["context"]["request_id"] = json!("another");
    assert_eq!(process(&server, &same).await.header("idempotent-replayed"), "true");
    server.stop().await;
}

pub(crate) async fn a_key_in_use_is_told_so(database: TestDatabase) {
    let next = Next::default();
    let (one, other) = (next.behind(&database).await, next.behind(&database).await);
    next.held.store(true, Ordering::SeqCst);
    let address = url(&one, "/process");
    let first = actix_web::rt::spawn(async move { post(&address, &keyed("k")).await });
    eventually("it is being worked on", async || (next.calls.load(Ordering::SeqCst) == 1).then_some(())).await;
    let refused = process(&other, &keyed("k")).await;
    refused.problem(409, "key_in_progress");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    next.held.store(false, Ordering::SeqCst);
    next.release.notify_waiters();
    let first = first.await.unwrap().ok();
    assert_eq!(process(&other, &keyed("k")).await.ok(), first);
    assert_eq!(next.calls.load(Ordering::SeqCst), 1);
    one.stop().await;
    other.stop().await;
}

pub(crate) async fn a_failure_is_no_answer_to_keep(database: TestDatabase) {
    let next = Next::default();
    let server = next.behind(&database).await;
    next.failing.store(1, Ordering::SeqCst);
    assert_eq!(process(&server, &keyed("k")).await.status, 502);
    let answer = process(&server, &keyed("k")).await;
    assert_eq!((answer.status, answer.header("idempotent-replayed")), (200, ""), "{}", answer.text);
    server.stop().await;
}

pub(crate) async fn a_client_that_hangs_up_stops_nothing(database: TestDatabase) {
    use tokio::io::AsyncWriteExt as _;
    let next = Next::default();
    let server = next.behind(&database).await;
    next.held.store(true, Ordering::SeqCst);
    let body = keyed("k").to_string();
    let mut socket = tokio::net::TcpStream::connect(server.addr()).await.unwrap();
    let request = format!(
        "POST /process HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    eventually("it is being worked on", async || (next.calls.load(Ordering::SeqCst) == 1).then_some(())).await;
    drop(socket);
    next.held.store(false, Ordering::SeqCst);
    // Until the hang-up has been noticed or not: either way the work goes on.
    let answer = eventually("the answer is kept", async || {
        next.release.notify_waiters();
        let reply = process(&server, &keyed("k")).await;
        (reply.status == 200).then_some(reply)
    })
    .await;
    assert_eq!(answer.header("idempotent-replayed"), "true");
    assert_eq!(answer.ok()["parts"][1]["data"]["call"], 1);
    tokio::time::timeout(Duration::from_secs(20), server.stop()).await.unwrap();
}

/// A service behind may remember for longer than this one.
pub(crate) async fn what_a_service_behind_repeats_is_a_repetition(database: TestDatabase) {
    let next = Next::default();
    let server = next.behind(&database).await;
    next.replays.store(true, Ordering::SeqCst);
    let answer = process(&server, &keyed("k")).await;
    assert_eq!((answer.status, answer.header("idempotent-replayed")), (200, "true"), "{}", answer.text);
    // Whoever sends no key repeats nothing: only the link has tried more than once.
    let answer = process(&server, &json!({"user_id": 7, "action": "purchase"})).await;
    assert_eq!((answer.status, answer.header("idempotent-replayed")), (200, ""), "{}", answer.text);
    server.stop().await;
}

/// Two instances with one database and one cache: the second one answers from the cache, as is seen from what was changed
/// there alone.
pub(crate) async fn an_answer_is_shared_and_the_database_is_asked_without_it(database: TestDatabase) {
    let Some(redis) = Server::start() else { return };
    let next = Next::default();
    let one = next.behind_with(&database, &redis.settings()).await;
    let other = next.behind_with(&database, &redis.settings()).await;
    let first = process(&one, &keyed("k")).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (200, ""), "{}", first.text);
    assert_eq!(redis.keys(), ["crypto-telemetry:user-answers:k"]);
    let again = process(&other, &keyed("k")).await;
    assert_eq!((again.header("idempotent-replayed"), again.ok()), ("true", first.ok()));
    // It was the cache that answered: what stands there is what comes.
    let kept: String = redis.ask(&["GET", "crypto-telemetry:user-answers:k"]);
    redis.spoil(&kept.replace("stand-in", "shared"));
    assert_eq!(process(&other, &keyed("k")).await.ok()["parts"][1]["service"], "shared");
    // The key is for one request, whatever the cache holds.
    let mut different = keyed("k");
    different["user_id"] = json!(8);
    process(&other, &different).await.problem(422, "key_mismatch");
    // Garbage, an answer that is none, and nothing at all: the database has the answer.
    for garbage in ["garbage".to_owned(), kept.replace("parts", "bits"), kept.replace("\"until\":", "\"until\":-")] {
        redis.spoil(&garbage);
        let again = process(&other, &keyed("k")).await;
        assert_eq!((again.header("idempotent-replayed"), again.ok()), ("true", first.ok()), "{garbage}");
    }
    let _: String = redis.ask(&["FLUSHALL"]);
    let again = process(&other, &keyed("k")).await;
    assert_eq!((again.header("idempotent-replayed"), again.ok()), ("true", first.ok()));
    assert_eq!(next.calls.load(Ordering::SeqCst), 1);
    assert_eq!(get(&url(&one, "/users/7")).await.ok()["request_count"], 1);
    one.stop().await;
    other.stop().await;
}

pub(crate) async fn a_cache_that_dies_changes_no_answer(database: TestDatabase) {
    let Some(redis) = Server::start() else { return };
    let next = Next::default();
    let server = next.behind_with(&database, &redis.settings()).await;
    let first = process(&server, &keyed("k")).await.ok();
    redis.crash();
    assert_eq!(process(&server, &keyed("k")).await.ok(), first);
    let during = process(&server, &keyed("during")).await.ok();
    // The service is ready all the same.
    let ready = get(&url(&server, "/health/ready")).await;
    assert_eq!((ready.status, cache_status(&server).await.as_str()), (200, "away"), "{}", ready.text);
    redis.start_again();
    eventually("the cache is back", async || (cache_status(&server).await == "ok").then_some(())).await;
    assert_eq!(process(&server, &keyed("k")).await.ok(), first);
    assert_eq!(process(&server, &keyed("during")).await.ok(), during);
    let after = process(&server, &keyed("after")).await.ok();
    assert_eq!(process(&server, &keyed("after")).await.ok(), after);
    assert_eq!(next.calls.load(Ordering::SeqCst), 3);
    assert_eq!(redis.keys(), ["crypto-telemetry:user-answers:after"]);
    server.stop().await;
}

/// What failed is no answer, and nothing is put into the cache before it is in the database.
pub(crate) async fn only_what_is_kept_is_shared(database: TestDatabase) {
    let Some(redis) = Server::start() else { return };
    let next = Next::default();
    let server = next.behind_with(&database, &redis.settings()).await;
    next.failing.store(1, Ordering::SeqCst);
    assert_eq!(process(&server, &keyed("k")).await.status, 502);
    assert!(redis.keys().is_empty());
    next.held.store(true, Ordering::SeqCst);
    let address = url(&server, "/process");
    let first = actix_web::rt::spawn(async move { post(&address, &keyed("k")).await });
    eventually("it is being worked on", async || (next.calls.load(Ordering::SeqCst) == 2).then_some(())).await;
    process(&server, &keyed("k")).await.problem(409, "key_in_progress");
    assert!(redis.keys().is_empty());
    next.held.store(false, Ordering::SeqCst);
    next.release.notify_waiters();
    first.await.unwrap().ok();
    assert_eq!(redis.keys().len(), 1);
    // Without a key there is nothing to know it again by.
    process(&server, &json!({"user_id": 7, "action": "purchase"})).await.ok();
    assert_eq!(redis.keys().len(), 1);
    server.stop().await;
}
