//! What people ask of trading, and what they are told: pauses that loosen nothing, and a yes that is not kept.

use order::trading::ConfirmOrders;
use serde_json::{Value, json};
use storage::testing::TestDatabase;
use web::RunningServer;

use super::desk::{Desk, decide, id_of, order, put, put_state, send, signal, signal_with, state};

/// A state that is never to be freer than the one that holds.
async fn tighten(server: &RunningServer, to: &str) -> Value {
    let body = json!({"state": to, "by": "telegram:2002", "reason": "a pause", "only_tighten": true});
    put(server, "/v1/trading/state", &body).await.ok()
}

pub(crate) async fn a_pause_never_undoes_a_halt(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |_| {}).await;
    let paused = tighten(&server, "reducing").await;
    assert_eq!(
        (&paused["state"], &paused["changed"], &paused["by"]),
        (&json!("reducing"), &json!(true), &json!("telegram:2002"))
    );
    put_state(&server, "halted").await;
    for to in ["reducing", "running"] {
        let kept = tighten(&server, to).await;
        assert_eq!(
            (&kept["state"], &kept["changed"], &kept["by"], &kept["reason"]),
            (&json!("halted"), &json!(false), &json!("telegram:1001"), &json!("a test")),
            "{to}"
        );
    }
    assert_eq!(state(&server).await["state"], "halted");
    assert_eq!(send(&server, &signal("buy")).await.ok()["refusal"]["code"], "trading_halted");
    // Whoever means it goes from a halt to a pause.
    assert_eq!(put_state(&server, "reducing").await["state"], "reducing");
    assert_eq!(tighten(&server, "halted").await["state"], "halted");
    server.stop().await;
    desk.stop().await;
}

/// Nothing tries again what nobody has said yes to: whoever presses has to press again, and is told so.
pub(crate) async fn a_yes_that_is_not_kept_is_told_as_that(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = desk.with(&database, |settings| settings.confirm_orders = ConfirmOrders::Always).await;
    let signals = [signal("buy"), signal_with("buy", json!({"symbol": "ETHUSDT"}))];
    for signal in &signals {
        let outcome = send(&server, signal).await.ok();
        assert_eq!(outcome["result"], "awaiting_confirmation", "{outcome}");
    }
    server.stop().await;
    // Each of the two is one too many beside the other.
    let server = desk
        .with(&database, |settings| {
            settings.confirm_orders = ConfirmOrders::Always;
            settings.max_orders_per_minute = 1;
        })
        .await;
    let id = id_of(&signals[1]);
    let problem = decide(&server, &id, "confirm").await.problem(503, "order_held_back");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("minute") && detail.ends_with("The order still waits to be confirmed."), "{detail}");
    assert!(!detail.contains("by itself"), "{detail}");
    let kept = order(&server, &id).await;
    assert_eq!((&kept["status"], &kept["confirmation"]["state"]), (&json!("new"), &json!("pending")));
    assert_eq!(desk.seen(&id).await, (0, 0));
    server.stop().await;
    desk.stop().await;
}
