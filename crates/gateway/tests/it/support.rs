//! What every test needs: a gateway, and requests whose answers can be looked at.

use gateway::Config;
use serde_json::Value;
use web::RunningServer;

/// Nothing listens there.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:1";

/// A gateway with these flags; everything else is away.
pub(crate) async fn gateway(flags: &[&str]) -> RunningServer {
    telemetry::testing::init();
    gateway::start(Config::ephemeral(flags).unwrap()).await.unwrap()
}

pub(crate) fn url(server: &RunningServer, path: &str) -> String {
    format!("http://{}{path}", server.addr())
}

/// A reply with what tests look at.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts a problem and gives its body.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!(body["code"], code, "{body}");
        assert!(body["detail"].as_str().unwrap().len() > 10, "no sentence for people: {body}");
        body
    }
}

pub(crate) async fn send(request: reqwest::RequestBuilder) -> Reply {
    Reply::of(request.send().await.unwrap()).await
}

pub(crate) async fn get(url: &str) -> Reply {
    send(reqwest::Client::new().get(url)).await
}
