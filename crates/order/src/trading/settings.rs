//! Settings of trading.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use domain::trading::Limits;
use domain::{Symbol, TradingMode};
use rust_decimal::Decimal;
use rust_decimal_macros::dec;
use secrecy::SecretString;
use url::Url;
use web::StartError;

use super::rules::{Rules, SendTimes};
use super::values::{QuantityDecimals, Receiver, amount};

/// Key and secret of the simulator's account, which everybody may know.
const SIMULATED_KEY: &str = "simulated-api-key";
const SIMULATED_SECRET: &str = "simulated-secret-key";

/// Hosts of BingX at which no real money moves: <https://bingx-api.github.io/docs/>, "demo trading".
const DEMO_HOSTS: [&str; 2] = ["open-api-vst.bingx.com", "open-api-vst.bingx.pro"];

/// Quote currencies that are a US dollar, or a coin that is worth one.
const DOLLARS: [&str; 6] = ["USDT", "USDC", "FDUSD", "TUSD", "BUSD", "USD"];

/// What is traded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TradingModeSetting {
    /// The simulator's money, or BingX's demo money.
    Paper,
    /// Real money.
    Live,
    /// Nothing is traded.
    Off,
}

/// Which orders a person has to confirm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConfirmOrders {
    /// Those of live mode.
    Live,
    /// Every one.
    Always,
    /// None.
    Never,
}

/// Settings of trading.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Trading")]
pub struct TradingSettings {
    /// paper: the simulator's or BingX's demo money; live: real money; off: nothing is traded
    #[arg(long, env = "TRADING_MODE", value_enum, default_value_t = TradingModeSetting::Paper)]
    pub trading_mode: TradingModeSetting,

    /// Base URL of BingX: https://open-api.bingx.com for live mode; the simulator, or https://open-api-vst.bingx.com
    /// (demo money), for paper mode
    #[arg(long, env = "BINGX_API_URL", default_value = "http://127.0.0.1:8090")]
    pub bingx_api_url: Url,

    /// BingX's API key; the simulator's where paper mode is given none. Better given as a file
    #[arg(long, env = "BINGX_API_KEY", hide_env_values = true)]
    pub bingx_api_key: Option<SecretString>,

    /// File that holds the API key; wins over the key itself
    #[arg(long, env = "BINGX_API_KEY_FILE")]
    pub bingx_api_key_file: Option<PathBuf>,

    /// BingX's secret key, which signs; the simulator's where paper mode is given none. Better given as a file
    #[arg(long, env = "BINGX_SECRET_KEY", hide_env_values = true)]
    pub bingx_secret_key: Option<SecretString>,

    /// File that holds the secret key; wins over the key itself
    #[arg(long, env = "BINGX_SECRET_KEY_FILE")]
    pub bingx_secret_key_file: Option<PathBuf>,

    /// How old a call may be when it reaches BingX, in milliseconds
    #[arg(long, env = "BINGX_RECV_WINDOW_MS", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(100..=5_000))]
    pub bingx_recv_window_ms: u32,

    /// Longest wait for BingX's answer to an order, in milliseconds; then it is unknown whether BingX has it
    #[arg(long, env = "BINGX_ORDER_TIMEOUT_MS", default_value_t = 8_000, value_parser = clap::value_parser!(u64).range(100..=20_000))]
    pub bingx_order_timeout_ms: u64,

    /// Most orders that are sent or cancelled in a second; BingX allows 10
    #[arg(long, env = "BINGX_ORDERS_PER_SECOND", default_value = "10")]
    pub bingx_orders_per_second: NonZeroU32,

    /// Symbols that may be traded, separated by commas
    #[arg(long, env = "TRADING_SYMBOLS", default_value = "BTCUSDT,ETHUSDT,SOLUSDT", value_delimiter = ',')]
    pub trading_symbols: Vec<Symbol>,

    /// Largest notional of an order, in US dollars; what makes a position smaller may be larger
    #[arg(long, env = "MAX_ORDER_NOTIONAL_USD", default_value = "1000", value_parser = amount)]
    pub max_order_notional_usd: Decimal,

    /// Largest position in a symbol, by notional, in US dollars: what is held, open orders and the new one together; what
    /// makes it smaller is not held up
    #[arg(long, env = "MAX_POSITION_NOTIONAL_USD", default_value = "3000", value_parser = amount)]
    pub max_position_notional_usd: Decimal,

    /// Largest loss of a day (UTC), in US dollars; beyond it only what makes a position smaller is traded
    #[arg(long, env = "MAX_DAILY_LOSS_USD", default_value = "200", value_parser = amount)]
    pub max_daily_loss_usd: Decimal,

