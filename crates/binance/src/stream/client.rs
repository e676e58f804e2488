//! The stream that is kept alive: connects, reconnects, replaces connections before they end.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use awc::http::Uri;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument as _;

use super::backoff::Backoff;
use super::connection::{Connection, Limits};
use super::event::{MalformedEvent, StreamEvent};
use super::pace::Pace;
use super::reason::{ConnectError, LostReason};
use super::settings::{StreamError, StreamSettings};

/// Malformed messages are logged once in this time, with the number of those that were not.
const BURST: Duration = Duration::from_secs(60);

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
        let client = awc::Client::builder().max_http_version(awc::http::Version::HTTP_11).disable_timeout().finish();
        Ok(Self { settings, uri, client })
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
            state.apply(step, &mut notify);
        }
        if let Some(live) = state.live {
            live.connection.close().await;
        }
        if let Some(closing) = state.closing {
            closing.await;
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
            // Numbers are signed: unsigned ones would reach the trace as text.
            stream.symbols = i64::try_from(self.settings.symbols.len()).unwrap_or(i64::MAX),
            stream.attempt = i64::from(attempt),
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
    /// A connection that was replaced has ended.
    Closed,
}

struct State {
    live: Option<Live>,
    /// The goodbye of a connection that was replaced.
    closing: Option<LocalBoxFuture<'static, ()>>,
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
            closing: None,
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
        let expires = self.live.as_ref().filter(|live| !live.expiring).map(|live| live.since + self.lifetime);
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
            () = finished(&mut self.closing) => Step::Closed,
            message = message(&mut self.live) => Step::Message(message),
        }
    }

    fn apply(&mut self, step: Step, notify: &mut impl FnMut(Notice)) {
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
                let lived = self.live.take().map(|live| live.since.elapsed()).unwrap_or_default();
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
                let new = Live { connection, since: Instant::now(), expiring: false };
                let old = self.live.replace(new);
                notify(Notice::Connected { after: self.because.take() });
                if let Some(old) = old {
                    self.closing = Some(Box::pin(old.connection.close()));
                }
            }
            Step::Attempted(Err(error)) => {
                self.connecting = None;
                notify(Notice::ConnectFailed(error));
                self.schedule();
            }
            Step::Expired => self.replace(LostReason::Lifetime),
            Step::Closed => self.closing = None,
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
        tracing::info!(reason = reason.as_str(), "replacing the connection of the exchange's stream");
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

async fn finished(closing: &mut Option<LocalBoxFuture<'static, ()>>) {
    match closing {
        Some(closing) => closing.await,
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
