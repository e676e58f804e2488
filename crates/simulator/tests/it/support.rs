//! A simulator on a free port and ways to talk to it.

use std::future::Future;
use std::time::{Duration, Instant};

use awc::http::StatusCode;
use awc::http::header::HeaderMap;
use serde_json::{Value, json};
use simulator::{Config, DEFAULT_BOT_TOKEN};

/// Longest that anything is waited for; only a failing test waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Simulator {
    server: web::RunningServer,
    base: String,
    pub(crate) client: awc::Client,
}

/// An answer with its body as JSON (`null` where it is none).
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body of an answer that must be 2xx.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.text);
        self.json
    }
}

impl Simulator {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        telemetry::testing::init();
        let mut config = Config::ephemeral();
        change(&mut config);
        let server = simulator::start(config).await.unwrap();
        let base = server.base_url().as_str().trim_end_matches('/').to_owned();
        let client = awc::Client::builder().timeout(PATIENCE).finish();
        Self { server, base, client }
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.server.addr()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        read(self.client.get(self.url(path)).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        read(self.client.post(self.url(path)).send_json(body).await.unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        read(self.client.delete(self.url(path)).send().await.unwrap()).await
    }

    /// Calls a method of the Bot API with JSON parameters.
    pub(crate) async fn bot(&self, method: &str, params: Value) -> Answer {
        self.post(&format!("/bot{DEFAULT_BOT_TOKEN}/{method}"), &params).await
    }

    /// A person writes to the bot.
    pub(crate) async fn say(&self, user_id: i64, text: &str) -> Value {
        self.post("/control/telegram/updates", &json!({ "user_id": user_id, "text": text })).await.ok()
    }

    /// Switches a fault on for a minute and returns its id.
    pub(crate) async fn fault(&self, mut fault: Value) -> u64 {
        fault.as_object_mut().unwrap().entry("duration_ms").or_insert(json!(60_000));
        let answer = self.post("/control/faults", &fault).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        answer.json["id"].as_u64().unwrap()
    }

    /// Everything in a chat, or nothing when there is none.
    pub(crate) async fn chat(&self, chat_id: i64) -> Vec<Value> {
        let answer = self.get(&format!("/control/telegram/chats/{chat_id}/messages?from=all")).await;
        answer.json["messages"].as_array().cloned().unwrap_or_default()
    }
}

pub(crate) async fn read<S>(mut response: awc::ClientResponse<S>) -> Answer
where
    S: futures_util::Stream<Item = Result<bytes::Bytes, awc::error::PayloadError>>,
{
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.body().limit(16 * 1024 * 1024).await.unwrap();
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Answer { status, headers, text: String::from_utf8_lossy(&body).into_owned(), json }
}

/// Tries until there is something; fails when nothing comes for a long time.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut attempt: impl FnMut() -> F) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = attempt().await {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "still waiting for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Names of an object's fields, sorted.
pub(crate) fn fields(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

pub(crate) fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
