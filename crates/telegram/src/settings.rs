//! What a [`crate::Client`] needs to know.

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// Where Telegram is, who the bot is, and how long and how much a call may take.
#[derive(Clone)]
pub struct Settings {
    /// Base URL without the token: `https://api.telegram.org`, or the simulator's.
    pub api_url: Url,
    /// The bot's token, as BotFather gave it.
    pub token: SecretString,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for an ordinary call, connection included.
    pub request_timeout: Duration,
    /// Time a long poll gets on top of the seconds that it asks Telegram to hold.
    pub long_poll_margin: Duration,
    /// Largest answer that is read, in bytes.
    pub max_response_bytes: usize,
}

/// Settings with which no client can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The token would not survive as one segment of a path.
    #[error("the Telegram bot token is made of letters, digits, ':', '_' and '-', as BotFather gave it")]
    Token,
    /// A URL that cannot be a base.
    #[error("the Telegram API URL is an http or https URL without query, like https://api.telegram.org")]
    ApiUrl,
    /// The HTTP client cannot be built.
    #[error("the HTTP client for Telegram cannot be built: {0}")]
    Http(String),
}

impl Settings {
    /// Time limits that suit Telegram itself.
    #[must_use]
    pub fn new(api_url: Url, token: SecretString) -> Self {
        Self {
            api_url,
            token,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
            long_poll_margin: Duration::from_secs(10),
            max_response_bytes: 4 * 1024 * 1024,
        }
    }

    /// `{api_url}/bot{token}`: a secret, since the token is in it.
    pub(crate) fn bot_url(&self) -> Result<SecretString, SettingsError> {
        let token = self.token.expose_secret();
        let plain = !token.is_empty() && token.bytes().all(|b| b.is_ascii_alphanumeric() || b":_-".contains(&b));
        if !plain {
            return Err(SettingsError::Token);
        }
        let http = matches!(self.api_url.scheme(), "http" | "https");
        if !http || self.api_url.query().is_some() || self.api_url.fragment().is_some() {
            return Err(SettingsError::ApiUrl);
        }
        let base = self.api_url.as_str().trim_end_matches('/');
        Ok(format!("{base}/bot{token}").into())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("api_url", &self.api_url.host_str())
            .field("token", &"[redacted]")
            .field("request_timeout", &self.request_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str, token: &str) -> Settings {
        Settings::new(url.parse().unwrap(), token.to_owned().into())
    }

    #[test]
    fn joins_base_and_token_and_keeps_a_path() {
        let url = settings("https://api.telegram.org", "12:aB_-c").bot_url().unwrap();
        assert_eq!(url.expose_secret(), "https://api.telegram.org/bot12:aB_-c");
        let url = settings("http://127.0.0.1:8090/telegram/", "1:x").bot_url().unwrap();
        assert_eq!(url.expose_secret(), "http://127.0.0.1:8090/telegram/bot1:x");
    }

    #[test]
    fn refuses_what_would_change_the_path() {
        for token in ["", "1:x/../getMe", "1:x?y", "1:x\n", "1:ü"] {
            assert_eq!(settings("http://h", token).bot_url().unwrap_err(), SettingsError::Token, "{token}");
        }
        assert_eq!(settings("ftp://h", "1:x").bot_url().unwrap_err(), SettingsError::ApiUrl);
        assert_eq!(settings("http://h/?a=b", "1:x").bot_url().unwrap_err(), SettingsError::ApiUrl);
    }

    #[test]
    fn debug_hides_the_token() {
        assert!(!format!("{:?}", settings("http://h", "12:hidden")).contains("hidden"));
    }
}
