//! pipeline-service's API.

use domain::pipeline::{Budget, ExecutionStatus};
use serde_json::{Value, json};
use storage::testing::TestDatabase;
use telemetry::testing::metric_values;
use web::RunningServer;
use web::testing::{Reply, call, eventually, get, post, post_text, put, ready, url};

use crate::world::{World, body, signal, step, t};

async fn start(database: &TestDatabase) -> RunningServer {
    telemetry::testing::init();
    let server = pipeline::api::start(pipeline::api::Config::ephemeral(database.settings())).await.unwrap();
    ready(&server).await;
    server
}

/// Any method with headers and a body.
async fn send(method: &str, url: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Reply {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.request(method.parse().unwrap(), url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = request.send().await.unwrap();
    Reply {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    }
}

async fn created(server: &RunningServer, body: &Value) -> String {
    let reply = post(&url(server, "/v1/pipelines"), body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.json()["pipeline_id"].as_str().unwrap().to_owned()
}

fn fields(problem: &Value) -> Vec<String> {
    let errors = problem["errors"].as_array().unwrap();
    assert!(errors.iter().all(|error| !error["reason"].as_str().unwrap().is_empty()), "{problem}");
    errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
}

pub(crate) async fn a_pipeline_from_its_making_to_its_end(database: TestDatabase) {
    let server = start(&database).await;
    let reply = post(&url(&server, "/v1/pipelines"), &body("one")).await;
    assert_eq!((reply.status, reply.header("etag")), (201, "\"1\""), "{}", reply.text);
    let made = reply.json();
    let path = reply.header("location").to_owned();
    assert_eq!(path, format!("/v1/pipelines/{}", made["pipeline_id"].as_str().unwrap()));
    assert_eq!((&made["name"], &made["revision"], &made["max_attempts"]), (&json!("one"), &json!(1), &json!(3)));
    assert_eq!(made["trace_id"].as_str().unwrap().len(), 32);
    let kept = get(&url(&server, &path)).await;
    assert_eq!((kept.header("etag"), &kept.ok()["steps"]), ("\"1\"", &made["steps"]));
    // What is read can be sent again as it is, but for what the service says of it.
    let mut changed = body("two");
    changed["enabled"] = json!(false);
    let address = url(&server, &path);
    let _ = send("PUT", &address, &[], Some(&changed)).await.problem(428, "if_match_missing");
    let _ = send("PUT", &address, &[("if-match", "1")], Some(&changed)).await.problem(400, "bad_if_match");
    let _ = send("PUT", &address, &[("if-match", "\"2\"")], Some(&changed)).await.problem(412, "stale_revision");
    let reply = send("PUT", &address, &[("if-match", "\"1\"")], Some(&changed)).await;
    assert_eq!((reply.header("etag"), &reply.ok()["name"]), ("\"2\"", &json!("two")));
    assert_eq!(send("PUT", &address, &[("if-match", "*")], Some(&changed)).await.ok()["revision"], 3);
    let problem = send("DELETE", &address, &[("if-match", "\"2\"")], None).await.problem(412, "stale_revision");
    assert!(problem["detail"].as_str().unwrap().contains("revision 3"), "{problem}");
    let _ = call("DELETE", &address).await.problem(428, "if_match_missing");
    assert_eq!(send("DELETE", &address, &[("if-match", "\"3\"")], None).await.status, 204);
    let _ = get(&address).await.problem(404, "unknown_pipeline");
    let _ = send("DELETE", &address, &[("if-match", "*")], None).await.problem(404, "unknown_pipeline");
    let _ = send("PUT", &address, &[("if-match", "*")], Some(&changed)).await.problem(404, "unknown_pipeline");
    server.stop().await;
}

pub(crate) async fn names_are_taken_once(database: TestDatabase) {
    let server = start(&database).await;
    created(&server, &body("one")).await;
    let two = created(&server, &body("two")).await;
    let _ = post(&url(&server, "/v1/pipelines"), &body("one")).await.problem(409, "name_taken");
    let address = url(&server, &format!("/v1/pipelines/{two}"));
    let _ = send("PUT", &address, &[("if-match", "*")], Some(&body("one"))).await.problem(409, "name_taken");
    server.stop().await;
}

pub(crate) async fn pipelines_are_listed(database: TestDatabase) {
    let server = start(&database).await;
    for number in 0..3 {
        let mut sent = body(&format!("p{number}"));
        sent["enabled"] = json!(number != 1);
        created(&server, &sent).await;
    }
    let names = async |query: &str| {
        let page = get(&url(&server, &format!("/v1/pipelines{query}"))).await.ok();
        assert_eq!(page["trace_id"].as_str().unwrap().len(), 32);
        let items = page["items"].as_array().unwrap();
        let names: Vec<&str> = items.iter().map(|item| item["name"].as_str().unwrap()).collect();
        (names.join(" "), page["next_cursor"].as_str().map(str::to_owned))
    };
    let (first, cursor) = names("?limit=2").await;
    assert_eq!(first, "p2 p1");
    assert_eq!(names(&format!("?limit=2&cursor={}", cursor.unwrap())).await, ("p0".to_owned(), None));
    assert_eq!(names("?enabled=true").await.0, "p2 p0");
    assert_eq!(names("?enabled=false").await.0, "p1");
    let list = |query: &str| url(&server, &format!("/v1/pipelines{query}"));
    let _ = get(&list("?enabled=yes")).await.problem(400, "bad_query");
    let _ = get(&list("?limit=0")).await.problem(400, "bad_limit");
    let _ = get(&list("?cursor=x")).await.problem(400, "bad_cursor");
    server.stop().await;
}

pub(crate) async fn every_field_that_is_wrong_is_named(database: TestDatabase) {
    let server = start(&database).await;
    let address = url(&server, "/v1/pipelines");
    let mut sent = body("one");
    sent["triger"] = json!({});
    sent["steps"][0]["candels"] = json!(7);
    sent["steps"][1]["agent"] = json!("crystal_ball");
    let problem = post(&address, &sent).await.problem(400, "bad_pipeline");
    assert_eq!(fields(&problem), ["triger", "steps[0].candels", "steps[1].agent"]);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("triger is not known here") && detail.contains("candels"), "{detail}");
    let mut sent = body("");
    sent["steps"][0]["candles"] = json!(1);
    sent["max_attempts"] = json!(11);
    sent["trigger"]["minimum_confidence"] = json!("1.5");
    sent["budget"] = json!({"usd_per_day": "-1"});
    let problem = post(&address, &sent).await.problem(422, "bad_pipeline");
    let expected = ["name", "max_attempts", "budget.usd_per_day", "trigger.minimum_confidence", "steps[0].candles"];
    assert_eq!(fields(&problem), expected);
    assert!(problem["detail"].as_str().unwrap().contains("and 2 more"), "{problem}");
    // Also when one is changed.
    let id = created(&server, &body("one")).await;
    let one = url(&server, &format!("/v1/pipelines/{id}"));
    let problem = send("PUT", &one, &[("if-match", "*")], Some(&sent)).await.problem(422, "bad_pipeline");
    assert_eq!(fields(&problem), expected);
    // A problem without fields has none.
    assert_eq!(get(&url(&server, "/v1/pipelines/x")).await.problem(400, "bad_id").get("errors"), None);
    let json_type = [("content-type", "application/json")];
    for (text, code) in [("", "bad_json"), ("{", "bad_json"), ("[]", "bad_body"), ("7", "bad_body")] {
        let _ = post_text(&address, &json_type, text).await.problem(400, code);
    }
    let _ = post_text(&address, &[("content-type", "text/plain")], "{}").await.problem(415, "unsupported_media_type");
    assert_eq!(get(&address).await.ok()["items"].as_array().unwrap().len(), 1, "nothing of it was made");
    server.stop().await;
}

pub(crate) async fn one_is_set_off_by_hand(database: TestDatabase) {
    let server = start(&database).await;
    let world = World::open(&database).await;
    let id = created(&server, &body("one")).await;
    let run = url(&server, &format!("/v1/pipelines/{id}/run"));
    let reply = call("POST", &run).await;
    assert_eq!(reply.status, 202, "{}", reply.text);
    let (set_off, place) = (reply.json(), reply.header("location").to_owned());
    assert_eq!((&set_off["status"], reply.header("idempotent-replayed")), (&json!("queued"), ""));
    assert_eq!(place, format!("/v1/executions/{}", set_off["execution_id"].as_str().unwrap()));
    let _ = post(&run, &json!({})).await.problem(409, "already_running");
    let waiting = get(&url(&server, &place)).await.ok();
    assert_eq!((&waiting["status"], &waiting["trigger_mode"]), (&json!("queued"), &json!("manual")));
    assert_eq!((&waiting["symbol"], &waiting["pipeline_revision"]), (&json!("BTCUSDT"), &json!(1)));
    assert_eq!(waiting["trace_id"], set_off["trace_id"], "it is part of the trace of its request");
    // As a worker does it.
    let claim = world.claim("worker-1", pipeline::store::now()).await;
    assert!(claim.context.contains(set_off["trace_id"].as_str().unwrap()), "{}", claim.context);
    world.store.record_step(&claim, &step("look", 1, "0"), t(1)).await.unwrap();
    world.store.record_step(&claim, &step("judge", 1, "0.0003"), t(1)).await.unwrap();
    world.store.finish(&claim, ExecutionStatus::Success, None, pipeline::store::now()).await.unwrap();
    let done = get(&url(&server, &place)).await.ok();
    assert_eq!(
        (&done["status"], &done["worker"], &done["cost_usd"]),
        (&json!("success"), &json!("worker-1"), &json!("0.0003"))
    );
    let steps: Vec<&str> =
        done["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!((steps, &done["steps"][1]["duration_ms"]), (vec!["look", "judge"], &json!(12)));
    // One that is not enabled can be set off by hand, too; about any market.
    let mut disabled = body("one");
    disabled["enabled"] = json!(false);
    let one = url(&server, &format!("/v1/pipelines/{id}"));
    drop(send("PUT", &one, &[("if-match", "*")], Some(&disabled)).await.ok());
    let reply = post(&run, &json!({"symbol": "ETHUSDT"})).await;
    assert_eq!(reply.status, 202, "{}", reply.text);
    let listed = get(&url(&server, &format!("/v1/executions?pipeline_id={id}&status=queued"))).await.ok();
    assert_eq!((&listed["items"][0]["symbol"], &listed["items"][0]["steps"]), (&json!("ETHUSDT"), &json!([])));
    server.stop().await;
}

pub(crate) async fn the_same_request_sets_off_one(database: TestDatabase) {
    let server = start(&database).await;
    let world = World::open(&database).await;
    let id = created(&server, &body("one")).await;
    let run = url(&server, &format!("/v1/pipelines/{id}/run"));
    let key = [("idempotency-key", "k1")];
    let first = send("POST", &run, &key, None).await;
    assert_eq!(first.status, 202, "{}", first.text);
    let execution_id = first.json()["execution_id"].clone();
    let again = send("POST", &run, &key, Some(&json!({"symbol": "BTCUSDT"}))).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (202, "true"), "{}", again.text);
    assert_eq!((&again.json()["execution_id"], &again.json()["status"]), (&execution_id, &json!("queued")));
    let other = send("POST", &run, &key, Some(&json!({"symbol": "ETHUSDT"}))).await;
    let _ = other.problem(422, "key_mismatch");
    let claim = world.claim("w", pipeline::store::now()).await;
    world.store.finish(&claim, ExecutionStatus::Success, None, pipeline::store::now()).await.unwrap();
    let again = send("POST", &run, &key, None).await;
    assert_eq!((&again.json()["execution_id"], &again.json()["status"]), (&execution_id, &json!("success")));
    // The key is the pipeline's.
    let other = created(&server, &body("two")).await;
    let other = send("POST", &url(&server, &format!("/v1/pipelines/{other}/run")), &key, None).await;
    assert_eq!((other.status, other.json()["execution_id"] == execution_id), (202, false), "{}", other.text);
    for bad in ["a b", "", &"x".repeat(129)] {
        let refused = send("POST", &run, &[("idempotency-key", bad)], None).await;
        let _ = refused.problem(400, "bad_idempotency_key");
    }
    server.stop().await;
}

pub(crate) async fn what_cannot_be_set_off_by_hand(database: TestDatabase) {
    let server = start(&database).await;
    let world = World::open(&database).await;
    let run = async |sent: &Value, run: &Value| {
        let id = created(&server, sent).await;
        post(&url(&server, &format!("/v1/pipelines/{id}/run")), run).await
    };
    let mut every = body("every market");
    every["trigger"] = json!({"mode": "signal"});
    let _ = run(&every, &json!({})).await.problem(422, "symbol_needed");
    let mut agrees = body("agrees");
    agrees["steps"][2] = json!({"name": "agree", "agent": "risk_check", "agrees_with_signal": true});
    let problem = run(&agrees, &json!({})).await.problem(422, "signal_needed");
    assert!(problem["detail"].as_str().unwrap().contains("agree"), "{problem}");
    let mut blind = body("blind");
    blind["steps"] = json!([{"name": "order", "agent": "place_order"}]);
    let _ = run(&blind, &json!({})).await.problem(422, "signal_needed");
    let mut clock = body("clock");
    clock["trigger"] = json!({"mode": "periodic", "every_seconds": 60, "symbol": "SOLUSDT"});
    let reply = run(&clock, &json!({})).await;
    let set_off = get(&url(&server, reply.header("location"))).await.ok();
    assert_eq!(set_off["symbol"], "SOLUSDT");
    let _ = run(&body("bad symbol"), &json!({"symbol": "?"})).await.problem(400, "bad_body");
    let _ = run(&body("bad body"), &json!({"simbol": "BTCUSDT"})).await.problem(400, "bad_body");
    let nobody = "/v1/pipelines/00000000-0000-4000-8000-000000000000/run";
    let _ = call("POST", &url(&server, nobody)).await.problem(404, "unknown_pipeline");
    // A budget that is spent, and what was set off before it was.
    let mut poor = crate::world::request("poor");
    poor.budget = Some(Budget { usd_per_day: "0.10".parse().unwrap() });
    let poor = world.store.create(&poor, pipeline::store::now()).await.unwrap();
    let address = url(&server, &format!("/v1/pipelines/{}/run", poor.pipeline_id));
    assert_eq!(send("POST", &address, &[("idempotency-key", "k")], None).await.status, 202);
    loop {
        let claim = world.claim("w", pipeline::store::now()).await;
        let found = claim.execution.pipeline_id == poor.pipeline_id;
        let cost = if found { "0.10" } else { "0" };
        world.store.record_step(&claim, &step("judge", 1, cost), pipeline::store::now()).await.unwrap();
        world.store.finish(&claim, ExecutionStatus::Success, None, pipeline::store::now()).await.unwrap();
        if found {
            break;
        }
    }
    let _ = call("POST", &address).await.problem(409, "budget_spent");
    let again = send("POST", &address, &[("idempotency-key", "k")], None).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (202, "true"), "{}", again.text);
    let hindered = post(&url(&server, "/v1/pipelines/dry-run"), &json!({"pipeline_id": poor.pipeline_id})).await.ok();
    assert_eq!(hindered["why_not"][0]["field"], "budget.usd_per_day", "{hindered}");
    server.stop().await;
}

pub(crate) async fn trying_out_says_what_would_happen(database: TestDatabase) {
    let server = start(&database).await;
    let address = url(&server, "/v1/pipelines/dry-run");
    let event = serde_json::to_value(signal(1)).unwrap();
    let tried = post(&address, &json!({"pipeline": body("one"), "signal": event})).await.ok();
    assert_eq!((&tried["sound"], &tried["matches"], &tried["errors"]), (&json!(true), &json!(true), &json!([])));
    let steps: Vec<&str> =
        tried["steps"].as_array().unwrap().iter().map(|step| step["agent"].as_str().unwrap()).collect();
    assert_eq!(steps, ["market_snapshot", "technical_analysis", "notify"]);
    assert_eq!((&tried["steps"][0]["acts"], &tried["steps"][2]["acts"]), (&json!(false), &json!(true)));
    // Why not: all of it.
    let mut other = event.clone();
    other["signal_type"] = json!("death_cross");
    other["symbol"] = json!("ETHUSDT");
    other["confidence"] = json!("0.1");
    let mut disabled = body("one");
    disabled["enabled"] = json!(false);
    let tried = post(&address, &json!({"pipeline": disabled, "signal": other})).await.ok();
    let why: Vec<&str> =
        tried["why_not"].as_array().unwrap().iter().map(|why| why["field"].as_str().unwrap()).collect();
    assert_eq!(why, ["enabled", "trigger.signal_types", "trigger.tickers", "trigger.minimum_confidence"]);
    assert_eq!((&tried["matches"], &tried["steps"]), (&json!(false), &json!([])));
    let mut clock = body("clock");
    clock["trigger"] = json!({"mode": "periodic", "every_seconds": 60, "symbol": "BTCUSDT"});
    let tried = post(&address, &json!({"pipeline": clock, "signal": event})).await.ok();
    assert_eq!((&tried["matches"], &tried["why_not"][0]["field"]), (&json!(false), &json!("trigger.mode")));
    // One that is not sound.
    let mut unsound = body("one");
    unsound["steps"][0]["candles"] = json!(1);
    let tried = post(&address, &json!({"pipeline": unsound})).await.ok();
    assert_eq!(
        (&tried["sound"], &tried["matches"], &tried["errors"][0]["field"]),
        (&json!(false), &Value::Null, &json!("steps[0].candles"))
    );
    // One that is there, and runs.
    let id = created(&server, &body("one")).await;
    assert_eq!(call("POST", &url(&server, &format!("/v1/pipelines/{id}/run"))).await.status, 202);
    let tried = post(&address, &json!({"pipeline_id": id, "signal": event})).await.ok();
    assert_eq!((&tried["matches"], &tried["why_not"][0]["field"]), (&json!(true), &json!("execution")));
    assert_eq!(
        get(&url(&server, "/v1/executions")).await.ok()["items"].as_array().unwrap().len(),
        1,
        "executes nothing"
    );
    let gone = json!({"pipeline_id": "00000000-0000-4000-8000-000000000000"});
    let _ = post(&address, &gone).await.problem(404, "unknown_pipeline");
    let _ = post(&address, &json!({"pipeline_id": "x"})).await.problem(400, "bad_id");
    let _ = post(&address, &json!({})).await.problem(400, "bad_body");
    let _ = post(&address, &json!({"pipeline": body("one"), "pipeline_id": id})).await.problem(400, "bad_body");
    let _ = post(&address, &json!({"pipeline": body("one"), "signal": {}})).await.problem(400, "bad_signal");
    other["confidence"] = json!("7");
    let problem = post(&address, &json!({"pipeline": body("one"), "signal": other})).await.problem(422, "bad_signal");
    assert_eq!(fields(&problem), ["signal"]);
    server.stop().await;
}

pub(crate) async fn dead_letters_are_listed_replayed_and_thrown_away(database: TestDatabase) {
    let server = start(&database).await;
    let world = World::open(&database).await;
    let id = created(&server, &body("one")).await;
    let run = url(&server, &format!("/v1/pipelines/{id}/run"));
    let first = call("POST", &run).await.json()["execution_id"].as_str().unwrap().to_owned();
    let path = |what: &str| url(&server, &format!("/v1/executions/{first}{what}"));
    let _ = call("POST", &path("/replay")).await.problem(409, "not_failed");
    let now = pipeline::store::now();
    let claim = world.claim("w", now).await;
    let _ = call("POST", &path("/discard")).await.problem(409, "not_failed");
    world.store.finish(&claim, ExecutionStatus::Failed, Some("decision-service is away"), now).await.unwrap();
    let letters = get(&url(&server, "/v1/executions?status=failed")).await.ok();
    assert_eq!(
        (&letters["items"][0]["execution_id"], &letters["items"][0]["detail"]),
        (&json!(first), &json!("decision-service is away"))
    );
    let other = call("POST", &run).await.json()["execution_id"].as_str().unwrap().to_owned();
    let _ = call("POST", &path("/replay")).await.problem(409, "already_running");
    let discarded = call("POST", &url(&server, &format!("/v1/executions/{other}/discard"))).await.ok();
    assert_eq!((&discarded["execution_id"], &discarded["status"]), (&json!(other), &json!("cancelled")));
    let replayed = call("POST", &path("/replay")).await;
    assert_eq!((replayed.status, &replayed.json()["status"]), (202, &json!("queued")), "{}", replayed.text);
    let claim = world.claim("w", pipeline::store::now()).await;
    assert_eq!(claim.execution.execution_id.as_str(), first);
    world.store.finish(&claim, ExecutionStatus::Failed, None, pipeline::store::now()).await.unwrap();
    assert_eq!(call("POST", &path("/discard")).await.ok()["status"], "cancelled");
    // What was thrown away is counted, under its pipeline: one that waited, and one that had failed.
    let labels = [("status", "cancelled"), ("trigger_mode", "manual"), ("pipeline_id", id.as_str())];
    assert_eq!(metric_values("pipeline_executions_total", &labels), [2.0]);
    let nobody = "/v1/executions/00000000000000000000000000000000";
    for (method, what) in [("GET", ""), ("POST", "/replay"), ("POST", "/discard")] {
        let _ = call(method, &url(&server, &format!("{nobody}{what}"))).await.problem(404, "unknown_execution");
        let _ = call(method, &url(&server, &format!("/v1/executions/x{what}"))).await.problem(400, "bad_id");
    }
    for query in ["status=dead", "pipeline_id=x", "signal_id=x"] {
        let _ = get(&url(&server, &format!("/v1/executions?{query}"))).await.problem(400, "bad_query");
    }
    server.stop().await;
}

pub(crate) async fn matches_of_a_signal_are_told(database: TestDatabase) {
    let server = start(&database).await;
    let world = World::open(&database).await;
    let pipelines = [world.pipeline("one").await, world.pipeline("two").await];
    let event = signal(1);
    let path = url(&server, &format!("/v1/signals/{}/matches", event.signal_id));
    let _ = get(&path).await.problem(404, "unknown_signal");
    let mut transaction = world.store.database().begin().await.unwrap();
    let now = pipeline::store::now();
    let taken = pipeline::store::Store::take_signal(&mut transaction, &event, &pipelines, "{}", now).await.unwrap();
    transaction.commit().await.unwrap();
    let page = get(&path).await.ok();
    assert_eq!(page["items"].as_array().unwrap().len(), taken.unwrap().len());
    assert!(page["items"].as_array().unwrap().iter().all(|found| found["outcome"] == "enqueued"), "{page}");
    assert_eq!(get(&format!("{path}?limit=1")).await.ok()["items"].as_array().unwrap().len(), 1);
    let set_off = get(&url(&server, &format!("/v1/executions?signal_id={}", event.signal_id))).await.ok();
    assert_eq!(set_off["items"].as_array().unwrap().len(), 2);
    assert_eq!(set_off["items"][0]["signal"]["signal_type"], "golden_cross");
    let _ = get(&url(&server, "/v1/signals/x/matches")).await.problem(400, "bad_id");
    server.stop().await;
}

pub(crate) async fn examples_are_made_once(database: TestDatabase) {
    telemetry::testing::init();
    let begin = async |with_orders| {
        let mut config = pipeline::api::Config::ephemeral(database.settings());
        config.examples = true;
        config.examples_orders = with_orders;
        let server = pipeline::api::start(config).await.unwrap();
        ready(&server).await;
        server
    };
    let server = begin(false).await;
    let list = url(&server, "/v1/pipelines");
    let examples = eventually("the examples are there", async || {
        let items = get(&list).await.ok()["items"].as_array().unwrap().clone();
        (!items.is_empty()).then_some(items)
    })
    .await;
    let enabled: Vec<bool> = examples.iter().rev().map(|example| example["enabled"].as_bool().unwrap()).collect();
    assert_eq!(enabled, [true, false, false, false]);
    for example in &examples {
        let address = url(&server, &format!("/v1/pipelines/{}", example["pipeline_id"].as_str().unwrap()));
        assert_eq!(send("DELETE", &address, &[("if-match", "*")], None).await.status, 204);
    }
    server.stop().await;
    let server = begin(true).await;
    // The next start knows that they have been made, and so does whoever asks the store.
    let world = World::open(&database).await;
    let loaded = world.store.load_once("examples", &[crate::world::request("late")], t(0)).await.unwrap();
    assert_eq!(loaded, None);
    assert_eq!(get(&url(&server, "/v1/pipelines")).await.ok()["items"], json!([]));
    server.stop().await;
}

pub(crate) async fn the_example_that_orders_is_enabled_by_who_asks_for_it(database: TestDatabase) {
    telemetry::testing::init();
    let mut config = pipeline::api::Config::ephemeral(database.settings());
    (config.examples, config.examples_orders) = (true, true);
    let server = pipeline::api::start(config).await.unwrap();
    ready(&server).await;
    let list = url(&server, "/v1/pipelines?enabled=true");
    let enabled = eventually("the examples are there", async || {
        let items = get(&list).await.ok()["items"].as_array().unwrap().clone();
        (!items.is_empty()).then_some(items)
    })
    .await;
    let names: Vec<&str> = enabled.iter().rev().map(|example| example["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["example: golden cross", "example: golden cross with paper orders"]);
    server.stop().await;
}

/// A page of somebody else's, whose name suddenly leads to this machine, makes no pipelines.
pub(crate) async fn only_names_of_this_machine_are_answered(database: TestDatabase) {
    let server = start(&database).await;
    let foreign = [("host", "rebound.example.org:8001"), ("content-type", "application/json")];
    let reply = post_text(&url(&server, "/v1/pipelines"), &foreign, &body("one").to_string()).await;
    let _ = reply.problem(403, "foreign_host");
    server.stop().await;
}

/// Whatever can come is described, of every route.
pub(crate) async fn every_route_is_described(database: TestDatabase) {
    let server = start(&database).await;
    let described = get(&url(&server, "/openapi.json")).await.ok();
    let paths = described["paths"].as_object().unwrap();
    let mut routes: Vec<String> = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            routes.push(format!("{method} {path}"));
            let answers = operation["responses"].as_object().unwrap();
            assert!(answers.contains_key("403") && answers.contains_key("503"), "{method} {path}");
        }
    }
    routes.sort();
    let expected = [
        "delete /v1/pipelines/{id}",
        "get /v1/executions",
        "get /v1/executions/{id}",
        "get /v1/pipelines",
        "get /v1/pipelines/{id}",
        "get /v1/signals/{signal_id}/matches",
        "post /v1/executions/{id}/discard",
        "post /v1/executions/{id}/replay",
        "post /v1/pipelines",
        "post /v1/pipelines/dry-run",
        "post /v1/pipelines/{id}/run",
        "put /v1/pipelines/{id}",
    ];
    assert_eq!(routes, expected);
    // Every schema that is named is there.
    let text = described.to_string();
    for name in text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(described["components"]["schemas"][name].is_object(), "{name} is not described");
    }
    assert!(described["components"]["schemas"]["ProblemBody"]["properties"]["errors"].is_object());
    let _ = put(&url(&server, "/v1/pipelines"), &body("one")).await.problem(405, "method_not_allowed");
    server.stop().await;
}
