//! The Telegram Bot API for one bot, and the people who talk to it.
//!
//! Answers, error texts and the rules of updates are those of Telegram's own server
//! ([tdlib/telegram-bot-api](https://github.com/tdlib/telegram-bot-api)).

mod chats;
mod edits;
mod error;
mod html;
mod http;
mod markup;
mod methods;
mod params;
mod people;
mod photo;
mod state;
mod text;
mod updates;
mod webhook;

pub(crate) use http::configure;
pub(crate) use people::PersonError;
pub(crate) use state::{BotToken, PageEvent, Telegram};
pub(crate) use webhook::deliver;
