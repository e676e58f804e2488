//! Chat completions of OpenAI-compatible language models, with answers that keep to a JSON schema.
//!
//! A model may refuse, be cut off, ignore the schema, be busy, slow or gone: each is an error of its own
//! ([`ChatErrorKind`]), and each error says what is known about its cost ([`Spent`]). What a model says is data from
//! outside: nothing here trusts it, and it appears in no log and no span unless that is opted into.

mod client;
mod error;
mod pricing;
mod semconv;
mod settings;
pub mod wire;

pub use client::{Client, Completion, Prompt};
pub use error::{ChatError, ChatErrorKind, Spent};
pub use pricing::{Prices, estimated_tokens};
pub use settings::Settings;
