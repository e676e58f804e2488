//! Tests of `connection.rs`.

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

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), WsProtocolError>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), WsProtocolError> {
        self.sent.borrow_mut().push(message);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), WsProtocolError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), WsProtocolError>> {
        Poll::Ready(Ok(()))
    }
}

fn play(frames: Vec<Result<Frame, WsProtocolError>>, ends: bool) -> (Connection, Rc<RefCell<Vec<Message>>>) {
    let sent = Rc::new(RefCell::new(Vec::new()));
    let limits = Limits { connect: Duration::from_secs(1), idle: Duration::from_millis(20), max_message_bytes: 10 };
    let socket = Played { frames: frames.into_iter(), ends, sent: Rc::clone(&sent) };
    (Connection::over(Box::new(socket), limits), sent)
}

fn text(text: &'static str) -> Result<Frame, WsProtocolError> {
    Ok(Frame::Text(Bytes::from_static(text.as_bytes())))
}

fn part(item: fn(Bytes) -> Item, text: &'static str) -> Result<Frame, WsProtocolError> {
    Ok(Frame::Continuation(item(Bytes::from_static(text.as_bytes()))))
}

#[tokio::test]
async fn a_ping_is_answered_with_its_own_payload() {
    let (mut connection, sent) = play(vec![Ok(Frame::Ping(Bytes::from_static(b"1672515782136"))), text("a")], true);
    assert_eq!(connection.message().await, Ok(Bytes::from_static(b"a")));
    assert_eq!(*sent.borrow(), [Message::Pong(Bytes::from_static(b"1672515782136"))]);
}

#[tokio::test]
async fn silence_is_noticed_even_when_pings_come() {
    let (mut connection, _) =
        play(vec![text("a"), Ok(Frame::Ping(Bytes::new())), Ok(Frame::Pong(Bytes::new()))], false);
    assert!(connection.message().await.is_ok());
    assert_eq!(connection.message().await, Err(LostReason::Idle));
}

#[tokio::test]
async fn fragments_are_joined_and_bounded() {
    let (mut connection, _) =
        play(vec![part(Item::FirstText, "ab"), part(Item::Continue, "cd"), part(Item::Last, "ef")], true);
    assert_eq!(connection.message().await, Ok(Bytes::from_static(b"abcdef")));
    let (mut connection, _) = play(vec![part(Item::FirstText, "123456"), part(Item::Last, "78901")], true);
    assert_eq!(connection.message().await, Err(LostReason::TooLarge));
}

#[tokio::test]
async fn every_end_has_its_reason() {
    for (frames, reason) in [
        (vec![], LostReason::Dropped),
        (vec![Ok(Frame::Close(None))], LostReason::Closed),
        (vec![Err(WsProtocolError::Overflow)], LostReason::TooLarge),
        (vec![Err(WsProtocolError::BadOpCode)], LostReason::Protocol),
        (vec![Err(WsProtocolError::Io(std::io::ErrorKind::ConnectionReset.into()))], LostReason::Dropped),
    ] {
        let (mut connection, _) = play(frames, true);
        assert_eq!(connection.message().await, Err(reason));
    }
}

#[tokio::test]
async fn closing_says_goodbye() {
    // What was under way is passed over; the other side's goodbye ends it.
    let (connection, sent) = play(vec![text("late"), Ok(Frame::Close(None))], false);
    connection.close().await;
    assert_eq!(*sent.borrow(), [Message::Close(None)]);
}
