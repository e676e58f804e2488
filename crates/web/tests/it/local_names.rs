//! A service of this machine's own answers under this machine's names only.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::Method;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathItem, PathsBuilder};
use web::{Background, LocalNames, Readiness, RunningServer, ServerSettings, Service};

use crate::support::{Answer, call_with};

/// A service that listens at `host`, with this said of its names.
fn service(host: IpAddr, names: Option<LocalNames>) -> RunningServer {
    telemetry::testing::init();
    let settings = ServerSettings { host, ..ServerSettings::ephemeral() };
    let route = || PathItem::new(HttpMethod::Post, OperationBuilder::new().build());
    let paths = PathsBuilder::new().path("/v1/trade", route()).path("/webhook", route()).build();
    let mut openapi = utoipa::openapi::OpenApiBuilder::new().paths(paths).build();
    if let Some(names) = &names {
        openapi = names.described(openapi);
    }
    let service = Service { name: "test-service", default_port: 0, openapi, readiness: Readiness::new() };
    web::start(&settings, service, Background::new(), move |config| {
        if let Some(names) = &names {
            config.app_data(names.clone());
        }
        for path in ["/v1/trade", "/webhook"] {
            config.route(path, actix_web::web::post().to(|| async { "done" }));
        }
    })
    .unwrap()
}

async fn named(server: &RunningServer, method: Method, path: &str, host: &str) -> Answer {
    call_with(server, method, path, None, &[("host", host)]).await
}

const NEAR: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const FOREIGN: [&str; 5] = ["rebound.example.org:5002", "192.0.2.1", "localhost.example.org", "127.0.0.1.nip.io", ""];

#[actix_web::test]
async fn a_page_whose_name_leads_here_is_refused() {
    let server = service(NEAR, Some(LocalNames::except(&["/webhook"])));
    for host in FOREIGN {
        for (method, path) in [
            (Method::POST, "/v1/trade"),
            (Method::GET, "/v1/trade"),
            (Method::OPTIONS, "/v1/trade"),
            (Method::GET, "/x"),
        ] {
            let answer = named(&server, method.clone(), path, host).await;
            let problem = answer.json();
            assert_eq!(
                (answer.status, problem["code"].as_str()),
                (403, Some("foreign_host")),
                "{method} {path} {host}"
            );
            assert!(problem["detail"].as_str().unwrap().contains("localhost"), "{}", answer.text);
        }
        // Written in another way it is not the path that is open.
        for path in ["/%77ebhook", "//webhook", "/webhook/", "/v1/%74rade"] {
            assert_eq!(named(&server, Method::POST, path, host).await.status, 403, "{path} {host}");
        }
        assert_eq!(named(&server, Method::POST, "/webhook", host).await.status, 200, "{host}");
        for path in ["/health/live", "/health/ready", "/openapi.json"] {
            assert_eq!(named(&server, Method::GET, path, host).await.status, 200, "{path} {host}");
        }
        assert_ne!(named(&server, Method::GET, "/metrics", host).await.status, 403);
    }
    for host in ["localhost:1", "127.0.0.1", "[::1]:5002", "LocalHost"] {
        assert_eq!(named(&server, Method::POST, "/v1/trade", host).await.status, 200, "{host}");
    }
    let description = named(&server, Method::GET, "/openapi.json", "localhost").await.json();
    let responses = |path: &str| description["paths"][path]["post"]["responses"].clone();
    assert!(responses("/v1/trade")["403"]["description"].as_str().unwrap().contains("foreign_host"));
    assert!(responses("/webhook")["403"].is_null());
    server.stop().await;
}

#[actix_web::test]
async fn what_is_reached_from_elsewhere_answers_under_every_name() {
    let elsewhere = service(IpAddr::V4(Ipv4Addr::UNSPECIFIED), Some(LocalNames::everywhere()));
    let open = service(NEAR, None);
    for server in [&elsewhere, &open] {
        let address = format!("http://127.0.0.1:{}/v1/trade", server.addr().port());
        let request = awc::Client::default().post(address).insert_header(("host", "orders.example.org"));
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    elsewhere.stop().await;
    open.stop().await;
}
