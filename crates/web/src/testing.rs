//! For tests: calls over real sockets, and waiting for conditions.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on must fail")]

mod killed;

use std::future::Future;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::RunningServer;
pub use killed::Killed;

/// Far beyond what anything takes: only a defect reaches it.
const LIMIT: Duration = Duration::from_secs(30);

/// A reply with what tests look at.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: reqwest::header::HeaderMap,
    /// Its body.
    pub text: String,
}

impl Reply {
    async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.expect("a body"),
        }
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The body as JSON of a reply that must be 200.
    ///
    /// # Panics
    /// When it is another.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    /// A header, empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body of a reply that must be this problem, with a sentence for people.
    ///
    /// # Panics
    /// When it is another.
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!(body["code"], code, "{body}");
        let sentence = body["detail"].as_str().unwrap_or_default();
        assert!(sentence.len() > 10, "no sentence for people: {body}");
        body
    }
}

/// A path of a running service.
#[must_use]
pub fn url(server: &RunningServer, path: &str) -> String {
    format!("http://{}{path}", server.addr())
}

/// GET.
///
/// # Panics
/// When there is no answer.
pub async fn get(url: &str) -> Reply {
    Reply::of(client().get(url)).await
}

/// POST of a JSON body.
///
/// # Panics
/// When there is no answer.
pub async fn post(url: &str, body: &Value) -> Reply {
    Reply::of(client().post(url).json(body)).await
}

/// PUT of a JSON body.
///
/// # Panics
/// When there is no answer.
pub async fn put(url: &str, body: &Value) -> Reply {
    Reply::of(client().put(url).json(body)).await
}

/// POST of any body.
///
/// # Panics
/// When there is no answer.
pub async fn post_text(url: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let request = client().post(url).body(body.to_owned());
    Reply::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

/// Any method, without a body.
///
/// # Panics
/// When the method is none or there is no answer.
pub async fn call(method: &str, url: &str) -> Reply {
    Reply::of(client().request(method.parse().expect("a method"), url)).await
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

/// Waits until a service says that it is ready.
///
/// # Panics
/// When it does not.
pub async fn ready(server: &RunningServer) {
    let address = url(server, "/health/ready");
    eventually(&format!("{address} is ready"), async || (get(&address).await.status == 200).then_some(())).await;
}

/// Waits for a condition.
///
/// # Panics
/// When it never comes.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < end, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Spawns a server that answers every call with `answer`: a stand-in for a service, on a free port of this machine.
/// It ends with the test's actix system.
///
/// # Panics
/// When no port can be had.
#[must_use]
pub fn fake<F>(answer: impl Fn(actix_web::HttpRequest, actix_web::web::Bytes) -> F + Clone + Send + 'static) -> url::Url
where
    F: Future<Output = actix_web::HttpResponse> + 'static,
{
    let server = actix_web::HttpServer::new(move || {
        let answer = answer.clone();
        actix_web::App::new().default_service(actix_web::web::to(
            move |request: actix_web::HttpRequest, body: actix_web::web::Bytes| answer(request, body),
        ))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1)
    .bind(("127.0.0.1", 0))
    .expect("a free port");
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    format!("http://{address}/").parse().expect("a URL")
}
