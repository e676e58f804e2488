//! Orders a second.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::error::ApiError;

const SECOND_MS: i64 = 1_000;

/// Counts the orders of the last second; there is one key, so one count.
#[derive(Debug)]
pub(super) struct OrderRate {
    per_second: usize,
    placed: Mutex<VecDeque<i64>>,
}

impl OrderRate {
    pub(super) fn new(per_second: u32) -> Self {
        Self { per_second: usize::try_from(per_second).unwrap_or(usize::MAX), placed: Mutex::new(VecDeque::new()) }
    }

    /// Counts an order, or refuses it.
    pub(super) fn admit(&self, now_ms: i64) -> Result<(), ApiError> {
        let mut placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        while placed.front().is_some_and(|at| now_ms - at >= SECOND_MS) {
            placed.pop_front();
        }
        if placed.len() >= self.per_second {
            return Err(ApiError::too_often());
        }
        placed.push_back(now_ms);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more() {
        let rate = OrderRate::new(2);
        assert!(rate.admit(100).is_ok() && rate.admit(900).is_ok());
        assert_eq!(rate.admit(1_099), Err(ApiError::too_often()));
        assert!(rate.admit(1_100).is_ok());
        assert_eq!(rate.admit(1_200), Err(ApiError::too_often()));
    }
}