    /// Most orders a minute
    #[arg(long, env = "MAX_ORDERS_PER_MINUTE", default_value_t = 30)]
    pub max_orders_per_minute: u32,

    /// Oldest price that an order is made at, in milliseconds
    #[arg(long, env = "MAX_PRICE_AGE_MS", default_value_t = 10_000)]
    pub max_price_age_ms: u64,

    /// Oldest signal that becomes an order, in seconds; what only closes a position is never too old
    #[arg(long, env = "MAX_SIGNAL_AGE_SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub max_signal_age_seconds: u64,

    /// Notional of an order whose signal does not say how much, in US dollars
    #[arg(long, env = "DEFAULT_ORDER_NOTIONAL_USD", default_value = "100", value_parser = amount)]
    pub default_order_notional_usd: Decimal,

    /// Decimals that the exchange takes of a quantity, with those of single symbols: 4,SOLUSDT=2. The rest is cut off
    #[arg(long, env = "QUANTITY_DECIMALS", default_value = "4")]
    pub quantity_decimals: QuantityDecimals,

    /// Which orders somebody has to confirm before they are sent
    #[arg(long, env = "CONFIRM_ORDERS", value_enum, default_value_t = ConfirmOrders::Live)]
    pub confirm_orders: ConfirmOrders,

    /// How long an order waits to be confirmed, in seconds; at most MAX_SIGNAL_AGE_SECONDS
    #[arg(long, env = "CONFIRM_TIMEOUT_SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub confirm_timeout_seconds: u64,

    /// Longest time between two comparisons of the open orders with the exchange, in seconds
    #[arg(long, env = "RECONCILE_INTERVAL_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub reconcile_interval_seconds: u64,

    /// Base URL of notifier-service, which tells people of orders; "none" for no messages
    #[arg(long, env = "NOTIFIER_URL", default_value = "http://127.0.0.1:9000")]
    pub notifier_url: Receiver,

    /// Base URL of audit-service, for the trail of trading; "none" for no trail
    #[arg(long, env = "AUDIT_URL", default_value = "http://127.0.0.1:5003")]
    pub audit_url: Receiver,
}

impl TradingSettings {
    /// For tests, whatever the environment says: paper trading at this exchange, with short times, and nobody who is told.
    #[must_use]
    pub fn ephemeral(bingx_api_url: Url) -> Self {
        Self {
            trading_mode: TradingModeSetting::Paper,
            bingx_api_url,
            bingx_api_key: None,
            bingx_api_key_file: None,
            bingx_secret_key: None,
            bingx_secret_key_file: None,
            bingx_recv_window_ms: 300,
            bingx_order_timeout_ms: 500,
            bingx_orders_per_second: NonZeroU32::MIN.saturating_add(999),
            trading_symbols: ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
                .iter()
                .filter_map(|symbol| symbol.parse().ok())
                .collect(),
            max_order_notional_usd: dec!(1000),
            max_position_notional_usd: dec!(1_000_000),
            max_daily_loss_usd: dec!(200),
            max_orders_per_minute: 1_000,
            max_price_age_ms: 10_000,
            max_signal_age_seconds: 300,
            default_order_notional_usd: dec!(100),
            quantity_decimals: QuantityDecimals { usual: 4, others: Vec::new() },
            confirm_orders: ConfirmOrders::Live,
            confirm_timeout_seconds: 120,
            reconcile_interval_seconds: 1,
            notifier_url: Receiver::None,
            audit_url: Receiver::None,
        }
    }

    /// For tests: nothing is traded.
    #[must_use]
    pub fn off() -> Self {
        let nowhere = Url::parse("http://127.0.0.1:1/").unwrap_or_else(|_| unreachable!("a URL"));
        Self { trading_mode: TradingModeSetting::Off, ..Self::ephemeral(nowhere) }
    }

