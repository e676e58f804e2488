//! What a bot says: a message, a picture, or new words for a message that is there.

use frankenstein::ParseMode;
use frankenstein::methods::{EditMessageTextParams, SendMessageParams};
use frankenstein::types::ReplyMarkup;
use serde::Serialize;

use crate::{Client, Error};

/// Largest picture that Telegram takes: <https://core.telegram.org/bots/api#sendphoto>.
pub const MAX_PHOTO_BYTES: usize = 10 * 1024 * 1024;

/// A picture that is in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Photo {
    /// Where to.
    pub chat_id: i64,
    /// Topic of a forum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_thread_id: Option<i32>,
    /// Text under it, at most 1,024 characters.
    pub caption: String,
    /// How the caption is marked up.
    pub parse_mode: ParseMode,
    /// Buttons under it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_markup: Option<ReplyMarkup>,
    /// The PNG.
    #[serde(skip)]
    pub png: Vec<u8>,
}

/// Something to be said.
#[derive(Debug, Clone, PartialEq)]
pub enum Outgoing {
    /// A new message.
    Message(Box<SendMessageParams>),
    /// A new message with a picture.
    Photo(Box<Photo>),
    /// Other words for a message.
    Edit(Box<EditMessageTextParams>),
}

impl Outgoing {
    /// The Bot API's method: a label of metrics.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Message(_) => "sendMessage",
            Self::Photo(_) => "sendPhoto",
            Self::Edit(_) => "editMessageText",
        }
    }
}

/// That Telegram has taken it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Id of the message within its chat; none when the answer could not be read.
    pub message_id: Option<i32>,
}

/// What takes words to Telegram; [`Client`], or a test's own.
pub trait Deliver: Send + Sync + 'static {
    /// One attempt. A transient error means that it was not taken, or that nobody knows: it may be tried again.
    fn deliver(&self, outgoing: &Outgoing) -> impl Future<Output = Result<Taken, Error>> + Send;
}

impl Deliver for Client {
    async fn deliver(&self, outgoing: &Outgoing) -> Result<Taken, Error> {
        let method = outgoing.method();
        match outgoing {
            Outgoing::Message(message) => self.put(method, &**message, None).await,
            Outgoing::Edit(edit) => self.put(method, &**edit, None).await,
            Outgoing::Photo(photo) if photo.png.len() > MAX_PHOTO_BYTES => {
                let detail = format!("the picture has {} bytes, more than {MAX_PHOTO_BYTES}", photo.png.len());
                Err(Error::Request { detail })
            }
            Outgoing::Photo(photo) => self.put(method, &**photo, Some(("photo", "chart.png", photo.png.clone()))).await,
        }
    }
}
