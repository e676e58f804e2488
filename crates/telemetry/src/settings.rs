//! The switches of spec C5, and the standard `OTEL_*` variables they stand in front of.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use crate::TelemetryError;

/// How OTLP travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OtlpProtocol {
    /// gRPC, by convention on port 4317.
    Grpc,
    /// Protobuf over HTTP, by convention on port 4318.
    #[value(name = "http/protobuf", alias = "http")]
    HttpProtobuf,
}

/// How log lines look on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Modules that speak at ERROR, one line each, of bytes on a socket that are no HTTP: actix says "stream error: Invalid
/// Method" of every port scanner, and anybody could fill the log with it. The sender has its 400, and nothing of ours has
/// failed. A body of ours that breaks off, of which the first one speaks too, is told by whoever makes that body.
pub(crate) const OUTSIDERS_MAKE_SPEAK: [&str; 2] = ["actix_http::h1::dispatcher", "actix_http::h1::decoder"];

/// Telemetry settings of one process. `TELEMETRY_*` go before the `OTEL_*` variable of the same meaning.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetrySettings {
    /// Send traces, metrics and logs, and serve /metrics
    #[arg(long, env = "TELEMETRY_ENABLED", default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub telemetry_enabled: bool,

    /// `service.name`; the subcommand's name when left out [also: OTEL_SERVICE_NAME]
    #[arg(long, env = "TELEMETRY_SERVICE_NAME")]
    pub telemetry_service_name: Option<String>,

    /// Where the Collector listens, http://127.0.0.1:4317 (gRPC) or :4318 (HTTP) [also: OTEL_EXPORTER_OTLP_ENDPOINT]
    #[arg(long, env = "TELEMETRY_OTLP_ENDPOINT")]
    pub telemetry_otlp_endpoint: Option<String>,

    /// How OTLP travels; left out, port 4317 means gRPC and any other HTTP [also: OTEL_EXPORTER_OTLP_PROTOCOL]
    #[arg(long, env = "TELEMETRY_OTLP_PROTOCOL")]
    pub telemetry_otlp_protocol: Option<OtlpProtocol>,

    /// Headers for every export, a JSON object of strings [also: OTEL_EXPORTER_OTLP_HEADERS]
    #[arg(long, env = "TELEMETRY_OTLP_HEADERS", hide_env_values = true)]
    pub telemetry_otlp_headers: Option<SecretString>,

    /// A file that holds the headers; it wins over the variable
    #[arg(long, env = "TELEMETRY_OTLP_HEADERS_FILE")]
    pub telemetry_otlp_headers_file: Option<PathBuf>,

    /// Share of new traces that is kept, 0 to 1; a caller that keeps its own is followed (and, but for api-gateway, one that does not) [also: OTEL_TRACES_SAMPLER]
    #[arg(long, env = "TELEMETRY_SAMPLE_RATIO")]
    pub telemetry_sample_ratio: Option<f64>,

    /// How often metrics are sent, in milliseconds
    #[arg(long, env = "OTEL_METRIC_EXPORT_INTERVAL", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..))]
    pub telemetry_metric_interval_ms: u64,

    /// Longest a batch of spans or logs waits before it is sent, in milliseconds; 1000 when left out
    /// [also: OTEL_BSP_SCHEDULE_DELAY, OTEL_BLRP_SCHEDULE_DELAY]
    #[arg(long, env = "TELEMETRY_BATCH_DELAY_MS", value_parser = clap::value_parser!(u64).range(10..))]
    pub telemetry_batch_delay_ms: Option<u64>,

    /// Spans, and log records, that wait at most; further ones are dropped and counted; 2048 when left out
    /// [also: OTEL_BSP_MAX_QUEUE_SIZE, OTEL_BLRP_MAX_QUEUE_SIZE]
    #[arg(long, env = "TELEMETRY_QUEUE_SIZE", value_parser = clap::value_parser!(u32).range(512..))]
    pub telemetry_queue_size: Option<u32>,

    /// Longest flush on shut-down for all signals together, in milliseconds
    #[arg(long, env = "TELEMETRY_SHUTDOWN_TIMEOUT_MS", default_value_t = 3_000)]
    pub telemetry_shutdown_timeout_ms: u64,

    /// `deployment.environment`
    #[arg(long, env = "ENVIRONMENT", default_value = "development")]
    pub environment: String,

    /// Serve native /metrics; left out, as TELEMETRY_ENABLED says (true: native metrics alone, with no Collector)
    #[arg(long, env = "METRICS_ENABLED")]
    pub metrics_enabled: Option<bool>,

    /// How log lines look on standard output
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Auto)]
    pub log_format: LogFormat,

    /// Which log lines: a level (off, error, warn, info, debug, trace), or directives as for RUST_LOG ("info,awc=debug")
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    pub log_level: String,
}

