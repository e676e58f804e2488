//! What was said: the private chats of the bot, bounded in number and length.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};

use super::markup::Markup;
use super::photo::Photo;
use super::state::BotToken;
use super::text::{Entity, Formatted, utf16_len};

/// Messages that are kept of a chat; older ones cannot be edited any more.
const MOST_MESSAGES: usize = 500;
/// Chats that are kept; people beyond are refused.
pub(super) const MOST_CHATS: usize = 1_000;
/// Bytes of photos that are kept; the oldest are forgotten first.
const MOST_PHOTO_BYTES: usize = 32 * 1024 * 1024;

/// Somebody who talks to the bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) id: i64,
}

impl Person {
    fn name(self) -> String {
        match self.id {
            1001 => "Ada".to_owned(),
            1002 => "Mallory".to_owned(),
            id => format!("User {id}"),
        }
    }

    /// `User` of the Bot API.
    pub(super) fn user(self) -> Value {
        json!({
            "id": self.id,
            "is_bot": false,
            "first_name": self.name(),
            "username": format!("user{}", self.id),
            "language_code": "en",
        })
    }

    /// `Chat` of the Bot API: a private chat has its person's id.
    pub(super) fn chat(self) -> Value {
        json!({ "id": self.id, "first_name": self.name(), "username": format!("user{}", self.id), "type": "private" })
    }
}

/// A message of either side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: i64,
    pub(super) from_bot: bool,
    /// Seconds since 1970.
    pub(super) date: i64,
    pub(super) edit_date: Option<i64>,
    /// How often it was edited.
    pub(super) edits: u32,
    /// Text, or a photo's caption.
    pub(super) body: Formatted,
    pub(super) photo: Option<String>,
    pub(super) photo_size: Option<(u32, u32, usize)>,
    pub(super) markup: Option<Markup>,
}

/// A chat with one person.
#[derive(Debug)]
pub(super) struct Chat {
    pub(super) person: Person,
    messages: VecDeque<Message>,
    /// The reply keyboard that is shown.
    pub(super) keyboard: Option<Value>,
}

/// Every chat, and the photos in them.
#[derive(Debug)]
pub(super) struct Chats {
    chats: BTreeMap<i64, Chat>,
    photos: VecDeque<Photo>,
    next_message_id: i64,
    next_file: u64,
}

impl Chats {
    pub(super) fn new(people: &[i64]) -> Self {
        let chats = people.iter().map(|id| (*id, Chat::new(*id))).collect();
        Self { chats, photos: VecDeque::new(), next_message_id: 1, next_file: 1 }
    }

    pub(super) fn ids(&self) -> Vec<i64> {
        self.chats.keys().copied().collect()
    }

    pub(super) fn get(&self, id: i64) -> Option<&Chat> {
        self.chats.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: i64) -> Option<&mut Chat> {
        self.chats.get_mut(&id)
    }

    /// The chat of a person, opened when they speak first; `None` when there are too many.
    pub(super) fn open(&mut self, id: i64) -> Option<&mut Chat> {
        if !self.chats.contains_key(&id) && self.chats.len() >= MOST_CHATS {
            return None;
        }
        Some(self.chats.entry(id).or_insert_with(|| Chat::new(id)))
    }

    /// The id of the next message; the ids of a bot's private chats come from one sequence.
    pub(super) fn take_message_id(&mut self) -> i64 {
        let id = self.next_message_id;
        self.next_message_id += 1;
        id
    }

    /// Keeps a photo and gives it an id.
    pub(super) fn keep_photo(
        &mut self,
        media_type: &'static str,
        width: u32,
        height: u32,
        bytes: bytes::Bytes,
    ) -> Photo {
        let photo = Photo { file_id: format!("SimulatedPhoto{:08}", self.next_file), media_type, width, height, bytes };
        self.next_file += 1;
        self.photos.push_back(photo.clone());
        let mut total: usize = self.photos.iter().map(|photo| photo.bytes.len()).sum();
        while total > MOST_PHOTO_BYTES
            && let Some(oldest) = self.photos.pop_front()
        {
            total -= oldest.bytes.len();
        }
        photo
    }

    pub(super) fn photo(&self, file_id: &str) -> Option<&Photo> {
        self.photos.iter().find(|photo| photo.file_id == file_id)
    }
}

impl Chat {
    fn new(id: i64) -> Self {
        Self { person: Person { id }, messages: VecDeque::new(), keyboard: None }
    }

