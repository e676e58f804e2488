//! Settings of signal-generator.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use bus::BusSettings;
use clap::Args;
use domain::strategy::CrossFinder;
use domain::trading::SignalAction;
use domain::{Interval, Symbol};
use storage::DatabaseSettings;
use url::Url;
use web::{ServerSettings, StartError};

/// Settings of signal-generator: flags and environment variables.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// HTTP server.
    #[command(flatten)]
    pub server: ServerSettings,

    /// Where signals are kept.
    #[command(flatten)]
    pub database: DatabaseSettings,

    /// Where they are published.
    #[command(flatten)]
    pub bus: BusSettings,

    /// What is generated.
    #[command(flatten)]
    pub generator: GeneratorSettings,
}

/// What is generated, and how much of it is kept.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Generator")]
pub struct GeneratorSettings {
    /// market-data-service, for the candles
    #[arg(long, env = "MARKET_DATA_URL", default_value = "http://127.0.0.1:8081", value_parser = http_url)]
    pub market_data_url: Url,

    /// Symbols that signals are made of, separated by commas
    #[arg(long, env = "GENERATOR_SYMBOLS", default_value = "BTCUSDT,ETHUSDT,SOLUSDT", value_delimiter = ',')]
    pub symbols: Vec<Symbol>,

    /// Intervals of the candles whose averages' crossings become signals, separated by commas: 1m, 5m, 15m, 1h; none
    /// for no such signals
    #[arg(long, env = "GENERATOR_INTERVALS", default_value = "1m,5m")]
    pub intervals: Intervals,

    /// Candles of the fast moving average
    #[arg(long, env = "GENERATOR_FAST_CANDLES", default_value = "9", value_parser = window)]
    pub fast_candles: NonZeroU32,

    /// Candles of the slow moving average, more than of the fast one
    #[arg(long, env = "GENERATOR_SLOW_CANDLES", default_value = "21", value_parser = window)]
    pub slow_candles: NonZeroU32,

    /// Time between two looks at the candles, in milliseconds
    #[arg(long, env = "GENERATOR_LOOK_INTERVAL_MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    pub look_interval_ms: u64,

    /// Random signals a minute, for trying things out; 0 for none
    #[arg(long, env = "GENERATOR_MOCK_PER_MINUTE", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=60_000))]
    pub mock_per_minute: u32,

    /// A number that makes the random signals the same each time, ids included; after a restart they go on where they were
    #[arg(long, env = "GENERATOR_MOCK_SEED")]
    pub mock_seed: Option<u64>,

    /// How often random signals say what
    #[arg(long, env = "GENERATOR_MOCK_MIX", default_value = "buy:45,sell:45,close:10")]
    pub mock_mix: Mix,

    /// Most signals that may wait for the bus; while there are as many, crossings are made later, random signals are left
    /// out, and those by hand are refused
    #[arg(long, env = "GENERATOR_BUFFER", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub buffer: u32,

    /// Days that signals are kept after they were published
    #[arg(long, env = "GENERATOR_RETENTION_DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub retention_days: u32,
}

/// Longest window: a look finds its crossings among 1000 candles.
const LONGEST_WINDOW: u32 = 400;

/// Which intervals are looked at, each once; none is written `none`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intervals(Vec<Interval>);

impl Intervals {
    /// These, each once.
    #[must_use]
    pub fn new(mut intervals: Vec<Interval>) -> Self {
        intervals.sort_unstable();
        intervals.dedup();
        Self(intervals)
    }

    /// The intervals, shortest first.
    #[must_use]
    pub fn all(&self) -> &[Interval] {
        &self.0
    }
}

impl FromStr for Intervals {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if matches!(text.trim(), "" | "none") {
            return Ok(Self(Vec::new()));
        }
        let read = |part: &str| part.trim().parse().map_err(|error: domain::market::IntervalError| error.to_string());
        text.split(',').map(read).collect::<Result<_, _>>().map(Self::new)
    }
}

/// How often random signals say what: `buy:45,sell:45,close:10`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix(Vec<(SignalAction, u32)>);

/// Largest weight: sums stay small.
const LARGEST_WEIGHT: u32 = 1_000_000;

impl Mix {
    /// The action at a place among all weights.
    pub(crate) fn at(&self, place: u64) -> SignalAction {
        let total: u64 = self.0.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut left = place % total.max(1);
        for (action, weight) in &self.0 {
            match left.checked_sub(u64::from(*weight)) {
                None => return *action,
                Some(rest) => left = rest,
            }
        }
        SignalAction::Close
    }
}

