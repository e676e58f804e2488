//! Whether updates reach the bot, for readiness and the metric.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use telemetry::metrics::notifier::TELEGRAM_UP;

/// State of the way in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Starting,
    Receiving,
    Failing(String),
}

/// Shared between the task that knows and the probe that asks.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    mode: &'static str,
    state: Arc<RwLock<State>>,
    /// When Telegram last called with success, in seconds since 1970; in webhook mode only.
    last_call_s: Arc<AtomicI64>,
}

impl Status {
    pub(crate) fn new(mode: &'static str) -> Self {
        Self { mode, state: Arc::new(RwLock::new(State::Starting)), last_call_s: Arc::default() }
    }

    /// Notes that a call of Telegram's came and was taken.
    pub(crate) fn called(&self, at: DateTime<Utc>) {
        self.last_call_s.fetch_max(at.timestamp(), Ordering::Relaxed);
    }

    /// When Telegram last called with success.
    pub(crate) fn last_call(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.last_call_s.load(Ordering::Relaxed), 0).unwrap_or_default()
    }

    /// Notes that updates come in; true when they did not before.
    pub(crate) fn receiving(&self) -> bool {
        TELEGRAM_UP.set(1.0, &[("mode", self.mode)]);
        self.change(State::Receiving)
    }

    /// Notes why they do not; true when that is news.
    pub(crate) fn failing(&self, why: String) -> bool {
        TELEGRAM_UP.set(0.0, &[("mode", self.mode)]);
        self.change(State::Failing(why))
    }

    fn change(&self, new: State) -> bool {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let changed = *state != new;
        *state = new;
        changed
    }

    /// For readiness.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Receiving => Ok(()),
            State::Starting => Err("not reached yet".to_owned()),
            State::Failing(why) => Err(why.clone()),
        }
    }
}
