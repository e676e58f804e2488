//! What the URL of a bus means. No sentence here shows any part of one: it may hold a password.

use secrecy::SecretString;

/// Which engine, and where.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// A log in a database: its URL, which `storage` reads.
    Log(SecretString),
    /// Kafka.
    Kafka(Brokers),
}

/// Brokers that are asked first, as `HOST:PORT,HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Brokers {
    pub(crate) list: String,
    /// The first one's, for spans.
    pub(crate) host: String,
    pub(crate) port: u16,
}

const FORMS: &str = "give sqlite://FOLDER/, sqlite://FILE.db, postgres://USER@HOST:PORT/DATABASE or \
    kafka://HOST:PORT[,HOST:PORT…]";

impl Target {
    /// Reads a URL; an `Err` is a sentence.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        if let Some(rest) = url.strip_prefix("kafka://") {
            return brokers(rest).map(Self::Kafka);
        }
        if ["sqlite://", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Ok(Self::Log(SecretString::from(url)));
        }
        Err(if url.trim().is_empty() { format!("it is empty; {FORMS}") } else { format!("it is no such URL; {FORMS}") })
    }
}

fn brokers(rest: &str) -> Result<Brokers, String> {
    if rest.contains('@') {
        return Err(
            "a kafka URL holds no user: give BUS_KAFKA_SASL_USERNAME and BUS_KAFKA_SASL_PASSWORD_FILE".to_owned()
        );
    }
    if rest.contains(['?', '#']) {
        return Err("a kafka URL takes no parameters; the settings BUS_KAFKA_… are for that".to_owned());
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let mut first = None;
    for broker in rest.split(',') {
        let (host, port) = broker.rsplit_once(':').unwrap_or((broker, "9092"));
        let port = port.parse::<u16>().ok().filter(|port| *port > 0);
        let plain = host.chars().all(|letter| letter.is_ascii_alphanumeric() || ".-_[]:".contains(letter));
        match port {
            Some(port) if plain && !host.is_empty() => first.get_or_insert_with(|| (host.to_owned(), port)),
            _ => return Err("a broker in it cannot be read: give kafka://HOST:PORT[,HOST:PORT…]".to_owned()),
        };
    }
    let (host, port) = first.ok_or_else(|| format!("it names no broker; {FORMS}"))?;
    Ok(Brokers { list: rest.to_owned(), host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_mean_engines() {
        let Target::Kafka(kafka) = Target::parse("kafka://one.example:9093,two.example/").unwrap() else { panic!() };
        assert_eq!(kafka.list, "one.example:9093,two.example");
        assert_eq!((kafka.host.as_str(), kafka.port), ("one.example", 9093));
        assert!(matches!(Target::parse("kafka://[::1]:9092").unwrap(), Target::Kafka(kafka) if kafka.host == "[::1]"));
        for url in ["sqlite://data/", "postgres://me@host/db", "postgresql://me@host/db"] {
            assert!(matches!(Target::parse(url).unwrap(), Target::Log(_)), "{url}");
        }
    }

    #[test]
    fn a_bad_url_is_a_sentence_without_the_secret() {
        for url in [
            "",
            " ",
            "s3cret",
            "amqp://me:s3cret@host/",
            "kafka://",
            "kafka://me:s3cret@host:9092",
            "kafka://host:s3cret",
            "kafka://host:0",
            "kafka://host:9092?s3cret",
            "kafka://host:9092,,s3cret:9",
            "kafka://s3 cret:9092",
        ] {
            let sentence = Target::parse(url).map(|_| ()).unwrap_err();
            assert!(!sentence.contains("s3cret") && sentence.len() > 20, "{url}: {sentence}");
        }
    }
}
