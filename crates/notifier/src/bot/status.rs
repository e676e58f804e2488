//! Whether updates reach the bot, for readiness and the metric.

use std::sync::{Arc, PoisonError, RwLock};

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
}

impl Status {
    pub(crate) fn new(mode: &'static str) -> Self {
        Self { mode, state: Arc::new(RwLock::new(State::Starting)) }
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
