//! Keeping within Binance's limits: silence after 429 and 418, and the request weight of the running minute.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// Request weight that Binance allows an address in a minute (`rateLimits` of `/api/v3/exchangeInfo`).
pub(crate) const WEIGHT_PER_MINUTE: u32 = 6000;

/// Silence after a 429 that names no time: the weight's window is a minute.
const SILENCE_429: Duration = Duration::from_secs(60);
/// Silence after a 418 that names no time: bans last two minutes at least.
const SILENCE_418: Duration = Duration::from_secs(120);
/// Bans last three days at most; a longer Retry-After is a fault.
const LONGEST_SILENCE: Duration = Duration::from_secs(3 * 24 * 3600);

/// Why calls are refused without being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// Binance answered 429.
    RateLimited,
    /// Binance answered 418: this address is banned.
    Banned,
    /// So much weight was used in this minute that the rest is left alone.
    Weight,
}

impl Withheld {
    /// Label for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::Banned => "banned",
            Self::Weight => "weight",
        }
    }
}

#[derive(Debug)]
struct State {
    silence: Option<(Instant, Withheld)>,
    /// Minute since 1970 that `used` belongs to: Binance's window is the minute of the clock.
    minute: i64,
    used: u32,
}

/// One for all calls of a client, so that one 429 silences them all.
#[derive(Debug)]
pub(crate) struct Guard {
    state: Mutex<State>,
    weight_limit: u32,
}

impl Guard {
    pub(crate) fn new(weight_share_percent: u8) -> Self {
        Self {
            state: Mutex::new(State { silence: None, minute: 0, used: 0 }),
            weight_limit: WEIGHT_PER_MINUTE * u32::from(weight_share_percent.min(100)) / 100,
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is plain numbers, whole at every step: a panic elsewhere cannot have left it half-written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks to spend `weight`; it is booked at once, so that calls under way at the same time count too.
    pub(crate) fn admit(&self, now: Instant, clock: DateTime<Utc>, weight: u32) -> Result<(), (Withheld, Duration)> {
        let mut state = self.state();
        if let Some((until, why)) = state.silence {
            let left = until.saturating_duration_since(now);
            if !left.is_zero() {
                return Err((why, left));
            }
            state.silence = None;
        }
        let minute = minute_of(clock);
        if state.minute != minute {
            state.minute = minute;
            state.used = 0;
        }
        let used = state.used.saturating_add(weight);
        if used > self.weight_limit {
            let into_minute = u64::try_from(clock.timestamp().rem_euclid(60)).unwrap_or_default();
            return Err((Withheld::Weight, Duration::from_secs(60 - into_minute)));
        }
        state.used = used;
        Ok(())
    }

    /// Takes over the weight that a reply's `X-MBX-USED-WEIGHT-1M` states.
    pub(crate) fn used(&self, clock: DateTime<Utc>, stated: u32) {
        let mut state = self.state();
        let minute = minute_of(clock);
        if state.minute == minute {
            // Not simply `stated`: calls booked after that reply was made are not in it.
            state.used = state.used.max(stated);
        } else {
            state.minute = minute;
            state.used = stated;
        }
    }

    /// Starts (or prolongs) the silence that a 429 or 418 asks for; returns how long it lasts.
    pub(crate) fn silence(&self, now: Instant, why: Withheld, retry_after: Option<Duration>) -> Duration {
        let standard = if why == Withheld::Banned { SILENCE_418 } else { SILENCE_429 };
        let time = retry_after.unwrap_or(standard).min(LONGEST_SILENCE);
        let mut state = self.state();
        let until = now + time;
        match state.silence {
            Some((already, _)) if already >= until => already.saturating_duration_since(now),
            _ => {
                state.silence = Some((until, why));
                time
            }
        }
    }
}

fn minute_of(clock: DateTime<Utc>) -> i64 {
    clock.timestamp().div_euclid(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(seconds: i64) -> DateTime<Utc> {
        // The first second of a minute.
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn silence_refuses_everything_and_ends() {
        let guard = Guard::new(100);
        let now = Instant::now();
        assert_eq!(guard.admit(now, clock(0), 2), Ok(()));
        assert_eq!(guard.silence(now, Withheld::RateLimited, Some(Duration::from_secs(7))), Duration::from_secs(7));
        let later = now + Duration::from_secs(3);
        assert_eq!(guard.admit(later, clock(3), 1), Err((Withheld::RateLimited, Duration::from_secs(4))));
        // A shorter one, of a reply that was under way, does not end it early; a longer one prolongs it.
        guard.silence(later, Withheld::RateLimited, Some(Duration::from_secs(1)));
        assert_eq!(guard.admit(later, clock(3), 1), Err((Withheld::RateLimited, Duration::from_secs(4))));
        guard.silence(later, Withheld::Banned, None);
        assert_eq!(guard.admit(later, clock(3), 1), Err((Withheld::Banned, Duration::from_secs(120))));
        assert_eq!(guard.admit(later + Duration::from_secs(120), clock(123), 1), Ok(()));
    }

    #[test]
    fn a_retry_after_is_bounded_and_has_a_standard() {
        let guard = Guard::new(100);
        let now = Instant::now();
        assert_eq!(guard.silence(now, Withheld::RateLimited, None), SILENCE_429);
        assert_eq!(guard.silence(now, Withheld::Banned, Some(Duration::MAX)), LONGEST_SILENCE);
    }

    #[test]
    fn weight_is_withheld_above_the_share_until_the_minute_ends() {
        let guard = Guard::new(50);
        let now = Instant::now();
        guard.used(clock(10), 2999);
        assert_eq!(guard.admit(now, clock(10), 1), Ok(()));
        assert_eq!(guard.admit(now, clock(15), 2), Err((Withheld::Weight, Duration::from_secs(45))));
        assert_eq!(guard.admit(now, clock(60), 2), Ok(()));
    }

    #[test]
    fn calls_under_way_are_counted_before_binance_states_them() {
        let guard = Guard::new(1);
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(guard.admit(now, clock(0), 20), Ok(()));
        }
        // The first reply knows of one call only.
        guard.used(clock(1), 20);
        assert_eq!(guard.admit(now, clock(1), 1), Err((Withheld::Weight, Duration::from_secs(59))));
    }
}
