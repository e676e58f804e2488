//! Whether real money moves, as order-service last said.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use domain::TradingMode;
use web::CancellationToken;

use crate::backends::Backends;

/// How often it is asked for, and how soon again while order-service is away.
const REFRESH: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(5);

/// After so many failures in a row nothing is known any more: it may have been restarted with another mode.
const FORGOTTEN_AFTER: u32 = 24;

const UNKNOWN: u8 = 0;
const PAPER: u8 = 1;
const LIVE: u8 = 2;

/// The mode, kept up to date in the background and by whatever order-service says meanwhile.
#[derive(Debug, Clone, Default)]
pub struct KnownMode {
    mode: Arc<AtomicU8>,
}

impl KnownMode {
    /// The mode; none while order-service has not been heard.
    #[must_use]
    pub fn get(&self) -> Option<TradingMode> {
        match self.mode.load(Ordering::Relaxed) {
            PAPER => Some(TradingMode::Paper),
            LIVE => Some(TradingMode::Live),
            _ => None,
        }
    }

    /// Notes what order-service said.
    pub fn learn(&self, mode: TradingMode) {
        let mode = match mode {
            TradingMode::Paper => PAPER,
            TradingMode::Live => LIVE,
        };
        self.mode.store(mode, Ordering::Relaxed);
    }

    /// Keeps learning until told to stop.
    pub(crate) async fn keep_up(self, backends: Backends, stop: CancellationToken) {
        let mut failures = 0_u32;
        loop {
            let pause = match backends.trading_status_quietly().await {
                Ok(status) => {
                    failures = 0;
                    self.learn(status.mode);
                    REFRESH
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    if failures == FORGOTTEN_AFTER {
                        self.mode.store(UNKNOWN, Ordering::Relaxed);
                    }
                    tracing::debug!(error = %error, "whether real money moves cannot be asked now");
                    RETRY
                }
            };
            if tokio::time::timeout(pause, stop.cancelled()).await.is_ok() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_before_somebody_said_so() {
        let known = KnownMode::default();
        assert_eq!(known.get(), None);
        for mode in [TradingMode::Live, TradingMode::Paper] {
            known.clone().learn(mode);
            assert_eq!(known.get(), Some(mode));
        }
    }
}
