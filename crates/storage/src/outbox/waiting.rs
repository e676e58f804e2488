//! Which groups have entries that wait, as far as this process knows.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Most groups that are remembered. Beyond it every group counts as one with entries that wait.
const MOST_GROUPS: usize = 100_000;

/// Points in time in the order in which they happened here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u64);

/// The groups with entries that wait. Before the table has been looked through once, that is all of them.
pub(super) struct Waiting {
    state: Mutex<State>,
    /// Something waits now: the running loop need not find out by itself.
    pub(super) changed: Notify,
    most: usize,
}

struct State {
    now: u64,
    groups: BTreeMap<String, Mark>,
    /// When a group could not be remembered for the last time.
    lost: Option<Tick>,
    looked_through: bool,
}

struct Mark {
    /// When it was last known that something waits.
    at: Tick,
    /// Transactions under way that have written something into it.
    uncommitted: u32,
}

impl State {
    const fn tick(&mut self) -> Tick {
        self.now += 1;
        Tick(self.now)
    }

    fn mark(&mut self, group: &str, at: Tick, most: usize) -> Option<&mut Mark> {
        if !self.groups.contains_key(group) {
            if self.groups.len() >= most {
                self.lost = Some(at);
                return None;
            }
            self.groups.insert(group.to_owned(), Mark { at, uncommitted: 0 });
        }
        let mark = self.groups.get_mut(group)?;
        mark.at = mark.at.max(at);
        Some(mark)
    }
}

impl Waiting {
    pub(super) fn new() -> Self {
        let state = State { now: 0, groups: BTreeMap::new(), lost: None, looked_through: false };
        Self { state: Mutex::new(state), changed: Notify::new(), most: MOST_GROUPS }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tick(&self) -> Tick {
        self.lock().tick()
    }

    /// Whether the whole table has been looked through since the start.
    pub(super) fn is_known(&self) -> bool {
        self.lock().looked_through
    }

    pub(super) fn has(&self, group: &str) -> bool {
        let state = self.lock();
        !state.looked_through || state.lost.is_some() || state.groups.contains_key(group)
    }

    /// Something of this group waits.
    pub(super) fn mark(&self, group: &str) {
        let mut state = self.lock();
        let at = state.tick();
        state.mark(group, at, self.most);
    }

    /// Something of this group waits once its transaction is committed; no look finds it before.
    pub(super) fn begin(&self, group: &str) {
        let mut state = self.lock();
        let at = state.tick();
        if let Some(mark) = state.mark(group, at, self.most) {
            mark.uncommitted += 1;
        }
    }

    /// That transaction has ended.
    pub(super) fn end(&self, group: &str) {
        let mut state = self.lock();
        let at = state.tick();
        if let Some(mark) = state.mark(group, at, self.most) {
            mark.uncommitted = mark.uncommitted.saturating_sub(1);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// All of the group that was there at `tick` has been delivered.
    pub(super) fn settled(&self, group: &str, tick: Tick) {
        let mut state = self.lock();
        if state.groups.get(group).is_some_and(|mark| mark.at < tick && mark.uncommitted == 0) {
            state.groups.remove(group);
        }
    }

    /// What a look that began at `tick` has found among the groups from `after` on, to `through` or to the last: those
    /// that wait, in order. All others of that range do not, but for what has happened since.
    pub(super) fn saw<'a>(
        &self,
        tick: Tick,
        after: Option<&str>,
        through: Option<&str>,
        waiting: impl IntoIterator<Item = &'a str>,
    ) {
        let mut state = self.lock();
        let range =
            (after.map_or(Bound::Unbounded, Bound::Excluded), through.map_or(Bound::Unbounded, Bound::Included));
        let gone: Vec<String> = state
            .groups
            .range::<str, _>(range)
            .filter(|(_, mark)| mark.at < tick && mark.uncommitted == 0)
            .map(|(group, _)| group.clone())
            .collect();
        for group in gone {
            state.groups.remove(&group);
        }
        for group in waiting {
            state.mark(group, tick, self.most);
        }
    }

    /// The whole table has been looked through, from `tick` on.
    pub(super) fn looked_through(&self, tick: Tick) {
        let mut state = self.lock();
        state.looked_through = true;
        if state.lost.is_some_and(|lost| lost < tick) {
            state.lost = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty(most: usize) -> Waiting {
        let waiting = Waiting { most, ..Waiting::new() };
        assert!(waiting.has("any"), "nobody has looked yet");
        let tick = waiting.tick();
        waiting.saw(tick, None, None, []);
        waiting.looked_through(tick);
        assert!(!waiting.has("any"));
        waiting
    }

    #[test]
    fn a_look_forgets_only_what_it_could_have_seen() {
        let waiting = empty(100);
        for group in ["a", "b", "c", "d"] {
            waiting.mark(group);
        }
        let tick = waiting.tick();
        waiting.mark("c");
        waiting.saw(tick, Some("a"), Some("c"), ["bb"]);
        let left: Vec<bool> = ["a", "b", "bb", "c", "d"].into_iter().map(|group| waiting.has(group)).collect();
        assert_eq!(left, [true, false, true, true, true], "b is gone; c came later, a and d are elsewhere");
    }

    #[test]
    fn what_is_not_committed_yet_is_not_forgotten() {
        let waiting = empty(100);
        waiting.begin("a");
        waiting.saw(waiting.tick(), None, None, []);
        waiting.settled("a", waiting.tick());
        assert!(waiting.has("a"));
        let before = waiting.tick();
        waiting.end("a");
        waiting.settled("a", before);
        waiting.saw(before, None, None, []);
        assert!(waiting.has("a"), "it may have been committed since");
        waiting.settled("a", waiting.tick());
        assert!(!waiting.has("a"));
    }

    #[test]
    fn too_many_groups_are_all_of_them_until_they_fit_again() {
        let waiting = empty(3);
        for group in ["a", "b", "c", "d"] {
            waiting.mark(group);
        }
        assert!(waiting.has("z"), "one was not remembered, so it may be any");
        let tick = waiting.tick();
        waiting.saw(tick, None, None, ["a", "b", "c", "d"]);
        waiting.looked_through(tick);
        assert!(waiting.has("z"), "they still do not fit");
        let tick = waiting.tick();
        waiting.saw(tick, None, None, ["a", "d"]);
        waiting.looked_through(tick);
        assert_eq!(["a", "b", "d", "z"].map(|group| waiting.has(group)), [true, false, true, false]);
    }
}
