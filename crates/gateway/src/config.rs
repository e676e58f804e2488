//! Settings of api-gateway.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use ipnet::IpNet;
use url::Url;
use web::{ChainSettings, Network, ServerSettings, StartError};

/// Settings of api-gateway: flags and environment variables.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// HTTP server.
    #[command(flatten)]
    pub server: ServerSettings,

    /// The business chain's first service; left out, user-service at http://127.0.0.1:5001.
    #[command(flatten)]
    pub chain: ChainSettings,

    /// The services.
    #[command(flatten)]
    pub services: ServiceUrls,

    /// Who may come in, and how often.
    #[command(flatten)]
    pub door: DoorSettings,

    /// Base URL of Tempo, for traces
    #[arg(long, env = "TEMPO_URL", default_value = "http://127.0.0.1:3200", value_parser = http_url, help_heading = "Traces")]
    pub tempo_url: Url,

    /// Base URL of Loki, for the log lines of traces
    #[arg(long, env = "LOKI_URL", default_value = "http://127.0.0.1:3100", value_parser = http_url, help_heading = "Traces")]
    pub loki_url: Url,

    /// How far back log lines of a trace are looked for, in minutes
    #[arg(long, env = "LOG_LOOK_BACK_MINUTES", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=10_080), help_heading = "Traces")]
    pub log_look_back_minutes: u32,

    /// Time between two looks for the API descriptions of services that were away, in milliseconds; once all are there,
    /// they are read anew twenty times as rarely
    #[arg(long, env = "OPENAPI_REFRESH_MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(10..=3_600_000), help_heading = "API description")]
    pub openapi_refresh_ms: u64,
}

/// Where the services are, whose reads and calls go through the gateway.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Services")]
pub struct ServiceUrls {
    /// Base URL of user-service
    #[arg(long, env = "USER_URL", default_value = "http://127.0.0.1:5001", value_parser = http_url)]
    pub user_url: Url,

    /// Base URL of order-service
    #[arg(long, env = "ORDER_URL", default_value = "http://127.0.0.1:5002", value_parser = http_url)]
    pub order_url: Url,

    /// Base URL of audit-service
    #[arg(long, env = "AUDIT_URL", default_value = "http://127.0.0.1:5003", value_parser = http_url)]
    pub audit_url: Url,

    /// Base URL of notifier-service
    #[arg(long, env = "NOTIFIER_URL", default_value = "http://127.0.0.1:9000", value_parser = http_url)]
    pub notifier_url: Url,

    /// Base URL of market-data-service
    #[arg(long, env = "MARKET_DATA_URL", default_value = "http://127.0.0.1:8081", value_parser = http_url)]
    pub market_data_url: Url,

    /// Base URL of decision-service
    #[arg(long, env = "DECISION_URL", default_value = "http://127.0.0.1:8082", value_parser = http_url)]
    pub decision_url: Url,

    /// Longest wait for an answer to what is asked or decided, in milliseconds; reads wait 5 s at most
    #[arg(long, env = "ASK_TIMEOUT_MS", default_value_t = 28_000, value_parser = clap::value_parser!(u64).range(50..=300_000))]
    pub ask_timeout_ms: u64,

    /// Most clients that may listen to /api/v1/stream at the same time
    #[arg(long, env = "GATEWAY_MAX_STREAM_CLIENTS", default_value_t = 64, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub max_stream_clients: u32,
}

/// Who may come in, and how often.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Clients")]
pub struct DoorSettings {
    /// File with the API keys that are let in, a line each: name:sha256-hex ('crypto-telemetry api-key NAME' makes one).
    /// It is read again when it changes. Without it no key is asked for, which is allowed on loopback only
    #[arg(long, env = "API_KEYS_FILE")]
    pub api_keys_file: Option<PathBuf>,

    /// Requests a second that a key may make on average (an address, where no keys are asked for); 0 for no limit
    #[arg(long, env = "RATE_LIMIT_PER_SECOND", default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub rate_limit_per_second: u32,

    /// Requests that may come at once before the average counts
    #[arg(long, env = "RATE_LIMIT_BURST", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate_limit_burst: u32,

    /// Requests with a wrong or no key that an address may make in a minute before it is told to wait
    #[arg(long, env = "AUTH_FAILURES_PER_MINUTE", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub auth_failures_per_minute: u32,

    /// Addresses and networks of proxies whose X-Forwarded-For is believed, separated by commas: 10.0.0.0/8,192.0.2.7
    #[arg(long, env = "TRUSTED_PROXIES", default_value = "", value_delimiter = ',')]
    pub trusted_proxies: Vec<Network>,

