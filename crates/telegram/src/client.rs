//! The transport: frankenstein's method trait over reqwest.

use std::error::Error as _;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use frankenstein::AsyncTelegramApi;
use reqwest::multipart::{Form, Part};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::{Instrument, Span, field};

use crate::error::Refusal;
use crate::{Error, Settings, SettingsError, Taken};

/// A bot at Telegram: every method of the Bot API, through [`AsyncTelegramApi`]. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    /// `{api_url}/bot{token}`.
    bot_url: SecretString,
    token: SecretString,
    server_address: String,
    server_port: u16,
    request_timeout: Duration,
    long_poll_margin: Duration,
    max_response_bytes: usize,
}

impl Client {
    /// Makes a client; nothing is sent yet.
    ///
    /// # Errors
    /// When the token or the URL cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let bot_url = settings.bot_url()?;
        // reqwest panics when no TLS provider is installed. The binary installs ring at its start, and then this call
        // returns the provider that it did not need, which is no failure.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .connect_timeout(settings.connect_timeout)
            // A redirect would carry the token to somebody else.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("crypto-telemetry/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| SettingsError::Http(chain(&error.without_url())))?;
        Ok(Self {
            inner: Arc::new(Inner {
                http,
                bot_url,
                token: settings.token.clone(),
                server_address: settings.api_url.host_str().unwrap_or_default().to_owned(),
                server_port: settings.api_url.port_or_known_default().unwrap_or_default(),
                request_timeout: settings.request_timeout,
                long_poll_margin: settings.long_poll_margin,
                max_response_bytes: settings.max_response_bytes,
            }),
        })
    }

    /// Says something, with a file that is in memory (its field, its name, its bytes) where there is one: the answer
    /// tells whether Telegram took it, and what else is in it does not matter.
    ///
    /// A message that Telegram took must not be sent again because of what its answer looks like.
    pub(crate) async fn put(
        &self,
        method: &str,
        params: &(impl Serialize + Sync),
        file: Option<(&'static str, &'static str, Vec<u8>)>,
    ) -> Result<Taken, Error> {
        let body = match file {
            None => serde_json::to_vec(params).map(Body::Json).map_err(encode_error),
            Some((field, name, bytes)) => serde_json::to_value(params)
                .map_err(encode_error)
                .and_then(fields)
                .map(|form| Body::Form(form.part(field, Part::bytes(bytes).file_name(name)))),
        };
        self.call(method, body, self.inner.request_timeout, Answer::taken).await
    }

    /// One call in its span. W3C headers are not sent: Telegram has no use for them, and ids are nobody's business.
    async fn call<Output>(
        &self,
        method: &str,
        body: Result<Body, Error>,
        time_limit: Duration,
        read: fn(Answer, token: &str) -> Result<Output, Error>,
    ) -> Result<Output, Error> {
        let span = self.span(method);
        async {
            let result = match body {
                Ok(body) => self.exchange(method, body, time_limit).await,
                Err(error) => Err(error),
            };
            let result = result.and_then(|answer| read(answer, self.inner.token.expose_secret()));
            if let Err(error) = &result {
                let span = Span::current();
                span.record("otel.status_code", "ERROR");
                span.record("error.type", error.label());
                span.record("error.message", field::display(error));
            }
            result
        }
        .instrument(span)
        .await
    }

    fn span(&self, method: &str) -> Span {
        macro_rules! call_span {
            ($level:expr) => {
                tracing::span!(
                    $level,
                    "telegram",
                    otel.name = %format_args!("telegram {method}"),
                    otel.kind = "client",
                    otel.status_code = field::Empty,
                    rpc.method = method,
                    http.request.method = "POST",
                    http.response.status_code = field::Empty,
                    server.address = %self.inner.server_address,
                    server.port = i64::from(self.inner.server_port),
                    "error.type" = field::Empty,
                    error.message = field::Empty,
                )
            };
        }
        // A long poll is open all day and belongs to no request: at the usual level it would be a trace of its own every
        // half minute that tells nothing and spoils every latency percentile.
        if method == LONG_POLL { call_span!(tracing::Level::DEBUG) } else { call_span!(tracing::Level::INFO) }
    }

    async fn exchange(&self, method: &str, body: Body, time_limit: Duration) -> Result<Answer, Error> {
        let inner = &self.inner;
        let url = format!("{}/{method}", inner.bot_url.expose_secret());
        let request = inner.http.post(url).timeout(time_limit);
        let request = match body {
            Body::Empty => request,
            Body::Json(json) => request.header(reqwest::header::CONTENT_TYPE, "application/json").body(json),
            Body::Form(form) => request.multipart(form),
        };
        let mut response = request.send().await.map_err(|error| self.transport_error(error))?;
        let status = response.status().as_u16();
        Span::current().record("http.response.status_code", i64::from(status));
        let retry_after = header_seconds(&response);

        let body = self.body(&mut response).await;
        Ok(Answer { status, retry_after, body })
    }

    async fn body(&self, response: &mut reqwest::Response) -> Result<Vec<u8>, Error> {
        let limit = self.inner.max_response_bytes;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.transport_error(error))? {
            if bytes.len() + chunk.len() > limit {
                return Err(Error::TooLarge { limit });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn transport_error(&self, error: reqwest::Error) -> Error {
        if error.is_timeout() {
            return Error::Timeout;
        }
        // The URL holds the token; the causes should not, but they are other crates' sentences.
        let detail = chain(&error.without_url()).replace(self.inner.token.expose_secret(), "[redacted]");
        Error::Network { detail }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("server_address", &self.inner.server_address).finish_non_exhaustive()
    }
}

/// The method whose answer Telegram holds back until there is something to tell.
const LONG_POLL: &str = "getUpdates";

/// Largest file that Telegram takes from a bot.
const MAX_FILE_BYTES: u64 = 50 * 1024 * 1024;

enum Body {
    Empty,
    Json(Vec<u8>),
    Form(Form),
}

#[async_trait::async_trait]
impl AsyncTelegramApi for Client {
    type Error = Error;

    async fn request<Params, Output>(&self, method: &str, params: Option<Params>) -> Result<Output, Error>
    where
        Params: Serialize + fmt::Debug + Send,
        Output: DeserializeOwned,
    {
        let mut time_limit = self.inner.request_timeout;
        let body = params.map_or(Ok(Body::Empty), |params| {
            let json = serde_json::to_value(&params).map_err(encode_error)?;
            if method == LONG_POLL {
                let held = json.get("timeout").and_then(Value::as_u64).unwrap_or_default();
                time_limit = Duration::from_secs(held) + self.inner.long_poll_margin;
            }
            serde_json::to_vec(&json).map(Body::Json).map_err(encode_error)
        });
        self.call(method, body, time_limit, Answer::read).await
    }

    async fn request_with_form_data<Params, Output>(
        &self,
        method: &str,
        params: Params,
        files: Vec<(&str, PathBuf)>,
    ) -> Result<Output, Error>
    where
        Params: Serialize + fmt::Debug + Send,
        Output: DeserializeOwned,
    {
        let params = serde_json::to_value(&params).map_err(encode_error);
        let body = match params {
            Ok(params) => form(params, files).await.map(Body::Form),
            Err(error) => Err(error),
        };
        self.call(method, body, self.inner.request_timeout, Answer::read).await
    }
}

/// The parameters as `multipart/form-data`: a text as it is, everything else as JSON.
fn fields(params: Value) -> Result<Form, Error> {
    let Value::Object(params) = params else {
        return Err(Error::Request { detail: "the parameters are no JSON object".to_owned() });
    };
    Ok(params.into_iter().fold(Form::new(), |form, (key, value)| match value {
        Value::String(text) => form.text(key, text),
        other => form.text(key, other.to_string()),
    }))
}

/// The parameters and files as `multipart/form-data`.
async fn form(mut params: Value, files: Vec<(&str, PathBuf)>) -> Result<Form, Error> {
    if let Some(params) = params.as_object_mut() {
        params.retain(|key, _| !files.iter().any(|(name, _)| name == key));
    }
    let mut form = fields(params)?;
    for (name, path) in files {
        let failed = |error: std::io::Error| Error::Request { detail: format!("file {}: {error}", path.display()) };
        let size_bytes = tokio::fs::metadata(&path).await.map_err(failed)?.len();
        if size_bytes > MAX_FILE_BYTES {
            return Err(Error::Request {
                detail: format!("file {} has {size_bytes} bytes, more than {MAX_FILE_BYTES}", path.display()),
            });
        }
        let bytes = tokio::fs::read(&path).await.map_err(failed)?;
        let file_name = path.file_name().map_or_else(|| name.to_owned(), |file| file.to_string_lossy().into_owned());
        form = form.part(name.to_owned(), Part::bytes(bytes).file_name(file_name));
    }
    Ok(form)
}

fn encode_error(error: serde_json::Error) -> Error {
    Error::Request { detail: format!("the parameters are no JSON: {error}") }
}

/// What came back: a status, and a body where that could be had.
struct Answer {
    status: u16,
    /// `Retry-After`, in seconds.
    retry_after: Option<u64>,
    body: Result<Vec<u8>, Error>,
}

impl Answer {
    /// The whole of it.
    fn read<Output: DeserializeOwned>(self, token: &str) -> Result<Output, Error> {
        read_answer(&self.body?, self.status, self.retry_after, token)
    }

    /// Whether Telegram did what was asked. Of the result only the message's id is looked for; and where nothing can be
    /// read, a status of success means that it was done, since Telegram gives a refusal the status of its `error_code`.
    fn taken(self, token: &str) -> Result<Taken, Error> {
        let status = self.status;
        match self.read::<Value>(token) {
            Ok(answer) => {
                let message_id = answer.pointer("/result/message_id").and_then(Value::as_i64);
                Ok(Taken { message_id: message_id.and_then(|id| id.try_into().ok()) })
            }
            Err(
                error @ (Error::Malformed { .. } | Error::TooLarge { .. } | Error::Network { .. } | Error::Timeout),
            ) if (200..300).contains(&status) => {
                tracing::warn!(error = %error, error.kind = error.label(), http.response.status_code = i64::from(status), "Telegram took a message with an answer that cannot be read; it counts as sent");
                Ok(Taken { message_id: None })
            }
            Err(error) => Err(error),
        }
    }
}

/// Reads `{ok, result}` or `{ok, error_code, description, parameters}`.
fn read_answer<Output: DeserializeOwned>(
    bytes: &[u8],
    status: u16,
    retry_after: Option<u64>,
    token: &str,
) -> Result<Output, Error> {
    #[derive(serde::Deserialize)]
    struct Envelope {
        ok: bool,
        #[serde(flatten)]
        refusal: Refusal,
    }
    match serde_json::from_slice::<Envelope>(bytes) {
        Ok(Envelope { ok: true, .. }) => serde_json::from_slice(bytes).map_err(|error| malformed(&error)),
        Ok(Envelope { ok: false, mut refusal }) => {
            refusal.sanitize(token);
            Err(Error::from_refusal(refusal, status))
        }
        // What stands before Telegram (or instead of it) answers in HTML.
        Err(_) if status == 429 => Err(Error::from_refusal(Refusal::too_many_requests(retry_after), status)),
        Err(_) if status >= 500 => Err(Error::Server { status }),
        Err(error) => Err(malformed(&error)),
    }
}

/// Says where an answer is wrong, without its content: that is a person's text.
fn malformed(error: &serde_json::Error) -> Error {
    let what = match error.classify() {
        serde_json::error::Category::Io => "reading failed",
        serde_json::error::Category::Syntax => "no JSON",
        serde_json::error::Category::Data => "JSON of another shape",
        serde_json::error::Category::Eof => "cut off",
    };
    Error::Malformed { detail: format!("{what} at column {}", error.column()) }
}

fn header_seconds(response: &reqwest::Response) -> Option<u64> {
    response.headers().get(reqwest::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

/// An error and its causes in one line.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str, status: u16) -> Result<Value, Error> {
        read_answer(body.as_bytes(), status, Some(3), "1:secret")
    }

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(read(r#"{"ok":true,"result":1}"#, 200).unwrap()["result"], 1);
        assert_eq!(read("<html>bad gateway</html>", 502), Err(Error::Server { status: 502 }));
        assert_eq!(read("", 429), Err(Error::TooManyRequests { retry_after: Duration::from_secs(3) }));
        assert_eq!(read("{\"ok\":tr", 200).unwrap_err().label(), "malformed");
        assert_eq!(read("[]", 200).unwrap_err().label(), "malformed");
    }

    #[test]
    fn a_malformed_answer_is_described_without_its_content() {
        let error = read_answer::<Vec<u32>>(br#"{"ok":true,"private":"text"}"#, 200, None, "1:secret").unwrap_err();
        assert_eq!(error.label(), "malformed");
        assert!(!error.to_string().contains("private"));
    }
}
