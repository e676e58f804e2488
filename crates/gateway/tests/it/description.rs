//! The description of the whole API, and the page to try it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use actix_web::HttpResponse;
use serde_json::{Value, json};
use web::RunningServer;
use web::testing::{eventually, get, url};

use crate::fake::{Fake, Script};
use crate::support::{Checked as _, gateway, get_with};

fn describing(paths: &[(&str, &str)]) -> Value {
    let operation = json!({"operationId": "it", "responses": {"200": {"description": "It", "content":
        {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}}});
    let paths: serde_json::Map<String, Value> =
        paths.iter().map(|(method, path)| ((*path).to_owned(), json!({ *method: operation }))).collect();
    json!({"openapi": "3.1.0", "info": {"title": "A fake", "version": "1"}, "paths": paths,
        "components": {"schemas": {"Thing": {"type": "object"}}}})
}

fn all() -> Value {
    describing(&[
        ("get", "/users"),
        ("get", "/users/{id}"),
        ("get", "/orders"),
        ("get", "/orders/{id}"),
        ("get", "/audit"),
        ("post", "/v1/ask"),
        ("get", "/v1/prices/{symbol}"),
        ("get", "/v1/candles/{symbol}"),
        ("get", "/v1/symbols"),
        ("get", "/v1/stream"),
        ("post", "/v1/decisions"),
    ])
}

async fn description(gateway: &RunningServer) -> Value {
    get(&url(gateway, "/openapi.json")).await.ok()
}

fn words(description: &Value) -> String {
    description["info"]["description"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn a_service_that_is_away_is_missing_and_comes_back() {
    let up = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicUsize::new(0));
    let (there, count) = (Arc::clone(&up), Arc::clone(&asked));
    let user = Fake::answering(move |_asked| {
        count.fetch_add(1, Ordering::SeqCst);
        let up = there.load(Ordering::SeqCst);
        async move { if up { HttpResponse::Ok().json(all()) } else { HttpResponse::ServiceUnavailable().finish() } }
    });
    let others = Fake::start(vec![Script::json("/openapi.json", all().to_string())]);
    let mut flags = vec!["--openapi-refresh-ms", "20", "--user-url", &user.url];
    for flag in ["--order-url", "--audit-url", "--notifier-url", "--market-data-url", "--decision-url"] {
        flags.extend([flag, &others.url]);
    }
    let gateway = gateway(&flags).await;
    let without = eventually("the others are described", async || {
        let description = description(&gateway).await;
        description["paths"].get("/api/v1/audit").is_some().then_some(description)
    })
    .await;
    assert!(without["paths"].get("/api/v1/users").is_none(), "{without}");
    let note = words(&without);
    assert!(note.contains("user-service") && !note.contains("order-service"), "{note}");

    up.store(true, Ordering::SeqCst);
    let whole = eventually("everything is described", async || {
        let description = description(&gateway).await;
        description["paths"].get("/api/v1/users").is_some().then_some(description)
    })
    .await;
    assert!(!words(&whole).contains("user-service"), "{}", words(&whole));
    let paths = whole["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 14, "{:?}", paths.keys());
    assert!(paths.keys().all(|path| path.starts_with("/api/v1/")), "{:?}", paths.keys());
    for own in ["/api/v1/process", "/api/v1/traces/{trace_id}", "/api/v1/traces/{trace_id}/logs"] {
        assert!(paths.contains_key(own), "{own}");
    }
    // It stays known when its service goes again.
    up.store(false, Ordering::SeqCst);
    let before = asked.load(Ordering::SeqCst);
    eventually("it was asked in vain", async || (asked.load(Ordering::SeqCst) > before).then_some(())).await;
    assert!(description(&gateway).await["paths"].get("/api/v1/users").is_some());
    gateway.stop().await;
}

#[actix_web::test]
async fn with_everything_away_the_gateway_describes_itself() {
    let gateway = gateway(&[]).await;
    let description = description(&gateway).await;
    assert_eq!(description["paths"].as_object().unwrap().len(), 3);
    assert_eq!(description["info"]["title"], "crypto-telemetry");
    let statuses: Vec<&String> =
        description["paths"]["/api/v1/process"]["post"]["responses"].as_object().unwrap().keys().collect();
    assert_eq!(
        statuses,
        ["200", "400", "401", "404", "408", "409", "413", "415", "421", "422", "429", "502", "503", "504"]
    );
    assert!(words(&description).contains("decision-service"));
    gateway.stop().await;
}

#[actix_web::test]
async fn the_page_to_try_it_needs_nothing_from_elsewhere() {
    let gateway = gateway(&[]).await;
    let page = get(&url(&gateway, "/docs/")).await;
    assert_eq!(page.status, 200);
    assert!(
        !page.text.contains("<style") && !page.text.contains("http://") && !page.text.contains("https://"),
        "{}",
        page.text
    );
    let files = [
        "swagger-ui.css",
        "index.css",
        "swagger-ui-bundle.js",
        "swagger-ui-standalone-preset.js",
        "swagger-initializer.js",
        "favicon-32x32.png",
    ];
    for file in files {
        assert!(page.text.contains(file), "{file}");
    }
    for file in ["swagger-ui.css", "index.css", "swagger-ui-bundle.js", "swagger-initializer.js"] {
        let address = url(&gateway, &format!("/docs/{file}"));
        let plain = get(&address).await;
        assert!(plain.status == 200 && plain.text.len() > 100, "{file}");
        let policy = plain.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let packed = get_with(&address, &[("accept-encoding", "br, gzip")]).await;
        let is_packed = file != "swagger-initializer.js";
        assert_eq!(packed.header("content-encoding") == "gzip", is_packed, "{file}");
        let refused = get_with(&address, &[("accept-encoding", "gzip;q=0")]).await;
        assert_eq!((refused.header("content-encoding"), &refused.text), ("", &plain.text), "{file}");
    }
    let initializer = get(&url(&gateway, "/docs/swagger-initializer.js")).await.text;
    assert!(initializer.contains("/openapi.json") && !initializer.contains("petstore"), "{initializer}");
    let moved = get_with(&url(&gateway, "/docs"), &[]).await;
    assert_eq!((moved.status, moved.header("location")), (308, "/docs/"));
    get(&url(&gateway, "/docs/../Cargo.toml")).await.refused(404, "not_found");
    get(&url(&gateway, "/docs/nothing.js")).await.refused(404, "not_found");
    gateway.stop().await;
}
