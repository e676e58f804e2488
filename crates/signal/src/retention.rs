//! Deletes what is not needed any more, a little at a time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use storage::StorageError;
use web::CancellationToken;

use crate::dispatch::Dispatch;
use crate::signals::Signals;

/// Most rows that one statement deletes: others wait for it.
const BATCH: i64 = 500;

/// Time between two looks, and between two batches.
const INTERVAL: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// Deletes signals whose outcome has been known for longer than `kept_for`, and keys that have expired, until `stop` is
/// cancelled. What waits is never deleted.
pub(crate) async fn keep_small(signals: Signals, dispatch: Dispatch, kept_for: Duration, stop: CancellationToken) {
    loop {
        let wait = match clean(&signals, &dispatch, Utc::now() - kept_for).await {
            // There may be more.
            Ok(true) => PAUSE,
            Ok(false) => INTERVAL,
            Err(error) => {
                // The database says itself that it is away; here it is only waited for.
                if !error.is_passing() {
                    tracing::error!(error = %error, "old signals cannot be deleted");
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

/// Deletes a batch of each kind. Tells whether there may be more.
async fn clean(signals: &Signals, dispatch: &Dispatch, before: DateTime<Utc>) -> Result<bool, StorageError> {
    let keys = signals.forget_keys(Utc::now(), BATCH).await?;
    let executed = signals.forget_executed(before, BATCH).await?;
    let failed = signals.failed_before(before, BATCH).await?;
    for id in &failed {
        // What is set aside of it first: a signal that is listed no more must not be there any more.
        dispatch.discard(id).await?;
        signals.forget_failed(id).await?;
    }
    let full = BATCH.unsigned_abs();
    Ok(keys >= full || executed >= full || u64::try_from(failed.len()).is_ok_and(|count| count >= full))
}
