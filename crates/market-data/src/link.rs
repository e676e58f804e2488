//! How the two ways to the exchange are doing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use binance::rest::RestError;
use telemetry::metrics::market_data::STREAM_CONNECTED;
use tokio::sync::Notify;

/// State of the stream and of REST, and a bell that rings when the stream is lost.
#[derive(Debug, Default)]
pub(crate) struct Link {
    stream_up: AtomicBool,
    rest_fault: Mutex<Option<String>>,
    lost: Notify,
}

impl Link {
    pub(crate) fn stream_is_up(&self) -> bool {
        self.stream_up.load(Ordering::Acquire)
    }

    pub(crate) fn set_stream_up(&self, up: bool) {
        let was_up = self.stream_up.swap(up, Ordering::AcqRel);
        STREAM_CONNECTED.set(if up { 1.0 } else { 0.0 }, &[]);
        if was_up && !up {
            self.lost.notify_one();
        }
    }

    /// Waits until the stream is lost.
    pub(crate) async fn stream_lost(&self) {
        self.lost.notified().await;
    }

    /// What REST failed with last, if its last call failed.
    pub(crate) fn rest_fault(&self) -> Option<String> {
        self.fault().clone()
    }

    /// Notes the outcome of a REST call, and logs when it differs from the last one's: not at every poll.
    pub(crate) fn note_rest<T>(&self, outcome: &Result<T, RestError>) {
        let mut fault = self.fault();
        match outcome {
            Ok(_) => {
                if fault.take().is_some() {
                    tracing::info!("the exchange answers over REST again");
                }
            }
            Err(error) => {
                if fault.is_none() {
                    tracing::warn!(error = %error, kind = error.label(), "the exchange gives no answer over REST");
                }
                *fault = Some(error.to_string());
            }
        }
    }

    fn fault(&self) -> MutexGuard<'_, Option<String>> {
        self.rest_fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use binance::rest::Withheld;

    use super::*;

    #[tokio::test]
    async fn the_bell_rings_when_the_stream_is_lost_and_only_then() {
        let link = Link::default();
        link.set_stream_up(false);
        link.set_stream_up(true);
        assert!(futures_util::FutureExt::now_or_never(link.stream_lost()).is_none());
        link.set_stream_up(false);
        link.stream_lost().await;
    }

    #[test]
    fn the_last_outcome_counts() {
        let link = Link::default();
        let withheld = RestError::Withheld { why: Withheld::Weight, retry_after: Duration::from_secs(3) };
        link.note_rest::<()>(&Err(withheld));
        assert!(link.rest_fault().unwrap().contains("3 s"));
        link.note_rest(&Ok(()));
        assert_eq!(link.rest_fault(), None);
    }
}