impl TelemetrySettings {
    /// Everything off, log lines at `warn`: what a tool or a test that does not care wants.
    #[must_use]
    pub fn off() -> Self {
        Self {
            telemetry_enabled: false,
            telemetry_service_name: None,
            telemetry_otlp_endpoint: None,
            telemetry_otlp_protocol: None,
            telemetry_otlp_headers: None,
            telemetry_otlp_headers_file: None,
            telemetry_sample_ratio: None,
            telemetry_metric_interval_ms: 10_000,
            telemetry_batch_delay_ms: None,
            telemetry_queue_size: None,
            telemetry_shutdown_timeout_ms: 3_000,
            environment: "development".to_owned(),
            metrics_enabled: None,
            log_format: LogFormat::Auto,
            log_level: "warn".to_owned(),
        }
    }

    /// Whether traces, metrics and logs are exported. The standard `OTEL_SDK_DISABLED=true` has the last word.
    #[must_use]
    pub fn exporting(&self) -> bool {
        self.telemetry_enabled && !env_is("OTEL_SDK_DISABLED", "true")
    }

    /// Whether `/metrics` is served.
    #[must_use]
    pub fn native_metrics(&self) -> bool {
        self.metrics_enabled.unwrap_or_else(|| self.exporting())
    }

    /// Whether one signal is exported: `OTEL_{TRACES,METRICS,LOGS}_EXPORTER` is `otlp` (default), `none`, or, for
    /// metrics, `prometheus` (native only).
    pub(crate) fn exports(&self, signal: Signal) -> Result<bool, TelemetryError> {
        let setting = signal.exporter_variable();
        match std::env::var(setting).as_deref() {
            Err(_) | Ok("" | "otlp") => Ok(self.exporting()),
            Ok("none") => Ok(false),
            Ok("prometheus") if signal == Signal::Metrics => Ok(false),
            Ok(other) => Err(TelemetryError::Setting {
                setting,
                reason: format!("is {other:?}; it can be otlp or none (prometheus too, for metrics)"),
            }),
        }
    }

    pub(crate) fn ratio(&self) -> Result<Option<f64>, TelemetryError> {
        match self.telemetry_sample_ratio {
            Some(ratio) if !(0.0..=1.0).contains(&ratio) => Err(TelemetryError::Setting {
                setting: "TELEMETRY_SAMPLE_RATIO",
                reason: format!("is {ratio}; it is a share from 0 to 1"),
            }),
            ratio => Ok(ratio),
        }
    }

    /// The protocol: as set, else as `OTEL_EXPORTER_OTLP_PROTOCOL` says, else by the endpoint's port.
    pub(crate) fn protocol(&self) -> Result<OtlpProtocol, TelemetryError> {
        if let Some(protocol) = self.telemetry_otlp_protocol {
            return Ok(protocol);
        }
        match std::env::var("OTEL_EXPORTER_OTLP_PROTOCOL").as_deref() {
            Ok("grpc") => return Ok(OtlpProtocol::Grpc),
            Ok("http/protobuf") => return Ok(OtlpProtocol::HttpProtobuf),
            Ok("") | Err(_) => {}
            Ok(other) => {
                return Err(TelemetryError::Setting {
                    setting: "OTEL_EXPORTER_OTLP_PROTOCOL",
                    reason: format!("is {other:?}; it can be grpc or http/protobuf"),
                });
            }
        }
        let endpoint = self.endpoint()?;
        let port = endpoint.as_deref().and_then(|text| url::Url::parse(text).ok()).and_then(|url| url.port());
        Ok(if port == Some(4317) { OtlpProtocol::Grpc } else { OtlpProtocol::HttpProtobuf })
    }

