//! One WebSocket connection from its handshake to its end.

use std::collections::VecDeque;
use std::time::Duration;

use actix_web::web::Data;
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason};
use serde::Serialize;
use telemetry::metrics::simulator::{EVENTS_SENT, SOCKETS, SOCKETS_CLOSED};
use tokio::time::{Instant, sleep_until, timeout};

use super::event::Event;
use super::streams::Subscriptions;
use super::{pulse, request};
use crate::faults::{Failure, FaultTarget, Occasion, Verdict};
use crate::world::{World, now_ms};

/// Messages (pings and pongs count) that a client may send in a second.
const MOST_MESSAGES: usize = 5;
/// A client that takes nothing for so long is given up.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a connection ended: the label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Client,
    NoPong,
    TooManyMessages,
    Protocol,
    Lifetime,
    Shutdown,
    Dropped,
    Slow,
}

impl End {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::NoPong => "no_pong",
            Self::TooManyMessages => "too_many_messages",
            Self::Protocol => "protocol",
            Self::Lifetime => "lifetime",
            Self::Shutdown => "shutdown",
            Self::Dropped => "dropped",
            Self::Slow => "slow",
        }
    }

    /// The close frame; `None` where the connection just breaks.
    fn reason(self) -> Option<CloseReason> {
        let reason = |code, text: &str| Some(CloseReason { code, description: Some(text.to_owned()) });
        match self {
            Self::Client => reason(CloseCode::Normal, ""),
            Self::NoPong => reason(CloseCode::Policy, "Pong timeout"),
            Self::TooManyMessages => reason(CloseCode::Policy, "Too many requests"),
            Self::Protocol => reason(CloseCode::Protocol, "Protocol error"),
            Self::Lifetime => reason(CloseCode::Normal, "Connection lifetime is over"),
            Self::Shutdown => reason(CloseCode::Away, "Server shutdown"),
            Self::Dropped | Self::Slow => None,
        }
    }
}

#[derive(Serialize)]
struct Combined<'a> {
    stream: &'a str,
    data: &'a Event,
}

pub(super) struct Session {
    world: Data<World>,
    socket: actix_ws::Session,
    subscriptions: Subscriptions,
    /// Whether events are wrapped in `{"stream","data"}`.
    combined: bool,
    /// The newest tick that the client was told of.
    seen: i64,
    /// When the last messages came, newest last.
    messages: VecDeque<Instant>,
    /// Pings without an answer, oldest first.
    pings: VecDeque<(String, Instant)>,
}

impl Session {
    pub(super) fn new(
        world: Data<World>,
        socket: actix_ws::Session,
        subscriptions: Subscriptions,
        combined: bool,
    ) -> Self {
        let seen = world.market.timeline().tick_at(now_ms());
        SOCKETS.add(1, &[]);
        Self { world, socket, subscriptions, combined, seen, messages: VecDeque::new(), pings: VecDeque::new() }
    }

    /// Serves the connection until it ends.
    pub(super) async fn run(mut self, messages: AggregatedMessageStream) {
        let end = self.serve(messages).await;
        SOCKETS.add(-1, &[]);
        SOCKETS_CLOSED.add(1, &[("reason", end.as_str())]);
        tracing::debug!(reason = end.as_str(), "socket of the simulated exchange ended");
        if let Some(reason) = end.reason() {
            // The client may be gone already; then there is nobody to say goodbye to.
            drop(timeout(SEND_TIMEOUT, self.socket.close(Some(reason))).await);
        }
    }

    async fn serve(&mut self, mut messages: AggregatedMessageStream) -> End {
        let begin = Instant::now();
        let settings = self.world.sockets;
        let stop = self.world.stop.clone();
        let mut faults = self.world.faults.watch();
        let mut next_ping = begin + settings.ping_interval;
        loop {
            let pong_due =
                self.pings.front().map_or(begin + settings.lifetime, |(_, sent)| *sent + settings.pong_timeout);
            let next_tick = self.next_tick();
            let outcome = tokio::select! {
                message = messages.recv() => match message {
                    Some(Ok(message)) => self.receive(message).await,
                    Some(Err(_)) => Err(End::Protocol),
                    None => Err(End::Client),
                },
                () = stop.cancelled() => {
                    let told = self.send("!serverShutdown", &Event::shutdown(now_ms()), false).await;
                    told.and(Err(End::Shutdown))
                }
                () = sleep_until(begin + settings.lifetime) => Err(End::Lifetime),
                () = sleep_until(pong_due), if !self.pings.is_empty() => Err(End::NoPong),
                () = sleep_until(next_ping) => {
                    next_ping += settings.ping_interval;
                    self.ping().await
                }
                // A dropped socket is dropped at once, not with the next price.
                Ok(()) = faults.changed() => match self.judge().failure {
                    Some(Failure::Dropped) => Err(End::Dropped),
                    _ => Ok(()),
                },
                () = sleep_until(next_tick) => self.pulse().await,
            };
            if let Err(end) = outcome {
                return end;
            }
        }
    }

