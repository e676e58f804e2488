//! The running service, and what telemetry saw of it.

use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use awc::error::PayloadError;
use decision::Config;
use domain::{Decision, DecisionRequest};
use futures_util::Stream;
use opentelemetry_sdk::trace::SpanData;
use serde_json::Value;
use web::RunningServer;

pub(crate) struct Running {
    server: RunningServer,
    client: awc::Client,
}

/// A reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Value,
}

impl Reply {
    /// The problem's status, code and sentence.
    pub(crate) fn problem(&self) -> (u16, &str, &str) {
        assert_eq!(self.content_type, "application/problem+json", "{self:?}");
        (self.status, self.body["code"].as_str().unwrap(), self.body["detail"].as_str().unwrap())
    }
}

impl Running {
    pub(crate) async fn start(config: Config) -> Self {
        telemetry::testing::init();
        Self { server: decision::start(config).await.unwrap(), client: awc::Client::default() }
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        let url = self.server.base_url().join(path).unwrap();
        let response = self.client.get(url.as_str()).send().await.unwrap();
        read(response).await
    }

    pub(crate) async fn post(&self, body: impl Into<String>) -> Reply {
        self.post_with(body, &[]).await
    }

    pub(crate) async fn post_with(&self, body: impl Into<String>, headers: &[(&str, &str)]) -> Reply {
        let url = self.server.base_url().join("/v1/decisions").unwrap();
        let mut request = self.client.post(url.as_str()).insert_header(("content-type", "application/json"));
        for header in headers {
            request = request.insert_header(*header);
        }
        read(request.send_body(body.into()).await.unwrap()).await
    }

    /// Posts a request that gets a decision.
    pub(crate) async fn decide(&self, request: &DecisionRequest) -> Decision {
        let reply = self.post(serde_json::to_string(request).unwrap()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        serde_json::from_value(reply.body).unwrap()
    }

    /// Posts a request that gets none.
    pub(crate) async fn refused(&self, request: &DecisionRequest) -> Reply {
        self.post(serde_json::to_string(request).unwrap()).await
    }
}

async fn read<S>(mut response: awc::ClientResponse<S>) -> Reply
where
    S: Stream<Item = Result<Bytes, PayloadError>>,
{
    let content_type = response.headers().get("content-type").map_or("", |value| value.to_str().unwrap()).to_owned();
    let body = response.body().limit(1 << 20).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into());
    Reply { status: response.status().as_u16(), content_type, body }
}

/// The spans of a trace, once its server span has ended (shortly after the reply).
pub(crate) async fn trace(trace_id: &str) -> Vec<SpanData> {
    let give_up = Instant::now() + Duration::from_secs(10);
    loop {
        let spans: Vec<SpanData> = telemetry::testing::finished_spans()
            .into_iter()
            .filter(|span| span.span_context.trace_id().to_string() == trace_id)
            .collect();
        if spans.iter().any(|span| span.name == "POST /v1/decisions") {
            return spans;
        }
        assert!(Instant::now() < give_up, "no server span of trace {trace_id} has ended: {spans:?}");
        actix_web::rt::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The one span of this name.
pub(crate) fn named<'a>(spans: &'a [SpanData], name: &str) -> &'a SpanData {
    let found: Vec<&SpanData> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "spans named {name} in {:?}", spans.iter().map(|span| &span.name).collect::<Vec<_>>());
    found[0]
}

/// The value of the series of this metric that has all these labels; 0 while there is none.
pub(crate) fn metric(name: &str, labels: &[(&str, &str)]) -> f64 {
    let text = telemetry::metrics::render().unwrap();
    let prefix = format!("{name}{{");
    text.lines()
        .filter(|line| line.starts_with(&prefix))
        .find(|line| labels.iter().all(|(label, value)| line.contains(&format!("{label}=\"{value}\""))))
        .map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}
