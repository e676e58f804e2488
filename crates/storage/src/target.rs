//! What a database URL means. No sentence here shows any part of one: it may hold a password.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr as _;

use sqlx::postgres::PgConnectOptions;
use url::Url;

/// Where a service's tables are.
#[derive(Clone)]
pub(crate) enum Target {
    /// A file.
    Sqlite {
        /// Its path.
        path: PathBuf,
    },
    /// A schema in a database of a server.
    Postgres {
        /// How to connect.
        options: Box<PgConnectOptions>,
        /// The schema.
        schema: String,
    },
}

/// The driver's own would show the password.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.system(), self.namespace())
    }
}

/// Parameters that sqlx takes; it would log others with their values.
const POSTGRES_PARAMETERS: [&str; 12] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "options",
    "application_name",
];

const FORMS: &str = "give sqlite://FOLDER/, sqlite://FILE.db or postgres://USER@HOST:PORT/DATABASE";

impl Target {
    /// Reads a URL; an `Err` is a sentence.
    pub(crate) fn parse(url: &str, service: &str) -> Result<Self, String> {
        if let Some(rest) = url.strip_prefix("sqlite://") {
            return sqlite(rest, service);
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return postgres(url, service);
        }
        Err(if url.trim().is_empty() { format!("it is empty; {FORMS}") } else { format!("it is no such URL; {FORMS}") })
    }

    /// As `db.system.name` has it.
    pub(crate) const fn system(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "sqlite",
            Self::Postgres { .. } => "postgresql",
        }
    }

    /// As `db.namespace` has it: the file's name, or `database|schema`.
    pub(crate) fn namespace(&self) -> String {
        match self {
            Self::Sqlite { path } => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Self::Postgres { options, schema } => {
                format!("{}|{schema}", options.get_database().unwrap_or(options.get_username()))
            }
        }
    }

    /// As `server.address` and `server.port` have it: the host and its port, or the folder of the socket alone.
    pub(crate) fn server(&self) -> (Option<String>, Option<i64>) {
        match self {
            Self::Sqlite { .. } => (None, None),
            Self::Postgres { options, .. } => match options.get_socket() {
                Some(socket) => (Some(socket.display().to_string()), None),
                None if options.get_host().starts_with('/') => (Some(options.get_host().to_owned()), None),
                None => (Some(options.get_host().to_owned()), Some(i64::from(options.get_port()))),
            },
        }
    }
}

fn sqlite(rest: &str, service: &str) -> Result<Target, String> {
    if rest.contains(['?', '#']) {
        return Err("an SQLite URL takes no parameters: sqlite://FOLDER/ or sqlite://FILE.db".to_owned());
    }
    if rest == ":memory:" {
        return Err("every connection to :memory: has a database of its own; give a folder or a file".to_owned());
    }
    if rest.is_empty() {
        return Err(format!("it names no file; {FORMS}"));
    }
    let mut path = PathBuf::from(rest);
    if rest.ends_with('/') {
        path.push(format!("{service}.db"));
    }
    Ok(Target::Sqlite { path })
}

fn postgres(url: &str, service: &str) -> Result<Target, String> {
    const ENCODE: &str = "characters such as / ? # @ : in a user or password have to be percent-encoded";
    let parsed = Url::parse(url).map_err(|error| format!("it cannot be read ({error}); {ENCODE}"))?;
    for (key, value) in parsed.query_pairs() {
        if !POSTGRES_PARAMETERS.contains(&&*key) {
            return Err(format!("it has a parameter that is not known; known are {}", POSTGRES_PARAMETERS.join(", ")));
        }
        let modes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
        if key == "sslmode" && !modes.contains(&&*value) {
            return Err(format!("sslmode is one of {}", modes.join(", ")));
        }
    }
    if parsed.fragment().is_some() {
        return Err(format!("it has a #; {ENCODE}"));
    }
    let options =
        PgConnectOptions::from_str(url).map_err(|_| format!("host, port or user cannot be read; {ENCODE}"))?;
    Ok(Target::Postgres { options: Box::new(options), schema: service.replace('-', "_") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_mean_files_and_schemas() {
        let path = |url: &str| match Target::parse(url, "user-service").unwrap() {
            Target::Sqlite { path } => path,
            other @ Target::Postgres { .. } => panic!("{other:?}"),
        };
        assert_eq!(path("sqlite://data/"), PathBuf::from("data/user-service.db"));
        assert_eq!(path("sqlite:///var/lib/x/"), PathBuf::from("/var/lib/x/user-service.db"));
        assert_eq!(path("sqlite:///var/lib/x/all.db"), PathBuf::from("/var/lib/x/all.db"));

        let target =
            Target::parse("postgres://me:pw@db.example:6432/shop?sslmode=verify-full", "user-service").unwrap();
        assert_eq!(target.namespace(), "shop|user_service");
        assert_eq!(target.server(), (Some("db.example".to_owned()), Some(6432)));
        let socket = Target::parse("postgresql://me@localhost/shop?host=/run/postgresql", "a").unwrap();
        assert_eq!(socket.server(), (Some("/run/postgresql".to_owned()), None));
        let encoded = Target::parse("postgres://me@%2Frun%2Fpostgresql/shop", "a").unwrap();
        assert_eq!(encoded.server(), (Some("/run/postgresql".to_owned()), None));
    }

    #[test]
    fn a_bad_url_is_a_sentence_without_the_secret() {
        for url in [
            "",
            "  ",
            "s3cret",
            "mysql://me:s3cret@host/db",
            "postgres:/me:s3cret@host/db",
            "postgres://me:s3cret/x@host/db",
            "postgres://me:s3cret@host:port/db",
            "postgres://me:x@host:99999/s3cret",
            "postgres://me:x@host/db?s3cret=1",
            "postgres://me:x@host/db?sslmode=s3cret",
            "postgres://me:x@host/db?port=s3cret",
            "postgres://me:x@host/db?hostaddr=s3cret",
            "postgres://me:x@host/db#s3cret",
            "sqlite://",
            "sqlite://:memory:",
            "sqlite://x.db?s3cret",
        ] {
            let sentence = Target::parse(url, "a").map(|_| ()).unwrap_err();
            assert!(!sentence.contains("s3cret") && sentence.len() > 20, "{url}: {sentence}");
        }
        let shown = format!("{:?}", Target::parse("postgres://me:s3cret@host/db", "a"));
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
