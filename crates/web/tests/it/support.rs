//! A small service, and raw calls to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ::web::{Background, JsonBody, Problem, Readiness, RunningServer, ServerSettings, Service};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use web::Data;

#[derive(Serialize, Deserialize)]
pub(crate) struct Echo {
    pub(crate) number: u32,
}

/// Counts the calls of routes that fail a while.
#[derive(Default)]
pub(crate) struct Calls(pub(crate) AtomicU32);

async fn echo(JsonBody(body): JsonBody<Echo>) -> web::Json<Echo> {
    web::Json(body)
}

async fn number(path: web::Path<u32>) -> String {
    path.to_string()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    limit: Option<u16>,
}

async fn listed(query: web::Query<Listed>) -> String {
    query.limit.unwrap_or_default().to_string()
}

async fn endless() -> HttpResponse {
    HttpResponse::Ok().streaming(futures_util::stream::pending::<Result<web::Bytes, Problem>>())
}

async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_secs(60)).await;
    "late"
}

async fn refuse() -> Result<HttpResponse, Problem> {
    Err(Problem::new(StatusCode::NOT_FOUND, "unknown_symbol", "No such symbol.").upstream("binance"))
}

async fn blames(calls: Data<Arc<Calls>>) -> Result<HttpResponse, Problem> {
    calls.0.fetch_add(1, Ordering::SeqCst);
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stale_price", "The price is old.");
    Err(problem.upstream("binance").retry_after(Duration::from_secs(2)))
}

async fn flaky(calls: Data<Arc<Calls>>, path: web::Path<u32>) -> HttpResponse {
    let failures = path.into_inner();
    if calls.0.fetch_add(1, Ordering::SeqCst) < failures {
        HttpResponse::ServiceUnavailable().insert_header(("Retry-After", "0")).finish()
    } else {
        HttpResponse::Ok().json(Echo { number: failures })
    }
}

async fn headers(request: actix_web::HttpRequest) -> web::Json<Value> {
    let get = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    web::Json(serde_json::json!({
        "traceparent": get("traceparent"), "baggage": get("baggage"), "trace_id": telemetry::trace_id(),
        "baggage_user": telemetry::propagation::baggage("user.id"),
    }))
}

async fn own_error() -> HttpResponse {
    HttpResponse::BadRequest().json(serde_json::json!({"code": -1121, "msg": "Invalid symbol."}))
}

/// Starts it with a time limit of 300 ms and a body limit of 1,000 bytes.
pub(crate) fn service(readiness: Readiness) -> (RunningServer, Arc<Calls>) {
    telemetry::testing::init();
    let settings = ServerSettings { request_timeout_ms: 300, max_body_bytes: 1_000, ..ServerSettings::ephemeral() };
    let openapi = utoipa::openapi::OpenApiBuilder::new().build();
    let service = Service { name: "test-service", default_port: 0, openapi, readiness };
    let calls = Arc::new(Calls::default());
    let data = Data::new(calls.clone());
    let server = ::web::start(&settings, service, Background::new(), move |config| {
        config
            .app_data(data.clone())
            .route("/echo", web::post().to(echo))
            .route("/number/{number}", web::get().to(number))
            .route("/listed", web::get().to(listed))
            .route("/endless", web::get().to(endless))
            .route("/hook/{token}/run", web::get().to(|| async { "ok" }))
            .route("/slow", web::get().to(slow))
            .route("/refuse", web::get().to(refuse))
            .route("/blames", web::route().to(blames))
            .route("/flaky/{failures}", web::route().to(flaky))
            .route("/headers", web::get().to(headers))
            .route("/own-error", web::get().to(own_error));
    })
    .unwrap();
    (server, calls)
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

/// One plain call with no help of the crate under test.
pub(crate) async fn call(server: &RunningServer, method: Method, path: &str, body: Option<(&str, Vec<u8>)>) -> Answer {
    call_with(server, method, path, body, &[]).await
}

pub(crate) async fn call_with(
    server: &RunningServer,
    method: Method,
    path: &str,
    body: Option<(&str, Vec<u8>)>,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = awc::Client::default().request(method, format!("http://{}{path}", server.addr()));
    for (name, value) in headers {
        request = request.insert_header((*name, *value));
    }
    let mut response = match body {
        Some((content_type, bytes)) => request.content_type(content_type).send_body(bytes).await.unwrap(),
        None => request.send().await.unwrap(),
    };
    let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let content_type = header("content-type").unwrap_or_default();
    let text = String::from_utf8(response.body().await.unwrap().to_vec()).unwrap();
    Answer { status: response.status().as_u16(), content_type, text }
}
