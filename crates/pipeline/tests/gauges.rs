//! The gauges of what there is to do: a process's own, so that they have a test process of their own.

use std::time::Duration;

use domain::pipeline::ExecutionStatus;
use pipeline::store::{DATABASE, Store, migrations, now};
use serde_json::json;
use storage::Database;
use storage::testing::TestDatabase;
use telemetry::testing::metric_values;
use web::Background;
use web::testing::{call, eventually, post, ready, url};

fn gauges() -> Option<[f64; 4]> {
    let gauge = |name: &str, labels: &[(&str, &str)]| metric_values(name, labels).first().copied();
    Some([
        gauge("pipeline_queue_depth", &[("status", "queued")])?,
        gauge("pipeline_queue_depth", &[("status", "running")])?,
        gauge("pipeline_dead_letters", &[])?,
        gauge("pipeline_queue_oldest_age_seconds", &[])?,
    ])
}

#[actix_web::test]
async fn what_there_is_to_do_is_counted_and_its_age_grows() {
    telemetry::testing::init();
    let database = TestDatabase::sqlite();
    let server = pipeline::api::start(pipeline::api::Config::ephemeral(database.settings())).await.unwrap();
    ready(&server).await;
    eventually("nothing is to be done", async || (gauges() == Some([0.0; 4])).then_some(())).await;
    for name in ["one", "two", "three"] {
        let trigger = json!({"mode": "periodic", "every_seconds": 60, "symbol": "BTCUSDT"});
        let sent = json!({"name": name, "trigger": trigger, "steps": [{"name": "tell", "agent": "notify"}]});
        let made = post(&url(&server, "/v1/pipelines"), &sent).await.json();
        let run = format!("/v1/pipelines/{}/run", made["pipeline_id"].as_str().unwrap());
        assert_eq!(call("POST", &url(&server, &run)).await.status, 202);
    }
    let waits = |gauges: [f64; 4]| (gauges[..3] == [3.0, 0.0, 0.0]).then_some(gauges[3]);
    let first = eventually("three wait", async || gauges().and_then(waits)).await;
    eventually("the oldest gets older", async || gauges().and_then(waits).filter(|age| *age > first)).await;
    // As a worker does it.
    let store = Database::open(DATABASE, &database.settings(), migrations()).unwrap();
    let mut background = Background::new();
    background.spawn("database", |stop| store.clone().keep_up(stop));
    eventually("the database is there", async || store.ready().await.ok()).await;
    let store = Store::new(store);
    let lease = Duration::from_secs(30);
    let claim = store.claim("w", lease, now()).await.unwrap().unwrap();
    store.finish(&claim, ExecutionStatus::Failed, None, now()).await.unwrap();
    store.claim("w", lease, now()).await.unwrap().unwrap();
    eventually("one of each", async || gauges().filter(|gauges| gauges[..3] == [1.0, 1.0, 1.0])).await;
    background.token().cancel();
    server.stop().await;
}
