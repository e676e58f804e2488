//! Telegram's sending limits, as a pure rule over a clock that is passed in.
//!
//! Telegram's FAQ: about one message a second in a chat (short bursts pass), 20 a minute in a group, about 30 a second
//! over all chats. See <https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this>.

use std::time::Duration;

use tokio::time::Instant;

/// One limit: `burst` at once, then one every `interval` (the generic cell rate algorithm).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    /// Time that one message costs.
    pub(super) interval: Duration,
    /// Messages that may go at once after a silence, at least 1.
    pub(super) burst: u32,
}

/// Use of one limit so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    /// When everything sent so far is paid for.
    paid_until: Option<Instant>,
}

impl Pace {
    /// Earliest moment at which the next message may go.
    pub(super) fn due(self, limit: Limit, now: Instant) -> Instant {
        let credit = limit.interval * limit.burst.saturating_sub(1);
        self.paid_until.and_then(|paid| paid.checked_sub(credit)).map_or(now, |due| due.max(now))
    }

    /// Counts a message that goes now.
    pub(super) fn spend(&mut self, limit: Limit, now: Instant) {
        let from = self.paid_until.map_or(now, |paid| paid.max(now));
        self.paid_until = Some(from + limit.interval);
    }

    /// Whether the past no longer matters, so that the chat can be forgotten.
    pub(super) fn is_rested(self, now: Instant) -> bool {
        self.paid_until.is_none_or(|paid| paid <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { interval: Duration::from_secs(1), burst: 3 };

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_one_a_second() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let mut now = start;
        let mut sent = Vec::new();
        for _ in 0..6 {
            now = pace.due(LIMIT, now);
            pace.spend(LIMIT, now);
            sent.push((now - start).as_secs());
        }
        assert_eq!(sent, [0, 0, 0, 1, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_restores_the_burst_and_no_more() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.spend(LIMIT, start);
        assert!(!pace.is_rested(start));
        let later = start + Duration::from_secs(60);
        assert!(pace.is_rested(later));
        let mut at_once = 0;
        while pace.due(LIMIT, later) == later {
            pace.spend(LIMIT, later);
            at_once += 1;
        }
        assert_eq!(at_once, 3);
    }
}
