//! HTTP for the tools: one attempt, a time limit, failures as sentences.
//!
//! Not [`web::Upstream`], whose retries and circuit breaker would hide from a tool what it is asked to show.

use std::fmt;
use std::time::{Duration, Instant};

use awc::error::{ConnectError, PayloadError, SendRequestError};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

/// Largest answer that is read.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// HTTP status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// From sending to the last byte.
    pub(crate) took: Duration,
}

impl Reply {
    /// 2xx.
    pub(crate) const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body's first line, without control characters, for a message.
    pub(crate) fn first_line(&self) -> String {
        let text = self.text();
        let line = super::terminal::printable(text.lines().next().unwrap_or_default().trim());
        super::terminal::shortened(&line, 200)
    }

    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallError {
    /// Nothing listens at the address.
    Refused,
    /// Nothing came within the limit.
    Timeout(Duration),
    /// Something else, in words.
    Failed(String),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("nothing listens there (connection refused)"),
            Self::Timeout(limit) => {
                write!(
                    f,
                    "no answer within {}",
                    super::terminal::millis(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX))
                )
            }
            Self::Failed(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for CallError {}

/// A client with one time limit for each call.
#[derive(Clone)]
pub(crate) struct Http {
    client: awc::Client,
    limit: Duration,
}

impl Http {
    /// Each call may take this long.
    pub(crate) fn new(limit: Duration) -> Self {
        Self::with_api_key(limit, None)
    }

    /// The same, with a key on each call.
    pub(crate) fn with_api_key(limit: Duration, key: Option<&SecretString>) -> Self {
        let mut client = awc::Client::builder()
            .timeout(limit)
            .disable_redirects()
            .add_default_header(("user-agent", concat!("crypto-telemetry/", env!("CARGO_PKG_VERSION"))))
            .add_default_header(("accept", "application/json, */*;q=0.5"));
        if let Some(key) = key {
            client = client.add_default_header(("x-api-key", key.expose_secret()));
        }
        Self { client: client.finish(), limit }
    }

    /// GET.
    pub(crate) async fn get(&self, url: &Url) -> Result<Reply, CallError> {
        self.exchange(self.client.get(url.as_str()).send()).await
    }

    /// DELETE.
    pub(crate) async fn delete(&self, url: &Url) -> Result<Reply, CallError> {
        self.exchange(self.client.delete(url.as_str()).send()).await
    }

    /// POST of a JSON body.
    pub(crate) async fn post(&self, url: &Url, body: &impl Serialize) -> Result<Reply, CallError> {
        self.exchange(self.client.post(url.as_str()).send_json(body)).await
    }

    async fn exchange(&self, sending: awc::SendClientRequest) -> Result<Reply, CallError> {
        let started = Instant::now();
        let exchange = async {
            let mut response = sending.await.map_err(|error| self.not_sent(error))?;
            let body = response.body().limit(MOST_BYTES).await.map_err(|error| match error {
                PayloadError::Overflow => CallError::Failed(format!("an answer of more than {MOST_BYTES} bytes")),
                other => CallError::Failed(format!("the answer broke off: {other}")),
            })?;
            Ok(Reply { status: response.status().as_u16(), body: body.to_vec(), took: started.elapsed() })
        };
        tokio::time::timeout(self.limit, exchange).await.unwrap_or(Err(CallError::Timeout(self.limit)))
    }

    fn not_sent(&self, error: SendRequestError) -> CallError {
        match error {
            SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout) => {
                CallError::Timeout(self.limit)
            }
            SendRequestError::Connect(ConnectError::Io(error))
                if error.kind() == std::io::ErrorKind::ConnectionRefused =>
            {
                CallError::Refused
            }
            SendRequestError::Connect(ConnectError::Resolver(error)) => {
                CallError::Failed(format!("its host name cannot be resolved: {error}"))
            }
            other => CallError::Failed(other.to_string()),
        }
    }
}

/// The base URL with a path after whatever path it has.
pub(crate) fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{}", base.path().trim_end_matches('/'), path.trim_start_matches('/')));
    url.set_query(None);
    url
}

/// The same with a query.
pub(crate) fn join_query(base: &Url, path: &str, query: &[(&str, &str)]) -> Url {
    let mut url = join(base, path);
    url.query_pairs_mut().extend_pairs(query);
    url
}

/// A base URL as it is told to people, without the slash at its end.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // A password in a URL is nobody's business. Neither call fails for a URL with a host.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_after_a_path() {
        let base: Url = "http://h:1/prefix/".parse().unwrap();
        assert_eq!(join(&base, "/v1/ask").as_str(), "http://h:1/prefix/v1/ask");
        assert_eq!(join_query(&base, "q", &[("a", "{b=\"c\"}")]).as_str(), "http://h:1/prefix/q?a=%7Bb%3D%22c%22%7D");
    }

    #[test]
    fn addresses_are_shown_without_secrets() {
        assert_eq!(shown(&"http://me:secret@h:1/".parse().unwrap()), "http://h:1");
    }

    #[actix_web::test]
    async fn a_port_nobody_listens_on_is_refused() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let http = Http::new(Duration::from_millis(50));
        // Accepts by the kernel's backlog and never answers.
        assert_eq!(http.get(&url).await.unwrap_err(), CallError::Timeout(Duration::from_millis(50)));
        drop(listener);
        assert_eq!(Http::new(Duration::from_secs(5)).get(&url).await.unwrap_err(), CallError::Refused);
    }
}
