//! How librdkafka is set up.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use secrecy::ExposeSecret as _;
use web::StartError;

use super::Kafka;
use crate::target::Brokers;
use crate::{BusSettings, ConsumerSettings, SaslMechanism, SecurityProtocol};

/// What all clients have in common. A setting that librdkafka does not take is told here, before anything connects.
pub(super) fn common(
    service: &'static str,
    settings: &BusSettings,
    brokers: &Brokers,
) -> Result<ClientConfig, StartError> {
    let kafka = &settings.kafka;
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &brokers.list)
        .set("client.id", service)
        // A broker that comes back is found again within a second.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("socket.keepalive.enable", "true")
        // Brokers close connections that rest; that is no news.
        .set("log.connection.close", "false")
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Warning);
    let (protocol, tls, sasl) = match kafka.bus_kafka_security_protocol {
        SecurityProtocol::Plaintext => ("plaintext", false, false),
        SecurityProtocol::Ssl => ("ssl", true, false),
        SecurityProtocol::SaslPlaintext => ("sasl_plaintext", false, true),
        SecurityProtocol::SaslSsl => ("sasl_ssl", true, true),
    };
    config.set("security.protocol", protocol);
    if tls && let Some(file) = &kafka.bus_kafka_ca_file {
        let refused = |reason: String| StartError::Setting { setting: "BUS_KAFKA_CA_FILE", reason };
        let text = std::fs::read_to_string(file)
            .map_err(|error| refused(format!("{} cannot be read: {error}", file.display())))?;
        if !text.contains("BEGIN CERTIFICATE") {
            return Err(refused(format!("{} holds no certificate in PEM", file.display())));
        }
        config.set("ssl.ca.location", file.to_string_lossy());
    }
    if sasl {
        let mechanism = match kafka.bus_kafka_sasl_mechanism {
            SaslMechanism::Plain => "PLAIN",
            SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
            SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
        };
        let missing = |setting: &'static str| StartError::Setting {
            setting,
            reason: "is needed to sign in to Kafka, as BUS_KAFKA_SECURITY_PROTOCOL asks for".to_owned(),
        };
        let user = kafka.bus_kafka_sasl_username.as_deref().filter(|user| !user.is_empty());
        let password = web::secret(
            "BUS_KAFKA_SASL_PASSWORD",
            kafka.bus_kafka_sasl_password.as_ref(),
            kafka.bus_kafka_sasl_password_file.as_deref(),
        )?;
        config
            .set("sasl.mechanism", mechanism)
            .set("sasl.username", user.ok_or_else(|| missing("BUS_KAFKA_SASL_USERNAME"))?)
            .set("sasl.password", password.ok_or_else(|| missing("BUS_KAFKA_SASL_PASSWORD"))?.expose_secret());
    }
    // The value, which the driver's own words would show, may be a password.
    config.create_native_config().map_err(|error| StartError::Setting {
        setting: "BUS_KAFKA_…",
        reason: match error {
            KafkaError::ClientConfig(_, _, key, _) => format!("librdkafka does not take what {key} is set to"),
            _ => "librdkafka does not take these settings".to_owned(),
        },
    })?;
    Ok(config)
}

impl Kafka {
    pub(super) fn producer_config(&self) -> ClientConfig {
        let mut config = self.config.clone();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", self.attempt().as_millis().to_string())
            // Those that are published at the same moment go together; nobody waits longer for that.
            .set("linger.ms", "1")
            .set("queue.buffering.max.kbytes", "65536")
            // As Kafka's own clients place keys.
            .set("partitioner", "murmur2_random");
        config
    }

    pub(super) fn asker_config(&self) -> ClientConfig {
        let mut config = self.config.clone();
        config.set("allow.auto.create.topics", "false");
        config
    }

    pub(super) fn consumer_config(&self, settings: &ConsumerSettings) -> ClientConfig {
        let session = self.session();
        let mut config = self.config.clone();
        config
            .set("group.id", &settings.group)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", session.as_millis().to_string())
            .set("heartbeat.interval.ms", (session / 4).as_millis().to_string())
            .set("max.poll.interval.ms", session.max(Duration::from_secs(300)).as_millis().to_string())
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("allow.auto.create.topics", "false")
            // What is read ahead, at most.
            .set("queued.max.messages.kbytes", "8192");
        config
    }

    /// For a look at single messages, beside the group and in none.
    pub(super) fn peeker_config(&self, settings: &ConsumerSettings) -> ClientConfig {
        let mut config = self.consumer_config(settings);
        config.set("group.id", format!("{}.peek", settings.group)).set("queued.min.messages", "1");
        config.set("fetch.message.max.bytes", "65536").set("fetch.wait.max.ms", "10");
        config
    }

    /// Longest that one attempt may take, so that there is time left to say how it went: librdkafka looks once a second
    /// for what has taken too long.
    pub(super) fn attempt(&self) -> Duration {
        let limit = self.limits.publish;
        limit - (limit / 2).min(Duration::from_millis(1_200))
    }
}
