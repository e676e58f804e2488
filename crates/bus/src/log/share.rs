//! The partitions that are a consumer's own, as it and its task know them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::BusError;

/// After how long without a question for a batch a consumer counts as stuck: as Kafka's `max.poll.interval.ms`.
const STUCK_AFTER: Duration = Duration::from_secs(300);

/// A partition that is ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owned {
    pub(super) generation: i64,
    /// The next message to read.
    pub(super) position: i64,
    /// The first message that is not committed.
    pub(super) committed: i64,
}

/// What a consumer and its task tell each other.
pub(super) struct Share {
    state: Mutex<State>,
    /// The task has changed something.
    pub(super) changed: Notify,
    /// The consumer wants the task to act.
    pub(super) asked: Notify,
}

pub(super) struct State {
    pub(super) owned: BTreeMap<i64, Owned>,
    /// Not read any more, and the task is to give them back.
    pub(super) leaving: BTreeSet<i64>,
    /// How many of ours others should have.
    pub(super) surplus: usize,
    /// Since when that is so.
    pub(super) surplus_since: Instant,
    /// Why there is no membership now.
    pub(super) trouble: Option<BusError>,
    asked_at: Instant,
}

impl Share {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let state = State {
            owned: BTreeMap::new(),
            leaving: BTreeSet::new(),
            surplus: 0,
            surplus_since: now,
            trouble: None,
            asked_at: now,
        };
        Self { state: Mutex::new(state), changed: Notify::new(), asked: Notify::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The consumer asks for a batch. Tells whether the task has to be woken.
    pub(super) fn ask(&mut self, session: Duration) -> bool {
        let was_stuck = self.is_stuck();
        self.asked_at = Instant::now();
        self.give_way(session) || was_stuck
    }

    /// Whether nobody has asked for a batch for so long that others should have the partitions.
    pub(super) fn is_stuck(&self) -> bool {
        self.asked_at.elapsed() > STUCK_AFTER
    }

    /// Between two batches the partitions that others should have are let go: first of all those of which everything
    /// that was read is committed, and if there is none such for a session, any.
    fn give_way(&mut self, session: Duration) -> bool {
        let patient = self.surplus_since.elapsed() < session;
        let mut gone = false;
        while self.surplus > 0 {
            let clean = self.owned.iter().rev().find(|(_, owned)| owned.position == owned.committed);
            let part = match (clean, self.owned.last_key_value()) {
                (Some((part, _)), _) => *part,
                (None, Some((part, _))) if !patient => *part,
                _ => break,
            };
            self.owned.remove(&part);
            self.leaving.insert(part);
            self.surplus -= 1;
            gone = true;
        }
        gone
    }

    /// Takes note of how many of ours others should have.
    pub(super) fn set_surplus(&mut self, surplus: usize) {
        if self.surplus == 0 && surplus > 0 {
            self.surplus_since = Instant::now();
        }
        self.surplus = surplus;
    }

    /// The partition, if it is still the same time of owning it.
    pub(super) fn same(&mut self, part: i64, generation: i64) -> Option<&mut Owned> {
        self.owned.get_mut(&part).filter(|owned| owned.generation == generation)
    }

    pub(super) fn parts(&self) -> Vec<i32> {
        self.owned.keys().map(|part| i32::try_from(*part).unwrap_or(i32::MAX)).collect()
    }
}
