//! The stream that is kept alive: connects, reconnects, replaces connections before they end.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use awc::http::Uri;
use bytes::Bytes;
use domain::Symbol;
use futures_util::future::LocalBoxFuture;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument as _;
use url::Url;

use super::backoff::Backoff;
use super::connection::{ConnectError, Connection, Limits, LostReason};
use super::event::{MalformedEvent, StreamEvent};
use super::pace::Pace;

/// Malformed messages are logged once in this time, with the number of those that were not.
const BURST: Duration = Duration::from_secs(60);

/// Settings of [`MarketStream`].
#[derive(Debug, Clone)]
pub struct StreamSettings {
    /// `wss://data-stream.binance.vision`, or `ws://` for a simulator.
    pub base_url: Url,
    /// What to listen to: each symbol's `kline_1m` and `ticker` streams.
    ///
    /// `ticker` states the price every second at a known rate, traded or not; `trade` would be hundreds of messages a
    /// second for the same last price. `kline_1m` alone comes only every two seconds and only when something was traded.
    pub symbols: Vec<Symbol>,
    /// Time limit of connecting and shaking hands.
    pub connect_timeout: Duration,
    /// Longest time without a data message; the tickers come every second.
    pub idle_timeout: Duration,
    /// Age at which a connection is replaced. Binance ends it at 24 hours.
    pub max_lifetime: Duration,
    /// First wait before connecting anew, at most.
    pub backoff_base: Duration,
    /// Longest wait before connecting anew; a connection that lived this long starts the back-off afresh.
    pub backoff_cap: Duration,
    /// Largest message; a kline event has 300 bytes, a ticker 500.
    pub max_message_bytes: usize,
}

impl StreamSettings {
    /// Sane values for the real exchange.
    #[must_use]
    pub fn new(base_url: Url, symbols: Vec<Symbol>) -> Self {
        Self {
            base_url,
            symbols,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(10),
            max_lifetime: Duration::from_secs(23 * 3600),
            backoff_base: Duration::from_millis(500),
            backoff_cap: Duration::from_secs(30),
            max_message_bytes: 64 * 1024,
        }
    }

    /// The address of the combined stream.
    fn uri(&self) -> Result<Uri, StreamError> {
        if !matches!(self.base_url.scheme(), "ws" | "wss") || self.base_url.host_str().is_none() {
            return Err(StreamError::Address(format!(
                "{} is no ws:// or wss:// address",
                self.base_url
            )));
        }
        let names: Vec<String> = self
            .symbols
            .iter()
            .flat_map(|symbol| {
                let symbol = symbol.as_str().to_ascii_lowercase();
                [format!("{symbol}@kline_1m"), format!("{symbol}@ticker")]
            })
            .collect();
        // Binance's limit for one connection.
        if names.is_empty() || names.len() > 1024 {
            return Err(StreamError::Count(names.len()));
        }
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}/stream", url.path().trim_end_matches('/')));
        url.set_query(Some(&format!("streams={}", names.join("/"))));
        url.as_str()
            .parse()
            .map_err(|error| StreamError::Address(format!("{url}: {error}")))
    }
}

/// Settings that can never work.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The address is unusable.
    #[error("the stream's address is unusable: {0}")]
    Address(String),
    /// Too many streams, or none.
    #[error("a connection carries 1 to 1024 streams, not {0}")]
    Count(usize),
}

/// What happened to the stream.
#[derive(Debug)]
pub enum Notice {
    /// Connected. After the first time, everything that was missed in between has to be read over REST.
    Connected {
        /// Why the connection before this one was given up; nothing at first.
        after: Option<LostReason>,
    },
    /// The connection is gone, and there is no other yet.
    Lost(LostReason),
    /// An attempt to connect failed; another follows.
    ConnectFailed(ConnectError),
    /// A message.
    Event(StreamEvent),
    /// A message that makes no sense; the stream goes on.
    Malformed(MalformedEvent),
}

/// One combined stream that is kept alive for ever.
pub struct MarketStream {
    settings: StreamSettings,
    uri: Uri,
    client: awc::Client,
}

impl MarketStream {
    /// Checks the settings; connects nothing yet.
    ///
    /// # Errors
    /// When the address is no WebSocket address, or the number of streams is out of Binance's range.
    pub fn new(settings: StreamSettings) -> Result<Self, StreamError> {
        let uri = settings.uri()?;
        // WebSocket needs HTTP/1.1: over TLS, awc would agree to HTTP/2 and then refuse the upgrade.
        let client = awc::Client::builder()
            .max_http_version(awc::http::Version::HTTP_11)
            .disable_timeout()
            .finish();
        Ok(Self {
            settings,
            uri,
            client,
        })
    }

