//! The people's side: what they type and press, and what they see. The control API and the chat page call this.

use serde_json::{Value, json};

use super::chats::{MOST_CHATS, Message, typed};
use super::markup::MOST_CALLBACK_BYTES;
use super::state::{Telegram, now_s};
use super::text::utf16_len;

/// Length of a message in UTF-16 code units.
pub(super) const MOST_TEXT: usize = 4_096;

/// Why a person cannot do that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PersonError {
    #[error("user_id is a whole number above 0")]
    UserId,
    #[error("text has 1 to {MOST_TEXT} characters that are not all spaces")]
    Text,
    #[error("callback_data has 1 to {MOST_CALLBACK_BYTES} bytes")]
    CallbackData,
    #[error("the chat with user {chat_id} has no message {message_id} with inline buttons")]
    NoSuchMessage {
        /// The chat.
        chat_id: i64,
        /// The message.
        message_id: i64,
    },
    #[error("more than {MOST_CHATS} people already talk to the bot")]
    TooManyChats,
}

/// A message was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) message_id: i64,
    /// `None`: the bot does not want such updates.
    pub(crate) update_id: Option<i64>,
}

/// A button was pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pressed {
    pub(crate) callback_query_id: String,
    /// `None`: the bot does not want such updates.
    pub(crate) update_id: Option<i64>,
}

impl Telegram {
    /// A person sends a text (a press on the reply keyboard is nothing else).
    pub(crate) fn say(&self, user_id: i64, text: &str) -> Result<Said, PersonError> {
        if user_id <= 0 {
            return Err(PersonError::UserId);
        }
        let text = text.trim();
        if text.is_empty() || utf16_len(text) > MOST_TEXT {
            return Err(PersonError::Text);
        }
        let (said, page) = {
            let mut guard = self.inner();
            let inner = &mut *guard;
            let id = inner.chats.take_message_id();
            let chat = inner.chats.open(user_id).ok_or(PersonError::TooManyChats)?;
            let message = Message {
                id,
                from_bot: false,
                date: now_s(),
                edit_date: None,
                edits: 0,
                body: typed(text),
                photo: None,
                photo_size: None,
                markup: None,
            };
            let page = message.page(chat.person, &self.token);
            let api = message.api(chat.person, &self.token);
            chat.push(message);
            (Said { message_id: id, update_id: inner.updates.push("message", api, now_s()) }, page)
        };
        self.wake();
        self.tell("message", Some(user_id), page);
        Ok(said)
    }

    /// A person presses an inline button of one of the bot's messages.
    pub(crate) fn press(&self, user_id: i64, message_id: i64, data: &str) -> Result<Pressed, PersonError> {
        if !(1..=MOST_CALLBACK_BYTES).contains(&data.len()) {
            return Err(PersonError::CallbackData);
        }
        let pressed = {
            let mut guard = self.inner();
            let inner = &mut *guard;
            let missing = PersonError::NoSuchMessage { chat_id: user_id, message_id };
            let chat = inner.chats.get(user_id).ok_or_else(|| missing.clone())?;
            let has_buttons =
                |message: &&Message| message.markup.as_ref().is_some_and(super::markup::Markup::is_inline);
            let message = chat.message(message_id).filter(has_buttons).ok_or(missing)?;
            let (from, message) = (chat.person.user(), message.api(chat.person, &self.token));
            let id = inner.new_callback(user_id);
            let query = json!({ "id": id, "from": from, "message": message, "chat_instance": user_id.to_string(), "data": data });
            Pressed { callback_query_id: id, update_id: inner.updates.push("callback_query", query, now_s()) }
        };
        self.wake();
        Ok(pressed)
    }

    /// A chat's messages, oldest first, and its keyboard; `None` when there is no such chat.
    pub(crate) fn read_chat(&self, chat_id: i64, wanted: impl Fn(bool) -> bool) -> Option<(Vec<Value>, Option<Value>)> {
        let inner = self.inner();
        let chat = inner.chats.get(chat_id)?;
        let messages = chat.messages().filter(|message| wanted(message.from_bot));
        Some((messages.map(|message| message.page(chat.person, &self.token)).collect(), chat.keyboard.clone()))
    }

    /// Who talks to the bot, what commands it offers, and how it takes its updates.
    pub(crate) fn overview(&self) -> Value {
        let inner = self.inner();
        let people: Vec<Value> =
            inner.chats.ids().into_iter().filter_map(|id| inner.chats.get(id)).map(|chat| chat.person.user()).collect();
        let takes_updates_by = if inner.updates.webhook.is_some() {
            "webhook"
        } else if inner.updates.last_poll.is_some_and(|at| at.elapsed().as_secs() < 90) {
            "polling"
        } else {
            "nothing"
        };
        json!({
            "bot": self.token.user(),
            "people": people,
            "commands": inner.commands,
            "takes_updates_by": takes_updates_by,
            "pending_updates": inner.updates.len(),
        })
    }
}
