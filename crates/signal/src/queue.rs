//! How many signals wait, and how long: set at every change and each second.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use telemetry::metrics::signal::{OLDEST_AGE, QUEUE_DEPTH};
use tokio::sync::Notify;
use web::CancellationToken;

use crate::signals::Signals;

/// Longest time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Changes within this time are one.
const TOGETHER: Duration = Duration::from_millis(50);

/// The gauges of what waits.
#[derive(Clone)]
pub(crate) struct Queue {
    signals: Signals,
    changed: Arc<Notify>,
}

impl Queue {
    pub(crate) fn new(signals: Signals) -> Self {
        Self { signals, changed: Arc::default() }
    }

    /// Something has come in, or its outcome is known.
    pub(crate) fn changed(&self) {
        self.changed.notify_one();
    }

    /// Keeps the gauges true until `stop` is cancelled. While the database is away they stay as they were: it says so
    /// itself.
    pub(crate) async fn keep_up(self, stop: CancellationToken) {
        let mut said = false;
        loop {
            match self.signals.waiting().await {
                Ok(waiting) => {
                    said = false;
                    let age = waiting.oldest.and_then(|oldest| (Utc::now() - oldest).to_std().ok()).unwrap_or_default();
                    #[expect(clippy::cast_precision_loss, reason = "a figure for charts")]
                    QUEUE_DEPTH.set(waiting.depth as f64, &[]);
                    OLDEST_AGE.set(age.as_secs_f64(), &[]);
                }
                Err(error) if error.is_passing() => {}
                Err(error) => {
                    if !std::mem::replace(&mut said, true) {
                        tracing::error!(error = %error, "the signals that wait cannot be counted");
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(TOGETHER) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified() => {}
                () = tokio::time::sleep(INTERVAL - TOGETHER) => {}
            }
        }
    }
}
