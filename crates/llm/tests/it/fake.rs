//! A chat completions server for tests, on a bare TCP socket: so that it can also fall silent or hang up.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use actix_web::rt::task::JoinHandle;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers with a status, header lines and a body.
    Http(u16, Vec<(&'static str, String)>, String),
    /// Never answers.
    Silence,
    /// Reads the request and closes the connection.
    HangUp,
    /// Promises a longer body than it sends.
    BreakOff,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Http(status, vec![("content-type", "application/json".to_owned())], body.to_string())
    }

    /// A complete answer with this text.
    pub(crate) fn text(content: &str) -> Self {
        Self::answer(&json!("stop"), &json!({"role": "assistant", "content": content, "refusal": null}), usage())
    }

    /// A 200 with one choice.
    pub(crate) fn answer(finish_reason: &Value, message: &Value, usage: Option<Value>) -> Self {
        let mut body = json!({
            "id": "chatcmpl-test1",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "gpt-test-2026-01-01",
            "choices": [{"index": 0, "finish_reason": finish_reason, "message": message, "logprobs": null}],
        });
        if let Some(usage) = usage {
            body["usage"] = usage;
        }
        Self::json(200, &body)
    }

    /// An error in OpenAI's shape.
    pub(crate) fn error(status: u16, kind: &str, code: &str, message: &str) -> Self {
        Self::json(status, &json!({"error": {"message": message, "type": kind, "param": null, "code": code}}))
    }

    pub(crate) fn with_header(self, name: &'static str, value: &str) -> Self {
        match self {
            Self::Http(status, mut headers, body) => {
                headers.push((name, value.to_owned()));
                Self::Http(status, headers, body)
            }
            other => other,
        }
    }
}

/// 500 tokens in, 40 out.
pub(crate) fn usage() -> Option<Value> {
    Some(json!({"prompt_tokens": 500, "completion_tokens": 40, "total_tokens": 540}))
}

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// Request line and headers.
    pub(crate) head: String,
    /// Its body.
    pub(crate) body: Value,
}

pub(crate) struct FakeLlm {
    address: SocketAddr,
    reply: Arc<Mutex<Reply>>,
    received: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
}

impl FakeLlm {
    pub(crate) async fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let reply = Arc::new(Mutex::new(reply));
        let received = Arc::new(Mutex::new(Vec::new()));
        let task = actix_web::rt::spawn({
            let (reply, received) = (Arc::clone(&reply), Arc::clone(&received));
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    actix_web::rt::spawn(serve(stream, Arc::clone(&reply), Arc::clone(&received)));
                }
            }
        });
        Self { address, reply, received, task }
    }

    pub(crate) fn url(&self) -> Url {
        format!("http://{}", self.address).parse().unwrap()
    }

    /// Changes what it does from the next request on.
    pub(crate) fn now(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

impl Drop for FakeLlm {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, reply: Arc<Mutex<Reply>>, received: Arc<Mutex<Vec<Received>>>) {
    let Some(request) = read(&mut stream).await else { return };
    received.lock().unwrap().push(request);
    let reply = reply.lock().unwrap().clone();
    let answer = match reply {
        Reply::Http(status, headers, body) => {
            let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
        }
        // Holds the connection until the client gives up and closes it.
        Reply::Silence => {
            let _ = stream.read(&mut [0; 1]).await;
            return;
        }
        Reply::HangUp => return,
        Reply::BreakOff => {
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{\"id\":".to_owned()
        }
    };
    // The client may be gone by now; then nobody misses the answer.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// One request, body included.
async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let length = stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let expected: usize = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, value)| value.trim().parse().unwrap());
        if body.len() >= expected {
            let body = if expected == 0 { Value::Null } else { serde_json::from_str(body).unwrap() };
            return Some(Received { head: head.to_owned(), body });
        }
    }
}
