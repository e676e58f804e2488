//! How long to wait before an execution is tried again. Pure.

use std::time::Duration;

/// Longest that is waited because a service asks for it: an answer of others must not put an execution off for ever.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

/// Waits between attempts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    /// Before the second attempt; before each further one it is twice as long.
    pub(super) first: Duration,
    /// Longest of them.
    pub(super) longest: Duration,
}

impl Backoff {
    /// Longest that is ever waited.
    pub(super) fn most(&self) -> Duration {
        LONGEST_ASKED.saturating_add(self.longest)
    }

    /// The wait after so many attempts that failed; `share`, from 0 to 1, says where in the range it is, so that those who
    /// failed together do not come back together. Whoever failed may ask for more.
    pub(super) fn wait(&self, failed: u16, asked: Option<Duration>, share: f64) -> Duration {
        let doublings = u32::from(failed.saturating_sub(1)).min(31);
        let most = self.first.saturating_mul(2_u32.saturating_pow(doublings)).min(self.longest);
        let wait = most.mul_f64(0.5 + share.clamp(0.0, 1.0) / 2.0);
        asked.map_or(wait, |asked| wait.max(asked.min(LONGEST_ASKED)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

    #[test]
    fn it_doubles_up_to_the_longest() {
        let full: Vec<u64> = (1..=8).map(|failed| BACKOFF.wait(failed, None, 1.0).as_secs()).collect();
        assert_eq!(full, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(BACKOFF.wait(1, None, 0.0), Duration::from_millis(500));
        assert_eq!(BACKOFF.wait(0, None, 1.0), Duration::from_secs(1));
        assert_eq!(BACKOFF.wait(u16::MAX, None, 1.0), Duration::from_secs(60));
    }

    #[test]
    fn whoever_failed_may_ask_for_more_and_not_for_less() {
        assert_eq!(BACKOFF.wait(1, Some(Duration::from_secs(90)), 1.0), Duration::from_secs(90));
        assert_eq!(BACKOFF.wait(3, Some(Duration::from_secs(1)), 1.0), Duration::from_secs(4));
        assert_eq!(BACKOFF.wait(1, Some(Duration::from_secs(1_000_000)), 1.0), LONGEST_ASKED);
    }

    proptest! {
        #[test]
        fn it_is_never_nothing_and_never_more_than_the_longest(failed in any::<u16>(), share in 0.0..=1.0f64) {
            let wait = BACKOFF.wait(failed, None, share);
            prop_assert!(wait >= BACKOFF.first / 2 && wait <= BACKOFF.longest, "{wait:?}");
        }
    }
}
