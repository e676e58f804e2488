//! How many alerts a hook may send: a fuse for one whose token leaked, or whose script went wild.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

/// Hooks that are remembered before those whose limit holds nothing back any more are forgotten: twice as many as there can
/// be at a time.
const MOST_REMEMBERED: usize = 2_000;

/// The limit of each hook, counted by this process alone and anew after a restart.
pub(crate) struct Rate {
    limiter: Option<DefaultKeyedRateLimiter<String>>,
}

impl Rate {
    /// So many alerts a minute, all of them at once where none came before; 0 is no limit.
    pub(crate) fn new(per_minute: u32) -> Self {
        let quota = NonZeroU32::new(per_minute).map(Quota::per_minute);
        Self { limiter: quota.map(DefaultKeyedRateLimiter::keyed) }
    }

    /// Counts an alert of a hook.
    ///
    /// # Errors
    /// How long to wait, where it is one too many; that one is not counted.
    pub(crate) fn admit(&self, hook_id: &str) -> Result<(), Duration> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        if limiter.len() > MOST_REMEMBERED {
            limiter.retain_recent();
        }
        let counted = limiter.check_key(&hook_id.to_owned());
        counted.map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hook_has_its_own_limit_and_zero_is_none() {
        let rate = Rate::new(3);
        for hook in ["a", "b"] {
            for number in 0..3 {
                assert_eq!(rate.admit(hook), Ok(()), "{hook} {number}");
            }
            let wait = rate.admit(hook).unwrap_err();
            assert!(wait > Duration::ZERO && wait <= Duration::from_secs(20), "{wait:?}");
        }
        let open = Rate::new(0);
        assert!((0..10_000).all(|_| open.admit("a").is_ok()));
    }
}
