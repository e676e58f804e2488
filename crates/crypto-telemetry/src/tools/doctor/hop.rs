//! Hops, in the order in which a probe passes them.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// A hop's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// The probe went through.
    Well,
    /// The probe was lost here.
    Broken,
    /// A hop before this one lost it.
    NotReached,
    /// Not as usual, but no failure.
    Note,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Read the log of this process.
    Log(&'static str),
    /// Run this.
    Command(String),
}

/// One hop of one signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Hop {
    /// `traces`, `logs`, `metrics`.
    pub(super) signal: &'static str,
    /// From where to where.
    pub(super) name: String,
    /// How it is.
    pub(super) state: State,
    /// From sending to here, in milliseconds.
    #[serde(rename = "after_ms", serialize_with = "as_millis")]
    pub(super) after: Option<Duration>,
    /// What was seen.
    pub(super) detail: String,
    /// What to do next, when it is broken.
    #[serde(skip)]
    pub(super) next: Option<Next>,
}

fn as_millis<S: Serializer>(after: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    after.map(in_ms).serialize(serializer)
}

pub(super) fn in_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The hops of one signal, of which the first broken one ends the way.
pub(super) struct Way {
    signal: &'static str,
    pub(super) hops: Vec<Hop>,
    lost: bool,
}

impl Way {
    pub(super) const fn new(signal: &'static str) -> Self {
        Self { signal, hops: Vec::new(), lost: false }
    }

    /// Adds a hop.
    pub(super) fn hop(&mut self, name: impl Into<String>, verdict: Verdict) {
        let (state, after, detail, next) = match verdict {
            _ if self.lost => (State::NotReached, None, String::new(), None),
            Verdict::Well(after, detail) => (State::Well, after, detail, None),
            Verdict::Note(detail) => (State::Note, None, detail, None),
            Verdict::Broken(detail, next) => (State::Broken, None, detail, Some(next)),
        };
        self.hops.push(Hop { signal: self.signal, name: name.into(), state, after, detail, next });
    }

    /// Like [`Way::hop`]; if it is broken nothing after it was reached.
    pub(super) fn gate(&mut self, name: impl Into<String>, verdict: Verdict) {
        let broken = matches!(verdict, Verdict::Broken(..));
        self.hop(name, verdict);
        self.lost |= broken;
    }
}

/// What is said of one hop.
pub(super) enum Verdict {
    /// The probe went through, so long after it was sent.
    Well(Option<Duration>, String),
    /// Not as usual, but no failure.
    Note(String),
    /// The probe was lost here; what was seen, and what to do next.
    Broken(String, Next),
}
