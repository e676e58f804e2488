//! The page is served whole, and lets nothing else in.

use web::testing::{get, url};

use crate::support::gateway;

#[actix_web::test]
async fn the_page_and_its_files_are_served_with_a_strict_policy() {
    let gateway = gateway(&[]).await;
    let page = get(&url(&gateway, "/")).await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    let files: Vec<&str> = page.text.split('"').filter(|part| part.starts_with("/page/")).collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in files.iter().chain(&["/", "/page/waterfall.js", "/page/dom.js"]) {
        let reply = get(&url(&gateway, file)).await;
        assert_eq!(reply.status, 200, "{file}");
        assert!(reply.text.len() > 100, "{file} is empty");
        let policy = reply.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{file}: {policy}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{file}");
    }
    for file in ["/", "/page/app.js"] {
        let head = reqwest::Client::new().head(url(&gateway, file)).send().await.unwrap();
        assert_eq!(head.status().as_u16(), 200, "HEAD {file}");
        assert_eq!(head.headers()["etag"], get(&url(&gateway, file)).await.header("etag"), "HEAD {file}");
        assert!(head.text().await.unwrap().is_empty(), "HEAD {file}");
    }
    let tag = page.header("etag").to_owned();
    let again = reqwest::Client::new().get(url(&gateway, "/")).header("if-none-match", tag).send().await.unwrap();
    assert_eq!(again.status().as_u16(), 304);
    assert_eq!(get(&url(&gateway, "/page/../Cargo.toml")).await.status, 404);
    gateway.stop().await;
}
