//! Updates that wait for the bot: kept for 24 hours, taken by long poll or delivered to a webhook.

use std::collections::VecDeque;
use std::time::Instant;

use serde_json::{Map, Value, json};

/// How long an update waits for its bot.
const RETENTION_S: i64 = 24 * 3600;
/// Updates that wait at most; the oldest are lost beyond, and the log says so.
const MOST_UPDATES: usize = 10_000;

/// An update that nobody has taken yet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pending {
    id: i64,
    /// Seconds since 1970.
    at: i64,
    body: Value,
}

/// The bot's webhook.
#[derive(Debug, Clone)]
pub(super) struct Webhook {
    pub(super) url: url::Url,
    pub(super) secret: Option<String>,
    pub(super) max_connections: i64,
    /// When the last delivery failed (seconds since 1970), and how.
    pub(super) last_error: Option<(i64, String)>,
    /// Tells this webhook from those before it.
    pub(super) generation: u64,
}

/// Why a long poll ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Displaced {
    ByPoll,
    ByWebhook,
}

/// The queue of updates and who takes them.
#[derive(Debug)]
pub(super) struct Updates {
    pending: VecDeque<Pending>,
    next_id: i64,
    /// Kinds that the bot wants; empty: all.
    allowed: Vec<String>,
    pub(super) webhook: Option<Webhook>,
    generation: u64,
    /// The long poll that may answer; every later call of getUpdates takes its place.
    poll: u64,
    displaced_by_webhook: bool,
    /// When the bot last asked for updates.
    pub(super) last_poll: Option<Instant>,
}

impl Updates {
    /// `first_id` grows from run to run, as it does at Telegram: a bot's offset must never lie ahead of new updates.
    pub(super) fn new(first_id: i64) -> Self {
        Self {
            pending: VecDeque::new(),
            next_id: first_id,
            allowed: Vec::new(),
            webhook: None,
            generation: 0,
            poll: 0,
            displaced_by_webhook: false,
            last_poll: None,
        }
    }

    /// Queues an update of a kind (`message`, `callback_query`); `None` when the bot does not want that kind.
    pub(super) fn push(&mut self, kind: &str, content: Value, now_s: i64) -> Option<i64> {
        self.expire(now_s);
        if !self.allowed.is_empty() && !self.allowed.iter().any(|allowed| allowed == kind) {
            return None;
        }
        if self.pending.len() >= MOST_UPDATES {
            tracing::warn!("more than {MOST_UPDATES} updates wait for the bot: the oldest is lost");
            self.pending.pop_front();
        }
        let id = self.next_id;
        self.next_id += 1;
        let mut body = Map::new();
        body.insert("update_id".to_owned(), id.into());
        body.insert(kind.to_owned(), content);
        self.pending.push_back(Pending { id, at: now_s, body: Value::Object(body) });
        Some(id)
    }

