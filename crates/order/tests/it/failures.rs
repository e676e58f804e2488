//! Others are away, and processes end where they should not.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use storage::testing::TestDatabase;
use web::testing::{call, eventually, get, post, ready, url};

use crate::world::{Market, Next, audit_service, order_of, order_service, rows};

pub(crate) async fn no_price_no_order(database: TestDatabase) {
    let market = Market::start().await;
    let server = order_service(&database, &market, None).await;
    market.market_data.stop().await;
    let reply = post(&url(&server, "/process"), &json!({"user_id": 7, "action": "buy"})).await;
    assert!(matches!(reply.status, 502..=504), "{}", reply.text);
    assert_eq!(reply.json()["upstream"], "market-data-service", "{}", reply.text);
    assert!(rows(&server, "/orders").await.is_empty());
    // What needs no price is not held up.
    drop(post(&url(&server, "/process"), &json!({"user_id": 7, "action": "test"})).await.ok());
    server.stop().await;
    market.simulator.stop().await;
}

fn request(action: &str) -> Value {
    json!({"user_id": 7, "action": action})
}

async fn order(server: &web::RunningServer, action: &str) -> Value {
    post(&url(server, "/process"), &request(action)).await.ok()
}

pub(crate) async fn audit_away_is_made_up_for_in_order(database: TestDatabase) {
    let market = Market::start().await;
    let audit = audit_service(&database).await;
    // It comes back at the same address.
    let address = audit.base_url();
    let port = audit.addr().port();
    let server = order_service(&database, &market, Some(address)).await;
    assert_eq!(order(&server, "first").await["parts"][1]["status"], "done");
    audit.stop().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let mut request = request(&format!("away_{number}"));
        request["items"] = json!([{"symbol": "BTCUSDT", "quantity": "0.5"}, {"symbol": "ETHUSDT", "quantity": "2"}]);
        let reply = post(&url(&server, "/process"), &request).await.ok();
        assert_eq!(reply["parts"][1]["status"], "deferred", "{reply}");
        assert_eq!(reply["parts"][1]["service"], "audit-service", "{reply}");
        assert!(reply["parts"][1]["data"]["deferred"]["recovery"].as_str().unwrap().contains("stands"), "{reply}");
        ids.push(order_of(&reply)["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(rows(&server, "/orders").await.len(), 6, "the orders stand");
    let mut config = audit::Config::ephemeral(database.settings(), None);
    config.server.port = Some(port);
    let audit = audit::start(config).await.unwrap();
    ready(&audit).await;
    let trail = eventually("every row is written", async || {
        let trail = rows(&audit, "/audit").await;
        (trail.len() == 6).then_some(trail)
    })
    .await;
    let written: Vec<&str> = trail.iter().rev().skip(1).map(|row| row["order_id"].as_str().unwrap()).collect();
    assert_eq!(written, ids, "in their order");
    // The trail says what was recovered from, with the whole order.
    for (number, row) in trail.iter().rev().skip(1).enumerate() {
        let context = &row["context"]["context"];
        let errors = context["errors"].as_array().unwrap_or_else(|| panic!("no errors in {row}"));
        assert_eq!(errors.len(), 1, "{row}");
        assert_eq!(
            (&errors[0]["service"], &errors[0]["code"]),
            (&json!("order-service"), &json!("next_service_deferred"))
        );
        let (detail, recovery) = (errors[0]["detail"].as_str().unwrap(), errors[0]["recovery"].as_str().unwrap());
        // The first one was tried; those behind it waited for it, unless the outbox had got to them.
        let others = detail.contains("others of this user wait") && number > 0;
        assert!(detail.starts_with("audit-service failed: ") || others, "{detail}");
        assert!(recovery.contains("at attempt ") && recovery.contains(" ms after "), "{recovery}");
        assert_eq!(context["order"]["id"], row["order_id"]);
        assert_eq!(context["order"]["items"].as_array().unwrap().len(), 2, "{row}");
    }
    assert_eq!(trail.last().unwrap()["context"]["context"].get("errors"), None, "nothing went wrong with the first");
    // Whoever comes now waits for nobody.
    eventually("orders are audited at once", async || {
        (order(&server, "after").await["parts"][1]["status"] == "done").then_some(())
    })
    .await;
    server.stop().await;
    audit.stop().await;
    market.stop().await;
}

/// A service that takes the request and never answers does not keep the order from standing.
pub(crate) async fn a_next_service_that_hangs_is_deferred(database: TestDatabase) {
    let market = Market::start().await;
    let hanging = web::testing::fake(|_, _| async { std::future::pending().await });
    let mut config = order::Config::ephemeral(database.settings(), market.market_data.base_url(), Some(hanging));
    config.chain.next_service_timeout_ms = Some(200);
    let server = order::start(config).await.unwrap();
    ready(&server).await;
    let reply = order(&server, "buy").await;
    assert_eq!(reply["parts"][1]["status"], "deferred", "{reply}");
    assert_eq!(rows(&server, "/orders").await.len(), 1);
    server.stop().await;
    market.stop().await;
}

pub(crate) async fn a_restart_loses_nothing_that_waits(database: TestDatabase) {
    let market = Market::start().await;
    let next = Next::default();
    next.away.store(true, Ordering::SeqCst);
    let address = next.start();
    let server = order_service(&database, &market, Some(address.clone())).await;
    let reply = order(&server, "before_the_restart").await;
    assert_eq!(reply["parts"][1]["status"], "deferred", "{reply}");
    // The process is gone, and what it had in memory with it.
    server.stop().await;
    next.away.store(false, Ordering::SeqCst);
    assert!(next.handed().is_empty());
    let server = order_service(&database, &market, Some(address)).await;
    eventually("what was left is delivered", async || (next.handed() == ["before_the_restart"]).then_some(())).await;
    server.stop().await;
    market.stop().await;
}

pub(crate) async fn the_next_service_is_not_overtaken(database: TestDatabase) {
    let market = Market::start().await;
    let next = Next::default();
    let address = next.start();
    let (one, other) = (
        order_service(&database, &market, Some(address.clone())).await,
        order_service(&database, &market, Some(address)).await,
    );
    next.away.store(true, Ordering::SeqCst);
    let mut actions = Vec::new();
    for number in 0..10 {
        let action = format!("a{number}");
        order(if number % 2 == 0 { &one } else { &other }, &action).await;
        actions.push(action);
    }
    next.away.store(false, Ordering::SeqCst);
    eventually("all are delivered", async || (next.handed().len() >= 10).then_some(())).await;
    assert_eq!(next.handed(), actions, "in order, each once, by two processes");
    one.stop().await;
    other.stop().await;
    market.stop().await;
}

/// What the next service cannot take of one user does not hold up the others.
pub(crate) async fn users_do_not_wait_for_each_other(database: TestDatabase) {
    let market = Market::start().await;
    let next = Next::default();
    let server = order_service(&database, &market, Some(next.start())).await;
    let of = async |user: i64, action: &str| {
        let reply = post(&url(&server, "/process"), &json!({"user_id": user, "action": action})).await.ok();
        reply["parts"][1]["status"].as_str().unwrap().to_owned()
    };
    "poison".clone_into(&mut next.failing.lock().unwrap());
    assert_eq!(of(7, "poison").await, "deferred");
    assert_eq!(of(7, "behind_it").await, "deferred");
    assert_eq!(of(8, "another_user").await, "done");
    assert_eq!(next.handed(), ["another_user"]);
    next.failing.lock().unwrap().clear();
    eventually("all are delivered", async || (next.handed().len() == 3).then_some(())).await;
    assert_eq!(next.handed(), ["another_user", "poison", "behind_it"]);
    server.stop().await;
    market.stop().await;
}

pub(crate) async fn what_is_refused_for_good_is_said_so_and_holds_up_nobody(database: TestDatabase) {
    let market = Market::start().await;
    let next = Next::default();
    let address = next.start();
    let server = order_service(&database, &market, Some(address)).await;
    "poison".clone_into(&mut next.refused.lock().unwrap());
    let reply = order(&server, "poison").await;
    let part = &reply["parts"][1];
    assert_eq!((&part["status"], &part["service"]), (&json!("refused"), &json!("audit-service")), "{reply}");
    assert_eq!(part["data"]["refused"]["code"], "next_service_refused", "{reply}");
    assert!(part["data"]["refused"]["detail"].as_str().unwrap().contains("HTTP 422"), "{reply}");
    assert_eq!(order(&server, "behind_it").await["parts"][1]["status"], "done");
    // From the outbox it is the same: those behind it go on.
    next.away.store(true, Ordering::SeqCst);
    for action in ["poison", "late_one", "late_two"] {
        assert_eq!(order(&server, action).await["parts"][1]["status"], "deferred");
    }
    next.away.store(false, Ordering::SeqCst);
    eventually("those behind it are delivered", async || (next.handed().len() == 3).then_some(())).await;
    assert_eq!(next.handed(), ["behind_it", "late_one", "late_two"]);

    // Whoever looks after it sees why, and lets one go again when the reason is gone.
    let parked = rows(&server, "/outbox/parked").await;
    assert_eq!(parked.len(), 2, "{parked:?}");
    let (first, id) = (&parked[1], parked[1]["order_id"].as_str().unwrap());
    assert_eq!(id, order_of(&reply)["id"], "the newest first");
    assert_eq!(
        (&first["user_id"], &first["attempts"], &first["request"]["action"]),
        (&json!("7"), &json!(1), &json!("poison"))
    );
    assert!(first["reason"].as_str().unwrap().contains("HTTP 422"), "{first}");
    next.refused.lock().unwrap().clear();
    // An id is an id whatever its letters, as in /orders/{id}.
    let retry = url(&server, &format!("/outbox/parked/{}/retry", id.to_ascii_uppercase()));
    assert_eq!(post(&retry, &json!({})).await.status, 202);
    eventually("it is handed on", async || (next.handed().len() == 4).then_some(())).await;
    assert_eq!(next.handed()[3], "poison");
    assert_eq!(rows(&server, "/outbox/parked").await.len(), 1);
    post(&retry, &json!({})).await.problem(404, "not_parked");
    server.stop().await;
    market.stop().await;
}

pub(crate) async fn what_is_set_aside_is_read_in_pages_and_can_be_discarded(database: TestDatabase) {
    let market = Market::start().await;
    let next = Next::default();
    let server = order_service(&database, &market, Some(next.start())).await;
    "poison".clone_into(&mut next.refused.lock().unwrap());
    let mut made = Vec::new();
    for _ in 0..5 {
        let reply = order(&server, "poison").await;
        assert_eq!(reply["parts"][1]["status"], "refused", "{reply}");
        made.push(order_of(&reply)["id"].as_str().unwrap().to_owned());
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&url(&server, &format!("/outbox/parked?limit=2{cursor}"))).await.ok();
        seen.extend(page["items"].as_array().unwrap().iter().map(|one| one["order_id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    seen.reverse();
    assert_eq!(seen, made, "newest first, each once");

    // One that will never be taken is got rid of; its order stands, and nothing else is touched.
    let one = url(&server, &format!("/outbox/parked/{}", made[2].to_ascii_uppercase()));
    let reply = call("DELETE", &one).await;
    assert_eq!((reply.status, reply.text.as_str()), (204, ""));
    let _ = call("DELETE", &one).await.problem(404, "not_parked");
    let _ = post(&format!("{one}/retry"), &json!({})).await.problem(404, "not_parked");
    assert_eq!(rows(&server, "/outbox/parked").await.len(), 4);
    assert_eq!(rows(&server, "/orders").await.len(), 5);
    server.stop().await;
    market.stop().await;
}

pub(crate) async fn what_is_no_order_s_id_reaches_no_database(database: TestDatabase) {
    let market = Market::start().await;
    let address = Next::default().start();
    let server = order_service(&database, &market, Some(address)).await;
    let unknown = "0".repeat(32);
    for id in ["%00", "1", "x", &"g".repeat(32), &format!("{unknown}0"), &format!("{}%00", &unknown[1..])] {
        let _ = get(&url(&server, &format!("/orders/{id}"))).await.problem(400, "bad_order_id");
        let one = url(&server, &format!("/outbox/parked/{id}"));
        let _ = post(&format!("{one}/retry"), &json!({})).await.problem(400, "bad_order_id");
        let _ = call("DELETE", &one).await.problem(400, "bad_order_id");
    }
    let one = url(&server, &format!("/outbox/parked/{unknown}"));
    let _ = post(&format!("{one}/retry"), &json!({})).await.problem(404, "not_parked");
    let _ = call("DELETE", &one).await.problem(404, "not_parked");
    for (query, code) in [
        ("limit=0", "bad_limit"),
        ("limit=201", "bad_limit"),
        ("limit=%00", "bad_limit"),
        ("cursor=x", "bad_cursor"),
        ("cursor=%00", "bad_cursor"),
    ] {
        let _ = get(&url(&server, &format!("/outbox/parked?{query}"))).await.problem(400, code);
        let _ = get(&url(&server, &format!("/orders?{query}"))).await.problem(400, code);
    }
    let _ = get(&url(&server, "/orders?user_id=%00")).await.problem(400, "bad_query");
    let described = get(&url(&server, "/openapi.json")).await.ok();
    for (path, method, statuses) in [
        ("/outbox/parked", "get", &["200", "400", "403", "503", "504"][..]),
        ("/outbox/parked/{order_id}", "delete", &["204", "400", "403", "404", "503", "504"]),
        ("/outbox/parked/{order_id}/retry", "post", &["202", "400", "403", "404", "503", "504"]),
    ] {
        let answers = described["paths"][path][method]["responses"].as_object().unwrap();
        assert_eq!(answers.keys().collect::<Vec<_>>(), statuses, "{method} {path}");
    }
    server.stop().await;
    market.stop().await;
}
