//! Which bus, and its limits.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};
use web::StartError;

use crate::target::Target;

/// Settings of the bus: flags and environment variables.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Bus")]
pub struct BusSettings {
    /// The bus: sqlite://FOLDER/ (the file bus.db in it), sqlite://FILE.db, postgres://USER@HOST:PORT/DATABASE?sslmode=…
    /// (the schema bus in it), or kafka://HOST:PORT[,HOST:PORT…]; with a password better in a file
    #[arg(long, env = "BUS_URL", default_value = "sqlite://data/", hide_env_values = true)]
    pub bus_url: SecretString,

    /// File that holds the URL of the bus; it wins over the variable
    #[arg(long, env = "BUS_URL_FILE")]
    pub bus_url_file: Option<PathBuf>,

    /// Partitions that a new topic gets: how many consumers of a group can share it; a topic keeps what it was made with
    #[arg(long, env = "BUS_PARTITIONS", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub bus_partitions: u16,

    /// Longest that publishing may take, in milliseconds
    #[arg(long, env = "BUS_PUBLISH_TIMEOUT_MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(100..=120_000))]
    pub bus_publish_timeout_ms: u64,

    /// After how long without a sign of life a consumer's partitions go to others, in milliseconds; with Kafka not less
    /// than its brokers allow, which is 6000 by default
    #[arg(long, env = "BUS_SESSION_TIMEOUT_MS", value_parser = clap::value_parser!(u64).range(100..=300_000))]
    pub bus_session_timeout_ms: Option<u64>,

    /// For how many hours before the last message of its partition a log in a database keeps messages, and for twice as
    /// long what a group has still to read; a topic of Kafka has a setting of its own
    #[arg(long, env = "BUS_RETENTION_HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=87_600))]
    pub bus_retention_hours: u32,

    /// Most messages that a log in a database keeps of a topic, read or not
    #[arg(long, env = "BUS_RETENTION_MESSAGES", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub bus_retention_messages: u64,

    /// What only Kafka has.
    #[command(flatten)]
    pub kafka: KafkaSettings,
}

/// How Kafka's brokers are spoken to.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Bus")]
pub struct KafkaSettings {
    /// How connections to Kafka are secured
    #[arg(long, env = "BUS_KAFKA_SECURITY_PROTOCOL", value_enum, default_value_t = SecurityProtocol::Plaintext)]
    pub bus_kafka_security_protocol: SecurityProtocol,

    /// How one signs in to Kafka, with the sasl_ protocols
    #[arg(long, env = "BUS_KAFKA_SASL_MECHANISM", value_enum, default_value_t = SaslMechanism::ScramSha512)]
    pub bus_kafka_sasl_mechanism: SaslMechanism,

    /// Kafka's user, with the sasl_ protocols
    #[arg(long, env = "BUS_KAFKA_SASL_USERNAME")]
    pub bus_kafka_sasl_username: Option<String>,

    /// That user's password
    #[arg(long, env = "BUS_KAFKA_SASL_PASSWORD", hide_env_values = true)]
    pub bus_kafka_sasl_password: Option<SecretString>,

    /// File that holds that password; it wins over the variable
    #[arg(long, env = "BUS_KAFKA_SASL_PASSWORD_FILE")]
    pub bus_kafka_sasl_password_file: Option<PathBuf>,

    /// File with the certificates (PEM) that Kafka's are checked against; without one, those of the system
    #[arg(long, env = "BUS_KAFKA_CA_FILE")]
    pub bus_kafka_ca_file: Option<PathBuf>,
}

/// As Kafka's `security.protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum SecurityProtocol {
    /// Neither encrypted nor signed in.
    Plaintext,
    /// TLS.
    Ssl,
    /// Signed in, not encrypted.
    SaslPlaintext,
    /// TLS, signed in.
    SaslSsl,
}

/// As Kafka's `sasl.mechanism`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SaslMechanism {
    /// The password itself is sent.
    #[value(name = "PLAIN")]
    Plain,
    /// A proof of the password is sent.
    #[value(name = "SCRAM-SHA-256")]
    ScramSha256,
    /// A proof of the password is sent.
    #[value(name = "SCRAM-SHA-512")]
    ScramSha512,
}

impl BusSettings {
    /// The defaults with this bus, whatever the environment says: for tests.
    #[must_use]
    pub fn at(url: &str) -> Self {
        Self {
            bus_url: SecretString::from(url),
            bus_url_file: None,
            bus_partitions: 8,
            bus_publish_timeout_ms: 5_000,
            bus_session_timeout_ms: None,
            bus_retention_hours: 24,
            bus_retention_messages: 1_000_000,
            kafka: KafkaSettings {
                bus_kafka_security_protocol: SecurityProtocol::Plaintext,
                bus_kafka_sasl_mechanism: SaslMechanism::ScramSha512,
                bus_kafka_sasl_username: None,
                bus_kafka_sasl_password: None,
                bus_kafka_sasl_password_file: None,
                bus_kafka_ca_file: None,
            },
        }
    }

    /// What the URL means, and which setting it came from.
    pub(crate) fn target(&self) -> Result<(&'static str, Target), StartError> {
        let setting = if self.bus_url_file.is_some() { "BUS_URL_FILE" } else { "BUS_URL" };
        let url = web::secret(setting, Some(&self.bus_url), self.bus_url_file.as_deref())?.unwrap_or_default();
        let target = Target::parse(url.expose_secret()).map_err(|reason| StartError::Setting { setting, reason })?;
        Ok((setting, target))
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            partitions: self.bus_partitions,
            publish: Duration::from_millis(self.bus_publish_timeout_ms),
            session: self.bus_session_timeout_ms.map(Duration::from_millis),
            retention: Duration::from_secs(u64::from(self.bus_retention_hours) * 3_600),
            retained: i64::try_from(self.bus_retention_messages).unwrap_or(i64::MAX),
        }
    }
}

/// Bounds that both engines keep to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) partitions: u16,
    pub(crate) publish: Duration,
    /// None: the engine's own default.
    pub(crate) session: Option<Duration>,
    pub(crate) retention: Duration,
    pub(crate) retained: i64,
}
