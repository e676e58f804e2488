//! Binance allows an address 300 connections in five minutes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Window of the limit.
const WINDOW: Duration = Duration::from_secs(300);
/// Half of what is allowed: another process, or the service's next generation, may share the address.
const CONNECTIONS: usize = 150;

/// Times of the connections of the last five minutes.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    attempts: VecDeque<Instant>,
}

impl Pace {
    /// How long to wait before a connection may be made; nothing when it may be made now.
    pub(crate) fn wait(&mut self, now: Instant) -> Duration {
        while self.attempts.front().is_some_and(|oldest| now.saturating_duration_since(*oldest) >= WINDOW) {
            self.attempts.pop_front();
        }
        match self.attempts.front() {
            Some(oldest) if self.attempts.len() >= CONNECTIONS => {
                WINDOW.saturating_sub(now.saturating_duration_since(*oldest))
            }
            _ => Duration::ZERO,
        }
    }

    /// Counts an attempt, whether it succeeds or not.
    pub(crate) fn attempt(&mut self, now: Instant) {
        self.attempts.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_back_when_the_window_is_full() {
        let mut pace = Pace::default();
        let start = Instant::now();
        for n in 0..CONNECTIONS {
            let now = start + Duration::from_secs(u64::try_from(n).unwrap() / 10);
            assert_eq!(pace.wait(now), Duration::ZERO);
            pace.attempt(now);
        }
        assert_eq!(pace.wait(start + Duration::from_secs(100)), Duration::from_secs(200));
        assert_eq!(pace.wait(start + Duration::from_secs(300)), Duration::ZERO);
    }
}