    /// The endpoint, ours or the standard one. Its form is checked here, so that a bad one is a sentence at start and
    /// not silence later.
    pub(crate) fn endpoint(&self) -> Result<Option<String>, TelemetryError> {
        let ours = self.telemetry_otlp_endpoint.clone().map(|text| ("TELEMETRY_OTLP_ENDPOINT", text));
        let standard = || {
            let name = "OTEL_EXPORTER_OTLP_ENDPOINT";
            std::env::var(name).ok().map(|text| (name, text))
        };
        let Some((setting, text)) = ours.filter(|(_, text)| !text.is_empty()).or_else(standard) else {
            return Ok(None);
        };
        if text.is_empty() {
            return Ok(None);
        }
        let refused = |reason: String| TelemetryError::Setting { setting, reason };
        let url = url::Url::parse(&text)
            .map_err(|error| refused(format!("is no URL like http://127.0.0.1:4317: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(refused("is no http:// or https:// URL with a host".to_owned()));
        }
        // A URL is shown in logs and errors of many libraries; credentials go into headers.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused(
                "has a user or password in it; put credentials into TELEMETRY_OTLP_HEADERS".to_owned(),
            ));
        }
        Ok(Some(text.trim_end_matches('/').to_owned()))
    }

    /// Longest that a batch of this signal waits: ours, else the standard variable, else 1 s.
    pub(crate) fn batch_delay(&self, standard: &'static str) -> Result<Duration, TelemetryError> {
        Ok(Duration::from_millis(number(self.telemetry_batch_delay_ms, standard, 1_000, 10)?))
    }

    /// Items of this signal that wait at most: ours, else the standard variable, else 2,048.
    pub(crate) fn queue_size(&self, standard: &'static str) -> Result<usize, TelemetryError> {
        let size = number(self.telemetry_queue_size.map(u64::from), standard, 2_048, 512)?;
        Ok(usize::try_from(size).unwrap_or(usize::MAX))
    }

    pub(crate) fn headers(&self) -> Result<HashMap<String, String>, TelemetryError> {
        let text = match (&self.telemetry_otlp_headers, &self.telemetry_otlp_headers_file) {
            (_, Some(path)) => std::fs::read_to_string(path).map_err(|error| TelemetryError::Setting {
                setting: "TELEMETRY_OTLP_HEADERS_FILE",
                reason: format!("cannot be read: {error}"),
            })?,
            (Some(secret), None) => secret.expose_secret().to_owned(),
            (None, None) => return Ok(HashMap::new()),
        };
        if text.trim().is_empty() {
            return Ok(HashMap::new());
        }
        // The parser's own message could quote the secret, so it is not passed on.
        serde_json::from_str(&text).map_err(|_| TelemetryError::Setting {
            setting: "TELEMETRY_OTLP_HEADERS",
            reason: r#"is no JSON object of strings like {"Authorization": "Bearer ..."}"#.to_owned(),
        })
    }

    /// The directives for log lines; `info` for what they do not name, and nothing of those that outsiders make speak.
    pub(crate) fn log_directives(&self) -> Result<String, TelemetryError> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let parts = || self.log_level.split(',').map(str::trim).filter(|part| !part.is_empty());
        let mut directives = vec!["info".to_owned()];
        for target in OUTSIDERS_MAKE_SPEAK {
            // Whoever names it, or what it belongs to, wants to see it.
            let named = parts().filter(|part| part.contains(['=', '['])).any(|part| {
                let name = part.split(['=', '[']).next().unwrap_or_default();
                !name.is_empty()
                    && target.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            });
            if !named {
                directives.push(format!("{target}=off"));
            }
        }
        for part in parts() {
            // A lone word that is no level would be taken for a module's name, and everything else would fall silent.
            if !part.contains(['=', '[']) && !LEVELS.iter().any(|level| part.eq_ignore_ascii_case(level)) {
                return Err(TelemetryError::Setting {
                    setting: "LOG_LEVEL",
                    reason: format!(
                        "has {part:?} in it; it is off, error, warn, info, debug or trace, or a list like \"info,awc=debug\""
                    ),
                });
            }
            directives.push(part.to_owned());
        }
        Ok(directives.join(","))
    }

    pub(crate) fn shutdown_timeout(&self) -> Duration {
        Duration::from_millis(self.telemetry_shutdown_timeout_ms)
    }
}

/// The three signals of OpenTelemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    const fn exporter_variable(self) -> &'static str {
        match self {
            Self::Traces => "OTEL_TRACES_EXPORTER",
            Self::Metrics => "OTEL_METRICS_EXPORTER",
            Self::Logs => "OTEL_LOGS_EXPORTER",
        }
    }
}

/// A number: ours, else that of the standard variable, else the default; never below `least`.
fn number(ours: Option<u64>, standard: &'static str, default: u64, least: u64) -> Result<u64, TelemetryError> {
    if let Some(ours) = ours {
        return Ok(ours);
    }
    match std::env::var(standard) {
        Ok(text) if !text.is_empty() => text.parse().map(|value: u64| value.max(least)).map_err(|_| {
            TelemetryError::Setting { setting: standard, reason: format!("is {text:?}; it is a whole number") }
        }),
        _ => Ok(default),
    }
}

