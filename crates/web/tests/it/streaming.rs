//! Answers that are handed on as they come.

use std::time::Duration;

use futures_util::StreamExt as _;
use telemetry::testing::{attribute, finished_spans};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tracing::Instrument as _;
use web::{Readiness, Upstream, UpstreamErrorKind, UpstreamSettings};

use crate::support::service;

/// A server of the test's own: it takes one request and says nothing that the test does not write.
async fn one_connection() -> (TcpListener, Upstream) {
    telemetry::testing::init();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    (listener, Upstream::new(UpstreamSettings::new("streamer", url)))
}

async fn request(listener: TcpListener, framing: &str) -> TcpStream {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        seen.push(socket.read_u8().await.unwrap());
    }
    let head = String::from_utf8(seen).unwrap().to_ascii_lowercase();
    assert!(head.contains("accept-encoding: identity"), "{head}");
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{framing}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

#[actix_web::test]
async fn a_piece_arrives_before_the_end_and_dropping_the_answer_ends_the_call() {
    let (listener, upstream) = one_connection().await;
    let span = tracing::info_span!("streaming");
    let call = upstream.get("/stream").stream(Duration::from_secs(30)).instrument(span.clone());
    let (answer, mut socket) = tokio::join!(call, request(listener, "transfer-encoding: chunked"));
    let answer = answer.unwrap();
    assert_eq!(
        (answer.status, answer.headers.get("content-type").unwrap().as_bytes()),
        (200, &b"text/event-stream"[..])
    );
    let mut body = answer.into_body();
    socket.write_all(b"6\r\nfirst\n\r\n").await.unwrap();
    assert_eq!(body.next().await.unwrap().unwrap(), "first\n");
    drop(body);
    assert_eq!(socket.read(&mut [0; 16]).await.unwrap_or(0), 0, "the connection is closed");
    let trace_id = span.in_scope(|| telemetry::trace_id().unwrap());
    let ended = finished_spans().into_iter().filter(|span| span.span_context.trace_id().to_string() == trace_id);
    assert_eq!(ended.filter(|span| span.name == "GET /stream").count(), 1, "the call's span has ended with it");
}

#[actix_web::test]
async fn a_body_that_falls_silent_or_breaks_off_is_an_error_at_its_end() {
    for (idle, break_off, label) in
        [(Duration::from_millis(50), false, "timeout"), (Duration::from_secs(30), true, "connect")]
    {
        let (listener, upstream) = one_connection().await;
        let span = tracing::info_span!("streaming");
        let call = upstream.get("/stream").stream(idle).instrument(span.clone());
        let (answer, mut socket) = tokio::join!(call, request(listener, "content-length: 100"));
        let mut body = answer.unwrap().into_body();
        socket.write_all(b"first\n").await.unwrap();
        assert_eq!(body.next().await.unwrap().unwrap(), "first\n");
        let socket = (!break_off).then_some(socket);
        assert_eq!(body.next().await.unwrap().unwrap_err().label(), label);
        assert!(body.next().await.is_none());
        drop((body, socket));
        let trace_id = span.in_scope(|| telemetry::trace_id().unwrap());
        let spans = finished_spans();
        let call = spans
            .iter()
            .find(|span| span.name == "GET /stream" && span.span_context.trace_id().to_string() == trace_id);
        assert_eq!(attribute(call.unwrap(), "error.type").as_deref(), Some(label));
    }
}

#[actix_web::test]
async fn an_answer_other_than_2xx_is_no_stream() {
    let (server, _) = service(Readiness::new());
    let upstream = Upstream::new(UpstreamSettings::new("other", server.base_url()).internal());
    let error = upstream.get("/refuse").stream(Duration::from_secs(1)).await.err().unwrap();
    let UpstreamErrorKind::Status { status: 404, problem: Some(problem), .. } = error.kind else { panic!("{error}") };
    assert_eq!(problem.code, "unknown_symbol");
    server.stop().await;
}
