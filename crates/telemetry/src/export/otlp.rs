//! OTLP exporters over gRPC or HTTP, from the settings.

use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{
    LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};

use crate::settings::Signal;
use crate::{OtlpProtocol, TelemetryError, TelemetrySettings};

/// Builds the three exporters alike. Where `TELEMETRY_*` is silent the library reads `OTEL_EXPORTER_OTLP_*` itself.
pub(crate) struct OtlpBuilder {
    protocol: OtlpProtocol,
    endpoint: Option<String>,
    headers: HashMap<String, String>,
}

impl OtlpBuilder {
    pub(crate) fn new(settings: &TelemetrySettings) -> Result<Self, TelemetryError> {
        Ok(Self { protocol: settings.protocol()?, endpoint: settings.endpoint()?, headers: settings.headers()? })
    }

    /// Where exports go, for messages: without user, password and query, which may be secrets.
    pub(crate) fn target(&self) -> String {
        let shown = |text: &String| {
            let url = url::Url::parse(text).ok()?;
            Some(format!("{}://{}:{}", url.scheme(), url.host_str()?, url.port_or_known_default()?))
        };
        self.endpoint.as_ref().and_then(shown).unwrap_or_else(|| "the default OTLP endpoint".to_owned())
    }

    pub(crate) fn spans(&self) -> Result<SpanExporter, TelemetryError> {
        match self.protocol {
            OtlpProtocol::Grpc => self.grpc(SpanExporter::builder().with_tonic(), Signal::Traces)?.build(),
            OtlpProtocol::HttpProtobuf => self.http(SpanExporter::builder().with_http(), "/v1/traces").build(),
        }
        .map_err(|error| failed(Signal::Traces, &error))
    }

    pub(crate) fn metrics(&self) -> Result<MetricExporter, TelemetryError> {
        match self.protocol {
            OtlpProtocol::Grpc => self.grpc(MetricExporter::builder().with_tonic(), Signal::Metrics)?.build(),
            OtlpProtocol::HttpProtobuf => self.http(MetricExporter::builder().with_http(), "/v1/metrics").build(),
        }
        .map_err(|error| failed(Signal::Metrics, &error))
    }

    pub(crate) fn logs(&self) -> Result<LogExporter, TelemetryError> {
        match self.protocol {
            OtlpProtocol::Grpc => self.grpc(LogExporter::builder().with_tonic(), Signal::Logs)?.build(),
            OtlpProtocol::HttpProtobuf => self.http(LogExporter::builder().with_http(), "/v1/logs").build(),
        }
        .map_err(|error| failed(Signal::Logs, &error))
    }

    fn grpc<B>(&self, builder: B, signal: Signal) -> Result<B, TelemetryError>
    where
        B: WithExportConfig + WithTonicConfig,
    {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
                return Err(TelemetryError::Exporter {
                    signal: signal.as_str(),
                    reason: "a header in TELEMETRY_OTLP_HEADERS has a name or value that gRPC cannot carry".to_owned(),
                });
            };
            headers.insert(name, value);
        }
        let mut builder = builder.with_metadata(MetadataMap::from_headers(headers));
        if let Some(endpoint) = &self.endpoint {
            if endpoint.starts_with("https://") {
                builder = builder.with_tls_config(ClientTlsConfig::new().with_webpki_roots());
            }
            builder = builder.with_endpoint(endpoint);
        }
        Ok(builder)
    }

    fn http<B>(&self, builder: B, path: &str) -> B
    where
        B: WithExportConfig + WithHttpConfig,
    {
        let builder = builder.with_headers(self.headers.clone());
        match &self.endpoint {
            // A path of its own in the endpoint (a vendor's prefix) stays in front, as the OTLP specification says.
            Some(endpoint) => builder.with_endpoint(format!("{endpoint}{path}")),
            None => builder,
        }
    }
}

fn failed(signal: Signal, error: &opentelemetry_otlp::ExporterBuildError) -> TelemetryError {
    TelemetryError::Exporter { signal: signal.as_str(), reason: error.to_string() }
}
