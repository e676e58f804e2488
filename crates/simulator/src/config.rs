//! Settings of the simulator.

use std::fmt;
use std::num::NonZeroU16;
use std::path::PathBuf;

use clap::Args;
use rust_decimal::Decimal;
use secrecy::SecretString;
use url::Url;

use crate::market::StartAt;

/// The bot's token when none is set: nothing but this simulator accepts it.
pub const DEFAULT_BOT_TOKEN: &str = "1000000001:SIMULATED-bot-token-of-no-value-000";

/// Key of the paper account when none is set: of no value, nothing but this simulator accepts it.
pub const DEFAULT_BINGX_API_KEY: &str = "simulated-api-key";

/// What signs for the paper account when no secret is set: of no value, nothing but this simulator accepts it.
pub const DEFAULT_BINGX_SECRET_KEY: &str = "simulated-secret-key";

/// Settings of the simulated outside world.
#[derive(Clone, Args)]
pub struct Config {
    /// Where and how it listens
    #[command(flatten)]
    pub server: web::ServerSettings,

    /// Seconds that a base candle ("1m") lasts, 1 to 3600: less than 60 makes the market run faster than life
    #[arg(long, env = "SIMULATOR_SECONDS_PER_CANDLE", default_value = "60", value_parser = candle_seconds, help_heading = "Market")]
    pub seconds_per_candle: NonZeroU16,

    /// Minute of the recorded month (January 2022) that forms at the start: its number, or a time like 2022-01-22T01:00.
    /// The month begins again when it is over
    #[arg(long, env = "SIMULATOR_START_AT", default_value_t = StartAt::default(), help_heading = "Market")]
    pub start_at: StartAt,

    /// Seed of the random walks (ETHUSDT, SOLUSDT) and of faults that hit by chance
    #[arg(long, env = "SIMULATOR_SEED", default_value_t = 1, help_heading = "Market")]
    pub seed: u64,

    /// Request weight that an address may use in a minute
    #[arg(long, env = "SIMULATOR_BINANCE_WEIGHT_LIMIT", default_value_t = 6_000, help_heading = "Binance")]
    pub binance_weight_limit: u32,

    /// WebSocket connections that an address may open in five minutes
    #[arg(long, env = "SIMULATOR_BINANCE_CONNECTIONS_PER_5_MIN", default_value_t = 300, help_heading = "Binance")]
    pub binance_connections_per_5_min: u32,

    /// Time between the pings of a WebSocket connection, in milliseconds
    #[arg(long, env = "SIMULATOR_BINANCE_PING_INTERVAL_MS", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Binance")]
    pub binance_ping_interval_ms: u64,

    /// Time in which a ping must be answered, in milliseconds; else the connection is closed
    #[arg(long, env = "SIMULATOR_BINANCE_PONG_TIMEOUT_MS", default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Binance")]
    pub binance_pong_timeout_ms: u64,

    /// Time after which a WebSocket connection is closed, in milliseconds; 24 hours on the real exchange
    #[arg(long, env = "SIMULATOR_BINANCE_CONNECTION_LIFETIME_MS", default_value_t = 86_400_000, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Binance")]
    pub binance_connection_lifetime_ms: u64,

    /// Token of the one bot there is
    #[arg(long, env = "TELEGRAM_BOT_TOKEN", default_value = DEFAULT_BOT_TOKEN, hide_env_values = true, help_heading = "Telegram")]
    pub telegram_bot_token: SecretString,

    /// File that holds the bot's token; wins over the token itself
    #[arg(long, env = "TELEGRAM_BOT_TOKEN_FILE", help_heading = "Telegram")]
    pub telegram_bot_token_file: Option<PathBuf>,

    /// Ids of the people who have started the bot before; the chat page offers them
    #[arg(long, env = "SIMULATOR_TELEGRAM_USER_IDS", value_delimiter = ',', default_value = "1001,1002", value_parser = clap::value_parser!(i64).range(1..), help_heading = "Telegram")]
    pub telegram_user_ids: Vec<i64>,

    /// Shortest time until a refused webhook delivery is tried again, in milliseconds; doubles up to a minute
    #[arg(long, env = "SIMULATOR_WEBHOOK_RETRY_MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Telegram")]
    pub webhook_retry_ms: u64,

    /// Key that the language model asks for; any key will do when it is left out
    #[arg(long, env = "LLM_API_KEY", hide_env_values = true, help_heading = "Language model")]
    pub llm_api_key: Option<SecretString>,

    /// File that holds the key; wins over the key itself
    #[arg(long, env = "LLM_API_KEY_FILE", help_heading = "Language model")]
    pub llm_api_key_file: Option<PathBuf>,

    /// Key of the one account there is
    #[arg(long, env = "SIMULATOR_BINGX_API_KEY", default_value = DEFAULT_BINGX_API_KEY, hide_env_values = true, help_heading = "BingX")]
    pub bingx_api_key: SecretString,

    /// File that holds the key; wins over the key itself
    #[arg(long, env = "SIMULATOR_BINGX_API_KEY_FILE", help_heading = "BingX")]
    pub bingx_api_key_file: Option<PathBuf>,

    /// Secret that its calls are signed with
    #[arg(long, env = "SIMULATOR_BINGX_SECRET_KEY", default_value = DEFAULT_BINGX_SECRET_KEY, hide_env_values = true, help_heading = "BingX")]
    pub bingx_secret_key: SecretString,

