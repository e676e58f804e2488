//! Telegram: every method of the Bot API, what a bot says, and how fast it may.
//!
//! The types and the list of methods are frankenstein's ([`api`]); the transport is ours ([`Client`]), so that each call
//! is a span, each failure has a type, each answer has a size limit, and the bot's token, which Telegram wants in the
//! URL's path, is in no span, log, `Debug` text or error.
//!
//! [`Outgoing`] is what can be said and [`Deliver`] says it; [`Pacer`] spaces messages as Telegram asks. What waits is
//! the caller's to keep: this crate has no queue.

mod client;
mod error;
mod outgoing;
mod pace;
mod settings;
mod updates;

/// The Bot API's types, parameters and method trait.
pub use frankenstein as api;
pub use frankenstein::AsyncTelegramApi;

pub use client::Client;
pub use error::Error;
pub use outgoing::{Deliver, MAX_PHOTO_BYTES, Outgoing, Photo, Taken};
pub use pace::{PaceSettings, Pacer};
pub use settings::{Settings, SettingsError};
pub use updates::{IncomingUpdate, UpdatesRequest, read_update};
