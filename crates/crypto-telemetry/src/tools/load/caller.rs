//! One request and what came of it.

use std::io;
use std::time::Duration;

use actix_web::error::ParseError;
use actix_web::web::Bytes;
use awc::error::{ConnectError, PayloadError, SendRequestError};
use awc::http::header::HeaderValue;
use serde::{Deserialize, Serialize};
use url::Url;

/// A request that takes longer has failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Shorter than actix's own five seconds: a connection that the server is about to close is not used again.
const KEEP_ALIVE: Duration = Duration::from_secs(3);
/// Largest answer that is read: a page of audit rows with their whole contexts fits.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Why a request has no answer that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// HTTP 429: the limit did what it is for.
    RateLimited,
    /// Another status that is no success, with the problem's words where the body has them.
    Status { status: u16, code: Option<String>, upstream: Option<String> },
    /// Nothing, or only a part, within the time limit.
    Timeout,
    /// Nothing listens there.
    Refused,
    /// This machine has no socket left to send with.
    OutOfSockets,
    /// No connection for another reason.
    NoConnection,
    /// The connection ended before the answer.
    Disconnected,
    /// An answer that is none in HTTP, or broke off.
    BrokenAnswer,
    /// A success whose body is not what it should be.
    MalformedAnswer,
    /// A purchase was accepted, and the answer names no order.
    NoOrderId,
    /// The same key gave another order.
    NotIdempotent,
}

impl Failure {
    /// In a few words, bounded: the status and the problem's code and upstream, or a word of ours.
    pub(crate) fn label(&self) -> String {
        let word = match self {
            Self::RateLimited => "rate_limited",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::OutOfSockets => "out_of_sockets",
            Self::NoConnection => "no_connection",
            Self::Disconnected => "disconnected",
            Self::BrokenAnswer => "broken_answer",
            Self::MalformedAnswer => "malformed_answer",
            Self::NoOrderId => "no_order_id",
            Self::NotIdempotent => "not_idempotent",
            Self::Status { status, code, upstream } => {
                let code = code.as_ref().map_or_else(String::new, |code| format!(" {code}"));
                let upstream = upstream.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
                return format!("{status}{code}{upstream}");
            }
        };
        word.to_owned()
    }

    fn of_status(status: u16, body: &[u8]) -> Self {
        /// What a problem says that a report repeats.
        #[derive(Default, Deserialize)]
        struct Words {
            code: Option<String>,
            upstream: Option<String>,
        }
        if status == 429 {
            return Self::RateLimited;
        }
        // Whatever is no problem of ours has its status alone.
        let words: Words = serde_json::from_slice(body).unwrap_or_default();
        Self::Status {
            status,
            code: words.code.filter(|w| is_word(w)),
            upstream: words.upstream.filter(|w| is_word(w)),
        }
    }
}

/// Words of others become lines of ours: they must look like words.
fn is_word(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'))
}

impl From<SendRequestError> for Failure {
    fn from(error: SendRequestError) -> Self {
        match error {
            SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout) => Self::Timeout,
            SendRequestError::Connect(ConnectError::Io(error)) => of_connect(&error),
            SendRequestError::Connect(ConnectError::Disconnected) | SendRequestError::Send(_) => Self::Disconnected,
            SendRequestError::Response(ParseError::Io(_) | ParseError::Incomplete) => Self::Disconnected,
            SendRequestError::Connect(_) => Self::NoConnection,
            _ => Self::BrokenAnswer,
        }
    }
}

fn of_connect(error: &io::Error) -> Failure {
    use rustix::io::Errno;
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::Refused,
        io::ErrorKind::AddrNotAvailable => Failure::OutOfSockets,
        _ if [Errno::MFILE, Errno::NFILE].iter().any(|no| Some(no.raw_os_error()) == error.raw_os_error()) => {
            Failure::OutOfSockets
        }
        _ => Failure::NoConnection,
    }
}

