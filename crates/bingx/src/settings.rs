//! What a [`crate::Client`] needs to know.

use std::num::NonZeroU32;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

/// Longest `recvWindow` that BingX takes, in milliseconds.
pub const MOST_RECV_WINDOW_MS: u32 = 5_000;

/// Where BingX is, who calls, and how long and how often. The keys redact themselves in `Debug`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `https://open-api.bingx.com`, `https://open-api-vst.bingx.com` (demo money), or a simulator.
    pub base_url: Url,
    /// Sent as `X-BX-APIKEY`.
    pub api_key: SecretString,
    /// Signs; never sent.
    pub secret_key: SecretString,
    /// How old a call may be when it reaches BingX, in milliseconds; at most [`MOST_RECV_WINDOW_MS`].
    pub recv_window_ms: u32,
    /// Most orders (placed or cancelled) that are sent in any second; BingX allows 10 for a user. Half of them may go out
    /// at once.
    pub orders_per_second: NonZeroU32,
    /// Longest wait for the answer to a placed or cancelled order. When it is over the order may still exist.
    pub order_timeout: Duration,
    /// Longest wait for any other answer.
    pub query_timeout: Duration,
    /// Largest answer that is read, in bytes.
    pub max_response_bytes: usize,
}

/// Settings with which no client can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The key is missing, or would not survive as a header.
    #[error("the BingX API key is made of visible ASCII characters, as BingX shows it")]
    ApiKey,
    /// The secret is missing.
    #[error("the BingX secret key is empty")]
    SecretKey,
    /// Too long a window, or none.
    #[error("recvWindow is from 1 to {MOST_RECV_WINDOW_MS} milliseconds")]
    RecvWindow,
}

impl Settings {
    /// Sane values for the real exchange.
    #[must_use]
    pub fn new(base_url: Url, api_key: SecretString, secret_key: SecretString) -> Self {
        Self {
            base_url,
            api_key,
            secret_key,
            recv_window_ms: MOST_RECV_WINDOW_MS,
            orders_per_second: NonZeroU32::MIN.saturating_add(9),
            order_timeout: Duration::from_secs(8),
            query_timeout: Duration::from_secs(5),
            max_response_bytes: 1024 * 1024,
        }
    }
}
