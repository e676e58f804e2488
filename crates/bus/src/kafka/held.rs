//! The partitions that a consumer holds, and what of them is read and not committed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::message::End;

/// A partition that is ours.
#[derive(Debug, Default)]
pub(super) struct Partition {
    /// Which time of holding it this is.
    pub(super) generation: i64,
    /// The first message that is not committed, where that is known.
    pub(super) committed: Option<i64>,
    /// Messages that were read and are not committed: offset, and when they were published.
    pub(super) pending: VecDeque<(i64, DateTime<Utc>)>,
    /// When a message was published that was looked at for the lag alone.
    pub(super) peeked: Option<(i64, DateTime<Utc>)>,
    /// Where there was no message to look at, and until when nobody looks there again.
    pub(super) blank: Option<(i64, Instant)>,
    /// Whether [`Held::begin`] has been told what was committed before it was ours.
    begun: bool,
    /// The first message that was read, and the offset behind the last.
    first: Option<i64>,
    next: Option<i64>,
    /// Where reading has passed over something: the offset that was due, and the one that came.
    gaps: Vec<(i64, i64)>,
}

#[derive(Debug, Default)]
pub(super) struct Held {
    partitions: Mutex<BTreeMap<i32, Partition>>,
    generations: AtomicI64,
}

impl Held {
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, Partition>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn gain(&self, numbers: &[i32]) {
        for number in numbers {
            let generation = self.generations.fetch_add(1, Ordering::Relaxed);
            self.lock().insert(*number, Partition { generation, ..Partition::default() });
        }
    }

    pub(super) fn lose(&self, numbers: &[i32]) {
        self.lock().retain(|number, _| !numbers.contains(number));
    }

    pub(super) fn partitions(&self) -> Vec<i32> {
        self.lock().keys().copied().collect()
    }

    /// Takes note of a message that is handed out; its generation, if its partition is still ours.
    pub(super) fn read(&self, number: i32, offset: i64, published_at: DateTime<Utc>) -> Option<i64> {
        let mut partitions = self.lock();
        let partition = partitions.get_mut(&number)?;
        partition.pending.push_back((offset, published_at));
        partition.first.get_or_insert(offset);
        if let Some(next) = partition.next.filter(|next| *next < offset) {
            partition.gaps.push((next, offset));
        }
        partition.next = Some(offset.saturating_add(1));
        Some(partition.generation)
    }

    /// Sorts ends into those that are to be committed (what is committed already is left out) and the partitions that are
    /// not ours any more.
    pub(super) fn sort(&self, ends: Vec<End>) -> (Vec<End>, Vec<i32>) {
        let partitions = self.lock();
        let (mut ours, mut lost) = (Vec::new(), Vec::new());
        for end in ends {
            match same(&partitions, &end) {
                Some(held) if held.committed.is_some_and(|committed| committed >= end.next) => {}
                Some(_) => ours.push(end),
                None => lost.push(end.partition),
            }
        }
        (ours, lost)
    }

    /// Of which of these it is not known yet what was committed before they were ours.
    pub(super) fn unbegun(&self, ends: &[End]) -> Vec<i32> {
        let partitions = self.lock();
        let unbegun = |end: &&End| same(&partitions, end).is_some_and(|held| !held.begun);
        ends.iter().filter(unbegun).map(|end| end.partition).collect()
    }

    /// Takes note of what was committed before a partition was ours; nothing, where the group is new there.
    pub(super) fn begin(&self, number: i32, committed: Option<i64>) {
        if let Some(held) = self.lock().get_mut(&number).filter(|held| !held.begun) {
            held.begun = true;
            if let (Some(committed), Some(first)) = (committed, held.first)
                && committed < first
            {
                held.gaps.insert(0, (committed, first));
            }
        }
    }

    /// What reading has passed over before these ends: partition, the offset that was due, the one that came.
    pub(super) fn gaps(&self, ends: &[End]) -> Vec<(i32, i64, i64)> {
        let partitions = self.lock();
        let of = |end: &End| {
            let gaps = same(&partitions, end).map(|held| held.gaps.as_slice()).unwrap_or_default();
            let before = gaps.iter().filter(|(_, came)| *came < end.next);
            before.map(|(due, came)| (end.partition, *due, *came)).collect::<Vec<_>>()
        };
        ends.iter().flat_map(of).collect()
    }

    /// These are committed.
    pub(super) fn committed(&self, ends: &[End]) {
        let mut partitions = self.lock();
        for end in ends {
            let held = partitions.get_mut(&end.partition).filter(|held| held.generation == end.generation);
            if let Some(held) = held {
                held.committed = Some(end.next);
                held.pending.retain(|(offset, _)| *offset >= end.next);
                held.gaps.retain(|(_, came)| *came >= end.next);
            }
        }
    }

    /// What is read and not committed is forgotten; where each partition, of all or of these, has to be read from again.
    pub(super) fn rewind(&self, only: Option<&[i32]>) -> Vec<(i32, i64)> {
        let mut partitions = self.lock();
        let first = |(number, held): (&i32, &mut Partition)| {
            if only.is_some_and(|only| !only.contains(number)) {
                return None;
            }
            let (offset, _) = *held.pending.front()?;
            held.pending.clear();
            held.next = Some(offset);
            held.gaps.retain(|(_, came)| *came <= offset);
            Some((*number, offset))
        };
        partitions.iter_mut().filter_map(first).collect()
    }
}

/// The partition of an end, if it is still the same time of holding it.
fn same<'a>(partitions: &'a BTreeMap<i32, Partition>, end: &End) -> Option<&'a Partition> {
    partitions.get(&end.partition).filter(|held| held.generation == end.generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(held: &Held, offsets: impl IntoIterator<Item = i64>) {
        for offset in offsets {
            assert_eq!(held.read(3, offset, DateTime::UNIX_EPOCH), Some(0));
        }
    }

    fn end(next: i64) -> Vec<End> {
        vec![End { partition: 3, generation: 0, next }]
    }

    #[test]
    fn what_reading_passes_over_is_known_until_it_is_committed() {
        let held = Held::default();
        held.gain(&[3]);
        read(&held, [20, 21, 30]);
        assert_eq!(held.unbegun(&end(31)), [3]);
        held.begin(3, Some(10));
        held.begin(3, Some(1));
        assert!(held.unbegun(&end(31)).is_empty());
        assert_eq!(held.gaps(&end(22)), [(3, 10, 20)]);
        held.committed(&end(22));
        assert_eq!(held.gaps(&end(31)), [(3, 22, 30)]);
        // Reading again what was read passes over nothing further.
        assert_eq!(held.rewind(None), [(3, 30)]);
        read(&held, [30, 31]);
        assert_eq!(held.gaps(&end(32)), [(3, 22, 30)]);
        held.committed(&end(32));
        assert!(held.gaps(&end(40)).is_empty());
    }

    #[test]
    fn reading_again_from_before_a_gap_finds_it_once() {
        let held = Held::default();
        held.gain(&[3]);
        held.begin(3, None);
        read(&held, [20, 30]);
        assert_eq!(held.rewind(None), [(3, 20)]);
        read(&held, [20, 30]);
        assert_eq!(held.gaps(&end(31)), [(3, 21, 30)]);
        // A group that is new has missed nothing before.
        assert!(held.gaps(&end(21)).is_empty());
    }
}
