//! What was accepted reaches order-service.

use serde_json::json;
use storage::testing::TestDatabase;
use web::testing::eventually;

use crate::world::World;

fn alert(symbol: &str, number: usize) -> String {
    format!("ticker={symbol} action=buy timenow={} order_id={number}", 1_800_000_000 + number)
}

pub(crate) async fn what_becomes_of_a_signal_is_kept(database: TestDatabase) {
    let world = World::start(&database).await;
    world.orders.refuse("1", "2");
    let (_, path) = world.hook("results").await;
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(world.taken(&path, &alert("BTCUSDT", number)).await.1);
    }
    let ordered = world.signal_is(&ids[0], "executed").await;
    assert_eq!((&ordered["result"], &ordered["detail"]), (&json!("awaiting_confirmation"), &json!(null)));
    let refused = world.signal_is(&ids[1], "executed").await;
    assert_eq!((&refused["result"], &refused["detail"]), (&json!("refused"), &json!("Trading is halted.")));
    let failed = world.signal_is(&ids[2], "failed").await;
    assert!(failed["result"].is_null() && failed["detail"].as_str().unwrap().contains("HTTP 422"), "{failed}");
    world.stop().await;
}

pub(crate) async fn what_is_refused_for_good_holds_up_nobody(database: TestDatabase) {
    let mut world = World::start(&database).await;
    world.orders.refuse("none", "0");
    let (_, path) = world.hook("bad").await;
    let (_, bad) = world.taken(&path, &alert("BTCUSDT", 0)).await;
    let (_, good) = world.taken(&path, &alert("BTCUSDT", 1)).await;
    drop(world.signal_is(&bad, "failed").await);
    drop(world.signal_is(&good, "executed").await);
    // It stays as it is, also after a restart.
    world.restart().await;
    let (_, next) = world.taken(&path, &alert("BTCUSDT", 2)).await;
    drop(world.signal_is(&next, "executed").await);
    assert_eq!(world.signal(&bad).await["status"], "failed");
    assert_eq!(world.orders.executed("sender_order_id"), ["1", "2"]);
    world.stop().await;
}

pub(crate) async fn what_failed_is_handed_on_again_when_somebody_says_so(database: TestDatabase) {
    let world = World::start(&database).await;
    world.orders.refuse("none", "0");
    let (_, path) = world.hook("mended").await;
    let (_, bad) = world.taken(&path, &alert("BTCUSDT", 0)).await;
    let (_, good) = world.taken(&path, &alert("BTCUSDT", 1)).await;
    drop(world.signal_is(&good, "executed").await);
    drop(world.signal_is(&bad, "failed").await);
    let retry = |id: &str| format!("/v1/signals/{id}/retry");
    // It failed a moment before it was set aside; what is in between is no state to start from.
    let again = async || {
        eventually("it is given back", async || {
            let answer = world.call("POST", &retry(&bad), &[], Vec::new()).await;
            if answer.status == 202 {
                return Some(());
            }
            drop(answer.problem(409, "not_parked"));
            None
        })
        .await;
    };
    again().await;
    let failed = world.signal_is(&bad, "failed").await;
    assert!(failed["detail"].as_str().unwrap().contains("HTTP 422") && failed["executed_at"].is_string(), "{failed}");
    world.orders.refuse("none", "none");
    again().await;
    let executed = world.signal_is(&bad, "executed").await;
    assert_eq!((&executed["result"], &executed["detail"]), (&json!("awaiting_confirmation"), &json!(null)));
    assert_eq!((world.orders.executed("signal_id"), world.orders.times(&bad)), (vec![good.clone(), bad.clone()], 1));

    let call = async |path: &str, headers: &[(&str, &str)]| world.call("POST", path, headers, Vec::new()).await;
    for id in [&bad, &good] {
        call(&retry(id), &[]).await.problem(409, "not_failed");
    }
    call(&retry(&"0".repeat(32)), &[]).await.problem(404, "unknown_signal");
    call(&retry("x"), &[]).await.problem(400, "bad_id");
    call(&retry(&bad), &[("x-forwarded-for", "192.0.2.1")]).await.problem(403, "management_not_allowed");
    let described = world.get("/openapi.json").await.json();
    assert!(described["paths"]["/v1/signals/{id}/retry"]["post"]["responses"]["409"].is_object());
    world.stop().await;
}

pub(crate) async fn order_service_away_is_made_up_for_in_order(database: TestDatabase) {
    let world = World::start(&database).await;
    world.orders.set_away(true);
    let (_, path) = world.hook("patient").await;
    let symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT"];
    for number in 0..30 {
        let (status, id) = world.taken(&path, &alert(symbols[number % 3], number)).await;
        assert_eq!(status, "accepted");
        assert_eq!(world.signal(&id).await["status"], "queued");
    }
    // Away, and this service is ready all the same; order-service answers its probe here.
    assert_eq!(world.get("/health/ready").await.status, 200);
    assert_eq!(world.items("/v1/signals?status=queued").await.len(), 30);
    world.orders.set_away(false);
    eventually("all are executed", async || world.items("/v1/signals?status=queued").await.is_empty().then_some(()))
        .await;
    let signals = world.orders.signals();
    assert_eq!(signals.len(), 30);
    for (first, symbol) in symbols.iter().enumerate() {
        let of_symbol: Vec<usize> = signals
            .iter()
            .filter(|signal| signal["symbol"] == **symbol)
            .map(|signal| signal["sender_order_id"].as_str().unwrap().parse().unwrap())
            .collect();
        assert_eq!(of_symbol, (first..30).step_by(3).collect::<Vec<_>>(), "{symbol} in its order");
    }
    world.stop().await;
}

/// The process ends with signals that wait, and with one that was executed and whose answer was lost.
pub(crate) async fn a_restart_loses_nothing_that_was_accepted(database: TestDatabase) {
    let mut world = World::start(&database).await;
    world.orders.set_away(true);
    let (_, path) = world.hook("restart").await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(world.taken(&path, &alert("BTCUSDT", number)).await.1);
    }
    world.orders.set_forgetful();
    world.orders.set_away(false);
    world.restart().await;
    for id in &ids {
        drop(world.signal_is(id, "executed").await);
        assert!(world.orders.times(id) >= 2, "its first answer was lost");
    }
    assert_eq!(world.orders.executed("signal_id"), ids, "each once, in order");
    world.stop().await;

    // order-service is gone for good, and the service says so without being unready itself.
    let world = World::start_with(&database, |config| config.order_url = "http://127.0.0.1:1/".parse().unwrap()).await;
    let report = world.get("/health/ready").await;
    assert_eq!(report.status, 200, "{}", report.text);
    let checks = report.json()["checks"].clone();
    // The bus has a test of its own.
    let checks = checks.as_array().unwrap().iter().filter(|check| check["name"] != "bus");
    let found: Vec<_> = checks.map(|check| (&check["name"], &check["status"])).collect();
    let (ok, away) = (json!("ok"), json!("away"));
    let (database, outbox, orders) = (json!("database"), json!("outbox"), json!("order-service"));
    assert_eq!(found, [(&database, &ok), (&outbox, &ok), (&orders, &away)]);
    world.stop().await;
}
