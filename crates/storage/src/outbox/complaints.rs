//! What the log says about entries that cannot be delivered: enough to find them, and not more in an outage of all.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// How often it is said again that an entry cannot be delivered.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Most lines in that time.
const MOST_LINES: u32 = 10;

/// Most groups that are watched.
const MOST_GROUPS: usize = 10_000;

/// The groups that cannot be delivered to now.
pub(super) struct Complaints {
    blocked: HashMap<String, Blocked>,
    since: Option<Instant>,
    window: Option<Instant>,
    lines: u32,
}

struct Blocked {
    since: Instant,
    said: Option<Instant>,
}

/// A line for the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// How long the group has been blocked.
    pub(super) blocked_for: Duration,
    /// How many groups are.
    pub(super) groups: usize,
}

impl Complaints {
    pub(super) fn new() -> Self {
        Self { blocked: HashMap::new(), since: None, window: None, lines: 0 }
    }

    /// A group's first entry could not be delivered. What to say about it, if anything.
    pub(super) fn failed(&mut self, group: &str, now: Instant) -> Option<Line> {
        self.since.get_or_insert(now);
        if !self.blocked.contains_key(group) && self.blocked.len() < MOST_GROUPS {
            self.blocked.insert(group.to_owned(), Blocked { since: now, said: None });
        }
        let groups = self.blocked.len();
        let blocked = self.blocked.get_mut(group)?;
        if blocked.said.is_some_and(|said| now - said < AGAIN_AFTER) {
            return None;
        }
        if self.window.is_none_or(|window| now - window >= AGAIN_AFTER) {
            self.window = Some(now);
            self.lines = 0;
        }
        if self.lines >= MOST_LINES {
            return None;
        }
        self.lines += 1;
        blocked.said = Some(now);
        Some(Line { blocked_for: now - blocked.since, groups })
    }

    /// A group moves again. How long some group or other was blocked, when none is any more.
    pub(super) fn moves(&mut self, group: &str, now: Instant) -> Option<Duration> {
        self.blocked.remove(group)?;
        if self.blocked.is_empty() { self.since.take().map(|since| now - since) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_group_is_named_once_a_minute() {
        let (mut complaints, start) = (Complaints::new(), Instant::now());
        let mut said = Vec::new();
        for second in (0..180).step_by(5) {
            if let Some(line) = complaints.failed("a", start + Duration::from_secs(second)) {
                assert_eq!(line, Line { blocked_for: Duration::from_secs(second), groups: 1 });
                said.push(second);
            }
        }
        assert_eq!(said, [0, 60, 120]);
        let over = start + Duration::from_secs(180);
        assert_eq!(complaints.moves("a", over), Some(Duration::from_secs(180)));
        assert_eq!(complaints.moves("a", over), None);
    }

    #[test]
    fn an_outage_of_all_is_a_few_lines_and_the_one_that_stays_is_named() {
        let (mut complaints, start) = (Complaints::new(), Instant::now());
        let groups: Vec<String> = (0..500).map(|number| number.to_string()).collect();
        let said = groups.iter().filter(|group| complaints.failed(group, start).is_some()).count();
        assert_eq!(said, 10);
        // All but the last, which was not named, are delivered; it is named as soon as that minute is over.
        for group in &groups[..499] {
            assert_eq!(complaints.moves(group, start), None);
        }
        assert_eq!(complaints.failed("499", start + Duration::from_secs(59)), None);
        let line = complaints.failed("499", start + Duration::from_secs(60)).unwrap();
        assert_eq!((line.groups, line.blocked_for), (1, Duration::from_secs(60)));
    }
}
