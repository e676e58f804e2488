//! A circuit breaker: closed, open after failures in a row, half open until a call has ended.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use telemetry::metrics::http::CLIENT_CIRCUIT_STATE;

use super::BreakerSettings;

#[derive(Debug)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// Calls go through again, and the first one that ends decides. Not one trial only: a trial that its caller drops
    /// decides nothing, and callers that make two calls at once would never get both.
    HalfOpen,
}

#[derive(Debug)]
pub(super) struct Breaker {
    name: &'static str,
    settings: BreakerSettings,
    state: Mutex<State>,
}

impl Breaker {
    pub(super) fn new(name: &'static str, settings: BreakerSettings) -> Self {
        Self { name, settings, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Whether a call may go out at `now`; an `Err` says how long to wait.
    pub(super) fn admit(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match *state {
            State::Closed { .. } | State::HalfOpen => Ok(()),
            State::Open { until } if now < until => Err(until - now),
            State::Open { .. } => {
                *state = State::HalfOpen;
                self.report(1.0);
                tracing::info!(upstream = self.name, "circuit half open: the next call that ends decides");
                Ok(())
            }
        }
    }

    /// How long calls are still held back.
    pub(super) fn held_back(&self, now: Instant) -> Option<Duration> {
        match *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Open { until } if now < until => Some(until - now),
            _ => None,
        }
    }

    pub(super) fn succeeded(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, State::Closed { .. }) {
            tracing::info!(upstream = self.name, "circuit closed: calls go through again");
            self.report(0.0);
        }
        *state = State::Closed { failures: 0 };
    }

    pub(super) fn failed(&self, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = match *state {
            State::Closed { failures } => failures + 1,
            State::HalfOpen => self.settings.failures,
            // A call that began before the circuit opened.
            State::Open { .. } => return,
        };
        if failures >= self.settings.failures {
            *state = State::Open { until: now + self.settings.open_for };
            self.report(2.0);
            tracing::warn!(
                upstream = self.name,
                open_ms = u64::try_from(self.settings.open_for.as_millis()).unwrap_or(u64::MAX),
                "circuit open: no calls for now after repeated failures"
            );
        } else {
            *state = State::Closed { failures };
        }
    }

    fn report(&self, value: f64) {
        CLIENT_CIRCUIT_STATE.set(value, &[("upstream", self.name)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_tries_once_and_closes() {
        let open_for = Duration::from_secs(5);
        let breaker = Breaker::new("test", BreakerSettings { failures: 2, open_for });
        let start = Instant::now();
        breaker.failed(start);
        assert_eq!(breaker.admit(start), Ok(()), "one failure does not open it");
        breaker.succeeded();
        breaker.failed(start);
        breaker.failed(start);
        assert_eq!(breaker.admit(start + Duration::from_secs(1)), Err(Duration::from_secs(4)));
        assert_eq!(breaker.held_back(start + Duration::from_secs(1)), Some(Duration::from_secs(4)));
        assert_eq!(breaker.held_back(start + open_for), None);
        let later = start + open_for;
        assert_eq!(breaker.admit(later), Ok(()), "the trial");
        assert_eq!(breaker.admit(later), Ok(()), "a second call beside it, of the same ask");
        breaker.failed(later);
        assert!(breaker.admit(later).is_err(), "a failed trial opens it again");
        let later = later + open_for;
        assert_eq!(breaker.admit(later), Ok(()));
        breaker.succeeded();
        assert_eq!(breaker.admit(later), Ok(()));
        assert_eq!(breaker.admit(later), Ok(()));
    }

    #[test]
    fn a_trial_that_never_ended_does_not_block_for_ever() {
        let open_for = Duration::from_secs(5);
        let breaker = Breaker::new("test", BreakerSettings { failures: 1, open_for });
        let start = Instant::now();
        breaker.failed(start);
        assert_eq!(breaker.admit(start + open_for), Ok(()));
        assert_eq!(breaker.admit(start + open_for * 2), Ok(()));
    }
}
