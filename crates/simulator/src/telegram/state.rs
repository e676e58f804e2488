//! The bot, its chats and its updates, behind one lock.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use telemetry::metrics::simulator::TELEGRAM_PENDING;
use tokio::sync::{broadcast, watch};

use super::chats::Chats;
use super::photo::Photo;
use super::updates::Updates;
use crate::world::now_ms;

/// Events that a slow page may lag behind before it has to load the chat anew.
const EVENT_BACKLOG: usize = 256;
/// Presses of buttons that can still be answered.
const MOST_CALLBACKS: usize = 1_000;

/// The token of the one bot. It has no `Debug`: it must not reach a log.
pub(crate) struct BotToken {
    text: String,
    id: i64,
}

impl BotToken {
    /// Reads a token of the form `123456:letters-and-digits`.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let (id, rest) = text.split_once(':')?;
        let id: i64 = id.parse().ok().filter(|id| *id > 0 && !text.starts_with('0'))?;
        let sound = text.len() <= 80
            && !rest.is_empty()
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        sound.then(|| Self { text: text.to_owned(), id })
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.text == text
    }

    /// `User` of the bot.
    pub(super) fn user(&self) -> Value {
        json!({ "id": self.id, "is_bot": true, "first_name": "Simulated bot", "username": "simulated_crypto_bot" })
    }
}

/// Something that happened in a chat, for pages that watch it.
#[derive(Debug, Clone)]
pub(crate) struct PageEvent {
    /// `message`, `edit`, `callback_answer`, `chat_action` or `commands`.
    pub(crate) name: &'static str,
    /// The chat; `None` for all.
    pub(crate) chat_id: Option<i64>,
    /// JSON.
    pub(crate) data: Value,
}

/// A press of an inline button that the bot has not answered.
#[derive(Debug)]
pub(super) struct Callback {
    pub(super) id: String,
    pub(super) chat_id: i64,
}

pub(super) struct Inner {
    pub(super) chats: Chats,
    pub(super) updates: Updates,
    pub(super) callbacks: VecDeque<Callback>,
    pub(super) commands: Vec<Value>,
    pub(super) next_callback: u64,
}

/// Telegram, as far as one bot sees it.
pub(crate) struct Telegram {
    pub(super) token: BotToken,
    inner: Mutex<Inner>,
    changed: watch::Sender<u64>,
    events: broadcast::Sender<PageEvent>,
}

impl Telegram {
    /// A bot and the people who have started it.
    pub(crate) fn new(token: BotToken, people: &[i64]) -> Self {
        let inner = Inner {
            chats: Chats::new(people),
            updates: Updates::new(now_s()),
            callbacks: VecDeque::new(),
            commands: Vec::new(),
            next_callback: 1,
        };
        Self {
            token,
            inner: Mutex::new(inner),
            changed: watch::Sender::new(0),
            events: broadcast::Sender::new(EVENT_BACKLOG),
        }
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        // Every change under this lock is whole when it is released; a panic elsewhere cannot have left it half-made.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everyone who waits for updates.
    pub(super) fn wake(&self) {
        let pending = self.inner().updates.len();
        TELEGRAM_PENDING.set(f64::from(u32::try_from(pending).unwrap_or(u32::MAX)), &[]);
        self.changed.send_modify(|version| *version += 1);
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Tells the pages; nobody watching is no error.
    pub(super) fn tell(&self, name: &'static str, chat_id: Option<i64>, data: Value) {
        drop(self.events.send(PageEvent { name, chat_id, data }));
    }

    /// What happens from now on.
    pub(crate) fn events(&self) -> broadcast::Receiver<PageEvent> {
        self.events.subscribe()
    }

    /// A photo that was sent.
    pub(crate) fn photo(&self, file_id: &str) -> Option<Photo> {
        self.inner().chats.photo(file_id).cloned()
    }
}

impl Inner {
    /// Remembers a press of a button and gives it an id.
    pub(super) fn new_callback(&mut self, chat_id: i64) -> String {
        let id = format!("{}{:010}", now_s(), self.next_callback);
        self.next_callback += 1;
        if self.callbacks.len() >= MOST_CALLBACKS {
            self.callbacks.pop_front();
        }
        self.callbacks.push_back(Callback { id: id.clone(), chat_id });
        id
    }
}

/// Seconds since 1970.
pub(super) fn now_s() -> i64 {
    now_ms().div_euclid(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_a_form() {
        assert!(BotToken::new(crate::DEFAULT_BOT_TOKEN).is_some());
        for wrong in ["", "abc", "1:", "0:abc", "x:abc", "1:a/b", "-5:abc"] {
            assert!(BotToken::new(wrong).is_none(), "{wrong}");
        }
    }
}