    /// Keeps the stream alive until `stop` is ready, telling `notify` what happens.
    pub async fn run(self, stop: impl Future<Output = ()>, mut notify: impl FnMut(Notice)) {
        let mut stop = pin!(stop);
        let mut state = State::new(&self.settings);
        loop {
            let step = tokio::select! {
                biased;
                () = &mut stop => break,
                step = state.step(&self) => step,
            };
            state.apply(step, &mut notify).await;
        }
        if let Some(live) = state.live {
            live.connection.close().await;
        }
    }

    fn connect(
        &self,
        attempt: u32,
        because: Option<LostReason>,
    ) -> LocalBoxFuture<'static, Result<Connection, ConnectError>> {
        let client = self.client.clone();
        let uri = self.uri.clone();
        let limits = Limits {
            connect: self.settings.connect_timeout,
            idle: self.settings.idle_timeout,
            max_message_bytes: self.settings.max_message_bytes,
        };
        // One span an attempt, a trace of its own: the connection outlives every request, and every trace.
        let span = tracing::info_span!(
            parent: None,
            "binance.stream.connect",
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            error.type = tracing::field::Empty,
            server.address = uri.host().unwrap_or_default(),
            url.path = uri.path(),
            stream.symbols = self.settings.symbols.len(),
            stream.attempt = attempt,
            stream.reconnect_reason = because.map(LostReason::as_str),
        );
        Box::pin(
            async move {
                let result = Connection::open(&client, uri, limits).await;
                match &result {
                    Ok(_) => tracing::info!("the exchange's stream is connected"),
                    Err(error) => {
                        let span = tracing::Span::current();
                        span.record("otel.status_code", "ERROR");
                        span.record("error.type", error.label());
                        tracing::warn!(error = %error, "cannot connect the exchange's stream; trying again");
                    }
                }
                result
            }
            .instrument(span),
        )
    }
}

struct Live {
    connection: Connection,
    since: Instant,
    /// Set once it has to be replaced, while it still works.
    expiring: bool,
}

/// What a step came to.
enum Step {
    Message(Result<Bytes, LostReason>),
    Attempted(Result<Connection, ConnectError>),
    /// It is time to make a connection, and it is under way now.
    Started,
    /// Too many connections lately; the next attempt is put off.
    PutOff,
    Expired,
}

struct State {
    live: Option<Live>,
    connecting: Option<LocalBoxFuture<'static, Result<Connection, ConnectError>>>,
    next_attempt: Option<Instant>,
    because: Option<LostReason>,
    attempt: u32,
    backoff: Backoff,
    pace: Pace,
    lifetime: Duration,
    stable_after: Duration,
    malformed: Burst,
}

impl State {
    fn new(settings: &StreamSettings) -> Self {
        Self {
            live: None,
            connecting: None,
            next_attempt: Some(Instant::now()),
            because: None,
            attempt: 0,
            backoff: Backoff::new(settings.backoff_base, settings.backoff_cap),
            pace: Pace::default(),
            lifetime: settings.max_lifetime,
            stable_after: settings.backoff_cap,
            malformed: Burst::default(),
        }
    }

    /// Waits for the next thing to happen. Safe to drop half-way.
    async fn step(&mut self, stream: &MarketStream) -> Step {
        let expires = self
            .live
            .as_ref()
            .filter(|live| !live.expiring)
            .map(|live| live.since + self.lifetime);
        let due = self.next_attempt.filter(|_| self.connecting.is_none());
        tokio::select! {
            // Messages last: a flood of them must not keep a connection from being replaced.
            biased;
            result = attempted(&mut self.connecting) => Step::Attempted(result),
            () = at(due) => {
                let now = Instant::now();
                let wait = self.pace.wait(now.into_std());
                if wait.is_zero() {
                    self.pace.attempt(now.into_std());
                    self.next_attempt = None;
                    self.attempt = self.attempt.saturating_add(1);
                    self.connecting = Some(stream.connect(self.attempt, self.because));
                    Step::Started
                } else {
                    self.next_attempt = Some(now + wait);
                    Step::PutOff
                }
            }
            () = at(expires) => Step::Expired,
            message = message(&mut self.live) => Step::Message(message),
        }
    }

