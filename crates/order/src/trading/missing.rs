//! Orders that the exchange had and no longer knows: after a reset of its account, or of its memory.
//!
//! One such answer may come from a part of the exchange that is behind. So it counts only after several of them, spread
//! over longer than an order could still be on its way; then nobody knows what became of the order, and a person decides.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::DecisionId;

/// Answers that it takes.
const ANSWERS: u32 = 3;

/// Which orders the exchange did not know when it was asked last, since when, and how often in a row it said so.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    orders: Mutex<HashMap<DecisionId, (Instant, u32)>>,
}

impl Missing {
    /// The exchange does not know an order that it had; whether it has said so often and long enough.
    pub(crate) fn told(&self, id: &DecisionId, now: Instant, settled: Duration) -> bool {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, answers) = orders.entry(id.clone()).or_insert((now, 0));
        *answers = answers.saturating_add(1);
        *answers >= ANSWERS && now.duration_since(*since) > settled
    }

    /// It knows the order, or the order is looked after no more.
    pub(crate) fn forget(&self, id: &DecisionId) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_several_answers_over_some_time() {
        let (missing, id) = (Missing::default(), DecisionId::from_bytes([1; 16]));
        let (settled, begin) = (Duration::from_secs(13), Instant::now());
        for _ in 0..10 {
            assert!(!missing.told(&id, begin, settled), "as often as it may be said at once");
        }
        let later = begin + settled * 2;
        missing.forget(&id);
        assert!(!missing.told(&id, later, settled), "it was known in between");
        let latest = later + settled * 2;
        assert!(!missing.told(&id, latest, settled), "twice is not enough");
        assert!(missing.told(&id, latest, settled));
    }
}