    /// File that holds the secret; wins over the secret itself
    #[arg(long, env = "SIMULATOR_BINGX_SECRET_KEY_FILE", help_heading = "BingX")]
    pub bingx_secret_key_file: Option<PathBuf>,

    /// Paper money that a new account begins with, in USDT: above 0, at most a billion
    #[arg(long, env = "SIMULATOR_BINGX_BALANCE_USDT", default_value = "10000", value_parser = paper_money, help_heading = "BingX")]
    pub bingx_balance_usdt: Decimal,

    /// Orders that may be placed in a second
    #[arg(long, env = "SIMULATOR_BINGX_ORDERS_PER_SECOND", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000), help_heading = "BingX")]
    pub bingx_orders_per_second: u32,

    /// market-data-service, whose prices orders are filled at; left out, at those of the simulated market
    #[arg(long, env = "SIMULATOR_BINGX_PRICE_URL", help_heading = "BingX")]
    pub bingx_price_url: Option<Url>,

    /// Folder in which the paper account outlives a restart; left out, it lives in memory
    #[arg(long, env = "SIMULATOR_DATA_DIR", help_heading = "BingX")]
    pub data_dir: Option<PathBuf>,
}

fn paper_money(text: &str) -> Result<Decimal, String> {
    let amount = Decimal::from_str_exact(text).ok();
    amount
        .filter(|amount| *amount > Decimal::ZERO && *amount <= Decimal::from(1_000_000_000))
        .ok_or_else(|| "an amount above 0 and at most 1000000000, such as 10000".to_owned())
}

fn candle_seconds(text: &str) -> Result<NonZeroU16, String> {
    match text.parse::<NonZeroU16>() {
        Ok(seconds) if seconds.get() <= 3_600 => Ok(seconds),
        _ => Err("a candle lasts from 1 to 3600 seconds".to_owned()),
    }
}

impl Config {
    /// For tests: a free port, a second a candle, everything else as in life.
    #[must_use]
    pub fn ephemeral() -> Self {
        Self {
            server: web::ServerSettings::ephemeral(),
            seconds_per_candle: NonZeroU16::MIN,
            start_at: StartAt::default(),
            seed: 1,
            binance_weight_limit: 6_000,
            binance_connections_per_5_min: 300,
            binance_ping_interval_ms: 20_000,
            binance_pong_timeout_ms: 60_000,
            binance_connection_lifetime_ms: 86_400_000,
            telegram_bot_token: SecretString::from(DEFAULT_BOT_TOKEN),
            telegram_bot_token_file: None,
            telegram_user_ids: vec![1001, 1002],
            webhook_retry_ms: 1_000,
            llm_api_key: None,
            llm_api_key_file: None,
            bingx_api_key: SecretString::from(DEFAULT_BINGX_API_KEY),
            bingx_api_key_file: None,
            bingx_secret_key: SecretString::from(DEFAULT_BINGX_SECRET_KEY),
            bingx_secret_key_file: None,
            bingx_balance_usdt: Decimal::from(10_000),
            bingx_orders_per_second: 10,
            bingx_price_url: None,
            data_dir: None,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secrets redact themselves; the rest is what one looks for in a log.
        f.debug_struct("Config")
            .field("server", &self.server)
            .field("seconds_per_candle", &self.seconds_per_candle)
            .field("start_at", &self.start_at)
            .field("seed", &self.seed)
            .field("telegram_user_ids", &self.telegram_user_ids)
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use clap::builder::Resettable;
    use clap::{Command, FromArgMatches as _};

    use super::*;

    /// Reads flags and nothing else, whatever the developer's environment says.
    fn parse(args: &[&str]) -> Result<Config, String> {
        let command = Config::augment_args(Command::new("simulator")).mut_args(|arg| arg.env(Resettable::Reset));
        let args = std::iter::once(&"simulator").chain(args);
        let matches = command.try_get_matches_from(args).map_err(|error| error.to_string())?;
        Config::from_arg_matches(&matches).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_those_of_the_real_world_and_bad_values_are_named() {
        let config = parse(&[]).unwrap();
        assert_eq!((config.seconds_per_candle.get(), config.binance_weight_limit), (60, 6_000));
        assert_eq!(config.start_at, StartAt::default());
        assert_eq!(parse(&["--telegram-user-ids", "7,8"]).unwrap().telegram_user_ids, [7, 8]);
        assert!(parse(&["--seconds-per-candle", "0"]).unwrap_err().contains("1 to 3600 seconds"));
        assert!(parse(&["--seconds-per-candle", "3601"]).unwrap_err().contains("1 to 3600 seconds"));
        assert!(parse(&["--start-at", "2023-01-01T00:00"]).unwrap_err().contains("minute of the recorded month"));
        assert_eq!(config.bingx_balance_usdt, Decimal::from(10_000));
        for wrong in ["0", "-5", "much", "1000000001"] {
            let error = parse(&[&format!("--bingx-balance-usdt={wrong}")]).unwrap_err();
            assert!(error.contains("an amount above 0"), "{error}");
        }
        let keys =
            ["--telegram-bot-token", "1:secret", "--bingx-api-key", "a-secret", "--bingx-secret-key", "b-secret"];
        let shown = format!("{:?}", parse(&keys).unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
