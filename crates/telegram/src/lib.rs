//! Telegram: every method of the Bot API, and a sender that keeps to Telegram's limits.
//!
//! The types and the list of methods are frankenstein's ([`api`]); the transport is ours ([`Client`]), so that each call
//! is a span, each failure has a type, each answer has a size limit, and the bot's token, which Telegram wants in the
//! URL's path, is in no span, log, `Debug` text or error.
//!
//! [`Sender`] keeps the order of messages within a chat, spaces them as Telegram asks, waits out `retry_after`, and
//! retries what may succeed later. Its queue is in memory and bounded: what waits there is lost when the process ends.

mod client;
mod error;
mod sender;
mod settings;
mod updates;

/// The Bot API's types, parameters and method trait.
pub use frankenstein as api;
pub use frankenstein::AsyncTelegramApi;

pub use client::Client;
pub use error::Error;
pub use sender::{Deliver, Enqueued, QueueFull, Sender, SenderSettings, SenderWorker};
pub use settings::{Settings, SettingsError};
pub use updates::{IncomingUpdate, UpdatesRequest, read_update};
