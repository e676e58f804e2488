//! One WebSocket connection: from the handshake to the reason why it ended.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use actix_http::ws::Item;
use awc::error::{WsClientError, WsProtocolError};
use awc::http::Uri;
use awc::ws::{Frame, Message};
use bytes::{Bytes, BytesMut};
use futures_util::{Sink, Stream, StreamExt as _};
use tokio::time::{Instant, timeout, timeout_at};

/// Longest that a farewell may take: the other side may be gone.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No answer within the time limit.
    #[error("no connection within {} ms", limit.as_millis())]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// Answered with something else than 101: 429 and 418 mean too many connections.
    #[error("the handshake was answered with HTTP status {0}")]
    Status(u16),
    /// Name resolution, TCP or TLS failed.
    #[error("cannot connect: {0}")]
    Transport(String),
    /// The handshake's answer breaks the protocol.
    #[error("the handshake failed: {0}")]
    Handshake(String),
}

impl ConnectError {
    /// Bounded label for metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Timeout { .. } => "timeout",
            Self::Status(429 | 418) => "too_many_requests",
            Self::Status(500..) => "server_error",
            Self::Status(_) => "refused",
            Self::Transport(_) => "connect",
            Self::Handshake(_) => "handshake",
        }
    }
}

impl From<WsClientError> for ConnectError {
    fn from(error: WsClientError) -> Self {
        match error {
            WsClientError::InvalidResponseStatus(status) => Self::Status(status.as_u16()),
            WsClientError::SendRequest(error) => Self::Transport(error.to_string()),
            other => Self::Handshake(other.to_string()),
        }
    }
}

/// Why a connection ended, or has to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostReason {
    /// The server said goodbye.
    Closed,
    /// The socket broke, without a goodbye.
    Dropped,
    /// No message for too long.
    Idle,
    /// A frame or message was larger than allowed.
    TooLarge,
    /// The server broke the WebSocket protocol.
    Protocol,
    /// The server announced that it will go away.
    ServerShutdown,
    /// It is nearly as old as Binance lets a connection become (24 hours).
    Lifetime,
}

impl LostReason {
    /// Bounded label for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Dropped => "dropped",
            Self::Idle => "idle",
            Self::TooLarge => "too_large",
            Self::Protocol => "protocol",
            Self::ServerShutdown => "server_shutdown",
            Self::Lifetime => "lifetime",
        }
    }
}

/// What both a real socket and one in memory are.
pub(crate) trait Socket:
    Stream<Item = Result<Frame, WsProtocolError>> + Sink<Message, Error = WsProtocolError> + Unpin
{
}

