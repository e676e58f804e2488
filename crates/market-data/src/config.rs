//! Settings of market-data-service.

use std::time::Duration;

use binance::{RestSettings, StreamSettings};
use cache::CacheSettings;
use clap::Args;
use domain::Symbol;
use url::Url;
use web::{ServerSettings, StartError};

/// Each symbol costs two streams, label values and memory; more than this is a mistake.
const MAX_SYMBOLS: usize = 50;

/// Settings of market-data-service: flags and environment variables.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Market data")]
pub struct Config {
    /// HTTP server.
    #[command(flatten)]
    pub server: ServerSettings,

    /// Where instances share prices and candles.
    #[command(flatten)]
    pub cache: CacheSettings,

    /// Binance's REST API, or a simulator's
    #[arg(long, env = "BINANCE_REST_URL", default_value = "https://data-api.binance.vision")]
    pub binance_rest_url: Url,

    /// Binance's WebSocket streams, or a simulator's (ws:// or wss://)
    #[arg(long, env = "BINANCE_WS_URL", default_value = "wss://data-stream.binance.vision")]
    pub binance_ws_url: Url,

    /// Symbols to serve, separated by commas
    #[arg(long, env = "MARKET_DATA_SYMBOLS", value_delimiter = ',', default_value = "BTCUSDT,ETHUSDT,SOLUSDT")]
    pub symbols: Vec<Symbol>,

    /// Age in milliseconds above which a price is refused as stale
    #[arg(long, env = "MARKET_DATA_MAX_PRICE_AGE_MS", default_value_t = 15_000, value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub max_price_age_ms: u64,

    /// Time in milliseconds between two polls over REST while the stream gives no price
    #[arg(long, env = "MARKET_DATA_POLL_INTERVAL_MS", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(50..=60_000))]
    pub poll_interval_ms: u64,

    /// Time in milliseconds that candles of intervals other than 1m are kept before they are read again
    #[arg(long, env = "MARKET_DATA_CANDLE_CACHE_MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(0..=600_000))]
    pub candle_cache_ms: u64,

    /// Most clients that may listen to /v1/stream at the same time
    #[arg(long, env = "MARKET_DATA_MAX_STREAM_CLIENTS", default_value_t = 100, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    pub max_stream_clients: u16,

    /// Time in milliseconds between two heartbeats of /v1/stream
    #[arg(long, env = "MARKET_DATA_STREAM_HEARTBEAT_MS", default_value_t = 15_000, value_parser = clap::value_parser!(u64).range(10..=300_000))]
    pub stream_heartbeat_ms: u64,

    /// Share of Binance's request weight (6000 a minute) that may be used, in percent
    #[arg(long, env = "BINANCE_WEIGHT_SHARE_PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub binance_weight_share_percent: u8,

    /// Time limit in milliseconds of one attempt of a REST call to Binance
    #[arg(long, env = "BINANCE_REST_TIMEOUT_MS", default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(50..=30_000))]
    pub binance_rest_timeout_ms: u64,

    /// Time in milliseconds without a message after which the stream is connected anew
    #[arg(long, env = "BINANCE_STREAM_IDLE_MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=300_000))]
    pub binance_stream_idle_ms: u64,

    /// Age in seconds at which the stream's connection is replaced (Binance ends it at 24 hours)
    #[arg(long, env = "BINANCE_STREAM_MAX_LIFETIME_S", default_value_t = 82_800, value_parser = clap::value_parser!(u64).range(1..=86_000))]
    pub binance_stream_max_lifetime_s: u64,

    /// First wait in milliseconds before the stream is connected anew, at most; it doubles with each failure
    #[arg(long, env = "BINANCE_STREAM_BACKOFF_MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub binance_stream_backoff_ms: u64,

    /// Longest wait in milliseconds before the stream is connected anew
    #[arg(long, env = "BINANCE_STREAM_BACKOFF_MAX_MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub binance_stream_backoff_max_ms: u64,
}

impl Config {
    /// For tests: the defaults on a free port, with an exchange elsewhere.
    ///
    /// # Errors
    /// When the exchange's addresses are none.
    pub fn ephemeral(rest_url: &str, ws_url: &str) -> Result<Self, clap::Error> {
        #[derive(clap::Parser)]
        struct Program {
            #[command(flatten)]
            config: Config,
        }
        let flags = ["test", "--binance-rest-url", rest_url, "--binance-ws-url", ws_url];
        let mut config = <Program as clap::Parser>::try_parse_from(flags)?.config;
        config.server = ServerSettings::ephemeral();
        config.cache = CacheSettings::none();
        Ok(config)
    }

    /// The symbols, each once.
    pub(crate) fn served_symbols(&self) -> Result<Vec<Symbol>, StartError> {
        let mut symbols = self.symbols.clone();
        symbols.sort();
        symbols.dedup();
        if symbols.is_empty() || symbols.len() > MAX_SYMBOLS {
            return Err(StartError::Setting {
                setting: "MARKET_DATA_SYMBOLS",
                reason: format!("name 1 to {MAX_SYMBOLS} symbols, not {}", symbols.len()),
            });
        }
        Ok(symbols)
    }

    pub(crate) fn rest(&self) -> RestSettings {
        RestSettings {
            weight_share_percent: self.binance_weight_share_percent,
            attempt_timeout: Duration::from_millis(self.binance_rest_timeout_ms),
            ..RestSettings::new(self.binance_rest_url.clone())
        }
    }

    pub(crate) fn stream(&self, symbols: Vec<Symbol>) -> StreamSettings {
        StreamSettings {
            idle_timeout: Duration::from_millis(self.binance_stream_idle_ms),
            max_lifetime: Duration::from_secs(self.binance_stream_max_lifetime_s),
            backoff_base: Duration::from_millis(self.binance_stream_backoff_ms),
            backoff_cap: Duration::from_millis(self.binance_stream_backoff_max_ms),
            ..StreamSettings::new(self.binance_ws_url.clone(), symbols)
        }
    }

    /// Which exchange it is: what instances share is of the same one.
    pub(crate) fn exchange(&self) -> String {
        format!("{}|{}", web::shown_url(&self.binance_rest_url), web::shown_url(&self.binance_ws_url))
    }

    pub(crate) const fn max_price_age(&self) -> Duration {
        Duration::from_millis(self.max_price_age_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::ephemeral("http://127.0.0.1:1", "ws://127.0.0.1:1").unwrap()
    }

    #[test]
    fn symbols_are_served_once_and_are_bounded() {
        let mut config = config();
        config.symbols = vec!["ETHUSDT".parse().unwrap(), "btcusdt".parse().unwrap(), "BTCUSDT".parse().unwrap()];
        let served = config.served_symbols().unwrap();
        assert_eq!(served.iter().map(Symbol::as_str).collect::<Vec<_>>(), ["BTCUSDT", "ETHUSDT"]);
        config.symbols.clear();
        assert!(config.served_symbols().unwrap_err().to_string().contains("MARKET_DATA_SYMBOLS"));
        config.symbols = (0..51).map(|n| format!("COIN{n}USDT").parse().unwrap()).collect();
        assert!(config.served_symbols().unwrap_err().to_string().contains("1 to 50"));
    }

    #[test]
    fn what_is_wrong_is_said_before_anything_starts() {
        let error = Config::ephemeral("not a url", "ws://127.0.0.1:1").unwrap_err();
        assert!(error.to_string().contains("--binance-rest-url"), "{error}");
    }
}
