//! Alerts make trading stricter, never freer.

use serde_json::{Value, json};
use storage::testing::TestDatabase;
use web::testing::{post, url};

use super::desk::{Desk, deliver, id_of, order, put_state, signal_with, state};

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

/// An order that has rested for long is looked after seldom; a halt does not wait for that.
pub(crate) async fn an_alert_takes_back_at_once_what_is_open(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |settings| settings.reconcile_interval_seconds = 3_600).await;
    let waits = signal_with("buy", json!({"limit_price": "1000"}));
    deliver(&server, &waits).await;
    let id = id_of(&waits);
    assert_eq!(order(&server, &id).await["status"], "submitted");
    let outcome = post(&url(&server, "/v1/trading/alerts"), &group("firing", &[("A", "halt")])).await.ok();
    assert_eq!((&outcome["state"], &outcome["changed"]), (&json!("halted"), &json!(true)));
    let cancelled = order(&server, &id).await;
    assert_eq!((&cancelled["status"], &cancelled["reason"]), (&json!("cancelled"), &json!("cancelled by alert:A")));
    server.stop().await;
    desk.stop().await;
}
