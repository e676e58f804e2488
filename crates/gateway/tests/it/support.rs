//! What every test needs: a gateway, and requests whose answers can be looked at.

use gateway::Config;
use opentelemetry::trace::TraceId;
use opentelemetry_sdk::trace::SpanData;
use serde_json::Value;
use telemetry::testing::finished_spans;
use web::RunningServer;
use web::testing::{Reply, eventually};

/// Nothing listens there.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:1";

/// A gateway with these flags; everything else is away.
pub(crate) async fn gateway(flags: &[&str]) -> RunningServer {
    gateway_with(flags, |_config| {}).await
}

/// A gateway with these flags and further changes.
pub(crate) async fn gateway_with(flags: &[&str], change: impl FnOnce(&mut Config)) -> RunningServer {
    telemetry::testing::init();
    let mut config = Config::ephemeral(flags).unwrap();
    change(&mut config);
    gateway::start(config).await.unwrap()
}

/// Replies of which only the kind matters.
pub(crate) trait Checked {
    /// Asserts a problem.
    fn refused(&self, status: u16, code: &str);
    /// Asserts a 200.
    fn done(&self);
}

impl Checked for Reply {
    fn refused(&self, status: u16, code: &str) {
        let _ = self.problem(status, code);
    }

    fn done(&self) {
        let _ = self.ok();
    }
}

pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

pub(crate) async fn send(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    Reply {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    }
}

/// GET with headers.
pub(crate) async fn get_with(url: &str, headers: &[(&str, &str)]) -> Reply {
    send(headers.iter().fold(client().get(url), |request, (name, value)| request.header(*name, *value))).await
}

/// POST of JSON with headers.
pub(crate) async fn post_with(url: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    let request = client().post(url).json(body);
    send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

/// The ended spans of a trace, once this one is among them.
pub(crate) async fn spans_with(trace_id: &str, name: &str) -> Vec<SpanData> {
    let id = TraceId::from_hex(trace_id).unwrap();
    eventually(&format!("the span {name}"), async || {
        let spans: Vec<SpanData> =
            finished_spans().into_iter().filter(|span| span.span_context.trace_id() == id).collect();
        spans.iter().any(|span| span.name == name).then_some(spans)
    })
    .await
}
