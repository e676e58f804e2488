//! What can go wrong while telemetry is set up.

/// A setting that cannot be used, or an exporter that cannot be built. Never raised after start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A setting has a value that cannot be used.
    #[error("{setting}: {reason}")]
    Setting {
        /// The variable or flag.
        setting: &'static str,
        /// What is wrong with it, in words; never the value of a secret.
        reason: String,
    },
    /// The OTLP exporter of one signal cannot be built.
    #[error("cannot build the OTLP exporter for {signal}: {reason}")]
    Exporter {
        /// `traces`, `metrics` or `logs`.
        signal: &'static str,
        /// The library's words.
        reason: String,
    },
    /// Threads for exporting cannot be started.
    #[error("cannot start the export runtime")]
    Runtime(#[source] std::io::Error),
    /// The native Prometheus exporter cannot be built.
    #[error("cannot build the native metrics exporter: {0}")]
    Native(String),
    /// Something else installed a `tracing` subscriber before.
    #[error("telemetry was already set up in this process")]
    AlreadySet,
}
