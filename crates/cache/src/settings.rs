//! Which cache, and its limits.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use web::StartError;

use crate::target::Target;

/// Most letters of a prefix: it is part of every key.
const MAX_PREFIX: usize = 64;

/// Settings of the shared cache: flags and environment variables.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Shared cache")]
pub struct CacheSettings {
    /// Redis or Valkey that instances share: redis://HOST:PORT/DATABASE (USER:PASSWORD@ before the host where it wants them,
    /// port and database where they are not 6379 and 0), rediss:// for TLS, or unix:///SOCKET?db=DATABASE; with a password
    /// better in a file. Without one nothing is shared
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<SecretString>,

    /// File that holds the URL of Redis; it wins over the variable
    #[arg(long, env = "REDIS_URL_FILE")]
    pub redis_url_file: Option<PathBuf>,

    /// Longest wait for an answer of Redis, in milliseconds; then it is done without
    #[arg(long, env = "REDIS_TIMEOUT_MS", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=5_000))]
    pub redis_timeout_ms: u64,

    /// What every key in Redis begins with: deployments that share a Redis and nothing else need different ones
    #[arg(long, env = "REDIS_PREFIX", default_value = "crypto-telemetry")]
    pub redis_prefix: String,

    /// File with the certificates (PEM) that Redis' are checked against, with rediss://; without one, Mozilla's
    #[arg(long, env = "REDIS_CA_FILE")]
    pub redis_ca_file: Option<PathBuf>,
}

impl CacheSettings {
    /// No cache, whatever the environment says: for tests.
    #[must_use]
    pub fn none() -> Self {
        Self {
            redis_url: None,
            redis_url_file: None,
            redis_timeout_ms: 50,
            redis_prefix: "crypto-telemetry".to_owned(),
            redis_ca_file: None,
        }
    }

    /// The defaults with this cache, whatever the environment says: for tests.
    #[must_use]
    pub fn at(url: &str) -> Self {
        Self { redis_url: Some(SecretString::from(url)), ..Self::none() }
    }

    /// What the URL means; none without one.
    pub(crate) fn target(&self) -> Result<Option<Target>, StartError> {
        let setting = if self.redis_url_file.is_some() { "REDIS_URL_FILE" } else { "REDIS_URL" };
        let Some(url) = web::secret(setting, self.redis_url.as_ref(), self.redis_url_file.as_deref())? else {
            return Ok(None);
        };
        let target = Target::parse(url.expose_secret()).map_err(|reason| StartError::Setting { setting, reason })?;
        let Some(file) = &self.redis_ca_file else { return Ok(Some(target)) };
        let refused = |reason| StartError::Setting { setting: "REDIS_CA_FILE", reason };
        let certificates =
            std::fs::read(file).map_err(|error| refused(format!("file {} cannot be read: {error}", file.display())))?;
        target.trusting(&certificates).map(Some).map_err(refused)
    }

    /// The prefix, if it can be one.
    pub(crate) fn prefix(&self) -> Result<String, StartError> {
        let prefix = self.redis_prefix.trim();
        let plain = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte));
        if plain && (1..=MAX_PREFIX).contains(&prefix.len()) {
            return Ok(prefix.to_owned());
        }
        Err(StartError::Setting {
            setting: "REDIS_PREFIX",
            reason: format!("give 1 to {MAX_PREFIX} letters, digits, dots, colons, underscores and dashes"),
        })
    }

    pub(crate) const fn timeout(&self) -> Duration {
        Duration::from_millis(self.redis_timeout_ms)
    }
}
