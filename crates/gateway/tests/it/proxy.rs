//! Requests that go through to the services.

use serde_json::json;
use web::testing::{Reply, call, eventually, get, post, post_text, url};

use crate::fake::{Fake, Script};
use crate::support::{Checked as _, client, gateway, get_with, post_with, send, spans_with};

/// A fake that answers everything with its own name.
fn named(name: &str) -> Fake {
    Fake::start(vec![Script::json("/", json!({ "service": name }).to_string())])
}

#[actix_web::test]
async fn every_path_goes_to_the_service_that_has_it() {
    let names = ["user", "order", "audit", "notifier", "market-data", "decision"];
    let fakes = names.map(named);
    let flags: Vec<String> =
        names.iter().zip(&fakes).flat_map(|(name, fake)| [format!("--{name}-url"), fake.url.clone()]).collect();
    let gateway = gateway(&flags.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for (path, service, there) in [
        ("/api/v1/users", "user", "/users"),
        ("/api/v1/users?limit=5&cursor=a%20b", "user", "/users?limit=5&cursor=a%20b"),
        ("/api/v1/users/1001", "user", "/users/1001"),
        ("/api/v1/orders", "order", "/orders"),
        ("/api/v1/orders/4bf92f3577b34da6a3ce929d0e0e4736", "order", "/orders/4bf92f3577b34da6a3ce929d0e0e4736"),
        ("/api/v1/audit", "audit", "/audit"),
        ("/api/v1/prices/BTCUSDT", "market-data", "/v1/prices/BTCUSDT"),
        ("/api/v1/candles/BTCUSDT?interval=1m", "market-data", "/v1/candles/BTCUSDT?interval=1m"),
        ("/api/v1/symbols", "market-data", "/v1/symbols"),
    ] {
        let answer = get(&url(&gateway, path)).await;
        assert_eq!(answer.ok()["service"], service, "{path}");
        assert_eq!((answer.header("x-request-id").len(), answer.header("content-type")), (32, "application/json"));
        let fake = &fakes[names.iter().position(|name| *name == service).unwrap()];
        assert_eq!(fake.uris().last().unwrap(), there, "{path}");
    }
    for (path, service, there) in
        [("/api/v1/ask", "notifier", "/v1/ask"), ("/api/v1/decisions", "decision", "/v1/decisions")]
    {
        let body = json!({"question": "btc?"});
        assert_eq!(post(&url(&gateway, path), &body).await.ok()["service"], service, "{path}");
        let fake = &fakes[names.iter().position(|name| *name == service).unwrap()];
        let asked = fake.only();
        assert_eq!((asked.uri.as_str(), asked.json()), (there, body));
    }
    gateway.stop().await;
}

#[actix_web::test]
async fn a_read_is_one_trace_with_the_service() {
    let user = named("user");
    let gateway = gateway(&["--user-url", &user.url]).await;
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4737";
    let outside = format!("00-{trace_id}-00f067aa0ba902b7-01");
    get_with(&url(&gateway, "/api/v1/users/1"), &[("traceparent", &outside)]).await.done();
    let asked = user.only();
    let parent: Vec<&str> = asked.header("traceparent").unwrap().split('-').collect();
    let spans = spans_with(trace_id, "GET /api/v1/users/{id}").await;
    let call = eventually("the call's span", async || {
        let spans = spans_with(trace_id, "GET /users/{id}").await;
        spans.into_iter().find(|span| span.name == "GET /users/{id}")
    })
    .await;
    let root = spans.iter().find(|span| span.name == "GET /api/v1/users/{id}").unwrap();
    assert_eq!(parent[1], trace_id);
    assert_eq!(call.span_context.span_id().to_string(), parent[2]);
    assert_eq!(call.parent_span_id, root.span_context.span_id());
    gateway.stop().await;
}

#[actix_web::test]
async fn only_what_is_meant_to_pass_does() {
    let answer = Script::json("/", "{}")
        .header("set-cookie", "session=secret")
        .header("server", "secret")
        .header("x-internal", "secret")
        .header("access-control-allow-origin", "*")
        .header("cache-control", "max-age=3")
        .header("etag", "\"1\"");
    let user = Fake::start(vec![answer.clone()]);
    let notifier = Fake::start(vec![answer]);
    let gateway = gateway(&["--user-url", &user.url, "--notifier-url", &notifier.url]).await;
    let headers = [
        ("cookie", "session=secret"),
        ("authorization", "Bearer secret"),
        ("x-api-key", "secret"),
        ("baggage", "user.id=secret"),
        ("x-forwarded-for", "secret"),
        ("x-forwarded-host", "secret"),
        ("forwarded", "for=secret"),
        ("proxy-authorization", "secret"),
        ("te", "trailers"),
        ("accept-language", "de"),
        ("x-request-id", "mine"),
    ];
    let answers = [
        get_with(&url(&gateway, "/api/v1/users"), &headers).await,
        post_with(&url(&gateway, "/api/v1/ask"), &headers, &json!({})).await,
    ];
    for answer in answers {
        answer.done();
        assert_eq!((answer.header("cache-control"), answer.header("etag")), ("max-age=3", "\"1\""));
        for absent in ["set-cookie", "server", "x-internal", "access-control-allow-origin"] {
            assert!(answer.headers.get(absent).is_none(), "{absent}");
        }
    }
    for asked in [user.only(), notifier.only()] {
        let mut names: Vec<&str> = asked.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.retain(|name| !["content-length", "content-type"].contains(name));
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "accept",
                "accept-encoding",
                "accept-language",
                "date",
                "host",
                "traceparent",
                "tracestate",
                "user-agent",
                "x-request-id"
            ]
            .into_iter()
            .filter(|name| names.contains(name))
            .collect::<Vec<_>>()
        );
        assert_eq!((asked.header("accept-language"), asked.header("x-request-id")), (Some("de"), Some("mine")));
        assert!(asked.headers.iter().all(|(_, value)| !value.contains("secret")), "{:?}", asked.headers);
    }
    gateway.stop().await;
}

