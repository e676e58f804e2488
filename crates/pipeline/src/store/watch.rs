//! Whose worker is not heard of any more, by what one has seen with one's own clock: no time that another machine wrote is
//! looked at. A worker is lost when the beat of its execution has stood still for a whole lease.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use storage::FromRow;

use super::number;

/// A lease as it is kept.
pub(super) fn millis(lease: Duration) -> i64 {
    number(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX))
}

/// An execution that runs, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Running {
    pub(super) number: i64,
    pub(super) attempts: i64,
    pub(super) beat: i64,
    pub(super) lease_ms: i64,
}

/// What somebody remembers of executions that run. Whoever begins to look waits a whole lease.
#[derive(Debug, Default)]
pub struct Watch {
    seen: HashMap<i64, (Running, Instant)>,
}

impl Watch {
    /// Takes note of all that run, read before `now`; the answer is whose workers have not been heard of for a lease: theirs,
    /// or one's own where that is longer.
    pub fn see(&mut self, running: Vec<Running>, lease: Duration, now: Instant) -> Vec<Running> {
        let mut before = std::mem::take(&mut self.seen);
        for one in running {
            let since = match before.remove(&one.number) {
                Some((known, since)) if known == one => since,
                // The word may be as young as the look.
                _ => now,
            };
            self.seen.insert(one.number, (one, since));
        }
        let silent = self.seen.values().filter(|(one, since)| {
            let theirs = Duration::from_millis(u64::try_from(one.lease_ms).unwrap_or_default());
            now.duration_since(*since) >= theirs.max(lease)
        });
        silent.map(|(one, _)| one.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(15);

    fn run(number: i64, attempts: i64, beat: i64) -> Running {
        Running { number, attempts, beat, lease_ms: 15_000 }
    }

    #[test]
    fn whoever_stands_still_for_a_lease_is_lost() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        assert_eq!(watch.see(vec![run(1, 1, 1), run(2, 1, 1), run(3, 1, 1)], LEASE, start), []);
        let almost = start + LEASE - Duration::from_millis(1);
        assert_eq!(watch.see(vec![run(1, 1, 1), run(2, 1, 2), run(3, 2, 1)], LEASE, almost), []);
        let lost = watch.see(vec![run(1, 1, 1), run(2, 1, 2), run(3, 2, 1)], LEASE, start + LEASE);
        assert_eq!(lost, [run(1, 1, 1)], "one that was heard of, and one that somebody else has, are not");
        // What is not seen is forgotten, and begins anew.
        assert_eq!(watch.see(Vec::new(), LEASE, start + 2 * LEASE), []);
        assert_eq!(watch.see(vec![run(2, 1, 2)], LEASE, start + 3 * LEASE), []);
    }

    #[test]
    fn the_longer_lease_counts() {
        let start = Instant::now();
        for (theirs, own) in [(40_000, 15), (15_000, 40), (0, 40)] {
            let (mut watch, one) = (Watch::default(), Running { lease_ms: theirs, ..run(1, 1, 1) });
            let own = Duration::from_secs(own);
            watch.see(vec![one.clone()], own, start);
            assert_eq!(watch.see(vec![one.clone()], own, start + Duration::from_secs(39)), [], "{theirs} {own:?}");
            assert_eq!(watch.see(vec![one.clone()], own, start + Duration::from_secs(40)), [one], "{theirs} {own:?}");
        }
    }
}
