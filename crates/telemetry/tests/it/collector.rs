//! A collector for tests: takes OTLP over HTTP and keeps what matters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

/// What arrived.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Trace id and name.
    pub(crate) spans: Vec<(String, String)>,
    /// Trace id and body.
    pub(crate) logs: Vec<(String, String)>,
    pub(crate) metrics: Vec<String>,
    pub(crate) resources: Vec<HashMap<String, String>>,
    pub(crate) authorizations: Vec<String>,
}

pub(crate) struct Collector {
    address: std::net::SocketAddr,
    handle: ServerHandle,
    thread: JoinHandle<()>,
    received: Arc<Mutex<Received>>,
}

impl Collector {
    /// Listens on a free port, on a thread of its own.
    pub(crate) fn start() -> Self {
        let received = Arc::new(Mutex::new(Received::default()));
        let data = web::Data::from(received.clone());
        let (started, start) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(data.clone())
                        .app_data(web::PayloadConfig::new(16 << 20))
                        .route("/v1/{signal}", web::post().to(take))
                })
                .workers(1)
                .disable_signals()
                .bind("127.0.0.1:0")
                .unwrap();
                let address = server.addrs()[0];
                let server = server.run();
                started.send((address, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (address, handle) = start.recv().unwrap();
        Self { address, handle, thread, received }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn stop(self) -> Received {
        actix_web::rt::System::new().block_on(self.handle.stop(true));
        self.thread.join().unwrap();
        std::mem::take(&mut self.received.lock().unwrap())
    }
}

async fn take(
    signal: web::Path<String>,
    request: HttpRequest,
    body: web::Bytes,
    received: web::Data<Mutex<Received>>,
) -> HttpResponse {
    let mut received = received.lock().unwrap();
    if let Some(value) = request.headers().get("authorization") {
        received.authorizations.push(value.to_str().unwrap().to_owned());
    }
    match signal.as_str() {
        "traces" => {
            for resource in ExportTraceServiceRequest::decode(body).unwrap().resource_spans {
                received.resources.push(attributes(resource.resource.as_ref()));
                for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                    received.spans.push((hex(&span.trace_id), span.name));
                }
            }
        }
        "logs" => {
            for resource in ExportLogsServiceRequest::decode(body).unwrap().resource_logs {
                received.resources.push(attributes(resource.resource.as_ref()));
                for record in resource.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
                    let text = text(record.body.and_then(|body| body.value));
                    received.logs.push((hex(&record.trace_id), text));
                }
            }
        }
        "metrics" => {
            for resource in ExportMetricsServiceRequest::decode(body).unwrap().resource_metrics {
                received.resources.push(attributes(resource.resource.as_ref()));
                let names =
                    resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics).map(|metric| metric.name);
                received.metrics.extend(names);
            }
        }
        _ => return HttpResponse::NotFound().finish(),
    }
    HttpResponse::Ok().content_type("application/x-protobuf").finish()
}

fn attributes(resource: Option<&Resource>) -> HashMap<String, String> {
    let attributes = resource.map(|resource| resource.attributes.clone()).unwrap_or_default();
    attributes.into_iter().map(|pair| (pair.key, text(pair.value.and_then(|value| value.value)))).collect()
}

fn text(value: Option<Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
