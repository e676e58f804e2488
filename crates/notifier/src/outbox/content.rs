//! What is said, in a form that is kept: this crate's own, so that rows outlive another version of the Bot API's types.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use telegram::api::ParseMode;
use telegram::api::methods::{EditMessageTextParams, SendMessageParams};
use telegram::api::types::{
    InlineKeyboardButton, InlineKeyboardMarkup, KeyboardButton, LinkPreviewOptions, ReplyKeyboardMarkup, ReplyMarkup,
};
use telegram::{Outgoing, Photo};

use crate::question::BUTTON_TEXT;

/// A message's words, buttons and picture.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Telegram's HTML: the text, or the caption where there is a picture.
    pub text: String,
    /// Buttons.
    #[serde(default)]
    pub buttons: Buttons,
    /// A picture (PNG), in base 64: drawn when it was asked for, since a chart that is drawn when Telegram comes back
    /// would be of another time, and drawing may fail then with nobody left to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    picture: Option<String>,
}

/// Buttons of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Buttons {
    /// None.
    #[default]
    None,
    /// The keyboard with the one question.
    Question,
    /// Rows under the message.
    Rows(Vec<Vec<Button>>),
}

/// A button under a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// What is on it.
    pub text: String,
    /// What comes back when it is pressed: at most 64 bytes.
    pub data: String,
}

impl Content {
    /// Words and buttons.
    #[must_use]
    pub fn new(text: impl Into<String>, buttons: Buttons) -> Self {
        Self { text: text.into(), buttons, picture: None }
    }

    /// Words alone.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(text, Buttons::None)
    }

    /// The same with a picture; the words become its caption.
    #[must_use]
    pub fn with_picture(mut self, png: &[u8]) -> Self {
        self.picture = Some(STANDARD.encode(png));
        self
    }

    /// As the Bot API takes it: a new message, or other words for the message `edit`.
    ///
    /// # Errors
    /// When the picture cannot be read.
    pub(super) fn outgoing(
        &self,
        chat_id: i64,
        thread_id: Option<i32>,
        edit: Option<i32>,
    ) -> Result<Outgoing, base64::DecodeError> {
        if let Some(picture) = &self.picture {
            return Ok(Outgoing::Photo(Box::new(Photo {
                chat_id,
                message_thread_id: thread_id,
                caption: self.text.clone(),
                parse_mode: ParseMode::Html,
                reply_markup: self.buttons.markup(),
                png: STANDARD.decode(picture)?,
            })));
        }
        Ok(match edit {
            Some(message_id) => Outgoing::Edit(Box::new(
                EditMessageTextParams::builder()
                    .chat_id(chat_id)
                    .message_id(message_id)
                    .text(&self.text)
                    .parse_mode(ParseMode::Html)
                    .link_preview_options(LinkPreviewOptions::DISABLED)
                    .maybe_reply_markup(self.buttons.inline())
                    .build(),
            )),
            None => Outgoing::Message(Box::new(
                SendMessageParams::builder()
                    .chat_id(chat_id)
                    .maybe_message_thread_id(thread_id)
                    .text(&self.text)
                    .parse_mode(ParseMode::Html)
                    .link_preview_options(LinkPreviewOptions::DISABLED)
                    .maybe_reply_markup(self.buttons.markup())
                    .build(),
            )),
        })
    }
}

impl Buttons {
    fn markup(&self) -> Option<ReplyMarkup> {
        match self {
            Self::None => None,
            Self::Question => {
                let button = KeyboardButton::builder().text(BUTTON_TEXT).build();
                let keyboard = ReplyKeyboardMarkup::builder()
                    .keyboard(vec![vec![button]])
                    .is_persistent(true)
                    .resize_keyboard(true)
                    .input_field_placeholder("btc? · ETHUSDT · btc and eth")
                    .build();
                Some(ReplyMarkup::ReplyKeyboardMarkup(keyboard))
            }
            Self::Rows(_) => self.inline().map(ReplyMarkup::InlineKeyboardMarkup),
        }
    }

    fn inline(&self) -> Option<InlineKeyboardMarkup> {
        let Self::Rows(rows) = self else { return None };
        let button =
            |button: &Button| InlineKeyboardButton::builder().text(&button.text).callback_data(&button.data).build();
        let rows: Vec<Vec<_>> = rows.iter().map(|row| row.iter().map(button).collect()).collect();
        rows.iter()
            .any(|row: &Vec<_>| !row.is_empty())
            .then(|| InlineKeyboardMarkup::builder().inline_keyboard(rows).build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_as_it_was() {
        let rows = Buttons::Rows(vec![vec![Button { text: "Why".to_owned(), data: "w:1".to_owned() }]]);
        for content in
            [Content::text("a"), Content::new("b", rows), Content::new("c", Buttons::Question).with_picture(b"\x89PNG")]
        {
            let kept = serde_json::to_string(&content).unwrap();
            assert_eq!(serde_json::from_str::<Content>(&kept).unwrap(), content);
        }
        // Rows that were written before there were buttons or pictures.
        assert_eq!(serde_json::from_str::<Content>(r#"{"text":"a"}"#).unwrap(), Content::text("a"));
    }

    #[test]
    fn a_picture_is_a_photo_and_known_words_are_edited() {
        let picture = Content::text("chart").with_picture(b"\x89PNG").outgoing(5, None, Some(7)).unwrap();
        assert!(matches!(&picture, Outgoing::Photo(photo) if photo.png == b"\x89PNG" && photo.caption == "chart"));
        assert_eq!(Content::text("a").outgoing(5, None, Some(7)).unwrap().method(), "editMessageText");
        assert_eq!(Content::text("a").outgoing(5, None, None).unwrap().method(), "sendMessage");
    }
}