    fn judge(&self) -> Verdict {
        self.world.faults.judge(FaultTarget::BinanceWs, Occasion::Events, &self.subscriptions.names().join("/"))
    }

    fn next_tick(&self) -> Instant {
        let timeline = self.world.market.timeline();
        let now = now_ms();
        let begin = timeline.tick_begin_ms(timeline.tick_at(now) + 1);
        Instant::now() + Duration::from_millis(u64::try_from(begin - now).unwrap_or_default())
    }

    /// Tells the client of the newest tick.
    async fn pulse(&mut self) -> Result<(), End> {
        let verdict = self.judge();
        if verdict.failure == Some(Failure::Dropped) {
            return Err(End::Dropped);
        }
        let timeline = *self.world.market.timeline();
        let late_ms = verdict.latency.map_or(0, |late| i64::try_from(late.as_millis()).unwrap_or(i64::MAX));
        let tick = timeline.tick_at(now_ms() - late_ms);
        if tick <= self.seen {
            return Ok(());
        }
        let seen = std::mem::replace(&mut self.seen, tick);
        if verdict.frozen_at_ms.is_some() {
            // What happens meanwhile is lost to this client, as it is when a real stream hangs.
            return Ok(());
        }
        let malformed = verdict.failure == Some(Failure::Malformed);
        let world = self.world.clone();
        let events: Vec<(String, Event)> = self
            .subscriptions
            .iter()
            .filter_map(|subscription| Some((&subscription.name, subscription.stream?)))
            .flat_map(|(name, stream)| {
                pulse::events(&world.market, stream, seen, tick).into_iter().map(move |event| (name.clone(), event))
            })
            .collect();
        for (name, event) in &events {
            self.send(name, event, malformed).await?;
        }
        Ok(())
    }

    async fn send(&mut self, name: &str, event: &Event, malformed: bool) -> Result<(), End> {
        let json = if self.combined {
            serde_json::to_string(&Combined { stream: name, data: event })
        } else {
            serde_json::to_string(event)
        };
        let mut text = match json {
            Ok(text) => text,
            Err(error) => {
                tracing::error!(error = %error, "an event cannot be written");
                return Ok(());
            }
        };
        if malformed {
            // Events are ASCII: any place is a character's boundary.
            text.truncate(text.len() / 2);
        }
        self.text(text).await?;
        EVENTS_SENT.add(1, &[("kind", event.label())]);
        Ok(())
    }

    async fn text(&mut self, text: String) -> Result<(), End> {
        match timeout(SEND_TIMEOUT, self.socket.text(text)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_closed)) => Err(End::Client),
            Err(_elapsed) => Err(End::Slow),
        }
    }

    async fn ping(&mut self) -> Result<(), End> {
        let payload = now_ms().to_string();
        let sent = timeout(SEND_TIMEOUT, self.socket.ping(payload.as_bytes())).await;
        match sent {
            Ok(Ok(())) => {
                self.pings.push_back((payload, Instant::now()));
                Ok(())
            }
            Ok(Err(_closed)) => Err(End::Client),
            Err(_elapsed) => Err(End::Slow),
        }
    }

    async fn receive(&mut self, message: AggregatedMessage) -> Result<(), End> {
        if matches!(message, AggregatedMessage::Close(_)) {
            return Err(End::Client);
        }
        let now = Instant::now();
        self.messages.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
        self.messages.push_back(now);
        if self.messages.len() > MOST_MESSAGES {
            return Err(End::TooManyMessages);
        }
        match message {
            AggregatedMessage::Text(text) => {
                let world = self.world.clone();
                let answer = request::answer(&text, &mut self.subscriptions, &mut self.combined, &world.market);
                self.text(answer.to_string()).await
            }
            AggregatedMessage::Ping(payload) => match timeout(SEND_TIMEOUT, self.socket.pong(&payload)).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_closed)) => Err(End::Client),
                Err(_elapsed) => Err(End::Slow),
            },
            AggregatedMessage::Pong(payload) => {
                // Only a pong with the payload of a ping counts; it answers the pings before that one as well.
                if let Some(position) = self.pings.iter().position(|(sent, _)| sent.as_bytes() == payload.as_ref()) {
                    self.pings.drain(..=position);
                }
                Ok(())
            }
            AggregatedMessage::Binary(_) => Err(End::Protocol),
            AggregatedMessage::Close(_) => Err(End::Client),
        }
    }
}
