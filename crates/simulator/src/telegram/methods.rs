//! The methods of the Bot API.

use serde::Deserialize;
use serde_json::{Value, json};

use super::chats::Message;
use super::error::BotError;
use super::html;
use super::markup::Markup;
use super::params::Params;
use super::people::MOST_TEXT;
use super::photo::{self, MOST_PHOTO_BYTES};
use super::state::{Telegram, now_s};
use super::text::{Entity, Formatted, utf16_len};

/// Length of a caption in UTF-16 code units.
pub(super) const MOST_CAPTION: usize = 1_024;
/// Commands of a bot.
const MOST_COMMANDS: usize = 100;

/// What a method answers: the result, and a remark where the real server makes one.
pub(super) type Answer = Result<(Value, Option<&'static str>), BotError>;

pub(super) fn plain(result: Value) -> Answer {
    Ok((result, None))
}

impl Telegram {
    /// Calls a method (its name in lower case) that answers at once; all but getUpdates do.
    pub(super) fn call(&self, method: &str, params: &Params) -> Answer {
        match method {
            "getme" => self.get_me(),
            "sendmessage" => self.send_message(params),
            "sendphoto" => self.send_photo(params),
            "editmessagetext" => self.edit_message_text(params),
            "editmessagecaption" => self.edit_message_caption(params),
            "editmessagereplymarkup" => self.edit_message_reply_markup(params),
            "answercallbackquery" => self.answer_callback_query(params),
            "sendchataction" => self.send_chat_action(params),
            "setmycommands" => self.set_my_commands(params),
            "getmycommands" => plain(json!(self.inner().commands)),
            "setwebhook" => self.set_webhook(params),
            "deletewebhook" => self.delete_webhook(params.flag("drop_pending_updates")),
            "getwebhookinfo" => plain(self.inner().updates.webhook_info()),
            _ => Err(BotError::new(404, "Not Found: method not found")),
        }
    }

    fn get_me(&self) -> Answer {
        let mut user = self.token.user();
        if let Some(user) = user.as_object_mut() {
            for (name, value) in [
                ("can_join_groups", true),
                ("can_read_all_group_messages", false),
                ("supports_inline_queries", false),
                ("can_connect_to_business", false),
                ("has_main_web_app", false),
            ] {
                user.insert(name.to_owned(), value.into());
            }
        }
        plain(user)
    }

    fn send_message(&self, params: &Params) -> Answer {
        let chat_id = chat_id(params)?;
        self.check_chat(chat_id)?;
        let body = text_of(params, "text", "entities")?;
        if body.text.is_empty() {
            return Err(BotError::bad(if params.text("text").is_empty() {
                "Message text is empty"
            } else {
                "Text must be non-empty"
            }));
        }
        if utf16_len(&body.text) > MOST_TEXT {
            return Err(BotError::bad("Message is too long"));
        }
        let markup = markup_of(params)?;
        self.post(chat_id, body, None, markup)
    }

    fn send_photo(&self, params: &Params) -> Answer {
        let chat_id = chat_id(params)?;
        self.check_chat(chat_id)?;
        let caption = text_of(params, "caption", "caption_entities")?;
        if utf16_len(&caption.text) > MOST_CAPTION {
            return Err(BotError::bad("Message caption is too long"));
        }
        let markup = markup_of(params)?;
        let photo = if let Some(bytes) = params.file("photo") {
            if bytes.is_empty() {
                return Err(BotError::bad("File must be non-empty"));
            }
            if bytes.len() > MOST_PHOTO_BYTES {
                return Err(BotError::bad("File is too big"));
            }
            let (media_type, width, height) =
                photo::measure(bytes).ok_or_else(|| BotError::bad("IMAGE_PROCESS_FAILED"))?;
            if width == 0
                || height == 0
                || width + height > 10_000
                || width.max(height) > width.min(height).saturating_mul(20)
            {
                return Err(BotError::bad("PHOTO_INVALID_DIMENSIONS"));
            }
            self.inner().chats.keep_photo(media_type, width, height, bytes.clone())
        } else {
            let given = params.text("photo");
            if given.is_empty() {
                return Err(BotError::bad("There is no photo in the request"));
            }
            if given.starts_with("http://") || given.starts_with("https://") {
                // The real server would fetch it; this one has no network.
                return Err(BotError::bad("Failed to get HTTP URL content"));
            }
            self.photo(&given).ok_or_else(|| BotError::bad("Wrong file identifier/HTTP URL specified"))?
        };
        self.post(chat_id, caption, Some(photo), markup)
    }

    fn post(&self, chat_id: i64, body: Formatted, photo: Option<photo::Photo>, markup: Option<Markup>) -> Answer {
        let (api, page) = {
            let mut guard = self.inner();
            let inner = &mut *guard;
            let id = inner.chats.take_message_id();
            let chat = inner.chats.get_mut(chat_id).ok_or_else(no_chat)?;
            let message = Message {
                id,
                from_bot: true,
                date: now_s(),
                edit_date: None,
                edits: 0,
                body,
                photo_size: photo.as_ref().map(|photo| (photo.width, photo.height, photo.bytes.len())),
                photo: photo.map(|photo| photo.file_id),
                markup,
            };
            let shown = (message.api(chat.person, &self.token), message.page(chat.person, &self.token));
            chat.push(message);
            shown
        };
        self.tell("message", Some(chat_id), page);
        plain(api)
    }

    fn answer_callback_query(&self, params: &Params) -> Answer {
        let id = params.text("callback_query_id");
        let text = params.text("text");
        if utf16_len(&text) > 200 {
            return Err(BotError::bad("MESSAGE_TOO_LONG"));
        }
        let callback = {
            let mut inner = self.inner();
            let position = inner.callbacks.iter().position(|callback| callback.id == id);
            position.and_then(|position| inner.callbacks.remove(position))
        };
        let callback = callback
            .ok_or_else(|| BotError::bad("Query is too old and response timeout expired or query ID is invalid"))?;
        let data = json!({ "callback_query_id": id, "text": text, "show_alert": params.flag("show_alert") });
        self.tell("callback_answer", Some(callback.chat_id), data);
        plain(Value::Bool(true))
    }

    fn send_chat_action(&self, params: &Params) -> Answer {
        const ACTIONS: [&str; 11] = [
            "typing",
            "upload_photo",
            "record_video",
            "upload_video",
            "record_voice",
            "upload_voice",
            "upload_document",
            "choose_sticker",
            "find_location",
            "record_video_note",
            "upload_video_note",
        ];
        let chat_id = chat_id(params)?;
        self.check_chat(chat_id)?;
        let action = params.text("action");
        if !ACTIONS.contains(&action.as_str()) {
            return Err(BotError::bad("Wrong parameter action in request"));
        }
        self.tell("chat_action", Some(chat_id), json!({ "action": action }));
        plain(Value::Bool(true))
    }

    fn set_my_commands(&self, params: &Params) -> Answer {
        #[derive(Deserialize)]
        struct Command {
            command: String,
            description: String,
        }
        let commands: Vec<Command> = params
            .json("commands")
            .map_err(|_| BotError::bad("Can't parse commands JSON object"))?
            .ok_or_else(|| BotError::bad("Can't parse commands JSON object"))?;
        if commands.len() > MOST_COMMANDS {
            return Err(BotError::bad("BOT_COMMANDS_TOO_MUCH"));
        }
        let mut kept = Vec::with_capacity(commands.len());
        for Command { command, description } in commands {
            let command = command.strip_prefix('/').unwrap_or(&command).to_lowercase();
            let legal = (1..=32).contains(&command.len())
                && command.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            if !legal {
                return Err(BotError::bad("BOT_COMMAND_INVALID"));
            }
            if !(1..=256).contains(&utf16_len(&description)) {
                return Err(BotError::bad("BOT_COMMAND_DESCRIPTION_INVALID"));
            }
            kept.push(json!({ "command": command, "description": description }));
        }
        self.inner().commands.clone_from(&kept);
        self.tell("commands", None, Value::Array(kept));
        plain(Value::Bool(true))
    }

    /// A bot cannot begin a conversation: the chat is there once the person has spoken.
    pub(super) fn check_chat(&self, chat_id: i64) -> Result<(), BotError> {
        if self.inner().chats.get(chat_id).is_some() { Ok(()) } else { Err(no_chat()) }
    }
}

pub(super) fn no_chat() -> BotError {
    BotError::bad("Chat not found")
}

pub(super) fn chat_id(params: &Params) -> Result<i64, BotError> {
    let text = params.text("chat_id");
    if text.is_empty() {
        return Err(BotError::bad("Chat_id is empty"));
    }
    // A channel's @name: there are no channels here.
    text.parse().map_err(|_| no_chat())
}

pub(super) fn markup_of(params: &Params) -> Result<Option<Markup>, BotError> {
    let value =
        params.json("reply_markup").map_err(|_| BotError::bad("Can't parse reply keyboard markup JSON object"))?;
    Markup::read(value)
}

/// A text with its entities, from tags or as given.
pub(super) fn text_of(params: &Params, name: &str, entities: &str) -> Result<Formatted, BotError> {
    let text = params.text(name);
    if text.len() > 1 << 15 {
        return Err(BotError::bad("Text is too long"));
    }
    let formatted = match params.text("parse_mode").to_lowercase().as_str() {
        "" | "none" => {
            let entities: Option<Vec<Entity>> =
                params.json(entities).map_err(|error| BotError::bad(format!("Can't parse MessageEntity: {error}")))?;
            Formatted { text, entities: entities.unwrap_or_default() }
        }
        "html" => html::parse(&text).map_err(|error| BotError::bad(format!("Can't parse entities: {error}")))?,
        // Markdown in both versions exists at Telegram, but not here: the README says so.
        _ => return Err(BotError::bad("Unsupported parse_mode")),
    };
    Ok(formatted.trimmed())
}
