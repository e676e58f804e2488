//! From an update to what somebody wants of the bot.

use telegram::api::types::{AllowedUpdate, ChatType, MaybeInaccessibleMessage, Message};
use telegram::api::updates::{Update, UpdateContent};

use crate::question::{BUTTON_TEXT, COMMANDS};

/// The updates that the bot asks Telegram for.
pub(crate) const WANTED: [AllowedUpdate; 2] = [AllowedUpdate::Message, AllowedUpdate::CallbackQuery];

/// Who the bot is, as Telegram says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) user_id: u64,
    pub(crate) user_name: String,
}

/// Where an answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) chat_id: i64,
    /// Topic of a forum.
    pub(crate) thread_id: Option<i32>,
}

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// A message that is meant for the bot.
    Text {
        user_id: u64,
        place: Place,
        text: String,
        /// Its id within the chat, and when it was written: with the chat they tell it from every other message.
        written: (i32, u64),
        /// The message that it answers.
        replied_to: Option<i32>,
    },
    /// A press of a button.
    Press {
        user_id: u64,
        callback_id: String,
        place: Option<Place>,
        data: String,
        /// The message with the button.
        message_id: Option<i32>,
    },
    /// Something that the bot has no business with.
    Nothing { kind: &'static str },
}

impl Incoming {
    /// The kind of update; a metric label.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "message",
            Self::Press { .. } => "callback_query",
            Self::Nothing { kind } => kind,
        }
    }
}

impl Incoming {
    /// Tells this update from every other, also from one with the same number: a Telegram that begins anew (the
    /// simulator does at each start) counts from the beginning.
    pub(crate) fn key(&self, update_id: i64) -> String {
        match self {
            Self::Text { place, written: (message_id, date), .. } => {
                format!("update:{update_id}:{}:{message_id}:{date}", place.chat_id)
            }
            // Its length is Telegram's to choose.
            Self::Press { callback_id, .. } => {
                format!(
                    "press:{update_id}:{}",
                    callback_id.chars().filter(char::is_ascii_graphic).take(100).collect::<String>()
                )
            }
            Self::Nothing { .. } => format!("update:{update_id}"),
        }
    }
}

/// Order is kept within a chat; an update that belongs to none stands alone.
pub(crate) fn chat_of(update: &Update) -> Option<i64> {
    match &update.content {
        UpdateContent::Message(message) => Some(message.chat.id),
        UpdateContent::CallbackQuery(query) => place_of(query.message.as_ref()?).map(|place| place.chat_id),
        _ => None,
    }
}

/// Reads an update.
pub(crate) fn read(update: Update, identity: Option<&Identity>) -> Incoming {
    match update.content {
        UpdateContent::Message(message) => read_message(&message, identity),
        UpdateContent::CallbackQuery(query) => Incoming::Press {
            user_id: query.from.id,
            callback_id: query.id,
            place: query.message.as_ref().and_then(place_of),
            message_id: query.message.as_ref().map(message_id_of),
            data: query.data.unwrap_or_default(),
        },
        _ => Incoming::Nothing { kind: "other" },
    }
}

fn place_of(message: &MaybeInaccessibleMessage) -> Option<Place> {
    Some(match message {
        MaybeInaccessibleMessage::Message(message) => place(message),
        MaybeInaccessibleMessage::InaccessibleMessage(message) => Place { chat_id: message.chat.id, thread_id: None },
    })
}

const fn message_id_of(message: &MaybeInaccessibleMessage) -> i32 {
    match message {
        MaybeInaccessibleMessage::Message(message) => message.message_id,
        MaybeInaccessibleMessage::InaccessibleMessage(message) => message.message_id,
    }
}

fn place(message: &Message) -> Place {
    // A thread id also stands on replies outside of forums, where it must not be sent back.
    let thread_id = message.message_thread_id.filter(|_| message.is_topic_message == Some(true));
    Place { chat_id: message.chat.id, thread_id }
}

fn read_message(message: &Message, identity: Option<&Identity>) -> Incoming {
    let nothing = Incoming::Nothing { kind: "message" };
    let Some(from) = message.from.as_ref().filter(|from| !from.is_bot) else {
        return nothing;
    };
    let text = message.text.clone().unwrap_or_default();
    let text = match message.chat.type_field {
        // A picture or a voice message in a private chat is answered like an unknown text; a service message is not.
        ChatType::Private if message.text.is_none() && !has_content(message) => return nothing,
        ChatType::Private => text,
        _ => match addressed(&text, message, identity) {
            Some(text) => text,
            None => return nothing,
        },
    };
    Incoming::Text {
        user_id: from.id,
        place: place(message),
        text,
        written: (message.message_id, message.date),
        replied_to: message.reply_to_message.as_ref().map(|replied| replied.message_id),
    }
}

const fn has_content(message: &Message) -> bool {
    message.photo.is_some()
        || message.voice.is_some()
        || message.video.is_some()
        || message.document.is_some()
        || message.sticker.is_some()
        || message.audio.is_some()
        || message.location.is_some()
}

