//! Fakes of what is behind the gateway: servers of the test's own, which answer as they are told and remember what they
//! were asked.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

/// One answer of a fake.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) path_prefix: &'static str,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: String,
    pub(crate) delay: Duration,
}

impl Script {
    pub(crate) fn json(path_prefix: &'static str, body: impl Into<String>) -> Self {
        Self { path_prefix, status: 200, headers: Vec::new(), body: body.into(), delay: Duration::ZERO }
    }

    /// A problem, as services of this system answer it.
    pub(crate) fn problem(path_prefix: &'static str, status: u16, code: &str, upstream: Option<&str>) -> Self {
        let mut body = json!({"type": format!("urn:crypto-telemetry:problem:{code}"), "title": "Error", "status": status,
            "detail": "A fake's own words.", "code": code});
        if let Some(upstream) = upstream {
            body["upstream"] = upstream.into();
        }
        Self::json(path_prefix, body.to_string()).status(status).header("content-type", "application/problem+json")
    }

    pub(crate) const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// What a fake was asked.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(crate) struct Fake {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    /// Answers each path by the first script whose prefix fits, everything else with 404.
    pub(crate) fn start(scripts: Vec<Script>) -> Self {
        Self::answering(move |seen| {
            let path = seen.uri.split('?').next().unwrap_or_default();
            let script = scripts.iter().find(|script| path.starts_with(script.path_prefix)).cloned();
            async move {
                let Some(script) = script else {
                    return HttpResponse::NotFound().finish();
                };
                tokio::time::sleep(script.delay).await;
                let mut response = HttpResponse::build(StatusCode::from_u16(script.status).unwrap());
                response.content_type("application/json");
                for header in script.headers {
                    response.insert_header(header);
                }
                response.body(script.body)
            }
        })
    }

    /// Answers by a function.
    pub(crate) fn answering<F: Future<Output = HttpResponse> + 'static>(
        answer: impl Fn(Seen) -> F + Clone + Send + 'static,
    ) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let log = Arc::clone(&seen);
        let url = ::web::testing::fake(move |request, body| {
            let asked = described(&request, &body);
            // The gateway asks everybody for this by itself.
            if asked.uri != "/openapi.json" {
                log.lock().unwrap().push(asked.clone());
            }
            answer(asked)
        });
        Self { url: url.as_str().trim_end_matches('/').to_owned(), seen }
    }

    /// A fake link of the chain that answers with one part of this name.
    pub(crate) fn link(service: &'static str) -> Self {
        Self::start(vec![Script::json("/process", reply(&[service]))])
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Paths and queries that were asked for.
    pub(crate) fn uris(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.uri).collect()
    }

    /// The only request there was.
    pub(crate) fn only(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }
}

/// What links of the chain answer.
pub(crate) fn reply(services: &[&str]) -> String {
    let parts: Vec<Value> = services
        .iter()
        .map(|service| json!({"service": service, "status": "done", "worked_ms": 1, "data": {"of": service}}))
        .collect();
    json!({ "parts": parts }).to_string()
}

fn described(request: &HttpRequest, body: &web::Bytes) -> Seen {
    let headers = request.headers().iter();
    Seen {
        method: request.method().to_string(),
        uri: request.uri().to_string(),
        headers: headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}