impl std::fmt::Display for Mix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, (action, weight)) in self.0.iter().enumerate() {
            write!(f, "{}{action}:{weight}", if place == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut weights: Vec<(SignalAction, u32)> = Vec::new();
        for part in text.split(',') {
            let (word, weight) = part.trim().split_once(':').ok_or("weights look like buy:45,sell:45,close:10")?;
            let action = SignalAction::ALL.into_iter().find(|action| action.as_str() == word);
            let action = action.ok_or_else(|| format!("{word:?} is none of buy, sell, close"))?;
            if weights.iter().any(|(known, _)| *known == action) {
                return Err(format!("{action} has two weights"));
            }
            let weight = weight.parse().ok().filter(|weight| *weight <= LARGEST_WEIGHT);
            weights.push((action, weight.ok_or(format!("a weight is a whole number up to {LARGEST_WEIGHT}"))?));
        }
        if weights.iter().all(|(_, weight)| *weight == 0) {
            return Err("at least one weight is above zero".to_owned());
        }
        Ok(Self(weights))
    }
}

fn window(text: &str) -> Result<NonZeroU32, String> {
    let window = text.parse().ok().filter(|window: &NonZeroU32| window.get() <= LONGEST_WINDOW);
    window.ok_or_else(|| format!("a window has 1 to {LONGEST_WINDOW} candles"))
}

fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("no URL like http://127.0.0.1:8081: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("no http:// or https:// URL with a host".to_owned());
    }
    Ok(url)
}

impl GeneratorSettings {
    pub(crate) fn finder(&self) -> Result<CrossFinder, StartError> {
        CrossFinder::new(self.fast_candles, self.slow_candles).map_err(|error| StartError::Setting {
            setting: "GENERATOR_FAST_CANDLES and GENERATOR_SLOW_CANDLES",
            reason: error.to_string(),
        })
    }

    /// The symbols, each once, in their order.
    pub(crate) fn symbols(&self) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = Vec::new();
        for symbol in &self.symbols {
            if !symbols.contains(symbol) {
                symbols.push(symbol.clone());
            }
        }
        symbols
    }

    pub(crate) const fn look_interval(&self) -> Duration {
        Duration::from_millis(self.look_interval_ms)
    }

    pub(crate) const fn retention(&self) -> Duration {
        Duration::from_secs(self.retention_days as u64 * 24 * 60 * 60)
    }
}

impl Config {
    /// For tests: a free port, a database, a bus, and where the candles are. Candles are looked at all the time, and nothing is
    /// random.
    #[must_use]
    pub fn ephemeral(database: DatabaseSettings, bus: BusSettings, market_data_url: Url) -> Self {
        Self {
            server: ServerSettings::ephemeral(),
            database,
            bus,
            generator: GeneratorSettings {
                market_data_url,
                symbols: ["BTCUSDT", "ETHUSDT", "SOLUSDT"].iter().filter_map(|symbol| symbol.parse().ok()).collect(),
                intervals: Intervals::new(vec![Interval::OneMinute]),
                fast_candles: NonZeroU32::MIN.saturating_add(8),
                slow_candles: NonZeroU32::MIN.saturating_add(20),
                look_interval_ms: 10,
                mock_per_minute: 0,
                mock_seed: None,
                mock_mix: Mix(vec![(SignalAction::Buy, 45), (SignalAction::Sell, 45), (SignalAction::Close, 10)]),
                buffer: 10_000,
                retention_days: 30,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_a_list_or_none() {
        let read = |text: &str| text.parse::<Intervals>().map(|intervals| intervals.0);
        let (one, five) = (Interval::OneMinute, Interval::FiveMinutes);
        assert_eq!((read("5m, 1m,5m"), read("none"), read("")), (Ok(vec![one, five]), Ok(vec![]), Ok(vec![])));
        assert!(read("1m,2m").unwrap_err().contains("1m, 5m, 15m, 1h"));
    }

    #[test]
    fn a_mix_is_weights_of_actions() {
        let mix: Mix = "sell:1, buy:2,close:0".parse().unwrap();
        let drawn: Vec<_> = (0..6).map(|place| mix.at(place).as_str()).collect();
        assert_eq!(drawn, ["sell", "buy", "buy", "sell", "buy", "buy"]);
        assert_eq!(mix.to_string(), "sell:1,buy:2,close:0");
        for bad in ["", "buy", "buy:0", "buy:1,buy:2", "hold:1", "buy:-1", "buy:1.5", "buy:1000001"] {
            assert!(bad.parse::<Mix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn windows_have_to_fit_and_to_differ() {
        assert!(window("0").is_err() && window("401").is_err() && window("x").is_err() && window("400").is_ok());
        let url: Url = "http://127.0.0.1:1/".parse().unwrap();
        let mut settings =
            Config::ephemeral(DatabaseSettings::at("sqlite://data/"), BusSettings::at("sqlite://data/"), url).generator;
        assert!(settings.finder().is_ok());
        settings.fast_candles = settings.slow_candles;
        assert!(settings.finder().unwrap_err().to_string().contains("GENERATOR_FAST_CANDLES"));
    }
}
