//! How long to wait before the next attempt to connect.

use std::time::Duration;

/// Exponential back-off with full jitter: a random time up to `base * 2^failures`, which is capped.
///
/// Full jitter spreads clients that were all dropped at the same moment better than a jitter around the mean does.
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts with no failure.
    #[must_use]
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, failures: 0 }
    }

    /// Longest wait that the next failure may cost.
    #[must_use]
    pub fn ceiling(&self) -> Duration {
        self.base.saturating_mul(2_u32.saturating_pow(self.failures)).min(self.cap)
    }

    /// Counts a failure and says how long to wait. `random` is from 0 to 1.
    pub fn next_delay(&mut self, random: f64) -> Duration {
        let delay = self.ceiling().mul_f64(random.clamp(0.0, 1.0));
        self.failures = self.failures.saturating_add(1);
        delay
    }

    /// Forgets the failures: a connection proved itself.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap_and_starts_again() {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        let ceilings: Vec<u64> = (0..8).map(|_| u64::try_from(backoff.next_delay(1.0).as_millis()).unwrap()).collect();
        assert_eq!(ceilings, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        for _ in 0..100 {
            backoff.next_delay(1.0);
        }
        assert_eq!(backoff.ceiling(), Duration::from_secs(30));
        backoff.reset();
        assert_eq!(backoff.ceiling(), Duration::from_millis(500));
    }

    #[test]
    fn jitter_takes_the_whole_range() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(8));
        assert_eq!(backoff.next_delay(0.0), Duration::ZERO);
        assert_eq!(backoff.next_delay(0.5), Duration::from_secs(1));
        assert_eq!(backoff.next_delay(7.0), Duration::from_secs(4));
    }
}