    async fn apply(&mut self, step: Step, notify: &mut impl FnMut(Notice)) {
        match step {
            Step::Message(Ok(message)) => match StreamEvent::parse(&message) {
                Ok(StreamEvent::ServerShutdown) => {
                    notify(Notice::Event(StreamEvent::ServerShutdown));
                    self.replace(LostReason::ServerShutdown);
                }
                Ok(event) => notify(Notice::Event(event)),
                Err(error) => {
                    self.malformed.report(&error);
                    notify(Notice::Malformed(error));
                }
            },
            Step::Message(Err(reason)) => {
                let lived = self
                    .live
                    .take()
                    .map(|live| live.since.elapsed())
                    .unwrap_or_default();
                tracing::warn!(
                    reason = reason.as_str(),
                    lived_s = lived.as_secs(),
                    "the exchange's stream is lost; connecting anew"
                );
                notify(Notice::Lost(reason));
                // A connection that was about to be replaced has its reason already.
                self.because = self.because.or(Some(reason));
                if lived >= self.stable_after {
                    self.backoff.reset();
                }
                if self.connecting.is_none() && self.next_attempt.is_none() {
                    self.schedule();
                }
            }
            Step::Attempted(Ok(connection)) => {
                self.connecting = None;
                let new = Live {
                    connection,
                    since: Instant::now(),
                    expiring: false,
                };
                let old = self.live.replace(new);
                notify(Notice::Connected {
                    after: self.because.take(),
                });
                if let Some(old) = old {
                    old.connection.close().await;
                }
            }
            Step::Attempted(Err(error)) => {
                self.connecting = None;
                notify(Notice::ConnectFailed(error));
                self.schedule();
            }
            Step::Expired => self.replace(LostReason::Lifetime),
            Step::Started => {}
            Step::PutOff => {
                tracing::warn!("too many connections in five minutes; the exchange's stream waits")
            }
        }
    }

    /// Makes a new connection while the old one still works.
    fn replace(&mut self, reason: LostReason) {
        let Some(live) = &mut self.live else { return };
        if live.expiring {
            return;
        }
        live.expiring = true;
        tracing::info!(
            reason = reason.as_str(),
            "replacing the connection of the exchange's stream"
        );
        self.because = Some(reason);
        if live.since.elapsed() >= self.stable_after {
            self.backoff.reset();
            self.next_attempt = Some(Instant::now());
        } else {
            // A server that announces its end as soon as one connects must not be stormed.
            self.schedule();
        }
    }

    fn schedule(&mut self) {
        self.next_attempt = Some(Instant::now() + self.backoff.next_delay(rand::random()));
    }
}

async fn message(live: &mut Option<Live>) -> Result<Bytes, LostReason> {
    match live {
        Some(live) => live.connection.message().await,
        None => std::future::pending().await,
    }
}

async fn attempted(
    connecting: &mut Option<LocalBoxFuture<'static, Result<Connection, ConnectError>>>,
) -> Result<Connection, ConnectError> {
    match connecting {
        Some(connecting) => connecting.await,
        None => std::future::pending().await,
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Logs the first of many.
#[derive(Debug, Default)]
struct Burst {
    logged: Option<Instant>,
    unlogged: u64,
}

impl Burst {
    fn report(&mut self, error: &MalformedEvent) {
        if self.logged.is_none_or(|logged| logged.elapsed() >= BURST) {
            tracing::warn!(error = %error, unlogged_before = self.unlogged, "the exchange sent a message that makes no sense");
            self.logged = Some(Instant::now());
            self.unlogged = 0;
        } else {
            self.unlogged += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(base: &str, symbols: &[&str]) -> StreamSettings {
        StreamSettings::new(
            base.parse().unwrap(),
            symbols
                .iter()
                .map(|symbol| symbol.parse().unwrap())
                .collect(),
        )
    }

    #[test]
    fn the_address_names_every_stream_in_lower_case() {
        let uri = settings("wss://data-stream.binance.vision", &["BTCUSDT", "ETHUSDT"])
            .uri()
            .unwrap();
        assert_eq!(
            uri.to_string(),
            "wss://data-stream.binance.vision/stream?streams=btcusdt@kline_1m/btcusdt@ticker/ethusdt@kline_1m/ethusdt@ticker"
        );
        let below = settings("ws://127.0.0.1:1/binance/", &["BTCUSDT"])
            .uri()
            .unwrap();
        assert_eq!(below.path(), "/binance/stream");
    }

    #[test]
    fn impossible_settings_are_refused() {
        assert!(matches!(
            settings("https://example.org", &["BTCUSDT"]).uri(),
            Err(StreamError::Address(_))
        ));
        assert!(matches!(
            settings("ws://example.org", &[]).uri(),
            Err(StreamError::Count(0))
        ));
        let many: Vec<String> = (0..513).map(|n| format!("COIN{n:03}USDT")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(matches!(
            settings("ws://example.org", &many).uri(),
            Err(StreamError::Count(1026))
        ));
    }
}
