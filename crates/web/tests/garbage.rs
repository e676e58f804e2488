//! What is no HTTP: which log lines it costs. A program of its own, because it listens to all events of the process.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps who spoke of warnings and errors.
struct Loud;

static TARGETS: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Subscriber for Loud {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        TARGETS.lock().unwrap().push(event.metadata().target().to_owned());
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// Anybody can send garbage: whoever reports it at a loud level must be among those that telemetry does not write down
/// (`TelemetrySettings::log_directives`). This fails when actix reports it from another place after an update.
#[actix_web::test]
async fn only_targets_that_are_not_written_down_complain_of_garbage() {
    tracing::subscriber::set_global_default(Loud).unwrap();
    let openapi = utoipa::openapi::OpenApiBuilder::new().build();
    let service = web::Service { name: "garbage", default_port: 0, openapi, readiness: web::Readiness::new() };
    let server = web::start(&web::ServerSettings::ephemeral(), service, web::Background::new(), |_| {}).unwrap();
    let large = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}", "a".repeat(300_000));
    for garbage in
        [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n".as_slice(), b"GARBAGE\r\n\r\n", b"\x00\x00", large.as_bytes()]
    {
        let mut socket = tokio::net::TcpStream::connect(server.addr()).await.unwrap();
        // It may be shut in our face.
        let _ = socket.write_all(garbage).await;
        let _ = socket.shutdown().await;
        let _ = socket.read_to_end(&mut Vec::new()).await;
    }
    server.stop().await;
    let mut targets = TARGETS.lock().unwrap().clone();
    targets.sort();
    targets.dedup();
    assert!(targets.iter().any(|target| target == "actix_http::h1::dispatcher"), "{targets:?}");
    targets.retain(|target| !["actix_http::h1::dispatcher", "actix_http::h1::decoder"].contains(&target.as_str()));
    assert!(targets.is_empty(), "{targets:?}");
}