impl From<PayloadError> for Failure {
    fn from(error: PayloadError) -> Self {
        match error {
            PayloadError::Io(error) if error.kind() == io::ErrorKind::TimedOut => Self::Timeout,
            PayloadError::Overflow => Self::MalformedAnswer,
            _ => Self::BrokenAnswer,
        }
    }
}

/// Sends requests, each once, with no limit of its own that could hold back one that is due.
pub(crate) struct Caller {
    client: awc::Client,
}

impl Caller {
    /// With an API key for every request, where there is one.
    pub(crate) fn new(api_key: Option<&HeaderValue>) -> Self {
        let mut client = awc::Client::builder()
            .timeout(ANSWER_TIMEOUT)
            // A redirect could lead the load, and the key, to somebody else.
            .disable_redirects()
            .connector(awc::Connector::new().limit(0).conn_keep_alive(KEEP_ALIVE))
            .add_default_header(("user-agent", concat!("crypto-telemetry-load/", env!("CARGO_PKG_VERSION"))));
        if let Some(key) = api_key {
            client = client.add_default_header(("x-api-key", key.clone()));
        }
        Self { client: client.finish() }
    }

    pub(crate) async fn get(&self, url: &Url) -> Result<Bytes, Failure> {
        read(self.client.get(url.as_str()).send()).await
    }

    /// POST of a JSON body, with an Idempotency-Key where one is given.
    pub(crate) async fn post(&self, url: &Url, body: &impl Serialize, key: Option<&str>) -> Result<Bytes, Failure> {
        let mut request = self.client.post(url.as_str());
        if let Some(key) = key {
            request = request.insert_header(("idempotency-key", key));
        }
        read(request.send_json(body)).await
    }
}

async fn read(sending: awc::SendClientRequest) -> Result<Bytes, Failure> {
    let exchange = async {
        let mut response = sending.await?;
        let body = response.body().limit(MOST_BYTES).await?;
        let status = response.status();
        if status.is_success() { Ok(body) } else { Err(Failure::of_status(status.as_u16(), &body)) }
    };
    tokio::time::timeout(ANSWER_TIMEOUT, exchange).await.unwrap_or(Err(Failure::Timeout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_with_the_words_of_its_problem() {
        let label = |status, body: &str| Failure::of_status(status, body.as_bytes()).label();
        let body = r#"{"code":"upstream_unreachable","upstream":"audit-service","detail":"x"}"#;
        assert_eq!(label(503, body), "503 upstream_unreachable (audit-service)");
        assert_eq!(label(404, r#"{"code":"unknown_symbol"}"#), "404 unknown_symbol");
        assert_eq!(label(429, body), "rate_limited");
        assert_eq!(label(302, ""), "302");
        for odd in ["<html>", r#"{"code":7}"#, r#"{"code":"\u001b[2J"}"#, r#"{"code":""}"#, "[]"] {
            assert_eq!(label(502, odd), "502", "{odd}");
        }
        assert_eq!(label(502, &format!(r#"{{"code":"{}"}}"#, "a".repeat(41))), "502");
    }

    #[test]
    fn connections_that_fail_are_told_apart() {
        let connect = |error: io::Error| Failure::from(SendRequestError::Connect(ConnectError::Io(error)));
        assert_eq!(connect(io::ErrorKind::ConnectionRefused.into()), Failure::Refused);
        assert_eq!(connect(io::ErrorKind::AddrNotAvailable.into()), Failure::OutOfSockets);
        let full = io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
        assert_eq!(connect(full), Failure::OutOfSockets);
        assert_eq!(connect(io::ErrorKind::HostUnreachable.into()), Failure::NoConnection);
        let gone = SendRequestError::Connect(ConnectError::Disconnected);
        assert_eq!(Failure::from(gone), Failure::Disconnected);
        let reset = ParseError::Io(io::ErrorKind::ConnectionReset.into());
        assert_eq!(Failure::from(SendRequestError::Response(reset)), Failure::Disconnected);
        assert_eq!(Failure::from(SendRequestError::Response(ParseError::Header)), Failure::BrokenAnswer);
        assert_eq!(Failure::from(SendRequestError::Timeout), Failure::Timeout);
    }
}