fn env_is(name: &str, value: &str) -> bool {
    std::env::var(name).is_ok_and(|found| found.eq_ignore_ascii_case(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on() -> TelemetrySettings {
        TelemetrySettings { telemetry_enabled: true, ..TelemetrySettings::off() }
    }

    #[test]
    fn off_by_default_and_native_metrics_follow() {
        assert!(!TelemetrySettings::off().exporting());
        assert!(!TelemetrySettings::off().native_metrics());
        assert!(on().native_metrics());
        assert!(!TelemetrySettings { metrics_enabled: Some(false), ..on() }.native_metrics());
        assert!(TelemetrySettings { metrics_enabled: Some(true), ..TelemetrySettings::off() }.native_metrics());
    }

    #[test]
    fn protocol_follows_the_port() {
        let at = |endpoint: &str| TelemetrySettings { telemetry_otlp_endpoint: Some(endpoint.into()), ..on() };
        assert_eq!(at("http://localhost:4317").protocol().unwrap(), OtlpProtocol::Grpc);
        assert_eq!(at("http://otel-collector:4318").protocol().unwrap(), OtlpProtocol::HttpProtobuf);
    }

    #[test]
    fn bad_settings_are_sentences_without_secrets() {
        let bad = TelemetrySettings { telemetry_otlp_headers: Some("hunter2".into()), ..on() };
        let message = bad.headers().unwrap_err().to_string();
        assert!(message.contains("TELEMETRY_OTLP_HEADERS") && !message.contains("hunter2"), "{message}");
        let bad = TelemetrySettings { telemetry_otlp_endpoint: Some("localhost:4317".into()), ..on() };
        assert!(bad.endpoint().unwrap_err().to_string().contains("TELEMETRY_OTLP_ENDPOINT"));
        let bad =
            TelemetrySettings { telemetry_otlp_endpoint: Some("http://user:hunter2@localhost:4317".into()), ..on() };
        let message = bad.endpoint().unwrap_err().to_string();
        assert!(message.contains("TELEMETRY_OTLP_HEADERS") && !message.contains("hunter2"), "{message}");
        let bad = TelemetrySettings { telemetry_sample_ratio: Some(1.5), ..on() };
        assert!(bad.ratio().unwrap_err().to_string().contains("1.5"));
        assert!(
            !format!("{:?}", TelemetrySettings { telemetry_otlp_headers: Some("hunter2".into()), ..on() })
                .contains("hunter2")
        );
    }

    #[test]
    fn a_log_level_is_one_or_a_list() {
        let at = |text: &str| TelemetrySettings { log_level: text.to_owned(), ..on() }.log_directives();
        let quiet = "info,actix_http::h1::dispatcher=off,actix_http::h1::decoder=off";
        assert_eq!(at("debug").unwrap(), format!("{quiet},debug"));
        assert_eq!(
            at("awc=trace, market_data[tick]=debug").unwrap(),
            format!("{quiet},awc=trace,market_data[tick]=debug")
        );
        assert_eq!(at("").unwrap(), quiet);
        for bad in ["bogus", "info,verbose", "5"] {
            assert!(at(bad).unwrap_err().to_string().contains("LOG_LEVEL"), "{bad}");
        }
    }

    #[test]
    fn garbage_of_outsiders_is_written_down_only_for_those_who_name_it() {
        use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

        #[derive(Clone, Default)]
        struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
        impl std::io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let lines = |level: &str| {
            let settings = TelemetrySettings { log_level: level.to_owned(), ..on() };
            let filter = tracing_subscriber::EnvFilter::builder().parse(settings.log_directives().unwrap()).unwrap();
            let lines = Lines::default();
            let writer = lines.clone();
            let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone()).with_filter(filter);
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
                tracing::error!(target: "actix_http::h1::dispatcher", "stream error: garbage");
                tracing::error!(target: "actix_http::h1::decoder", "too much garbage");
                tracing::error!(target: "actix_http::h2::service", "not ready");
            });
            let bytes = lines.0.lock().unwrap().clone();
            String::from_utf8(bytes).unwrap()
        };
        for level in ["info", "debug", "", "awc=debug", "actix_http::h1::dispatch=error"] {
            let lines = lines(level);
            assert!(!lines.contains("garbage") && lines.contains("not ready"), "{level}: {lines}");
        }
        assert!(lines("info,actix_http::h1::dispatcher=error").contains("stream error: garbage"));
        let all = lines("info,actix_http=debug");
        assert!(all.contains("stream error") && all.contains("too much garbage"), "{all}");
    }

    #[test]
    fn headers_are_read() {
        let settings =
            TelemetrySettings { telemetry_otlp_headers: Some(r#"{"Authorization": "Bearer x"}"#.into()), ..on() };
        assert_eq!(settings.headers().unwrap()["Authorization"], "Bearer x");
    }
}
