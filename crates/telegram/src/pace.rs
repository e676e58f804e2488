//! Telegram's sending limits, as a rule over a clock that is passed in.
//!
//! Telegram's FAQ: about one message a second in a chat (short bursts pass), 20 a minute in a group, about 30 a second
//! over all chats. See <https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this>.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// How fast a bot sends. Edits count as messages: Telegram counts them too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceSettings {
    /// Messages a second over all chats.
    pub overall_per_second: u32,
    /// Time between two messages to one person, after a burst.
    pub chat_interval: Duration,
    /// Time between two messages to one group, after a burst. With the burst, no more than 20 fall into any minute.
    pub group_interval: Duration,
    /// Messages that may go to one chat at once after a silence.
    pub chat_burst: u32,
}

impl Default for PaceSettings {
    fn default() -> Self {
        Self {
            overall_per_second: 30,
            chat_interval: Duration::from_secs(1),
            group_interval: Duration::from_millis(3_500),
            chat_burst: 3,
        }
    }
}

/// When the next message may go to which chat.
///
/// It is kept in memory: after a restart a chat may get one more burst, and Telegram says `retry_after` if that is too
/// much.
#[derive(Debug)]
pub struct Pacer {
    settings: PaceSettings,
    chats: HashMap<i64, Pace>,
    overall: Pace,
}

impl Pacer {
    /// Nothing has been sent yet.
    #[must_use]
    pub fn new(settings: PaceSettings) -> Self {
        Self { settings, chats: HashMap::new(), overall: Pace::default() }
    }

    /// Earliest moment, not before `now`, at which a message may go to this chat.
    #[must_use]
    pub fn due(&self, chat_id: i64, now: Instant) -> Instant {
        let chat = self.chats.get(&chat_id).copied().unwrap_or_default();
        chat.due(self.chat_limit(chat_id), now).max(self.overall.due(self.overall_limit(), now))
    }

    /// Counts a message that goes to this chat now.
    pub fn spend(&mut self, chat_id: i64, now: Instant) {
        // A chat whose past no longer matters is like one that is not known.
        self.chats.retain(|_, pace| !pace.is_rested(now));
        let limit = self.chat_limit(chat_id);
        self.chats.entry(chat_id).or_default().spend(limit, now);
        self.overall.spend(self.overall_limit(), now);
    }

    const fn chat_limit(&self, chat_id: i64) -> Limit {
        // Groups and channels have negative ids.
        let interval = if chat_id < 0 { self.settings.group_interval } else { self.settings.chat_interval };
        Limit { interval, burst: self.settings.chat_burst }
    }

    fn overall_limit(&self) -> Limit {
        let per_second = self.settings.overall_per_second.max(1);
        Limit { interval: Duration::from_secs(1) / per_second, burst: per_second }
    }
}

/// One limit: `burst` at once, then one every `interval` (the generic cell rate algorithm).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limit {
    /// Time that one message costs.
    interval: Duration,
    /// Messages that may go at once after a silence, at least 1.
    burst: u32,
}

/// Use of one limit so far.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    /// When everything sent so far is paid for.
    paid_until: Option<Instant>,
}

impl Pace {
    /// Earliest moment at which the next message may go.
    fn due(self, limit: Limit, now: Instant) -> Instant {
        let credit = limit.interval * limit.burst.saturating_sub(1);
        self.paid_until.and_then(|paid| paid.checked_sub(credit)).map_or(now, |due| due.max(now))
    }

    /// Counts a message that goes now.
    fn spend(&mut self, limit: Limit, now: Instant) {
        let from = self.paid_until.map_or(now, |paid| paid.max(now));
        self.paid_until = Some(from + limit.interval);
    }

    /// Whether the past no longer matters.
    fn is_rested(self, now: Instant) -> bool {
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
