//! Where the stream is, and its limits.

use std::time::Duration;

use awc::http::Uri;
use domain::Symbol;
use url::Url;

/// Settings of [`MarketStream`](super::MarketStream).
#[derive(Debug, Clone)]
pub struct StreamSettings {
    /// `wss://data-stream.binance.vision`, or `ws://` for a simulator.
    pub base_url: Url,
    /// What to listen to: each symbol's `kline_1m` and `ticker` streams.
    ///
    /// `ticker` states the price every second at a known rate, traded or not; `trade` would be hundreds of messages a
    /// second for the same last price. `kline_1m` alone comes only every two seconds and only when something was traded.
    pub symbols: Vec<Symbol>,
    /// Time limit of connecting and shaking hands.
    pub connect_timeout: Duration,
    /// Longest time without a data message; the tickers come every second.
    pub idle_timeout: Duration,
    /// Age at which a connection is replaced. Binance ends it at 24 hours.
    pub max_lifetime: Duration,
    /// First wait before connecting anew, at most.
    pub backoff_base: Duration,
    /// Longest wait before connecting anew; a connection that lived this long starts the back-off afresh.
    pub backoff_cap: Duration,
    /// Largest message; a kline event has 300 bytes, a ticker 500.
    pub max_message_bytes: usize,
}

impl StreamSettings {
    /// Sane values for the real exchange.
    #[must_use]
    pub fn new(base_url: Url, symbols: Vec<Symbol>) -> Self {
        Self {
            base_url,
            symbols,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(10),
            max_lifetime: Duration::from_secs(23 * 3600),
            backoff_base: Duration::from_millis(500),
            backoff_cap: Duration::from_secs(10),
            max_message_bytes: 64 * 1024,
        }
    }

    /// The address of the combined stream.
    pub(crate) fn uri(&self) -> Result<Uri, StreamError> {
        if !matches!(self.base_url.scheme(), "ws" | "wss") || self.base_url.host_str().is_none() {
            return Err(StreamError::Address(format!(
                "{} is no ws:// or wss:// address",
                web::shown_url(&self.base_url)
            )));
        }
        let names: Vec<String> = self
            .symbols
            .iter()
            .flat_map(|symbol| {
                let symbol = symbol.as_str().to_ascii_lowercase();
                [format!("{symbol}@kline_1m"), format!("{symbol}@ticker")]
            })
            .collect();
        // Binance's limit for one connection.
        if names.is_empty() || names.len() > 1024 {
            return Err(StreamError::Count(names.len()));
        }
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}/stream", url.path().trim_end_matches('/')));
        url.set_query(Some(&format!("streams={}", names.join("/"))));
        url.as_str().parse().map_err(|error| StreamError::Address(format!("{}: {error}", web::shown_url(&url))))
    }
}

/// Settings that can never work.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The address is unusable.
    #[error("the stream's address is unusable: {0}")]
    Address(String),
    /// Too many streams, or none.
    #[error("a connection carries 1 to 1024 streams, not {0}")]
    Count(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(base: &str, symbols: &[&str]) -> StreamSettings {
        StreamSettings::new(base.parse().unwrap(), symbols.iter().map(|symbol| symbol.parse().unwrap()).collect())
    }

    #[test]
    fn the_address_names_every_stream_in_lower_case() {
        let uri = settings("wss://data-stream.binance.vision", &["BTCUSDT", "ETHUSDT"]).uri().unwrap();
        assert_eq!(
            uri.to_string(),
            "wss://data-stream.binance.vision/stream?streams=btcusdt@kline_1m/btcusdt@ticker/ethusdt@kline_1m/ethusdt@ticker"
        );
        let below = settings("ws://127.0.0.1:1/binance/", &["BTCUSDT"]).uri().unwrap();
        assert_eq!(below.path(), "/binance/stream");
    }

    #[test]
    fn impossible_settings_are_refused() {
        assert!(matches!(settings("https://example.org", &["BTCUSDT"]).uri(), Err(StreamError::Address(_))));
        let secret = settings("https://user:pa55@example.org/?key=pa55", &["BTCUSDT"]).uri().unwrap_err().to_string();
        assert!(secret.contains("https://example.org/") && !secret.contains("pa55"), "{secret}");
        assert!(matches!(settings("ws://example.org", &[]).uri(), Err(StreamError::Count(0))));
        let many: Vec<String> = (0..513).map(|n| format!("COIN{n:03}USDT")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(matches!(settings("ws://example.org", &many).uri(), Err(StreamError::Count(1026))));
    }
}
