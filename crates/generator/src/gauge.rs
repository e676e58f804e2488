//! How many signals wait for the bus: set at every change and each second.

use std::time::Duration;

use telemetry::metrics::generator::UNPUBLISHED;
use web::CancellationToken;

use crate::making::Maker;

/// Longest time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Changes within this time are one.
const TOGETHER: Duration = Duration::from_millis(100);

/// Keeps the gauge true until `stop` is cancelled. While the database is away it stays as it was: that says so itself.
pub(crate) async fn keep_up(maker: Maker, stop: CancellationToken) {
    let mut said = false;
    loop {
        match maker.signals.waiting(i64::MAX).await {
            Ok(waiting) => {
                said = false;
                #[expect(clippy::cast_precision_loss, reason = "a figure for charts")]
                UNPUBLISHED.set(waiting as f64, &[]);
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
            () = maker.changed.notified() => {}
            () = tokio::time::sleep(INTERVAL - TOGETHER) => {}
        }
    }
}
