//! Deletes what is not needed any more, a little at a time.

use std::time::Duration;

use web::CancellationToken;

use crate::store::{Store, now};

/// Most rows of a kind that one look deletes: others wait for it.
const BATCH: u16 = 500;

/// Time between two looks, and between two batches.
const INTERVAL: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// Deletes what ended longer than `kept_for` ago, until `stop` is cancelled. What waits or runs is never deleted.
pub(crate) async fn keep_small(store: Store, kept_for: Duration, stop: CancellationToken) {
    loop {
        let now = now();
        let wait = match store.sweep(now - kept_for, BATCH, now).await {
            // There may be more.
            Ok(swept) if swept.is_full(BATCH) => PAUSE,
            Ok(_) => INTERVAL,
            Err(error) => {
                // The database says itself that it is away; here it is only waited for.
                if !error.is_passing() {
                    tracing::error!(error = %error, "old executions cannot be deleted");
                }
                INTERVAL / 60
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait.mul_f64(rand::random_range(0.5..=1.0))) => {}
        }
    }
}
