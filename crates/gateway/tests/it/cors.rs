//! Pages of other origins.

use gateway::NewKey;
use reqwest::Method;
use web::RunningServer;
use web::testing::{Reply, url};

use crate::fake::{Fake, Script};
use crate::support::{Checked as _, client, gateway, get_with, send};

const FRIEND: &str = "https://friend.example";

async fn preflight(gateway: &RunningServer, origin: &str) -> Reply {
    let request = client()
        .request(Method::OPTIONS, url(gateway, "/api/v1/process"))
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,x-api-key,idempotency-key");
    send(request).await
}

fn allowed(reply: &Reply) -> &str {
    reply.header("access-control-allow-origin")
}

#[actix_web::test]
async fn nobody_is_let_in_by_default() {
    let user = Fake::start(vec![Script::json("/", "{}")]);
    let gateway = gateway(&["--user-url", &user.url]).await;
    let reply = preflight(&gateway, FRIEND).await;
    assert!(reply.status >= 400 && allowed(&reply).is_empty(), "{reply:?}");
    let reply = get_with(&url(&gateway, "/api/v1/users"), &[("origin", FRIEND)]).await;
    assert_eq!((reply.status, allowed(&reply)), (200, ""), "the browser keeps it from the page");
    gateway.stop().await;
}

#[actix_web::test]
async fn an_origin_that_is_named_is_and_reads_refusals_too() {
    let key = NewKey::make("a").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &key.line).unwrap();
    let user = Fake::start(vec![Script::json("/", "{}")]);
    let flags = [
        "--cors-allowed-origins",
        "https://friend.example,http://localhost:3000",
        "--user-url",
        &user.url,
        "--api-keys-file",
        file.path().to_str().unwrap(),
    ];
    let gateway = gateway(&flags).await;
    let reply = preflight(&gateway, FRIEND).await;
    assert_eq!((reply.status, allowed(&reply)), (200, FRIEND), "no key is asked of a preflight");
    assert!(reply.header("access-control-allow-headers").to_ascii_lowercase().contains("x-api-key"));
    assert!(reply.headers.get("access-control-allow-credentials").is_none(), "cookies are nothing here");
    let users = url(&gateway, "/api/v1/users");
    let reply = get_with(&users, &[("origin", FRIEND), ("x-api-key", &key.key)]).await;
    assert_eq!((reply.status, allowed(&reply)), (200, FRIEND));
    assert!(reply.header("access-control-expose-headers").to_ascii_lowercase().contains("x-request-id"));
    assert!(reply.header("vary").to_ascii_lowercase().contains("origin"));
    let refused = get_with(&users, &[("origin", FRIEND)]).await;
    refused.refused(401, "unauthorized");
    assert_eq!(allowed(&refused), FRIEND, "the page is told why");
    for stranger in ["https://friend.example.evil.example", "http://friend.example", "null"] {
        let reply = preflight(&gateway, stranger).await;
        assert!(allowed(&reply).is_empty(), "{stranger}: {reply:?}");
        let reply = get_with(&users, &[("origin", stranger), ("x-api-key", &key.key)]).await;
        assert!(allowed(&reply).is_empty(), "{stranger}: {reply:?}");
    }
    gateway.stop().await;
}
