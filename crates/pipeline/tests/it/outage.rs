//! A worker whose database ends in the middle of its work.

use std::sync::Arc;

use domain::pipeline::{ExecutionStatus, TriggerMode};
use pipeline::store::{New, Store, now};
use pipeline::work::WorkerConfig;
use serde_json::json;
use storage::DatabaseSettings;
use storage::testing::{Cluster, TestDatabase};
use web::testing::{eventually, get, ready, url};

use crate::fakes::{Asked, Everybody, Failure, words};
use crate::world::{World, id_of, signal};

/// The order is placed and not answered, the database is away when that has to be written down, and comes back.
pub(crate) async fn a_worker_s_database_that_goes_away_is_waited_for(_: TestDatabase) {
    telemetry::testing::init();
    let cluster = Arc::new(actix_web::rt::task::spawn_blocking(Cluster::start).await.unwrap());
    let settings = DatabaseSettings { database_acquire_timeout_ms: 500, ..DatabaseSettings::at(&cluster.database()) };
    let everybody = Everybody::new();
    let world = World::at(&settings).await;
    let request: domain::pipeline::PipelineRequest = serde_json::from_value(json!({
        "name": "interrupted", "trigger": {"mode": "signal"}, "max_attempts": 10, "timeout_seconds": 2,
        "steps": [{"name": "order", "agent": "place_order"}, {"name": "tell", "agent": "notify"}],
    }))
    .unwrap();
    let made = world.store.create(&request, now()).await.unwrap();
    let mut transaction = world.store.database().begin().await.unwrap();
    let event = signal(1);
    let new = New {
        pipeline: &made,
        trigger_mode: TriggerMode::Signal,
        signal: Some(&event),
        symbol: event.symbol.clone(),
        dedupe: None,
        context: "{}",
    };
    let id = id_of(Store::enqueue(&mut transaction, &new, now()).await.unwrap());
    transaction.commit().await.unwrap();
    everybody.fail(Asked::Order, &[Failure::Silent]);
    let worker = pipeline::work::start(WorkerConfig::ephemeral(settings, &everybody.start())).await.unwrap();
    ready(&worker).await;
    eventually("the order is placed", async || (everybody.silent().len() == 1).then_some(())).await;

    let server = Arc::clone(&cluster);
    actix_web::rt::task::spawn_blocking(move || server.crash()).await.unwrap();
    let report = eventually("it is not ready", async || {
        let report = get(&url(&worker, "/health/ready")).await;
        (report.status == 503).then(|| report.json())
    })
    .await;
    let checks = report["checks"].as_array().unwrap();
    let failing: Vec<_> =
        checks.iter().filter(|check| check["status"] == "failing").map(|check| check["name"].clone()).collect();
    assert_eq!(failing, ["database"]);
    let server = Arc::clone(&cluster);
    actix_web::rt::task::spawn_blocking(move || server.start_again()).await.unwrap();

    let ended = eventually("it is at its end", async || {
        world.store.execution(&id).await.ok()?.filter(|kept| kept.status.is_final())
    })
    .await;
    assert_eq!((ended.status, ended.detail.as_deref()), (ExecutionStatus::Success, None), "{ended:?}");
    assert!(ended.attempts >= 2, "{ended:?}");
    let (orders, notices) = (everybody.orders(), everybody.notices());
    assert_eq!((orders.len(), notices.len()), (1, 1));
    assert_eq!(orders[0].sender_order_id.as_deref(), Some(id.as_str()));
    assert_eq!(words(&notices[0]).1, id);
    worker.stop().await;
}
