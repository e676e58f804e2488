//! API keys: asked for, taken, changed while the gateway runs.

use std::path::Path;

use gateway::{Config, NewKey};
use serde_json::json;
use tempfile::TempDir;
use web::testing::{Reply, eventually, get, url};

use crate::fake::{Fake, Script};
use crate::support::{Checked as _, gateway, get_with, post_with};

struct KeyFile {
    folder: TempDir,
}

impl KeyFile {
    fn of(text: &str) -> Self {
        let file = Self { folder: tempfile::tempdir().unwrap() };
        file.write(text);
        file
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("keys")
    }

    fn text(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }

    /// As editors and configuration tools do it: a new file takes the place of the old one.
    fn write(&self, text: &str) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.path()).unwrap();
    }
}

async fn with_key(address: &str, key: &str) -> Reply {
    get_with(address, &[("x-api-key", key)]).await
}

#[actix_web::test]
async fn without_a_key_nobody_comes_in_and_the_page_is_there() {
    let (alice, bob) = (NewKey::make("alice").unwrap(), NewKey::make("bob").unwrap());
    let file = KeyFile::of(&format!("# people\n{}\n", alice.line));
    let user = Fake::start(vec![Script::json("/", r#"{"items":[]}"#)]);
    let gateway = gateway(&["--api-keys-file", &file.text(), "--user-url", &user.url]).await;
    let users = url(&gateway, "/api/v1/users");
    let bearer = |key: &str| format!("Bearer {key}");
    for wrong in [
        &[][..],
        &[("x-api-key", "")],
        &[("x-api-key", bob.key.as_str())],
        &[("x-api-key", alice.line.as_str())],
        &[("authorization", alice.key.as_str())],
        &[("authorization", "Basic YTpi")],
        &[("authorization", &bearer(&bob.key))],
        &[("cookie", &format!("key={}", alice.key))],
    ] {
        let reply = get_with(&users, wrong).await;
        let problem = reply.problem(401, "unauthorized");
        assert_eq!(reply.header("www-authenticate"), "Bearer realm=\"crypto-telemetry\"", "{wrong:?}");
        assert!(!problem.to_string().contains("ct_"), "{problem}");
    }
    assert!(user.seen().is_empty());
    assert_eq!(get_with(&users, &[("x-api-key", &alice.key)]).await.status, 200);
    assert_eq!(get_with(&users, &[("authorization", &bearer(&alice.key))]).await.status, 200);
    assert!(
        user.seen().iter().all(|asked| asked.header("x-api-key").is_none() && asked.header("authorization").is_none())
    );
    for open in ["/", "/page/app.js", "/metrics", "/health/live", "/openapi.json"] {
        assert_eq!(get(&url(&gateway, open)).await.status, 200, "{open}");
    }
    for shut in ["/api/v1/users/1", "/api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736", "/api/v1/nothing", "/api"] {
        get(&url(&gateway, shut)).await.refused(401, "unauthorized");
    }
    let rejected = telemetry::testing::metric_values("gateway_requests_rejected_total", &[("reason", "unauthorized")]);
    assert!(rejected.iter().sum::<f64>() >= 12.0, "{rejected:?}");
    gateway.stop().await;
}

#[actix_web::test]
async fn a_key_s_name_keeps_idempotency_keys_apart() {
    let (alice, bob) = (NewKey::make("alice").unwrap(), NewKey::make("bob").unwrap());
    let file = KeyFile::of(&format!("{}\n{}\n", alice.line, bob.line));
    let link = Fake::link("user-service");
    let gateway = gateway(&["--api-keys-file", &file.text(), "--next-service-url", &link.url]).await;
    for key in [&alice.key, &bob.key] {
        let headers = [("x-api-key", key.as_str()), ("idempotency-key", "same")];
        let reply =
            post_with(&url(&gateway, "/api/v1/process"), &headers, &json!({"user_id": 1, "action": "buy"})).await;
        assert!(!reply.ok().to_string().contains("ct_"));
    }
    let keys: Vec<_> = link.seen().iter().map(|asked| asked.json()["context"]["idempotency_key"].clone()).collect();
    assert_eq!(keys, ["alice:same", "bob:same"]);
    gateway.stop().await;
}

#[actix_web::test]
async fn keys_change_while_it_runs_and_a_broken_file_changes_nothing() {
    let (old, new) = (NewKey::make("robot").unwrap(), NewKey::make("robot").unwrap());
    let file = KeyFile::of(&old.line);
    let user = Fake::start(vec![Script::json("/", "{}")]);
    // Trying until it works is what this test does, not what it is about.
    let flags = ["--api-keys-file", &file.text(), "--user-url", &user.url, "--auth-failures-per-minute", "100000"];
    let gateway = gateway(&flags).await;
    let users = url(&gateway, "/api/v1/users");
    assert_eq!(with_key(&users, &old.key).await.status, 200);
    file.write(&new.line);
    eventually("the new key is known", async || (with_key(&users, &new.key).await.status == 200).then_some(())).await;
    with_key(&users, &old.key).await.refused(401, "unauthorized");

    let failed = || -> f64 {
        telemetry::testing::metric_values("gateway_api_key_file_reads_total", &[("outcome", "failed")]).iter().sum()
    };
    for broken in [Some("robot:beef"), None] {
        let before = failed();
        match broken {
            Some(text) => file.write(text),
            None => std::fs::remove_file(file.path()).unwrap(),
        }
        eventually("the broken file is noticed", async || (failed() > before).then_some(())).await;
        assert_eq!(with_key(&users, &new.key).await.status, 200, "the keys of before stay valid");
    }
    file.write(&format!("{}\n{}", new.line.replace("robot", "renamed"), old.line));
    eventually("the mended file counts", async || (with_key(&users, &old.key).await.status == 200).then_some(())).await;
    assert_eq!(with_key(&users, &new.key).await.status, 200);
    file.write("# nobody any more\n");
    eventually("the last key is gone", async || (with_key(&users, &new.key).await.status == 401).then_some(())).await;
    gateway.stop().await;
}

async fn refused(flags: &[&str]) -> String {
    telemetry::testing::init();
    let error = gateway::start(Config::ephemeral(flags).unwrap()).await.err().unwrap();
    assert!(matches!(error, web::StartError::Setting { .. }), "{error}");
    error.to_string()
}

#[actix_web::test]
async fn it_does_not_start_open_to_everybody_or_with_a_file_it_cannot_use() {
    let open = refused(&["--host", "0.0.0.0"]).await;
    assert!(open.contains("API_KEYS_FILE") && open.contains("0.0.0.0") && open.contains("api-key"), "{open}");
    let missing = refused(&["--api-keys-file", "/nowhere/keys"]).await;
    assert!(missing.contains("API_KEYS_FILE") && missing.contains("/nowhere/keys"), "{missing}");
    let broken = KeyFile::of("alice:ct_secret");
    let told = refused(&["--api-keys-file", &broken.text()]).await;
    assert!(told.contains("line 1") && !told.contains("ct_secret"), "{told}");
    let folder = refused(&["--api-keys-file", Path::new(&broken.text()).parent().unwrap().to_str().unwrap()]).await;
    assert!(folder.contains("cannot be read"), "{folder}");
    // With keys it may be reached from outside.
    let file = KeyFile::of(&NewKey::make("a").unwrap().line);
    let gateway = gateway(&["--host", "0.0.0.0", "--api-keys-file", &file.text()]).await;
    let address = format!("http://127.0.0.1:{}/api/v1/users", gateway.addr().port());
    get(&address).await.refused(401, "unauthorized");
    gateway.stop().await;
}

/// A page whose name suddenly leads to this machine gets nothing from a gateway that asks for no key.
#[actix_web::test]
async fn without_keys_only_this_machines_own_names_are_answered() {
    let user = Fake::start(vec![Script::json("/", r#"{"items":[]}"#)]);
    let gateway = gateway(&["--user-url", &user.url]).await;
    let users = url(&gateway, "/api/v1/users");
    for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080"] {
        assert_eq!(get_with(&users, &[("host", host)]).await.status, 200, "{host}");
    }
    for host in
        ["evil.example", "evil.example:8080", "localhost.evil.example", "10.0.0.1", "127.0.0.1.evil.example", "@"]
    {
        let reply = get_with(&users, &[("host", host), ("x-forwarded-host", "localhost")]).await;
        assert!(matches!(reply.status, 400 | 421), "{host}: {}", reply.text);
    }
    gateway.stop().await;
}