    /// Checks the settings; `None` when trading is off.
    pub(crate) fn checked(&self) -> Result<Option<(Rules, bingx::Settings)>, StartError> {
        let mode = match self.trading_mode {
            TradingModeSetting::Paper => TradingMode::Paper,
            TradingModeSetting::Live => TradingMode::Live,
            TradingModeSetting::Off => return Ok(None),
        };
        self.check_address(mode)?;
        let key = web::secret("BINGX_API_KEY", self.bingx_api_key.as_ref(), self.bingx_api_key_file.as_deref())?;
        let signs =
            web::secret("BINGX_SECRET_KEY", self.bingx_secret_key.as_ref(), self.bingx_secret_key_file.as_deref())?;
        let needed = |setting, given: Option<SecretString>, usual: &str| match (given, mode) {
            (Some(given), _) => Ok(given),
            (None, TradingMode::Paper) => Ok(SecretString::from(usual)),
            (None, TradingMode::Live) => {
                Err(refused(setting, "live mode needs BingX's keys; TRADING_MODE=paper trades without real money"))
            }
        };
        if self.trading_symbols.is_empty() {
            return Err(refused("TRADING_SYMBOLS", "at least one symbol, or TRADING_MODE=off"));
        }
        if let Some(symbol) = self.trading_symbols.iter().find(|symbol| !is_in_dollars(symbol)) {
            let reason = format!(
                "{symbol} is not traded for a dollar coin ({}): its amounts would be compared with limits in US dollars. Leave \
                 it out",
                DOLLARS.join(", ")
            );
            return Err(refused("TRADING_SYMBOLS", &reason));
        }
        if self.confirm_timeout_seconds > self.max_signal_age_seconds {
            let reason =
                "whoever confirms later than MAX_SIGNAL_AGE_SECONDS after the signal is refused: make it shorter";
            return Err(refused("CONFIRM_TIMEOUT_SECONDS", reason));
        }
        let mut settings = bingx::Settings::new(
            self.bingx_api_url.clone(),
            needed("BINGX_API_KEY", key, SIMULATED_KEY)?,
            needed("BINGX_SECRET_KEY", signs, SIMULATED_SECRET)?,
        );
        settings.recv_window_ms = self.bingx_recv_window_ms;
        settings.orders_per_second = self.bingx_orders_per_second;
        settings.order_timeout = Duration::from_millis(self.bingx_order_timeout_ms);
        let confirms = match self.confirm_orders {
            ConfirmOrders::Always => true,
            ConfirmOrders::Live => mode == TradingMode::Live,
            ConfirmOrders::Never => false,
        };
        let rules = Rules {
            mode,
            limits: self.limits(),
            default_notional: self.default_order_notional_usd,
            decimals: self.quantity_decimals.clone(),
            confirm_within: confirms.then(|| Duration::from_secs(self.confirm_timeout_seconds)),
            reconcile_interval: Duration::from_secs(self.reconcile_interval_seconds),
            times: SendTimes {
                answer: settings.order_timeout,
                recv_window: Duration::from_millis(u64::from(self.bingx_recv_window_ms)),
                margin: SendTimes::usual_margin(),
            },
        };
        Ok(Some((rules, settings)))
    }

    fn limits(&self) -> Limits {
        Limits {
            symbols: self.trading_symbols.clone(),
            max_order_notional_usd: self.max_order_notional_usd,
            max_position_notional_usd: self.max_position_notional_usd,
            max_daily_loss_usd: self.max_daily_loss_usd,
            max_orders_per_minute: self.max_orders_per_minute,
            max_price_age_ms: self.max_price_age_ms,
            max_signal_age_seconds: self.max_signal_age_seconds,
        }
    }

