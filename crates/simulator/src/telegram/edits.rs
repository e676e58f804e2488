//! The methods that change a message of the bot.

use super::chats::Message;
use super::error::BotError;
use super::markup::Markup;
use super::methods::{Answer, MOST_CAPTION, chat_id, markup_of, no_chat, plain, text_of};
use super::params::Params;
use super::people::MOST_TEXT;
use super::state::{Telegram, now_s};
use super::text::utf16_len;

impl Telegram {
    pub(super) fn edit_message_text(&self, params: &Params) -> Answer {
        let (chat_id, message_id) = self.place_of(params)?;
        let body = text_of(params, "text", "entities")?;
        if body.text.is_empty() {
            return Err(BotError::bad("Message text is empty"));
        }
        if utf16_len(&body.text) > MOST_TEXT {
            return Err(BotError::bad("MESSAGE_TOO_LONG"));
        }
        let markup = inline_of(params)?;
        self.edit(chat_id, message_id, |message| {
            if message.photo.is_some() {
                return Err(BotError::bad("There is no text in the message to edit"));
            }
            message.body = body;
            message.markup = markup;
            Ok(())
        })
    }

    pub(super) fn edit_message_caption(&self, params: &Params) -> Answer {
        let (chat_id, message_id) = self.place_of(params)?;
        let caption = text_of(params, "caption", "caption_entities")?;
        if utf16_len(&caption.text) > MOST_CAPTION {
            return Err(BotError::bad("MEDIA_CAPTION_TOO_LONG"));
        }
        let markup = inline_of(params)?;
        self.edit(chat_id, message_id, |message| {
            if message.photo.is_none() {
                return Err(BotError::bad("There is no caption in the message to edit"));
            }
            message.body = caption;
            message.markup = markup;
            Ok(())
        })
    }

    pub(super) fn edit_message_reply_markup(&self, params: &Params) -> Answer {
        let (chat_id, message_id) = self.place_of(params)?;
        let markup = inline_of(params)?;
        self.edit(chat_id, message_id, |message| {
            message.markup = markup;
            Ok(())
        })
    }

    /// The chat and the message that a call is about.
    fn place_of(&self, params: &Params) -> Result<(i64, i64), BotError> {
        let chat_id = chat_id(params)?;
        let message_id = params.integer("message_id").unwrap_or_default();
        if message_id == 0 {
            return Err(BotError::bad("Message identifier is not specified"));
        }
        self.check_chat(chat_id)?;
        Ok((chat_id, message_id))
    }

    /// Changes a message and shows it; one that would stay as it is is no edit.
    fn edit(&self, chat_id: i64, message_id: i64, change: impl FnOnce(&mut Message) -> Result<(), BotError>) -> Answer {
        let (api, page) = {
            let mut inner = self.inner();
            let chat = inner.chats.get_mut(chat_id).ok_or_else(no_chat)?;
            let person = chat.person;
            let message = chat.message_mut(message_id).ok_or_else(|| BotError::bad("Message to edit not found"))?;
            if !message.from_bot {
                return Err(BotError::bad("Message can't be edited"));
            }
            let mut edited = message.clone();
            change(&mut edited)?;
            if edited == *message {
                return Err(BotError::bad(
                    "Message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message",
                ));
            }
            edited.edit_date = Some(now_s());
            edited.edits += 1;
            *message = edited;
            (message.api(person, &self.token), message.page(person, &self.token))
        };
        self.tell("edit", Some(chat_id), page);
        plain(api)
    }
}

/// The buttons of an edited message; none take those that are there away.
fn inline_of(params: &Params) -> Result<Option<Markup>, BotError> {
    let markup = markup_of(params)?;
    if markup.as_ref().is_some_and(|markup| !markup.is_inline()) {
        return Err(BotError::bad("Inline keyboard expected"));
    }
    Ok(markup)
}
