//! The partitions that a consumer holds, and what of them is read and not committed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

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
        Some(partition.generation)
    }

    /// Sorts ends into those that are to be committed (what is committed already is left out) and the partitions that are
    /// not ours any more.
    pub(super) fn sort(&self, ends: Vec<End>) -> (Vec<End>, Vec<i32>) {
        let partitions = self.lock();
        let (mut ours, mut lost) = (Vec::new(), Vec::new());
        for end in ends {
            match partitions.get(&end.partition).filter(|held| held.generation == end.generation) {
                Some(held) if held.committed.is_some_and(|committed| committed >= end.next) => {}
                Some(_) => ours.push(end),
                None => lost.push(end.partition),
            }
        }
        (ours, lost)
    }

    /// These are committed.
    pub(super) fn committed(&self, ends: &[End]) {
        let mut partitions = self.lock();
        for end in ends {
            let held = partitions.get_mut(&end.partition).filter(|held| held.generation == end.generation);
            if let Some(held) = held {
                held.committed = Some(end.next);
                held.pending.retain(|(offset, _)| *offset >= end.next);
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
            Some((*number, offset))
        };
        partitions.iter_mut().filter_map(first).collect()
    }
}