#[actix_web::test]
async fn a_path_leads_nowhere_else() {
    let user = named("user");
    let gateway = gateway(&["--user-url", &user.url]).await;
    // Raw: a client would tidy these up by itself.
    for path in [
        "/api/v1/users/..",
        "/api/v1/users/%2e%2e",
        "/api/v1/users/..%2f..%2fmetrics",
        "/api/v1/users/a%3Fb",
        "/api/v1/users/%00",
    ] {
        let (status, text) =
            raw(&gateway, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await;
        assert!(status == 400 || status == 404, "{path}: {text}");
    }
    let long = "a".repeat(65);
    get(&url(&gateway, &format!("/api/v1/users/{long}"))).await.refused(400, "bad_path");
    let query = "a".repeat(5_000);
    get(&url(&gateway, &format!("/api/v1/users?cursor={query}"))).await.refused(400, "bad_query");
    for path in ["/api/v1/process/", "/api/v1/metrics", "/api/users", "/api", "/api/v1/users/1/2"] {
        get(&url(&gateway, path)).await.refused(404, "not_found");
    }
    for (method, path) in
        [("POST", "/api/v1/users"), ("DELETE", "/api/v1/orders/1"), ("GET", "/api/v1/process"), ("GET", "/api/v1/ask")]
    {
        send(client().request(method.parse().unwrap(), url(&gateway, path))).await.refused(405, "method_not_allowed");
    }
    assert!(user.seen().is_empty(), "{:?}", user.seen());
    gateway.stop().await;
}

#[actix_web::test]
async fn nobody_smuggles_a_header_or_a_second_request() {
    let user = named("user");
    let gateway = gateway(&["--user-url", &user.url]).await;
    for head in [
        "GET /api/v1/users HTTP/1.1\r\nhost: localhost\r\nx-request-id: a\r\n\tb: c\r\nconnection: close\r\n\r\n",
        "GET /api/v1/users HTTP/1.1\r\nhost: localhost\r\nx-request-id: a\u{0}b\r\nconnection: close\r\n\r\n",
        "GET /api/v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n0\r\n\r\n",
        "GET /api/v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\nconnection: close\r\n\r\nab",
        "GET /api/v1/users?a\rb HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    ] {
        let (status, text) = raw(&gateway, head).await;
        assert_eq!(status, 400, "{head:?}: {text}");
    }
    assert!(user.seen().is_empty(), "{:?}", user.seen());
    let (status, _) = raw(
        &gateway,
        "GET /api/v1/users HTTP/1.1\r\nhost: localhost\r\naccept-language: de%0d%0ax-evil: 1\r\nx-request-id: a%0d%0ax-evil: 1\r\nconnection: close\r\n\r\n",
    )
    .await;
    let asked = user.only();
    assert_eq!(status, 200);
    assert!(asked.header("x-evil").is_none() && asked.header("host") != Some("evil.example"), "{asked:?}");
    assert_eq!(asked.header("x-request-id").unwrap().len(), 32);
    gateway.stop().await;
}

#[actix_web::test]
async fn what_services_refuse_is_passed_on_and_what_fails_is_named() {
    let user = Fake::start(vec![
        Script::problem("/users/1", 404, "unknown_user", None),
        Script::problem("/users/2", 503, "database_away", Some("database")).header("retry-after", "7"),
        Script::json("/users/3", "<html>").status(500),
        Script::json("/users/4", "").status(302).header("location", "http://elsewhere.example/"),
    ]);
    let gateway = gateway(&["--user-url", &user.url]).await;
    let reply = async |path: &str| -> Reply { get(&url(&gateway, path)).await };
    assert_eq!(reply("/api/v1/users/1").await.problem(404, "unknown_user")["detail"], "A fake's own words.");
    let away = reply("/api/v1/users/2").await;
    assert_eq!(away.problem(503, "database_away")["upstream"], "database");
    assert_eq!(away.header("retry-after"), "7");
    for path in ["/api/v1/users/3", "/api/v1/users/4"] {
        assert_eq!(reply(path).await.problem(502, "upstream_error")["upstream"], "user-service");
    }
    assert_eq!(reply("/api/v1/orders").await.problem(503, "upstream_unreachable")["upstream"], "order-service");
    let ask = url(&gateway, "/api/v1/ask");
    post_text(&ask, &[("content-type", "text/plain")], "{}").await.refused(415, "unsupported_media_type");
    post_text(&ask, &[("content-type", "application/vnd.api+json")], "{}").await.refused(415, "unsupported_media_type");
    let packed = [("content-type", "application/json"), ("content-encoding", "gzip")];
    post_text(&ask, &packed, "{}").await.refused(415, "unsupported_media_type");
    let large = format!("\"{}\"", "a".repeat(1024 * 1024));
    post_text(&ask, &[("content-type", "application/json")], &large).await.refused(413, "body_too_large");
    gateway.stop().await;
}

#[actix_web::test]
async fn head_is_get_without_the_body() {
    let user = Fake::start(vec![Script::json("/users", r#"{"items": []}"#)]);
    let gateway = gateway(&["--user-url", &user.url]).await;
    for path in ["/api/v1/users", "/docs/", "/openapi.json", "/", "/page/app.js"] {
        let got = get(&url(&gateway, path)).await;
        let reply = call("HEAD", &url(&gateway, path)).await;
        assert_eq!((reply.status, reply.text.as_str()), (200, ""), "{path}");
        assert_eq!(reply.header("content-type"), got.header("content-type"), "{path}");
        assert_eq!(reply.header("content-length"), got.text.len().to_string(), "{path}");
    }
    assert!(user.seen().iter().all(|asked| asked.method == "GET"));
    call("HEAD", &url(&gateway, "/docs")).await;
    assert_eq!(call("HEAD", &url(&gateway, "/api/v1/process")).await.status, 405);
    assert_eq!(call("HEAD", &url(&gateway, "/api/v1/ask")).await.status, 405);
    gateway.stop().await;
}

#[actix_web::test]
async fn readiness_names_what_is_away() {
    let up = named("up");
    let gateway = gateway(&["--next-service-url", &up.url, "--notifier-url", &up.url]).await;
    let health = get(&url(&gateway, "/health/ready")).await;
    assert_eq!(health.status, 503);
    let checks = health.json()["checks"].clone();
    let of =
        |name: &str| checks.as_array().unwrap().iter().find(|check| check["name"] == name).unwrap()["status"].clone();
    assert_eq!(
        (of("user-service"), of("notifier-service"), of("market-data-service")),
        ("ok".into(), "ok".into(), "failing".into())
    );
    assert_eq!(get(&url(&gateway, "/health/live")).await.status, 200);
    gateway.stop().await;
}

/// Status and text of the answer to these very bytes.
async fn raw(gateway: &web::RunningServer, request: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut socket = tokio::net::TcpStream::connect(gateway.addr()).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, text)
}