/// In a group the bot reads what is meant for it: commands, its name, answers to its messages, its button.
fn addressed(text: &str, message: &Message, identity: Option<&Identity>) -> Option<String> {
    if text.trim() == BUTTON_TEXT {
        return Some(text.to_owned());
    }
    let identity = identity?;
    if let Some(command) = text.strip_prefix('/') {
        let (name, addressee) = command.split_whitespace().next()?.split_once('@').map_or_else(
            || (command.split_whitespace().next().unwrap_or_default(), None),
            |(name, addressee)| (name, Some(addressee)),
        );
        let ours = addressee.map_or_else(
            // Other bots of the group have commands too: without a name only ours are ours.
            || COMMANDS.iter().any(|(command, _)| command.eq_ignore_ascii_case(name)),
            |addressee| addressee.eq_ignore_ascii_case(&identity.user_name),
        );
        return ours.then(|| text.to_owned());
    }
    let mention = format!("@{}", identity.user_name);
    if let Some(start) = find_ignoring_case(text, &mention) {
        let mut rest = text.to_owned();
        rest.replace_range(start..start + mention.len(), " ");
        return Some(rest.trim().to_owned());
    }
    let replied_to = message.reply_to_message.as_ref().and_then(|replied| replied.from.as_ref());
    replied_to.is_some_and(|from| from.id == identity.user_id).then(|| text.to_owned())
}

/// Position of an ASCII word that is not the beginning of a longer one.
fn find_ignoring_case(text: &str, word: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    let word = word.to_ascii_lowercase();
    lower.match_indices(&word).map(|(start, _)| start).find(|start| {
        let after = lower[start + word.len()..].chars().next();
        !after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn identity() -> Identity {
        Identity { user_id: 99, user_name: "Crypto_Bot".to_owned() }
    }

    fn message(chat: &str, more: &Value) -> Incoming {
        let mut message = json!({"message_id": 1, "date": 1, "chat": {"id": -5, "type": chat}, "from": {"id": 7, "is_bot": false, "first_name": "A"}});
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let update: Update = serde_json::from_value(json!({"update_id": 1, "message": message})).unwrap();
        read(update, Some(&identity()))
    }

    fn in_group(text: &str) -> Option<String> {
        match message("supergroup", &json!({"text": text})) {
            Incoming::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    #[test]
    fn a_private_message_is_always_for_the_bot() {
        let place = Place { chat_id: -5, thread_id: None };
        assert_eq!(
            message("private", &json!({"text": "btc?"})),
            Incoming::Text { user_id: 7, place, text: "btc?".to_owned(), written: (1, 1), replied_to: None }
        );
        let picture = json!({"photo": [{"file_id": "a", "file_unique_id": "b", "width": 1, "height": 1}]});
        assert!(matches!(message("private", &picture), Incoming::Text { text, .. } if text.is_empty()));
        assert_eq!(message("private", &json!({"delete_chat_photo": true})).kind(), "message");
        assert!(matches!(message("private", &json!({"delete_chat_photo": true})), Incoming::Nothing { .. }));
    }

    #[test]
    fn in_a_group_only_what_is_meant_for_the_bot() {
        assert_eq!(in_group("btc is going up"), None);
        assert_eq!(in_group("/weather"), None);
        assert_eq!(in_group("/"), None);
        assert_eq!(in_group("/ask@other_bot BTC"), None);
        assert_eq!(in_group("@crypto_bot2 btc?"), None);
        assert_eq!(in_group("/ask BTC").as_deref(), Some("/ask BTC"));
        assert_eq!(in_group("/Stop now").as_deref(), Some("/Stop now"));
        assert_eq!(in_group("/ask@crypto_bot BTC").as_deref(), Some("/ask@crypto_bot BTC"));
        assert_eq!(in_group("@crypto_bot btc?").as_deref(), Some("btc?"));
        assert_eq!(in_group("ü btc @CRYPTO_BOT").as_deref(), Some("ü btc"));
        assert_eq!(in_group(BUTTON_TEXT).as_deref(), Some(BUTTON_TEXT));
    }

    #[test]
    fn an_answer_to_the_bot_is_for_the_bot() {
        let replied = json!({"message_id": 1, "date": 1, "chat": {"id": -5, "type": "group"}, "from": {"id": 99, "is_bot": true, "first_name": "B"}});
        assert!(matches!(
            message("group", &json!({"text": "and eth?", "reply_to_message": replied})),
            Incoming::Text { replied_to: Some(1), .. }
        ));
    }

    #[test]
    fn an_update_is_known_by_what_it_holds_not_by_its_number_alone() {
        let one = message("private", &json!({"text": "btc?"}));
        let later = message("private", &json!({"text": "btc?", "date": 2}));
        assert_eq!(one.key(5), message("private", &json!({"text": "btc?"})).key(5));
        assert_ne!(one.key(5), later.key(5));
        let press = |id: &str| Incoming::Press {
            user_id: 7,
            callback_id: id.to_owned(),
            place: None,
            data: String::new(),
            message_id: None,
        };
        assert_ne!(press("a").key(5), press("b").key(5));
        assert!(press(&"\u{0}é".repeat(500)).key(5).len() < 150);
    }

    #[test]
    fn other_bots_and_channels_are_nobody() {
        let other = json!({"text": "/ask BTC", "from": {"id": 7, "is_bot": true, "first_name": "A"}});
        assert!(matches!(message("group", &other), Incoming::Nothing { .. }));
    }

    #[test]
    fn a_topic_is_answered_in_the_topic() {
        let text = message("supergroup", &json!({"text": "/ask", "message_thread_id": 3, "is_topic_message": true}));
        assert!(matches!(text, Incoming::Text { place: Place { thread_id: Some(3), .. }, .. }));
    }
}
