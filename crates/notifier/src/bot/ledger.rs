//! Which updates are done, so that Telegram is told to forget those and no others.
//!
//! `getUpdates` with an offset forgets everything before it. Updates are worked on at the same time and end in any order:
//! the offset is the oldest one that is not done. A process that dies gets the rest again.

use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Seen, not worked on; how often work on it came to nothing.
    Waiting { tries: u32 },
    /// Worked on, for the so many-th time.
    Begun { tries: u32 },
    /// Done.
    Done,
}

/// The updates between the offset and the newest.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    updates: BTreeMap<i64, State>,
    /// One after the newest update that was ever seen.
    end: i64,
}

impl Ledger {
    /// Notes an update; false when it is being worked on or done already.
    pub(crate) fn see(&mut self, id: i64) -> bool {
        if id < self.offset() && self.end > 0 {
            return false;
        }
        self.end = self.end.max(id + 1);
        matches!(self.updates.entry(id).or_insert(State::Waiting { tries: 0 }), State::Waiting { .. })
    }

    /// How often work on it was begun.
    pub(crate) fn tries(&self, id: i64) -> u32 {
        match self.updates.get(&id) {
            Some(State::Waiting { tries } | State::Begun { tries }) => *tries,
            Some(State::Done) | None => 0,
        }
    }

    /// Notes that work on it begins.
    pub(crate) fn begin(&mut self, id: i64) {
        self.updates.insert(id, State::Begun { tries: self.tries(id).saturating_add(1) });
    }

    /// Notes that work on it came to nothing: it is to come again.
    pub(crate) fn give_back(&mut self, id: i64) {
        self.updates.insert(id, State::Waiting { tries: self.tries(id) });
    }

    /// Notes that it is done.
    pub(crate) fn finish(&mut self, id: i64) {
        self.updates.insert(id, State::Done);
        while let Some(oldest) = self.updates.first_entry()
            && *oldest.get() == State::Done
        {
            oldest.remove();
        }
    }

    /// The oldest update that is not done, or the first that is not known yet.
    pub(crate) fn offset(&self) -> i64 {
        self.updates.first_key_value().map_or(self.end, |(id, _)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_waits_for_the_oldest() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.offset(), 0);
        for id in [10, 11, 12] {
            assert!(ledger.see(id));
            ledger.begin(id);
        }
        ledger.finish(11);
        assert_eq!(ledger.offset(), 10);
        assert!(!ledger.see(10), "worked on");
        assert!(!ledger.see(11), "done");
        ledger.finish(10);
        assert_eq!(ledger.offset(), 12);
        assert!(!ledger.see(11), "done and forgotten");
        ledger.finish(12);
        assert_eq!(ledger.offset(), 13);
    }

    #[test]
    fn what_came_to_nothing_is_not_confirmed_and_comes_again() {
        let mut ledger = Ledger::default();
        for id in [5, 6] {
            assert!(ledger.see(id));
            ledger.begin(id);
        }
        ledger.give_back(5);
        ledger.finish(6);
        assert_eq!(ledger.offset(), 5);
        assert!(ledger.see(5) && !ledger.see(6));
        assert_eq!((ledger.tries(5), ledger.tries(7)), (1, 0));
        ledger.begin(5);
        assert!(!ledger.see(5));
        ledger.give_back(5);
        assert_eq!(ledger.tries(5), 2);
    }

    #[test]
    fn what_was_left_for_later_is_not_confirmed() {
        let mut ledger = Ledger::default();
        assert!(ledger.see(5));
        assert!(ledger.see(6));
        ledger.begin(6);
        ledger.finish(6);
        assert_eq!(ledger.offset(), 5);
        assert!(ledger.see(5));
    }
}
