//! One WebSocket connection: from the handshake to the reason why it ended.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use actix_http::ws::Item;
use awc::error::WsProtocolError;
use awc::http::Uri;
use awc::ws::{Frame, Message};
use bytes::{Bytes, BytesMut};
use futures_util::{Sink, Stream, StreamExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::reason::{ConnectError, LostReason};

/// Longest that a farewell may take: the other side may be gone.
const FAREWELL: Duration = Duration::from_secs(1);

/// What both a real socket and one in memory are.
pub(crate) trait Socket:
    Stream<Item = Result<Frame, WsProtocolError>> + Sink<Message, Error = WsProtocolError> + Unpin
{
}

impl<T> Socket for T where
    T: Stream<Item = Result<Frame, WsProtocolError>> + Sink<Message, Error = WsProtocolError> + Unpin
{
}

/// Limits of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connect: Duration,
    /// Longest time without a data message. Pings do not count: a stream whose subscription is dead pings on.
    pub(crate) idle: Duration,
    pub(crate) max_message_bytes: usize,
}

pub(crate) struct Connection {
    socket: Box<dyn Socket>,
    limits: Limits,
    last_message: Instant,
    fragments: Option<BytesMut>,
    /// Answer that is still to be given. Kept here, so that dropping [`Connection::message`] half-way loses nothing.
    pong: Option<Bytes>,
    unflushed: bool,
}

impl Connection {
    /// Connects and shakes hands.
    pub(crate) async fn open(client: &awc::Client, uri: Uri, limits: Limits) -> Result<Self, ConnectError> {
        let request = client.ws(uri).max_frame_size(limits.max_message_bytes);
        let (_response, framed) = timeout(limits.connect, request.connect())
            .await
            .map_err(|_| ConnectError::Timeout { limit: limits.connect })??;
        Ok(Self::over(Box::new(framed), limits))
    }

    fn over(socket: Box<dyn Socket>, limits: Limits) -> Self {
        Self { socket, limits, last_message: Instant::now(), fragments: None, pong: None, unflushed: false }
    }

    /// The next whole data message. Pings are answered with their own payload meanwhile. Safe to drop and call again.
    pub(crate) async fn message(&mut self) -> Result<Bytes, LostReason> {
        loop {
            let deadline = self.last_message + self.limits.idle;
            let frame = match timeout_at(deadline, self.frame()).await {
                Ok(frame) => frame?,
                Err(_) => return Err(LostReason::Idle),
            };
            if let Some(message) = self.take(frame)? {
                self.last_message = Instant::now();
                return Ok(message);
            }
        }
    }

    async fn frame(&mut self) -> Result<Frame, LostReason> {
        self.flush().await?;
        match self.socket.next().await {
            Some(Ok(frame)) => Ok(frame),
            Some(Err(error)) => Err(lost(&error)),
            None => Err(LostReason::Dropped),
        }
    }

    async fn flush(&mut self) -> Result<(), LostReason> {
        poll_fn(|cx| {
            if self.pong.is_some() {
                ready!(Pin::new(&mut self.socket).poll_ready(cx))?;
                if let Some(payload) = self.pong.take() {
                    Pin::new(&mut self.socket).start_send(Message::Pong(payload))?;
                    self.unflushed = true;
                }
            }
            if self.unflushed {
                ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
                self.unflushed = false;
            }
            Poll::Ready(Ok(()))
        })
        .await
        .map_err(|error: WsProtocolError| lost(&error))
    }

    /// Handles a frame; returns a message when it completes one.
    fn take(&mut self, frame: Frame) -> Result<Option<Bytes>, LostReason> {
        match frame {
            Frame::Text(message) | Frame::Binary(message) => Ok(Some(message)),
            Frame::Ping(payload) => {
                // A newer ping replaces an unanswered one (RFC 6455, 5.5.3).
                self.pong = Some(payload);
                Ok(None)
            }
            Frame::Pong(_) => Ok(None),
            Frame::Close(_) => Err(LostReason::Closed),
            Frame::Continuation(Item::FirstText(part) | Item::FirstBinary(part)) => {
                self.fragments = Some(BytesMut::from(part.as_ref()));
                Ok(None)
            }
            Frame::Continuation(Item::Continue(part)) => {
                self.append(&part)?;
                Ok(None)
            }
            Frame::Continuation(Item::Last(part)) => {
                self.append(&part)?;
                Ok(self.fragments.take().map(BytesMut::freeze))
            }
        }
    }

    /// The frame limit bounds a fragment; this bounds their sum.
    fn append(&mut self, part: &[u8]) -> Result<(), LostReason> {
        let Some(message) = &mut self.fragments else {
            return Err(LostReason::Protocol);
        };
        if message.len() + part.len() > self.limits.max_message_bytes {
            return Err(LostReason::TooLarge);
        }
        message.extend_from_slice(part);
        Ok(())
    }

    /// Says goodbye and waits for the other side's, within a bounded time: a socket that is dropped at once may take its
    /// goodbye with it.
    pub(crate) async fn close(mut self) {
        let mut farewell = Some(Message::Close(None));
        let closed = timeout(FAREWELL, async {
            poll_fn(|cx| {
                if farewell.is_some() {
                    ready!(Pin::new(&mut self.socket).poll_ready(cx))?;
                    if let Some(message) = farewell.take() {
                        Pin::new(&mut self.socket).start_send(message)?;
                    }
                }
                Pin::new(&mut self.socket).poll_flush(cx)
            })
            .await?;
            while let Some(frame) = self.socket.next().await {
                if matches!(frame?, Frame::Close(_)) {
                    break;
                }
            }
            Ok::<(), WsProtocolError>(())
        })
        .await;
        if !matches!(closed, Ok(Ok(()))) {
            // Nothing can be done about it, and nothing has to be: the socket is dropped either way.
            tracing::debug!("the stream's connection ended without a goodbye from the exchange");
        }
    }
}

fn lost(error: &WsProtocolError) -> LostReason {
    match error {
        WsProtocolError::Overflow => LostReason::TooLarge,
        WsProtocolError::Io(_) => LostReason::Dropped,
        _ => LostReason::Protocol,
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