    fn expire(&mut self, now_s: i64) {
        while self.pending.front().is_some_and(|oldest| oldest.at + RETENTION_S < now_s) {
            self.pending.pop_front();
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Sets the kinds that the bot wants; `None` leaves them.
    pub(super) fn allow(&mut self, kinds: Option<Vec<String>>) {
        if let Some(kinds) = kinds {
            self.allowed = kinds;
        }
    }

    /// Begins a call of getUpdates: it displaces the one that waits, and confirms everything before `offset`
    /// (a negative offset: everything but the last so many).
    pub(super) fn begin_poll(&mut self, offset: i64, now_s: i64) -> u64 {
        self.expire(now_s);
        if offset < 0 {
            let keep = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
            let surplus = self.pending.len().saturating_sub(keep);
            self.pending.drain(..surplus);
        } else {
            self.pending.retain(|update| update.id >= offset);
        }
        self.poll += 1;
        self.displaced_by_webhook = false;
        self.last_poll = Some(Instant::now());
        self.poll
    }

    /// Whether a call of getUpdates may still answer.
    pub(super) fn check_poll(&self, poll: u64) -> Result<(), Displaced> {
        if self.poll == poll {
            Ok(())
        } else if self.displaced_by_webhook {
            Err(Displaced::ByWebhook)
        } else {
            Err(Displaced::ByPoll)
        }
    }

    /// The oldest updates; they wait on until a later call confirms them.
    pub(super) fn peek(&self, limit: usize) -> Vec<Value> {
        self.pending.iter().take(limit).map(|update| update.body.clone()).collect()
    }

    /// The oldest update with its id.
    pub(super) fn first(&self) -> Option<(i64, &Value)> {
        self.pending.front().map(|update| (update.id, &update.body))
    }

    /// Takes an update out that was delivered.
    pub(super) fn confirm(&mut self, id: i64) {
        self.pending.retain(|update| update.id != id);
    }

    /// Sets or takes away the webhook; a waiting long poll ends when one is set.
    pub(super) fn set_webhook(&mut self, webhook: Option<Webhook>, drop_pending: bool) {
        if drop_pending {
            self.pending.clear();
        }
        self.generation += 1;
        if webhook.is_some() {
            self.poll += 1;
            self.displaced_by_webhook = true;
        }
        self.webhook = webhook.map(|webhook| Webhook { generation: self.generation, ..webhook });
    }

    /// `WebhookInfo` of the Bot API.
    pub(super) fn webhook_info(&self) -> Value {
        let mut info = Map::new();
        let url = self.webhook.as_ref().map_or("", |webhook| webhook.url.as_str());
        info.insert("url".to_owned(), url.into());
        info.insert("has_custom_certificate".to_owned(), false.into());
        info.insert("pending_update_count".to_owned(), self.pending.len().into());
        if let Some(webhook) = &self.webhook {
            if let Some((date, message)) = &webhook.last_error {
                info.insert("last_error_date".to_owned(), (*date).into());
                info.insert("last_error_message".to_owned(), message.clone().into());
            }
            info.insert("max_connections".to_owned(), webhook.max_connections.into());
            let address = webhook.url.host_str().unwrap_or("<unknown>");
            info.insert("ip_address".to_owned(), address.into());
        }
        if !self.allowed.is_empty() {
            info.insert("allowed_updates".to_owned(), json!(self.allowed));
        }
        Value::Object(info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(updates: &Updates) -> Vec<i64> {
        updates.peek(100).iter().map(|update| update["update_id"].as_i64().unwrap()).collect()
    }

    #[test]
    fn updates_wait_until_confirmed_by_a_higher_offset() {
        let mut updates = Updates::new(100);
        for _ in 0..4 {
            updates.push("message", json!({}), 1_000).unwrap();
        }
        updates.begin_poll(0, 1_000);
        assert_eq!(ids(&updates), [100, 101, 102, 103]);
        assert_eq!(updates.peek(2).len(), 2);
        updates.begin_poll(102, 1_000);
        assert_eq!(ids(&updates), [102, 103]);
        updates.begin_poll(-1, 1_000);
        assert_eq!(ids(&updates), [103]);
        updates.begin_poll(0, 1_000 + RETENTION_S + 1);
        assert_eq!(ids(&updates).len(), 0);
    }

    #[test]
    fn a_later_poll_or_a_webhook_displaces_a_poll() {
        let mut updates = Updates::new(1);
        let first = updates.begin_poll(0, 0);
        let second = updates.begin_poll(0, 0);
        assert_eq!(updates.check_poll(first), Err(Displaced::ByPoll));
        assert_eq!(updates.check_poll(second), Ok(()));
        let url = "http://127.0.0.1/x".parse().unwrap();
        updates.set_webhook(
            Some(Webhook { url, secret: None, max_connections: 40, last_error: None, generation: 0 }),
            false,
        );
        assert_eq!(updates.check_poll(second), Err(Displaced::ByWebhook));
    }

    #[test]
    fn kinds_that_are_not_wanted_are_not_queued_and_the_queue_is_bounded() {
        let mut updates = Updates::new(1);
        updates.allow(Some(vec!["callback_query".to_owned()]));
        assert_eq!(updates.push("message", json!({}), 0), None);
        for _ in 0..=MOST_UPDATES {
            updates.push("callback_query", json!({}), 0).unwrap();
        }
        assert_eq!((updates.len(), ids(&updates)[0]), (MOST_UPDATES, 2));
    }
}
