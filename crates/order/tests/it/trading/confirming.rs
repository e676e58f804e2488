//! Orders that somebody has to confirm.

use order::trading::ConfirmOrders;
use serde_json::{Value, json};
use storage::testing::TestDatabase;
use web::RunningServer;
use web::testing::{eventually, post, url};

use super::desk::{
    Desk, comes_to, decide, deliver, id_of, order, put_state, send, signal, signal_with, state, statuses,
};

async fn careful(desk: &Desk, database: &TestDatabase) -> RunningServer {
    desk.with(database, |settings| settings.confirm_orders = ConfirmOrders::Always).await
}

/// A signal whose order waits.
async fn waiting(server: &RunningServer) -> String {
    let signal = signal("buy");
    let outcome = send(server, &signal).await.ok();
    assert_eq!(outcome["result"], "awaiting_confirmation", "{outcome}");
    assert_eq!(outcome["order"]["confirmation"]["state"], "pending");
    id_of(&signal)
}

pub(crate) async fn an_order_is_confirmed_once(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = careful(&desk, &database).await;
    let id = waiting(&server).await;
    assert_eq!(desk.seen(&id).await, (0, 0), "nothing is sent before somebody says so");
    assert_eq!(state(&server).await["awaiting_confirmation"], 1);
    // It waits over a restart.
    server.stop().await;
    let (server, other) = (careful(&desk, &database).await, careful(&desk, &database).await);
    // Many say yes at once, to two processes.
    let tries: Vec<_> = (0..10)
        .map(|number| {
            let path = format!("/v1/trading/orders/{id}/confirm");
            let address = url(if number % 2 == 0 { &server } else { &other }, &path);
            let body = json!({"by": format!("telegram:{number}")});
            actix_web::rt::spawn(async move { post(&address, &body).await })
        })
        .collect();
    let mut winners = Vec::new();
    for attempt in tries {
        let reply = attempt.await.unwrap();
        match reply.status {
            200 => winners.push(reply.json()["confirmation"]["by"].as_str().unwrap().to_owned()),
            503 => assert_eq!(reply.json()["code"], "contended"),
            _ => drop(reply.problem(409, "already_decided")),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    let filled = comes_to(&server, &id, "filled").await;
    assert_eq!(
        (&filled["confirmation"]["state"], &filled["confirmation"]["by"]),
        (&json!("confirmed"), &json!(winners[0]))
    );
    assert_eq!(desk.seen(&id).await, (1, 1));
    let _ = decide(&server, &id, "confirm").await.problem(409, "already_decided");
    let _ = decide(&server, &id, "decline").await.problem(409, "already_decided");
    let trail = eventually("the trail is written", async || {
        let trail = desk.trail(&id).await;
        trail.iter().any(|event| event["action"] == "order.filled").then_some(trail)
    })
    .await;
    let confirmed: Vec<&Value> = trail.iter().filter(|event| event["action"] == "order.confirmed").collect();
    assert_eq!((confirmed.len(), &confirmed[0]["actor"]), (1, &json!(winners[0])));
    server.stop().await;
    other.stop().await;
    desk.stop().await;
}

pub(crate) async fn an_order_is_declined_or_runs_out(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = careful(&desk, &database).await;
    let id = waiting(&server).await;
    let declined = decide(&server, &id, "decline").await.ok();
    assert_eq!((&declined["status"], &declined["confirmation"]["state"]), (&json!("cancelled"), &json!("declined")));
    // Whoever cancels what waits for a yes has said no.
    let cancelled = decide(&server, &waiting(&server).await, "cancel").await.ok();
    let confirmation = &cancelled["confirmation"];
    assert_eq!(
        (&cancelled["status"], &confirmation["state"], &confirmation["by"]),
        (&json!("cancelled"), &json!("declined"), &json!("telegram:1001"))
    );
    let _ = decide(&server, &id, "confirm").await.problem(409, "already_decided");
    server.stop().await;

    let server = desk
        .with(&database, |settings| {
            settings.confirm_orders = ConfirmOrders::Always;
            settings.confirm_timeout_seconds = 1;
        })
        .await;
    let late = waiting(&server).await;
    let expired = comes_to(&server, &late, "expired").await;
    assert_eq!(expired["confirmation"]["state"], "expired");
    assert_eq!(statuses(&expired), ["new", "expired"]);
    let _ = decide(&server, &late, "confirm").await.problem(410, "confirmation_expired");
    let _ = decide(&server, &late, "decline").await.problem(410, "confirmation_expired");
    for id in [&id, &late] {
        assert_eq!(desk.seen(id).await, (0, 0));
    }
    eventually("people are told", async || {
        (desk.notices.of(&late).last()?["event"]["order"]["status"] == "expired").then_some(())
    })
    .await;
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn the_limits_are_asked_again(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = careful(&desk, &database).await;
    let id = waiting(&server).await;
    put_state(&server, "reducing").await;
    let refused = decide(&server, &id, "confirm").await.ok();
    assert_eq!(refused["status"], "cancelled", "{refused}");
    assert!(refused["reason"].as_str().unwrap().contains("paused"), "{refused}");
    put_state(&server, "running").await;
    // What waits is taken back by a halt.
    let id = waiting(&server).await;
    let halted = put_state(&server, "halted").await;
    assert_eq!(halted["cancelled"], json!([id]), "{halted}");
    let _ = decide(&server, &id, "confirm").await.problem(409, "already_decided");
    assert_eq!(order(&server, &id).await["reason"], "trading is halted");
    assert_eq!(desk.seen(&id).await, (0, 0));
    server.stop().await;
    desk.stop().await;
}

pub(crate) async fn what_is_confirmed_and_cannot_be_sent_is_sent_later(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = careful(&desk, &database).await;
    let id = waiting(&server).await;
    desk.bingx_fault("too_many_requests").await;
    let confirmed = decide(&server, &id, "confirm").await.ok();
    assert_eq!((&confirmed["status"], &confirmed["confirmation"]["state"]), (&json!("new"), &json!("confirmed")));
    desk.faults_off().await;
    comes_to(&server, &id, "filled").await;
    assert_eq!(desk.seen(&id).await.1, 1);
    server.stop().await;
    // Orders that nobody has to confirm cannot be confirmed.
    let server = desk.with(&database, |_| {}).await;
    let plain = signal("buy");
    deliver(&server, &plain).await;
    let _ = decide(&server, &id_of(&plain), "confirm").await.problem(409, "no_confirmation");
    let _ = decide(&server, &"0".repeat(32), "confirm").await.problem(404, "unknown_order");
    let _ = decide(&server, "x", "confirm").await.problem(400, "bad_order_id");
    let nobody = url(&server, &format!("/v1/trading/orders/{id}/confirm"));
    for by in [json!({}), json!({"by": ""}), json!({"by": "two words"})] {
        let _ = post(&nobody, &by).await.problem(400, "bad_body");
    }
    server.stop().await;
    desk.stop().await;
}

/// A database that was traded on with paper is traded on with money: what is open there belongs to the other account.
pub(crate) async fn another_mode_s_order_is_left_alone(database: TestDatabase) {
    let desk = Desk::start(&database).await;
    let server = careful(&desk, &database).await;
    let bought = signal("buy");
    let id = id_of(&bought);
    send(&server, &bought).await.ok();
    server.stop().await;
    // Nothing is called: there is nothing at that address.
    let live = desk
        .with(&database, |settings| {
            settings.trading_mode = order::trading::TradingModeSetting::Live;
            settings.bingx_api_url = "https://127.0.0.1:1/".parse().unwrap();
            settings.bingx_api_key = Some("key".into());
            settings.bingx_secret_key = Some("secret".into());
        })
        .await;
    let known = send(&live, &bought).await.ok();
    assert_eq!((&known["replayed"], &known["order"]["mode"]), (&json!(true), &json!("paper")));
    for decision in ["confirm", "decline", "cancel"] {
        let _ = decide(&live, &id, decision).await.problem(409, "other_mode");
    }
    assert_eq!((&state(&live).await["open_orders"], &state(&live).await["mode"]), (&json!(0), &json!("live")));
    // What is for paper only is refused, for good and before anything is asked; no price is to be had here either.
    let paper = signal_with("buy", json!({"paper_only": true}));
    for replayed in [false, true] {
        let refused = send(&live, &paper).await.ok();
        assert_eq!((&refused["refusal"]["code"], &refused["replayed"]), (&json!("paper_only"), &json!(replayed)));
    }
    live.stop().await;
    let server = careful(&desk, &database).await;
    assert_eq!(decide(&server, &id, "decline").await.ok()["status"], "cancelled");
    server.stop().await;
    desk.stop().await;
}