    /// Origins whose pages may call the API from a browser, separated by commas: https://example.org; nobody else's may
    #[arg(long, env = "CORS_ALLOWED_ORIGINS", default_value = "", value_delimiter = ',')]
    pub cors_allowed_origins: Vec<Origin>,
}

/// An origin as browsers send it, or nothing where the list is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(pub(crate) Option<String>);

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self(None));
        }
        let wrong = || format!("{text:?} is no origin like https://example.org: scheme, host and port, nothing behind");
        let url = Url::parse(text).map_err(|_| wrong())?;
        let origin = url.origin().ascii_serialization();
        if !matches!(url.scheme(), "http" | "https") || origin != text { Err(wrong()) } else { Ok(Self(Some(origin))) }
    }
}

fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("no URL like http://127.0.0.1:5001: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("no http:// or https:// URL with a host".to_owned());
    }
    Ok(url)
}

impl DoorSettings {
    pub(crate) fn networks(&self) -> Vec<IpNet> {
        Network::all(&self.trusted_proxies)
    }

    pub(crate) fn origins(&self) -> Vec<String> {
        self.cors_allowed_origins.iter().filter_map(|origin| origin.0.clone()).collect()
    }
}

impl ServiceUrls {
    pub(crate) const fn ask_timeout(&self) -> Duration {
        Duration::from_millis(self.ask_timeout_ms)
    }
}

impl Config {
    /// For tests, whatever the environment says: a free port, and everything behind it away unless these further flags
    /// say otherwise.
    ///
    /// # Errors
    /// When a flag cannot be read.
    pub fn ephemeral(flags: &[&str]) -> Result<Self, clap::Error> {
        use clap::FromArgMatches as _;
        use clap::builder::Resettable;
        let mut all = vec!["test"];
        for flag in [
            "--next-service-url",
            "--user-url",
            "--order-url",
            "--audit-url",
            "--notifier-url",
            "--market-data-url",
            "--decision-url",
            "--tempo-url",
            "--loki-url",
        ] {
            if !flags.contains(&flag) {
                all.extend([flag, "http://127.0.0.1:1"]);
            }
        }
        all.extend(flags);
        // A test must not meet what its developer's shell knows.
        let command = Self::augment_args(clap::Command::new("test")).mut_args(|arg| arg.env(Resettable::Reset));
        let mut config = Self::from_arg_matches(&command.try_get_matches_from(all)?)?;
        config.server = ServerSettings { host: config.server.host, ..ServerSettings::ephemeral() };
        Ok(config)
    }

    /// What cannot be told from one setting alone.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        if self.door.api_keys_file.is_none() && !self.server.host.is_loopback() {
            return Err(StartError::Setting {
                setting: "API_KEYS_FILE",
                reason: format!(
                    "the API would be open to everybody who reaches {}. Name a file with API keys ('crypto-telemetry api-key \
                     NAME' makes one), or listen on a loopback address with HOST",
                    self.server.host
                ),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_origins_are_read() {
        let config = Config::ephemeral(&["--trusted-proxies", "10.0.0.0/8, ::1,192.0.2.7"]).unwrap();
        let networks: Vec<String> = config.door.networks().iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["10.0.0.0/8", "::1/128", "192.0.2.7/32"]);
        assert!(Config::ephemeral(&["--trusted-proxies", "proxy.example.org"]).is_err());
        let config =
            Config::ephemeral(&["--cors-allowed-origins", "https://example.org,http://localhost:3000"]).unwrap();
        assert_eq!(config.door.origins(), ["https://example.org", "http://localhost:3000"]);
        for bad in
            ["*", "example.org", "https://example.org/", "https://example.org/page", "null", "https://EXAMPLE.org"]
        {
            assert!(Config::ephemeral(&["--cors-allowed-origins", bad]).is_err(), "{bad}");
        }
        let config = Config::ephemeral(&[]).unwrap();
        assert!(config.door.networks().is_empty() && config.door.origins().is_empty());
    }

    #[test]
    fn the_outside_needs_keys() {
        assert!(Config::ephemeral(&[]).unwrap().check().is_ok());
        assert!(Config::ephemeral(&["--host", "::1"]).unwrap().check().is_ok());
        for host in ["0.0.0.0", "::", "192.0.2.1"] {
            let error = Config::ephemeral(&["--host", host]).unwrap().check().unwrap_err().to_string();
            assert!(error.contains("API_KEYS_FILE") && error.contains(host), "{error}");
            assert!(Config::ephemeral(&["--host", host, "--api-keys-file", "/keys"]).unwrap().check().is_ok());
        }
    }
}