    /// Real money never moves by a mistake in one setting.
    fn check_address(&self, mode: TradingMode) -> Result<(), StartError> {
        let url = &self.bingx_api_url;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(refused("BINGX_API_URL", "an http:// or https:// URL with a host"));
        }
        let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        match mode {
            TradingMode::Paper if is_bingx(&host) && !DEMO_HOSTS.contains(&host.as_str()) => {
                let reason = "paper mode does not trade at BingX itself: set https://open-api-vst.bingx.com (demo money) or \
                              the simulator, or TRADING_MODE=live";
                Err(refused("BINGX_API_URL", reason))
            }
            TradingMode::Live if url.scheme() != "https" => {
                Err(refused("BINGX_API_URL", "live mode trades over https:// only: https://open-api.bingx.com"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a symbol's amounts are US dollars, so that they can be held against the limits.
fn is_in_dollars(symbol: &Symbol) -> bool {
    symbol.split().is_some_and(|(_, quote)| DOLLARS.contains(&quote))
}

/// `bingx.com`, its other endings, and every host below them.
fn is_bingx(host: &str) -> bool {
    host.split('.').any(|label| label == "bingx")
}

fn refused(setting: &'static str, reason: &str) -> StartError {
    StartError::Setting { setting, reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;
    use clap::builder::Resettable;
    use secrecy::ExposeSecret as _;

    use super::*;

    fn read(flags: &[&str]) -> Result<TradingSettings, clap::Error> {
        let command =
            TradingSettings::augment_args(clap::Command::new("test")).mut_args(|arg| arg.env(Resettable::Reset));
        TradingSettings::from_arg_matches(&command.try_get_matches_from([&["test"], flags].concat())?)
    }

    fn checked(flags: &[&str]) -> Result<Option<(Rules, bingx::Settings)>, String> {
        read(flags).unwrap().checked().map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_set_is_paper_trading_at_the_simulator() {
        let (rules, exchange) = checked(&[]).unwrap().unwrap();
        assert_eq!((rules.mode, rules.confirm_within), (TradingMode::Paper, None));
        assert_eq!(exchange.base_url.as_str(), "http://127.0.0.1:8090/");
        assert_eq!(exchange.api_key.expose_secret(), SIMULATED_KEY);
        assert_eq!(rules.limits.symbols.len(), 3);
        assert!(bingx::Client::new(exchange).is_ok());
        assert!(checked(&["--trading-mode", "off"]).unwrap().is_none());
    }

    #[test]
    fn paper_never_reaches_the_real_exchange_and_live_never_goes_unencrypted() {
        let paper = |url: &str| checked(&["--bingx-api-url", url]).map(|_| ());
        for real in [
            "https://open-api.bingx.com",
            "https://OPEN-API.BINGX.COM./",
            "http://bingx.com",
            "https://open-api.bingx.pro",
            "https://x.bingx.io:8443/path",
        ] {
            assert!(paper(real).unwrap_err().contains("BINGX_API_URL"), "{real}");
        }
        for other in ["https://open-api-vst.bingx.com", "http://127.0.0.1:1", "https://notbingx.com"] {
            assert_eq!(paper(other), Ok(()), "{other}");
        }
        let live = ["--trading-mode", "live", "--bingx-api-key", "k", "--bingx-secret-key", "s", "--bingx-api-url"];
        assert!(checked(&[&live[..], &["http://open-api.bingx.com"]].concat()).unwrap_err().contains("https"));
        let (rules, _) = checked(&[&live[..], &["https://open-api.bingx.com"]].concat()).unwrap().unwrap();
        assert_eq!((rules.mode, rules.confirm_within), (TradingMode::Live, Some(Duration::from_secs(120))));
        let keyless = checked(&["--trading-mode", "live", "--bingx-api-url", "https://open-api.bingx.com"]);
        assert!(keyless.unwrap_err().contains("BINGX_API_KEY"));
    }

    #[test]
    fn only_what_is_traded_for_dollars_is_held_against_limits_in_dollars() {
        let traded = |symbols: &str| checked(&["--trading-symbols", symbols]).map(|_| ());
        assert_eq!(traded("BTCUSDT,ETHUSDC,SOLUSD,BTCFDUSD"), Ok(()));
        for symbols in ["ETHBTC", "BTCUSDT,BTCEUR", "BTCXYZ"] {
            let refused = traded(symbols).unwrap_err();
            assert!(refused.contains("TRADING_SYMBOLS") && refused.contains("dollar"), "{refused}");
        }
    }

    #[test]
    fn keys_never_show_and_come_from_files() {
        let file = std::env::temp_dir().join(format!("bingx-key-{}", std::process::id()));
        std::fs::write(&file, "from-file\n").unwrap();
        let settings =
            read(&["--bingx-secret-key", "given-secret", "--bingx-api-key-file", file.to_str().unwrap()]).unwrap();
        let checked = settings.checked().unwrap().unwrap().1;
        std::fs::remove_file(&file).unwrap();
        assert_eq!(checked.api_key.expose_secret(), "from-file");
        let shown = format!("{settings:?} {checked:?}");
        assert!(!shown.contains("given-secret") && !shown.contains("\"from-file"), "{shown}");
        assert!(settings.checked().unwrap_err().to_string().contains("cannot be read"));
    }

    #[test]
    fn numbers_are_held_to_their_bounds() {
        for flags in [
            ["--max-order-notional-usd", "0"],
            ["--max-daily-loss-usd", "-1"],
            ["--default-order-notional-usd", "many"],
            ["--quantity-decimals", "19"],
            ["--quantity-decimals", "4,BTC/USDT=1"],
            ["--bingx-orders-per-second", "0"],
            ["--notifier-url", "ftp://x/"],
            ["--trading-symbols", "BTC"],
        ] {
            assert!(read(&flags).is_err(), "{flags:?}");
        }
        let decimals: QuantityDecimals = "3,SOLUSDT=1, ethusdt=2".parse().unwrap();
        let of = |symbol: &str| decimals.of(&symbol.parse().unwrap());
        assert_eq!((of("BTCUSDT"), of("SOLUSDT"), of("ETHUSDT")), (3, 1, 2));
        assert!(checked(&["--confirm-timeout-seconds", "301"]).unwrap_err().contains("CONFIRM_TIMEOUT_SECONDS"));
    }
}
