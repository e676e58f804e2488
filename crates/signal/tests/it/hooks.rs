//! Hooks: made, listed, revoked, and by whom.

use secrecy::SecretString;
use serde_json::json;
use storage::testing::TestDatabase;

use crate::world::World;

const ALERT: &str = "ticker=BTCUSDT action=buy timenow=2026-01-31T12:00:00Z";

pub(crate) async fn a_hook_is_made_listed_and_revoked(database: TestDatabase) {
    let world = World::start(&database).await;
    let made = world.post_json("/v1/hooks", &json!({"name": "breakout"})).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    let path = made["path"].as_str().unwrap();
    assert_eq!(path, format!("/webhooks/tradingview/{token}"));
    assert!(made["trace_id"].is_string());
    let listed = &world.items("/v1/hooks").await[0];
    assert_eq!((&listed["id"], &listed["name"], &listed["signals"]), (&json!(id), &json!("breakout"), &json!(0)));
    assert!(listed["revoked_at"].is_null() && listed["last_used_at"].is_null(), "{listed}");
    assert_eq!(world.taken(path, ALERT).await.0, "accepted");
    let listed = world.get("/v1/hooks").await;
    assert!(!listed.text.contains(token));
    let listed = &listed.json()["items"][0];
    assert_eq!(listed["signals"], 1);
    assert!(listed["last_used_at"].is_string(), "{listed}");
    // Revoked at once, and again with no harm.
    for _ in 0..2 {
        assert_eq!(world.call("DELETE", &format!("/v1/hooks/{id}"), &[], Vec::new()).await.status, 204);
        world.send(path, "ticker=ETHUSDT action=buy").await.problem(401, "unknown_hook");
    }
    let first = world.items("/v1/hooks").await[0]["revoked_at"].clone();
    assert!(first.is_string());
    world.stop().await;
}

pub(crate) async fn a_name_is_one_live_hook_s(database: TestDatabase) {
    let world = World::start(&database).await;
    let (id, _) = world.hook("a").await;
    world.post_json("/v1/hooks", &json!({"name": "a"})).await.problem(409, "name_taken");
    assert_eq!(world.call("DELETE", &format!("/v1/hooks/{id}"), &[], Vec::new()).await.status, 204);
    let (again, _) = world.hook("a").await;
    assert_ne!(again, id);
    // In pages, the newest first, those that are revoked among them.
    let page = world.get("/v1/hooks?limit=1").await.json();
    assert_eq!((&page["items"][0]["id"], page["items"].as_array().unwrap().len()), (&json!(again), 1));
    let rest = world.items(&format!("/v1/hooks?cursor={}", page["next_cursor"].as_str().unwrap())).await;
    assert_eq!((&rest[0]["id"], rest.len()), (&json!(id), 1));
    world.stop().await;
}

pub(crate) async fn what_is_wrong_is_said(database: TestDatabase) {
    let world = World::start(&database).await;
    for name in
        [json!(""), json!("a b"), json!("\u{e4}"), json!("a\u{0}"), json!("a".repeat(41)), json!(7), json!(null)]
    {
        world.post_json("/v1/hooks", &json!({"name": name})).await.problem(400, "bad_body");
    }
    world.post_json("/v1/hooks", &json!({})).await.problem(400, "bad_body");
    world.post_json("/v1/hooks", &json!({"name": "a", "token": "mine"})).await.problem(400, "bad_body");
    world
        .call("POST", "/v1/hooks", &[("content-type", "application/json")], b"{".to_vec())
        .await
        .problem(400, "bad_json");
    world.call("POST", "/v1/hooks", &[], b"{}".to_vec()).await.problem(415, "unsupported_media_type");
    let none = "0".repeat(32);
    world.call("DELETE", &format!("/v1/hooks/{none}"), &[], Vec::new()).await.problem(404, "no_such_hook");
    world.call("DELETE", "/v1/hooks/a%00", &[], Vec::new()).await.problem(400, "bad_id");
    world.get("/v1/hooks?limit=0").await.problem(400, "bad_limit");
    world.get("/v1/hooks?cursor=x").await.problem(400, "bad_cursor");
    world.get(&format!("/v1/signals/{none}")).await.problem(404, "unknown_signal");
    world.get("/v1/signals/x").await.problem(400, "bad_id");
    world.get("/v1/signals?status=lost").await.problem(400, "bad_query");
    world.stop().await;
}

pub(crate) async fn only_this_machine_or_the_key_manages(database: TestDatabase) {
    const KEY: &str = "a-key-of-this-test-alone";
    let world = World::start_with(&database, |config| config.access.admin_key = Some(SecretString::from(KEY))).await;
    let (id, path) = world.hook("near").await;
    let elsewhere = ("x-forwarded-for", "192.0.2.1");
    for (method, path) in [
        ("POST", "/v1/hooks".to_owned()),
        ("GET", "/v1/hooks".to_owned()),
        ("DELETE", format!("/v1/hooks/{id}")),
        ("GET", "/v1/signals".to_owned()),
        ("GET", format!("/v1/signals/{id}")),
    ] {
        let wrong = [elsewhere, ("x-api-key", "another-key-than-the-one"), ("content-type", "application/json")];
        for headers in [&[elsewhere][..], &[("forwarded", "for=192.0.2.1")], &[("host", "example.org")], &wrong] {
            // Whoever may not is told nothing about the rest of the request.
            world.call(method, &path, headers, b"{".to_vec()).await.problem(403, "management_not_allowed");
        }
    }
    let keyed = [elsewhere, ("x-api-key", KEY), ("content-type", "application/json")];
    assert_eq!(world.call("POST", "/v1/hooks", &keyed, br#"{"name":"far"}"#.to_vec()).await.status, 201);
    assert_eq!(world.call("GET", "/v1/signals", &keyed, Vec::new()).await.status, 200);
    // Alerts come from everywhere.
    let sent = world.call("POST", &path, &[elsewhere, ("host", "example.org")], ALERT.as_bytes().to_vec()).await;
    assert_eq!(sent.status, 200, "{}", sent.text);
    world.stop().await;
}

pub(crate) async fn a_token_stands_nowhere(database: TestDatabase) {
    let world = World::start(&database).await;
    let (_, path) = world.hook("secret").await;
    world.taken(&path, ALERT).await;
    let token = path.rsplit('/').next().unwrap().to_owned();
    for path in ["/v1/hooks", "/v1/signals", "/metrics", "/health/ready"] {
        assert!(!world.get(path).await.text.contains(&token), "{path}");
    }
    world.stop().await;
    // What a file says is known for SQLite; for PostgreSQL it is the same statements.
    let Some(folder) = database.folder() else { return };
    let mut files = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        // A database that is closed takes its log with it.
        let Ok(bytes) = std::fs::read(file.unwrap().path()) else { continue };
        files += 1;
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()));
    }
    assert!(files > 0);
}
