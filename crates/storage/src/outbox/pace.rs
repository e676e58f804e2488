//! What the loop remembers, how it slows down while the receiver is away, and what it says about that.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::Outbox;
use super::complaints::Complaints;
use super::group::Ended;
use super::waiting::Tick;
use crate::StorageError;

/// Failures in a row, of whichever groups, that mean that the receiver is away: then only a few are tried now and then.
const AWAY_AFTER: u32 = 16;

/// Shortest and longest pause while the receiver seems to be away.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What the loop remembers between two looks.
pub(super) struct Pace {
    /// The last group that was looked at; none at the beginning of a round through the table.
    pub(super) after: Option<String>,
    pub(super) round: Round,
    pub(super) next_look: Instant,
    /// Not even when something new waits.
    pub(super) not_before: Instant,
    pub(super) next_count: Instant,
    failures: u32,
    complaints: Complaints,
    pub(super) said: bool,
}

/// One way through the table.
pub(super) struct Round {
    pub(super) began: Tick,
    pub(super) groups: usize,
    pub(super) claimed: bool,
    /// When the first of those becomes due that were not.
    pub(super) due: Option<DateTime<Utc>>,
}

impl Round {
    pub(super) const fn new(began: Tick) -> Self {
        Self { began, groups: 0, claimed: false, due: None }
    }
}

impl Pace {
    pub(super) fn new(began: Tick) -> Self {
        let now = Instant::now();
        Self {
            after: None,
            round: Round::new(began),
            next_look: now,
            not_before: now,
            next_count: now,
            failures: 0,
            complaints: Complaints::new(),
            said: false,
        }
    }

    pub(super) fn look_at(&self) -> Instant {
        self.next_look.max(self.not_before)
    }

    pub(super) const fn is_away(&self) -> bool {
        self.failures >= AWAY_AFTER
    }
}

impl Outbox {
    /// The database says itself that it is away; here it is only waited for.
    pub(super) fn complain(&self, error: &StorageError, pace: &mut Pace) {
        if !error.is_passing() && !std::mem::replace(&mut pace.said, true) {
            tracing::error!(outbox = self.name, error = %error, "the outbox cannot be worked on");
        }
    }

    /// What is told about a group that has ended, once.
    pub(super) fn account(&self, ended: &Ended, pace: &mut Pace) {
        let now = Instant::now();
        for _ in &ended.delivered {
            self.count("delivered");
        }
        for refused in &ended.refused {
            self.count("refused");
            self.is_parked(refused.id, &refused.key, refused.attempt, &refused.reason);
            pace.next_count = now;
        }
        if !ended.delivered.is_empty() || !ended.refused.is_empty() {
            pace.failures = 0;
            if let Some(blocked) = pace.complaints.moves(&ended.group, now) {
                tracing::info!(outbox = self.name, blocked_ms = milliseconds(blocked), "the outbox delivers again");
            }
        }
        let Some(failed) = &ended.failed else { return };
        self.count("failed");
        if let Some(line) = pace.complaints.failed(&ended.group, now) {
            tracing::warn!(
                outbox = self.name,
                key = failed.key,
                entry_id = failed.id,
                attempts = failed.attempt,
                reason = failed.reason,
                blocked_ms = milliseconds(line.blocked_for),
                blocked_groups = i64::try_from(line.groups).unwrap_or(i64::MAX),
                "an outbox entry cannot be delivered; those of its group wait for it, and it is tried on"
            );
        }
        pace.failures = pace.failures.saturating_add(1);
        if pace.is_away() {
            let pause = FIRST_PAUSE * 2_u32.saturating_pow((pace.failures / AWAY_AFTER).min(8) - 1);
            pace.not_before = pace.not_before.max(now + pause.min(LONGEST_PAUSE));
        }
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
