//! The bus of a process.

use std::sync::Arc;

use web::{CancellationToken, Readiness, StartError};

use crate::kafka::Kafka;
use crate::log::Log;
use crate::message::NewMessage;
use crate::observe::{Described, published};
use crate::target::Target;
use crate::{BusError, BusSettings, Consumer, ConsumerSettings};

/// The bus of a process. Clones are the same bus.
///
/// Opening it connects to nobody. [`Bus::keep_up`] has to run beside the server.
#[derive(Clone)]
pub struct Bus {
    inner: Arc<Inner>,
}

struct Inner {
    described: Described,
    engine: Engine,
}

#[derive(Clone)]
pub(crate) enum Engine {
    Log(Log),
    Kafka(Kafka),
}

impl Bus {
    /// Opens the bus for `service` (its one word).
    ///
    /// # Errors
    /// When a setting cannot be used, in words that show no secret.
    pub fn open(service: &'static str, settings: &BusSettings) -> Result<Self, StartError> {
        let (setting, target) = settings.target()?;
        let limits = settings.limits();
        let (described, engine) = match target {
            Target::Log(url) => {
                let log = Log::open(service, setting, url, limits)?;
                (Described { system: log.system(), address: None, port: None }, Engine::Log(log))
            }
            Target::Kafka(brokers) => {
                let kafka = Kafka::open(service, settings, &brokers)?;
                let (address, port) = (Some(brokers.host), Some(i64::from(brokers.port)));
                (Described { system: "kafka", address, port }, Engine::Kafka(kafka))
            }
        };
        Ok(Self { inner: Arc::new(Inner { described, engine }) })
    }

    /// What the bus needs beside the server, until `stop` is cancelled: the log's tables are made, it is looked for while
    /// it is away, and what is too old is deleted.
    pub async fn keep_up(self, stop: CancellationToken) {
        match &self.inner.engine {
            Engine::Log(log) => log.clone().keep_up(stop).await,
            Engine::Kafka(kafka) => kafka.clone().keep_up(stop).await,
        }
    }

    /// Publishes one message. Order is kept among messages of one key that are published one after the other. It is
    /// durable when this returns `Ok`; after an error it may have been published all the same.
    ///
    /// # Errors
    /// As [`BusError`] says.
    pub async fn publish(&self, topic: &str, message: NewMessage) -> Result<(), BusError> {
        self.publish_all(topic, vec![message]).await
    }

    /// Publishes messages in their order. They are durable when this returns `Ok`; after an error none, some or all may
    /// have been published, in a log in a database all or none.
    ///
    /// # Errors
    /// As [`BusError`] says.
    pub async fn publish_all(&self, topic: &str, messages: Vec<NewMessage>) -> Result<(), BusError> {
        if messages.is_empty() {
            return Ok(());
        }
        let inner = &*self.inner;
        published(&inner.described, topic, messages, async |messages| {
            check_name("a topic's name", topic)?;
            messages.iter().try_for_each(NewMessage::check)?;
            match &inner.engine {
                Engine::Log(log) => log.publish(topic, messages).await,
                Engine::Kafka(kafka) => kafka.publish(topic, messages).await,
            }
        })
        .await
    }

    /// Begins to read a topic as a member of a group, from its oldest message if the group is new. Call it inside a
    /// runtime: a task keeps the membership alive.
    ///
    /// # Errors
    /// [`BusError::Refused`] when the topic's or the group's name is none.
    pub fn consumer(&self, settings: ConsumerSettings) -> Result<Consumer, BusError> {
        check_name("a topic's name", &settings.topic)?;
        check_name("a group's name", &settings.group)?;
        Ok(match &self.inner.engine {
            Engine::Log(log) => Consumer::log(log.consumer(settings)),
            Engine::Kafka(kafka) => Consumer::kafka(kafka.consumer(settings)),
        })
    }

