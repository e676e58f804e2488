//! How often a key or an address may come.

use gateway::NewKey;
use telemetry::testing::attribute;
use web::RunningServer;
use web::testing::{Reply, get, url};

use crate::fake::{Fake, Script};
use crate::support::{Checked as _, gateway, get_with, spans_with};

fn user() -> Fake {
    Fake::start(vec![Script::json("/", "{}")])
}

async fn from(gateway: &RunningServer, forwarded: &str) -> Reply {
    get_with(&url(gateway, "/api/v1/users"), &[("x-forwarded-for", forwarded)]).await
}

fn told_to_wait(reply: &Reply, code: &str) {
    reply.refused(429, code);
    let wait: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(reply.header("x-request-id").len(), 32);
}

#[actix_web::test]
async fn an_address_has_its_burst_and_then_waits() {
    let user = user();
    let gateway = gateway(&["--user-url", &user.url, "--rate-limit-per-second", "1", "--rate-limit-burst", "3"]).await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(get(&url(&gateway, "/api/v1/users")).await.status);
    }
    assert_eq!(&statuses[..3], [200, 200, 200]);
    assert!(statuses[3..].contains(&429), "{statuses:?}");
    // One place is free after a second at most; until then everybody is told to wait, whatever address they invent.
    let refused = loop {
        let reply = from(&gateway, "198.51.100.7").await;
        if reply.status == 429 {
            break reply;
        }
    };
    told_to_wait(&refused, "rate_limited");
    // Nothing outside /api is limited: a page that cannot be loaded tells nobody why.
    for path in ["/", "/health/live", "/metrics"] {
        assert_eq!(get(&url(&gateway, path)).await.status, 200, "{path}");
    }
    gateway.stop().await;
}

#[actix_web::test]
async fn behind_a_trusted_proxy_every_client_has_its_own() {
    let user = user();
    let flags = [
        "--user-url",
        &user.url,
        "--rate-limit-per-second",
        "1",
        "--rate-limit-burst",
        "1",
        "--trusted-proxies",
        "127.0.0.0/8",
    ];
    let gateway = gateway(&flags).await;
    // Burst of one: a second request within a second is one too many, unless the first was too slow.
    let refused = async |forwarded: [&str; 4]| {
        for address in forwarded {
            let reply = from(&gateway, address).await;
            if reply.status == 429 {
                return Some(reply);
            }
        }
        None
    };
    for address in ["198.51.100.1", "198.51.100.2", "203.0.113.1, 198.51.100.3", "2001:db8::1"] {
        assert_eq!(from(&gateway, address).await.status, 200, "{address} comes for the first time");
    }
    let invented = ["1.1.1.1, 198.51.100.9", "1.1.1.2, 198.51.100.9", "1.1.1.3, 198.51.100.9", "1.1.1.4, 198.51.100.9"];
    told_to_wait(&refused(invented).await.expect("what stands further left is invented"), "rate_limited");
    let neighbours = ["2001:db8:1:1::1", "2001:db8:1:1::2", "2001:db8:1:1::3", "2001:db8:1:1::4"];
    told_to_wait(&refused(neighbours).await.expect("one network of 64 bits is one client"), "rate_limited");
    gateway.stop().await;
}

#[actix_web::test]
async fn a_key_is_limited_wherever_it_comes_from_and_others_are_not() {
    let (alice, bob) = (NewKey::make("alice").unwrap(), NewKey::make("bob").unwrap());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{}\n{}\n", alice.line, bob.line)).unwrap();
    let path = file.path().to_str().unwrap();
    let user = user();
    let flags = [
        "--api-keys-file",
        path,
        "--user-url",
        &user.url,
        "--rate-limit-per-second",
        "1",
        "--rate-limit-burst",
        "2",
        "--trusted-proxies",
        "127.0.0.1",
    ];
    let gateway = gateway(&flags).await;
    let users = url(&gateway, "/api/v1/users");
    let mut last = None;
    for at in 0..20 {
        let address = format!("198.51.100.{at}");
        let reply = get_with(&users, &[("x-api-key", &alice.key), ("x-forwarded-for", &address)]).await;
        if reply.status == 429 {
            last = Some(reply);
            break;
        }
    }
    told_to_wait(&last.expect("Alice comes too often"), "rate_limited");
    assert_eq!(get_with(&users, &[("x-api-key", &bob.key)]).await.status, 200);
    gateway.stop().await;
}

#[actix_web::test]
async fn who_guesses_keys_waits_and_who_has_one_does_not() {
    let alice = NewKey::make("alice").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &alice.line).unwrap();
    let user = user();
    let flags =
        ["--api-keys-file", file.path().to_str().unwrap(), "--user-url", &user.url, "--auth-failures-per-minute", "3"];
    let gateway = gateway(&flags).await;
    let users = url(&gateway, "/api/v1/users");
    for _ in 0..3 {
        get_with(&users, &[("x-api-key", "ct_guess")]).await.refused(401, "unauthorized");
    }
    told_to_wait(&get_with(&users, &[("x-api-key", "ct_guess")]).await, "too_many_failures");
    assert_eq!(get_with(&users, &[("x-api-key", &alice.key)]).await.status, 200);
    let rejected =
        telemetry::testing::metric_values("gateway_requests_rejected_total", &[("reason", "too_many_failures")]);
    assert!(rejected.iter().sum::<f64>() >= 1.0, "{rejected:?}");
    gateway.stop().await;
}

#[actix_web::test]
async fn who_is_turned_away_stands_in_the_log_with_address_and_request_id() {
    let alice = NewKey::make("alice").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &alice.line).unwrap();
    let path = file.path().to_str().unwrap();
    let flags = ["--api-keys-file", path, "--auth-failures-per-minute", "1", "--trusted-proxies", "127.0.0.1"];
    let gateway = gateway(&flags).await;
    for (status, code) in [(401, "unauthorized"), (429, "too_many_failures")] {
        let headers = [("x-forwarded-for", "203.0.113.1, 198.51.100.77"), ("x-request-id", "turned-away")];
        let reply = get_with(&url(&gateway, "/api/v1/users"), &headers).await;
        let problem = reply.problem(status, code);
        assert_eq!(reply.header("x-request-id"), "turned-away");
        let spans = spans_with(problem["trace_id"].as_str().unwrap(), "GET /api/v1/users").await;
        assert_eq!(attribute(&spans[0], "client.address").as_deref(), Some("198.51.100.77"), "not the proxy's");
        assert_eq!(attribute(&spans[0], "request.id").as_deref(), Some("turned-away"));
        // The log's line is this event too.
        let told =
            spans[0].events.iter().find(|event| event.attributes.iter().any(|a| a.key.as_str() == "code")).unwrap();
        let field = |name: &str| told.attributes.iter().find(|a| a.key.as_str() == name).map(|a| a.value.to_string());
        assert_eq!(field("code").as_deref(), Some(code));
        assert_eq!(field("client.address").as_deref(), Some("198.51.100.77"));
        assert_eq!(field("request.id").as_deref(), Some("turned-away"));
        assert!(!problem.to_string().contains("198.51.100.77"), "{problem}");
    }
    gateway.stop().await;
}
