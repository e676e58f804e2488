//! Settings of signal-service.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bus::BusSettings;
use cache::CacheSettings;
use clap::Args;
use domain::Symbol;
use ipnet::IpNet;
use secrecy::SecretString;
use storage::DatabaseSettings;
use url::Url;
use web::{Network, ServerSettings};

/// Where TradingView's webhooks come from:
/// <https://www.tradingview.com/support/solutions/43000529348-about-webhooks/>.
const TRADINGVIEW: [[u8; 4]; 4] = [[52, 89, 214, 238], [34, 212, 75, 30], [54, 218, 53, 128], [52, 32, 178, 7]];

/// Settings of signal-service: flags and environment variables.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// HTTP server.
    #[command(flatten)]
    pub server: ServerSettings,

    /// Where hooks and signals are kept.
    #[command(flatten)]
    pub database: DatabaseSettings,

    /// Where signals are published for pipelines.
    #[command(flatten)]
    pub bus: BusSettings,

    /// Where instances share which alerts have come.
    #[command(flatten)]
    pub cache: CacheSettings,

    /// Base URL of order-service, which executes the signals
    #[arg(long, env = "ORDER_URL", default_value = "http://127.0.0.1:5002", value_parser = http_url, help_heading = "Signals")]
    pub order_url: Url,

    /// Symbols that metrics name, separated by commas; signals of all others are counted as "other"
    #[arg(
        long,
        env = "SIGNAL_SYMBOLS",
        default_value = "BTCUSDT,ETHUSDT,SOLUSDT",
        value_delimiter = ',',
        help_heading = "Signals"
    )]
    pub symbols: Vec<Symbol>,

    /// Days that signals are kept whose outcome is known
    #[arg(long, env = "SIGNAL_RETENTION_DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=36_500), help_heading = "Signals")]
    pub retention_days: u32,

    /// Alerts a minute that each hook may send, as many at once; what comes beyond is refused and lost, since TradingView
    /// does not send it again. 0 for no limit
    #[arg(long, env = "SIGNAL_HOOK_RATE_PER_MINUTE", default_value_t = 600, help_heading = "Signals")]
    pub hook_rate_per_minute: u32,

    /// Who may do what.
    #[command(flatten)]
    pub access: AccessSettings,
}

/// Who may send alerts, and who may look after hooks.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Access")]
pub struct AccessSettings {
    /// Addresses and networks that alerts are taken from, separated by commas, or the word tradingview for TradingView's
    /// own four; from everywhere when left out
    #[arg(long, env = "SIGNAL_SOURCE_ADDRESSES", default_value = "", value_delimiter = ',')]
    pub source_addresses: Vec<Source>,

    /// Addresses and networks of proxies whose X-Forwarded-For is believed, separated by commas: 10.0.0.0/8,192.0.2.7
    #[arg(long, env = "SIGNAL_TRUSTED_PROXIES", default_value = "", value_delimiter = ',')]
    pub trusted_proxies: Vec<Network>,

    /// Key that lets somebody from elsewhere look after hooks and read signals, as X-API-Key: 16 to 256 visible ASCII
    /// characters. Without it only this machine may. Better given as a file
    #[arg(long = "signal-admin-key", env = "SIGNAL_ADMIN_KEY", hide_env_values = true)]
    pub admin_key: Option<SecretString>,

    /// File that holds that key; it wins over the key itself
    #[arg(long = "signal-admin-key-file", env = "SIGNAL_ADMIN_KEY_FILE")]
    pub admin_key_file: Option<PathBuf>,
}

/// An address, a network, TradingView's addresses, or nothing where the list is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source(Vec<IpNet>);

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().eq_ignore_ascii_case("tradingview") {
            return Ok(Self(TRADINGVIEW.into_iter().map(|address| IpNet::from(IpAddr::from(address))).collect()));
        }
        text.parse().map(|network: Network| Self(Network::all(&[network])))
    }
}

fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("no URL like http://127.0.0.1:5002: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("no http:// or https:// URL with a host".to_owned());
    }
    Ok(url)
}

impl AccessSettings {
    pub(crate) fn sources(&self) -> Vec<IpNet> {
        self.source_addresses.iter().flat_map(|source| source.0.iter().copied()).collect()
    }
}

impl Config {
    /// For tests: a free port, a database, a bus, and where order-service is.
    #[must_use]
    pub fn ephemeral(database: DatabaseSettings, bus: BusSettings, order_url: Url) -> Self {
        Self {
            server: ServerSettings::ephemeral(),
            database,
            bus,
            cache: CacheSettings::none(),
            order_url,
            symbols: ["BTCUSDT", "ETHUSDT", "SOLUSDT"].iter().filter_map(|symbol| symbol.parse().ok()).collect(),
            retention_days: 90,
            hook_rate_per_minute: 600,
            access: AccessSettings::default(),
        }
    }

    pub(crate) const fn retention(&self) -> Duration {
        Duration::from_secs(self.retention_days as u64 * 24 * 60 * 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_networks_and_a_word() {
        let read = |text: &str| text.parse::<Source>().map(|source| source.0.len());
        assert_eq!(
            (read("tradingview"), read(" TradingView "), read("192.0.2.0/24"), read("")),
            (Ok(4), Ok(4), Ok(1), Ok(0))
        );
        assert!(read("binance").is_err() && read("10.0.0.0/40").is_err());
        let addresses = "tradingview".parse::<Source>().unwrap().0;
        assert!(addresses.iter().any(|network| network.contains(&IpAddr::from([52, 89, 214, 238]))));
    }
}