impl<T> Socket for T where
    T: Stream<Item = Result<Frame, WsProtocolError>>
        + Sink<Message, Error = WsProtocolError>
        + Unpin
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
    pub(crate) async fn open(
        client: &awc::Client,
        uri: Uri,
        limits: Limits,
    ) -> Result<Self, ConnectError> {
        let request = client.ws(uri).max_frame_size(limits.max_message_bytes);
        let (_response, framed) =
            timeout(limits.connect, request.connect())
                .await
                .map_err(|_| ConnectError::Timeout {
                    limit: limits.connect,
                })??;
        Ok(Self::over(Box::new(framed), limits))
    }

    fn over(socket: Box<dyn Socket>, limits: Limits) -> Self {
        Self {
            socket,
            limits,
            last_message: Instant::now(),
            fragments: None,
            pong: None,
            unflushed: false,
        }
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

    /// Says goodbye, within a bounded time. Nothing can be done about a failure: the socket is dropped either way.
    pub(crate) async fn close(mut self) {
        let mut farewell = Some(Message::Close(None));
        let sent = timeout(
            FAREWELL,
            poll_fn(|cx| {
                if farewell.is_some() {
                    ready!(Pin::new(&mut self.socket).poll_ready(cx))?;
                    if let Some(message) = farewell.take() {
                        Pin::new(&mut self.socket).start_send(message)?;
                    }
                }
                Pin::new(&mut self.socket).poll_flush(cx)
            }),
        )
        .await;
        if !matches!(sent, Ok(Ok(()))) {
            tracing::debug!("the stream's connection was gone before its farewell");
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
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::task::Context;

    use super::*;

    /// A socket in memory: plays frames, then stays silent (or ends), and keeps what was sent.
    struct Played {
        frames: std::vec::IntoIter<Result<Frame, WsProtocolError>>,
        ends: bool,
        sent: Rc<RefCell<Vec<Message>>>,
    }

    impl Stream for Played {
        type Item = Result<Frame, WsProtocolError>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            match self.frames.next() {
                None if !self.ends => Poll::Pending,
                next => Poll::Ready(next),
            }
        }
    }

    impl Sink<Message> for Played {
        type Error = WsProtocolError;

        fn poll_ready(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Result<(), WsProtocolError>> {
            Poll::Ready(Ok(()))
        }

        fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), WsProtocolError> {
            self.sent.borrow_mut().push(message);
            Ok(())
        }

        fn poll_flush(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Result<(), WsProtocolError>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Result<(), WsProtocolError>> {
            Poll::Ready(Ok(()))
        }
    }

    fn play(
        frames: Vec<Result<Frame, WsProtocolError>>,
        ends: bool,
    ) -> (Connection, Rc<RefCell<Vec<Message>>>) {
        let sent = Rc::new(RefCell::new(Vec::new()));
        let limits = Limits {
            connect: Duration::from_secs(1),
            idle: Duration::from_millis(20),
            max_message_bytes: 10,
        };
        let socket = Played {
            frames: frames.into_iter(),
            ends,
            sent: Rc::clone(&sent),
        };
        (Connection::over(Box::new(socket), limits), sent)
    }

    fn text(text: &'static str) -> Result<Frame, WsProtocolError> {
        Ok(Frame::Text(Bytes::from_static(text.as_bytes())))
    }

    fn part(item: fn(Bytes) -> Item, text: &'static str) -> Result<Frame, WsProtocolError> {
        Ok(Frame::Continuation(item(Bytes::from_static(
            text.as_bytes(),
        ))))
    }

    #[tokio::test]
    async fn a_ping_is_answered_with_its_own_payload() {
        let (mut connection, sent) = play(
            vec![
                Ok(Frame::Ping(Bytes::from_static(b"1672515782136"))),
                text("a"),
            ],
            true,
        );
        assert_eq!(connection.message().await, Ok(Bytes::from_static(b"a")));
        assert_eq!(
            *sent.borrow(),
            [Message::Pong(Bytes::from_static(b"1672515782136"))]
        );
    }

    #[tokio::test]
    async fn silence_is_noticed_even_when_pings_come() {
        let (mut connection, _) = play(
            vec![
                text("a"),
                Ok(Frame::Ping(Bytes::new())),
                Ok(Frame::Pong(Bytes::new())),
            ],
            false,
        );
        assert!(connection.message().await.is_ok());
        assert_eq!(connection.message().await, Err(LostReason::Idle));
    }

    #[tokio::test]
    async fn fragments_are_joined_and_bounded() {
        let (mut connection, _) = play(
            vec![
                part(Item::FirstText, "ab"),
                part(Item::Continue, "cd"),
                part(Item::Last, "ef"),
            ],
            true,
        );
        assert_eq!(
            connection.message().await,
            Ok(Bytes::from_static(b"abcdef"))
        );
        let (mut connection, _) = play(
            vec![part(Item::FirstText, "123456"), part(Item::Last, "78901")],
            true,
        );
        assert_eq!(connection.message().await, Err(LostReason::TooLarge));
    }

    #[tokio::test]
    async fn every_end_has_its_reason() {
        for (frames, reason) in [
            (vec![], LostReason::Dropped),
            (vec![Ok(Frame::Close(None))], LostReason::Closed),
            (vec![Err(WsProtocolError::Overflow)], LostReason::TooLarge),
            (vec![Err(WsProtocolError::BadOpCode)], LostReason::Protocol),
            (
                vec![Err(WsProtocolError::Io(
                    std::io::ErrorKind::ConnectionReset.into(),
                ))],
                LostReason::Dropped,
            ),
        ] {
            let (mut connection, _) = play(frames, true);
            assert_eq!(connection.message().await, Err(reason));
        }
    }

    #[tokio::test]
    async fn closing_says_goodbye() {
        let (connection, sent) = play(vec![], false);
        connection.close().await;
        assert_eq!(*sent.borrow(), [Message::Close(None)]);
    }
}
