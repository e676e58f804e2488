//! Waiting for conditions.

use std::time::{Duration, Instant};

/// Far beyond what anything here takes: only a defect reaches it.
const LIMIT: Duration = Duration::from_secs(90);

/// Polls until `probe` gives something.
pub(crate) fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(started.elapsed() < LIMIT, "waited {} s in vain: {what}", LIMIT.as_secs());
        std::thread::sleep(Duration::from_millis(100));
    }
}
