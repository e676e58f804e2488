//! What all simulated systems share.

use std::io::{Error, ErrorKind};
use std::path::Path;
use std::time::Duration;

use chrono::Utc;
use secrecy::{ExposeSecret as _, SecretString};
use web::CancellationToken;

use crate::binance::Limits;
use crate::bingx::{self, Bingx};
use crate::config::{Config, DEFAULT_BINGX_API_KEY, DEFAULT_BINGX_SECRET_KEY, DEFAULT_BOT_TOKEN};
use crate::error::StartError;
use crate::faults::Faults;
use crate::market::Market;
use crate::telegram::{BotToken, Telegram};

/// The simulated outside world.
pub(crate) struct World {
    pub(crate) market: Market,
    pub(crate) faults: Faults,
    pub(crate) limits: Limits,
    pub(crate) sockets: SocketSettings,
    pub(crate) telegram: Telegram,
    pub(crate) llm_api_key: Option<SecretString>,
    pub(crate) bingx: Bingx,
    /// Cancelled when the simulator stops: everything that holds a request open heeds it.
    pub(crate) stop: CancellationToken,
}

/// How the exchange treats its WebSocket connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SocketSettings {
    pub(crate) ping_interval: Duration,
    pub(crate) pong_timeout: Duration,
    pub(crate) lifetime: Duration,
}

impl World {
    pub(crate) fn new(config: &Config, stop: CancellationToken) -> Result<Self, StartError> {
        let token = secret(
            "TELEGRAM_BOT_TOKEN_FILE",
            Some(&config.telegram_bot_token),
            config.telegram_bot_token_file.as_deref(),
        )?;
        let token = token.unwrap_or_else(|| SecretString::from(DEFAULT_BOT_TOKEN));
        let token = BotToken::new(token.expose_secret()).ok_or(StartError::BotToken)?;
        let api_key =
            secret("SIMULATOR_BINGX_API_KEY_FILE", Some(&config.bingx_api_key), config.bingx_api_key_file.as_deref())?;
        let secret_key = secret(
            "SIMULATOR_BINGX_SECRET_KEY_FILE",
            Some(&config.bingx_secret_key),
            config.bingx_secret_key_file.as_deref(),
        )?;
        let bingx = Bingx::new(bingx::Settings {
            api_key: api_key.unwrap_or_else(|| SecretString::from(DEFAULT_BINGX_API_KEY)),
            secret_key: secret_key.unwrap_or_else(|| SecretString::from(DEFAULT_BINGX_SECRET_KEY)),
            balance: config.bingx_balance_usdt,
            orders_per_second: config.bingx_orders_per_second,
            price_url: config.bingx_price_url.as_ref(),
            data_dir: config.data_dir.as_deref(),
        })?;
        Ok(Self {
            bingx,
            market: Market::new(config.seconds_per_candle, config.start_at, config.seed, now_ms())?,
            faults: Faults::new(config.seed),
            limits: Limits::new(config.binance_weight_limit, config.binance_connections_per_5_min),
            sockets: SocketSettings {
                ping_interval: Duration::from_millis(config.binance_ping_interval_ms),
                pong_timeout: Duration::from_millis(config.binance_pong_timeout_ms),
                lifetime: Duration::from_millis(config.binance_connection_lifetime_ms),
            },
            telegram: Telegram::new(token, &config.telegram_user_ids),
            llm_api_key: secret("LLM_API_KEY_FILE", config.llm_api_key.as_ref(), config.llm_api_key_file.as_deref())?,
            stop,
        })
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    Utc::now().timestamp_millis()
}

/// A secret from its file, or else from its variable; an empty variable is none, an empty file a mistake.
fn secret(
    setting: &'static str,
    value: Option<&SecretString>,
    file: Option<&Path>,
) -> Result<Option<SecretString>, StartError> {
    let Some(path) = file else {
        return Ok(value.filter(|value| !value.expose_secret().trim().is_empty()).cloned());
    };
    let failed = |source| StartError::SecretFile { setting, path: path.to_owned(), source };
    match std::fs::read_to_string(path).map_err(failed)?.trim() {
        "" => Err(failed(Error::new(ErrorKind::InvalidData, "it is empty"))),
        text => Ok(Some(SecretString::from(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_wins_over_the_variable_and_an_empty_variable_is_none() {
        let given = SecretString::from("given");
        let path = std::env::temp_dir().join(format!("simulator-secret-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, "from-file\n").unwrap();
        let both = secret("LLM_API_KEY_FILE", Some(&given), Some(&path));
        std::fs::write(&path, "\n").unwrap();
        let empty = secret("LLM_API_KEY_FILE", Some(&given), Some(&path));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(both.unwrap().unwrap().expose_secret(), "from-file");
        assert!(empty.unwrap_err().to_string().starts_with("LLM_API_KEY_FILE: "));
        assert!(secret("LLM_API_KEY_FILE", Some(&SecretString::from("")), None).unwrap().is_none());
    }

    #[test]
    fn with_empty_variables_the_bot_has_the_default_token_and_any_key_will_do() {
        let config = Config {
            telegram_bot_token: SecretString::from(""),
            llm_api_key: Some(SecretString::from("")),
            ..Config::ephemeral()
        };
        let world = World::new(&config, CancellationToken::new()).unwrap();
        assert!(world.llm_api_key.is_none());
    }
}
