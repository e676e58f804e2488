//! Who of a group is alive, by what one has seen with one's own clock.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The beats of a group's members as they were last seen to change.
#[derive(Debug, Default)]
pub(super) struct Beats {
    seen: HashMap<String, (i64, Instant)>,
}

impl Beats {
    /// Takes note of the beats; the answer is who has not moved for a session, with that beat.
    pub(super) fn see(&mut self, members: Vec<(String, i64)>, session: Duration, now: Instant) -> Vec<(String, i64)> {
        let mut still = HashMap::with_capacity(members.len());
        for (member, beat) in members {
            let since = match self.seen.get(&member) {
                Some((known, since)) if *known == beat => *since,
                _ => now,
            };
            still.insert(member, (beat, since));
        }
        self.seen = still;
        let silent = self.seen.iter().filter(|(_, (_, since))| now.duration_since(*since) >= session);
        silent.map(|(member, (beat, _))| (member.clone(), *beat)).collect()
    }

    pub(super) fn forget(&mut self, member: &str) {
        self.seen.remove(member);
    }

    pub(super) fn knows(&self, member: &str) -> bool {
        self.seen.contains_key(member)
    }

    /// How many of so many partitions are the share of a member: as equal as can be, those first by name have one more.
    pub(super) fn share(&self, me: &str, partitions: usize) -> usize {
        let members = self.seen.len().max(1);
        let rank = self.seen.keys().filter(|member| member.as_str() < me).count();
        partitions / members + usize::from(rank < partitions % members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: Duration = Duration::from_secs(5);

    fn members(beats: &[(&str, i64)]) -> Vec<(String, i64)> {
        beats.iter().map(|(member, beat)| ((*member).to_owned(), *beat)).collect()
    }

    #[test]
    fn who_does_not_move_for_a_session_is_dead() {
        let (mut beats, start) = (Beats::default(), Instant::now());
        assert!(beats.see(members(&[("a", 7), ("b", 1)]), SESSION, start).is_empty());
        let later = start + SESSION;
        // Even if its number went back: it was made anew.
        assert_eq!(beats.see(members(&[("a", 7), ("b", 0)]), SESSION, later), members(&[("a", 7)]));
        beats.forget("a");
        assert!(!beats.knows("a") && beats.knows("b"));
        assert!(beats.see(members(&[("b", 0), ("c", 9)]), SESSION, later).is_empty());
        assert_eq!(beats.see(members(&[("b", 1), ("c", 9)]), SESSION, later + SESSION), members(&[("c", 9)]));
    }

    #[test]
    fn shares_are_as_equal_as_can_be_and_together_everything() {
        for count in 1..12 {
            let names: Vec<String> = (0..count).map(|number| format!("{number:02}")).collect();
            let mut beats = Beats::default();
            beats.see(names.iter().map(|name| (name.clone(), 0)).collect(), SESSION, Instant::now());
            let shares: Vec<usize> = names.iter().map(|name| beats.share(name, 8)).collect();
            assert_eq!(shares.iter().sum::<usize>(), 8, "{shares:?}");
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1, "{shares:?}");
        }
    }
}
