//! Alerts make trading stricter, never freer.

use serde_json::{Value, json};
use storage::testing::TestDatabase;
use web::testing::{post, url};

use super::desk::{Desk, put_state, state};

/// As Alertmanager sends it.
fn group(status: &str, alerts: &[(&str, &str)]) -> Value {
    let alerts: Vec<Value> = alerts
        .iter()
        .map(|(name, action)| {
            json!({
                "status": status, "labels": {"alertname": name, "severity": "critical", "trading_action": action},
                "annotations": {"summary": "Orders fail at BingX."}, "startsAt": "2026-01-01T00:00:00Z",
                "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://prometheus/graph", "fingerprint": "0123",
            })
        })
        .collect();
    json!({
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": status, "receiver": "trading",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alertmanager",
        "alerts": alerts,
    })
}

pub(crate) async fn alerts_make_trading_stricter_and_never_freer(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    let send = async |group: Value| {
        let outcome = post(&url(&server, "/v1/trading/alerts"), &group).await.ok();
        (outcome["state"].as_str().unwrap().to_owned(), outcome["changed"].as_bool().unwrap())
    };
    let reply = |state: &str, changed: bool| (state.to_owned(), changed);
    assert_eq!(send(group("resolved", &[("A", "halt")])).await, reply("running", false));
    assert_eq!(send(group("firing", &[("A", "run"), ("B", "")])).await, reply("running", false));
    assert_eq!(send(group("firing", &[("BingXOrderFailures", "reduce")])).await, reply("reducing", true));
    let now = state(&server).await;
    assert_eq!((&now["by"], &now["reason"]), (&json!("alert:BingXOrderFailures"), &json!("Orders fail at BingX.")));
    assert_eq!(send(group("firing", &[("BingXOrderFailures", "reduce")])).await, reply("reducing", false));
    assert_eq!(send(group("firing", &[("A", "reduce"), ("B", "halt")])).await, reply("halted", true));
    assert_eq!(state(&server).await["by"], "alert:B");
    for group in [group("firing", &[("A", "reduce")]), group("resolved", &[("B", "halt")]), group("firing", &[])] {
        assert_eq!(send(group).await, reply("halted", false), "nothing but a person makes it freer");
    }
    put_state(&server, "running").await;
    for bad in [json!({"alerts": 1}), json!({"alerts": [{"labels": {}}]}), json!({"alerts": [{"status": 1}]})] {
        let _ = post(&url(&server, "/v1/trading/alerts"), &bad).await.problem(400, "bad_body");
    }
    assert_eq!(state(&server).await["state"], "running");
    server.stop().await;
    desk.stop().await;
}