    /// For health checks: whether the bus answers now, within 1.5 s.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub async fn ready(&self) -> Result<(), String> {
        match &self.inner.engine {
            Engine::Log(log) => log.ready().await,
            Engine::Kafka(kafka) => kafka.ready().await,
        }
    }

    /// Adds it to what a service needs, as `bus`.
    #[must_use]
    pub fn checked_in(&self, readiness: Readiness) -> Readiness {
        let bus = self.clone();
        readiness.check("bus", move || {
            let bus = bus.clone();
            async move { bus.ready().await }
        })
    }

    /// Names it, as `bus`, in what a service says of itself that can do its work while the bus is away: what it has to
    /// publish waits.
    #[must_use]
    pub fn noted_in(&self, readiness: Readiness) -> Readiness {
        let bus = self.clone();
        readiness.noted_check("bus", move || {
            let bus = bus.clone();
            async move { bus.ready().await }
        })
    }

    /// Makes what a log has of a topic, in each partition from an offset on, as if it had been published at another time.
    /// Kafka keeps its own time, so there it does nothing.
    ///
    /// # Errors
    /// As [`BusError`] says.
    #[cfg(feature = "testing")]
    pub async fn redate(&self, topic: &str, from: i64, at: chrono::DateTime<chrono::Utc>) -> Result<(), BusError> {
        match &self.inner.engine {
            Engine::Log(log) => Ok(log.redate(topic, from, at).await?),
            Engine::Kafka(_) => Ok(()),
        }
    }

    /// Looks once, as a process does whose clock says this, for what is to be deleted; how many messages that were.
    /// Kafka does that by itself.
    ///
    /// # Errors
    /// As [`BusError`] says.
    #[cfg(feature = "testing")]
    pub async fn delete_old(&self, now: chrono::DateTime<chrono::Utc>) -> Result<u64, BusError> {
        match &self.inner.engine {
            Engine::Log(log) => Ok(log.delete_step(now).await?),
            Engine::Kafka(_) => Ok(0),
        }
    }

    /// Deletes the messages of a partition before an offset, whoever has read them.
    ///
    /// # Errors
    /// As [`BusError`] says.
    #[cfg(feature = "testing")]
    pub async fn delete_before(&self, topic: &str, partition: i32, offset: i64) -> Result<(), BusError> {
        match &self.inner.engine {
            Engine::Log(log) => Ok(log.delete_before(topic, i64::from(partition), offset).await?),
            Engine::Kafka(kafka) => kafka.delete_before(topic, partition, offset).await,
        }
    }

    /// Which engine it is: `sqlite`, `postgresql` or `kafka`.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        self.inner.described.system
    }
}

/// What Kafka allows as a name, so that every engine takes the same ones.
fn check_name(what: &str, name: &str) -> Result<(), BusError> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if plain && (1..=249).contains(&name.len()) && !name.bytes().all(|byte| byte == b'.') {
        return Ok(());
    }
    Err(BusError::refused(format!("{what} has 1 to 249 letters, digits, dots, underscores and dashes")))
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn settings(arguments: &[&str]) -> BusSettings {
        let command = BusSettings::augment_args(clap::Command::new("test"));
        let arguments = [&["test"], arguments].concat();
        BusSettings::from_arg_matches(&command.try_get_matches_from(arguments).unwrap()).unwrap()
    }

    #[test]
    fn settings_that_cannot_be_used_are_told_without_the_secret() {
        let sasl = ["--bus-url=kafka://h:9092", "--bus-kafka-security-protocol=sasl_ssl"];
        for (arguments, setting) in [
            (vec!["--bus-url=redis://me:s3cret@host"], "BUS_URL"),
            (vec!["--bus-url=postgres://me:s3cret@host:port/db"], "BUS_URL"),
            (vec!["--bus-url=kafka://me:s3cret@host"], "BUS_URL"),
            (vec!["--bus-url-file=/nowhere/bus-url"], "BUS_URL_FILE"),
            ([&sasl[..], &["--bus-kafka-sasl-password=s3cret"]].concat(), "BUS_KAFKA_SASL_USERNAME"),
            ([&sasl[..], &["--bus-kafka-sasl-username=me"]].concat(), "BUS_KAFKA_SASL_PASSWORD"),
            ([&sasl[..], &["--bus-kafka-ca-file=/nowhere/ca.pem"]].concat(), "BUS_KAFKA_CA_FILE"),
        ] {
            let refused = Bus::open("test", &settings(&arguments)).map(drop).unwrap_err().to_string();
            assert!(refused.starts_with(setting) && !refused.contains("s3cret"), "{arguments:?}: {refused}");
        }
        let shown = format!("{:?}", settings(&["--bus-kafka-sasl-password=s3cret", "--bus-url=kafka://s3cret@h"]));
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn every_way_to_sign_in_is_one_that_librdkafka_knows() {
        for protocol in ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] {
            for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
                let bus = Bus::open(
                    "test",
                    &settings(&[
                        "--bus-url=kafka://127.0.0.1:1",
                        &format!("--bus-kafka-security-protocol={protocol}"),
                        &format!("--bus-kafka-sasl-mechanism={mechanism}"),
                        "--bus-kafka-sasl-username=me",
                        "--bus-kafka-sasl-password=s3cret",
                    ]),
                );
                assert_eq!(bus.map(|bus| bus.engine()).unwrap(), "kafka", "{protocol} {mechanism}");
            }
        }
    }
}