    pub(super) fn push(&mut self, message: Message) {
        match &message.markup {
            Some(Markup::Keyboard(keyboard)) => self.keyboard = Some(keyboard.clone()),
            Some(Markup::Remove(_)) => self.keyboard = None,
            _ => {}
        }
        if self.messages.len() >= MOST_MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back(message);
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter()
    }

    pub(super) fn message_mut(&mut self, id: i64) -> Option<&mut Message> {
        self.messages.iter_mut().find(|message| message.id == id)
    }

    pub(super) fn message(&self, id: i64) -> Option<&Message> {
        self.messages.iter().find(|message| message.id == id)
    }
}

impl Message {
    /// `Message` of the Bot API, which shows inline keyboards only.
    pub(super) fn api(&self, person: Person, bot: &BotToken) -> Value {
        let mut json = self.common(person, bot);
        if let Some(markup) = self.markup.as_ref().filter(|markup| markup.is_inline()) {
            json.insert("reply_markup".to_owned(), markup.json().clone());
        }
        Value::Object(json)
    }

    /// The message as the chat page and tests see it: with whatever `reply_markup` it was sent with, and how often it was
    /// edited.
    pub(super) fn page(&self, person: Person, bot: &BotToken) -> Value {
        let mut json = self.common(person, bot);
        json.insert("edit_count".to_owned(), self.edits.into());
        if let Some(markup) = &self.markup {
            json.insert("reply_markup".to_owned(), markup.json().clone());
        }
        Value::Object(json)
    }

    fn common(&self, person: Person, bot: &BotToken) -> Map<String, Value> {
        let mut json = Map::new();
        json.insert("message_id".to_owned(), self.id.into());
        json.insert("from".to_owned(), if self.from_bot { bot.user() } else { person.user() });
        json.insert("chat".to_owned(), person.chat());
        json.insert("date".to_owned(), self.date.into());
        if let Some(date) = self.edit_date {
            json.insert("edit_date".to_owned(), date.into());
        }
        let (text, entities) = match (&self.photo, self.photo_size) {
            (Some(file_id), Some((width, height, size))) => {
                let photo = json!([{
                    "file_id": file_id, "file_unique_id": file_id, "width": width, "height": height, "file_size": size,
                }]);
                json.insert("photo".to_owned(), photo);
                ("caption", "caption_entities")
            }
            _ => ("text", "entities"),
        };
        if !self.body.text.is_empty() {
            json.insert(text.to_owned(), self.body.text.clone().into());
        }
        if !self.body.entities.is_empty() {
            json.insert(entities.to_owned(), json!(self.body.entities));
        }
        json
    }
}

/// What a person typed, with the commands in it marked as Telegram marks them.
pub(super) fn typed(text: &str) -> Formatted {
    let mut entities = Vec::new();
    let mut offset = 0;
    for (index, word) in text.split_inclusive(char::is_whitespace).enumerate() {
        let bare = word.trim_end();
        let command = bare.strip_prefix('/').map(|rest| rest.split('@').next().unwrap_or_default());
        let is_command = command.is_some_and(|name| {
            (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
        if is_command && (index == 0 || offset > 0) {
            entities.push(Entity {
                kind: "bot_command".to_owned(),
                offset,
                length: utf16_len(bare),
                url: None,
                language: None,
            });
        }
        offset += utf16_len(word);
    }
    Formatted { text: text.to_owned(), entities }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_marked() {
        let commands =
            |text| typed(text).entities.iter().map(|entity| (entity.offset, entity.length)).collect::<Vec<_>>();
        assert_eq!(commands("/start"), [(0, 6)]);
        assert_eq!(commands("\u{1F600} /ask@bot btc"), [(3, 8)]);
        assert_eq!(commands("1/2 and /?"), []);
    }

    #[test]
    fn a_chat_is_bounded_and_shows_the_last_keyboard() {
        let mut chat = Chat::new(5);
        let message = |id, markup| Message {
            id,
            from_bot: true,
            date: 1,
            edit_date: None,
            edits: 0,
            body: Formatted { text: "x".to_owned(), entities: Vec::new() },
            photo: None,
            photo_size: None,
            markup,
        };
        for id in 0..600 {
            chat.push(message(id, (id == 3).then(|| Markup::Keyboard(json!({"keyboard":[["a"]]})))));
        }
        assert_eq!(chat.messages().count(), MOST_MESSAGES);
        assert!(chat.message(99).is_none() && chat.message(100).is_some());
        assert!(chat.keyboard.is_some());
        chat.push(message(600, Some(Markup::Remove(json!({"remove_keyboard":true})))));
        assert!(chat.keyboard.is_none());
    }
}
