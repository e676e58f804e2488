//! What the URL of a cache means. No sentence here shows any part of one: it may hold a password.

use std::fmt;

use redis::{Client, ConnectionAddr, TlsCertificates};

const FORMS: &str =
    "give redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], rediss:// for TLS, or unix:///SOCKET[?db=DATABASE]";

/// A server, and how it is spoken to.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) client: Client,
    /// Host, or path of the socket.
    pub(crate) address: String,
    /// None with a socket.
    pub(crate) port: Option<u16>,
    /// Number of the database.
    pub(crate) database: i64,
}

/// The client's own would show the URL.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client: _, address, port, database } = self;
        f.debug_struct("Target").field("address", address).field("port", port).field("database", database).finish()
    }
}

impl Target {
    /// Reads a URL; an `Err` is a sentence.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let parsed = redis::parse_redis_url(url).ok_or_else(|| format!("it is no such URL; {FORMS}"))?;
        if parsed.fragment().is_some() {
            // The only one that the client knows is not to look at certificates.
            return Err(format!("it takes no #fragment (in a password that is %23); {FORMS}"));
        }
        // The client's sentence may repeat what it was given.
        Client::open(parsed).map_err(|_| format!("it cannot be read; {FORMS}")).map(Self::of)
    }

    fn of(client: Client) -> Self {
        let info = client.get_connection_info();
        let (address, port) = match info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => (host.clone(), Some(*port)),
            ConnectionAddr::Unix(path) => (path.display().to_string(), None),
            _ => (String::new(), None),
        };
        let database = info.redis_settings().db();
        Self { client, address, port, database }
    }

    /// With the certificates (PEM) that the server's is checked against.
    pub(crate) fn trusting(self, certificates: &[u8]) -> Result<Self, String> {
        let info = self.client.get_connection_info().clone();
        if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            return Err("only a rediss:// URL has use for it".to_owned());
        }
        if !certificates.windows(PEM.len()).any(|window| window == PEM) {
            return Err("the file holds no certificate in PEM".to_owned());
        }
        let certificates = TlsCertificates { client_tls: None, root_cert: Some(certificates.to_vec()) };
        let client = Client::build_with_tls(info, certificates)
            .map_err(|_| "the file holds a certificate that cannot be read".to_owned())?;
        Ok(Self::of(client))
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.client.get_connection_info().addr(), ConnectionAddr::TcpTls { .. })
    }
}

/// How a certificate begins.
const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> (String, Option<u16>, i64) {
        let target = Target::parse(url).unwrap();
        (target.address, target.port, target.database)
    }

    #[test]
    fn urls_mean_servers() {
        let host = |host: &str, port, database| (host.to_owned(), Some(port), database);
        assert_eq!(place("redis://localhost"), host("localhost", 6379, 0));
        assert_eq!(place("redis://me:p%40ss@cache.example:6380/3"), host("cache.example", 6380, 3));
        assert_eq!(place("valkey://[::1]:7000"), host("::1", 7000, 0));
        assert_eq!(place("unix:///run/redis.sock?db=2"), ("/run/redis.sock".to_owned(), None, 2));
        assert!(Target::parse("rediss://cache.example").unwrap().is_tls());
        assert!(!Target::parse("redis://cache.example").unwrap().is_tls());
        let target = Target::parse("redis://me:p%40ss@cache.example").unwrap();
        let settings = target.client.get_connection_info().redis_settings();
        assert_eq!((settings.username(), settings.password()), (Some("me"), Some("p@ss")));
    }

    #[test]
    fn a_bad_url_is_a_sentence_without_the_secret() {
        for url in [
            "",
            " ",
            "s3cret",
            "http://me:s3cret@host/",
            "redis://",
            "redis://me:s3cret@",
            "redis://me:s3cret@host:port",
            "redis://me:s3cret@host/s3cret",
            "redis://me:%ffs3cret@host",
            "rediss://me:s3cret@host/#insecure",
            "redis://me:a#s3cret@host",
        ] {
            let sentence = Target::parse(url).map(|_| ()).unwrap_err();
            assert!(!sentence.contains("s3cret") && sentence.len() > 20, "{url}: {sentence}");
        }
        let shown = format!("{:?}", Target::parse("redis://me:s3cret@host").unwrap());
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
