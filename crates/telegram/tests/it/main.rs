//! The client against a server that speaks the Bot API's wire format, and the pace against a clock that is turned by
//! hand.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

mod client;
mod pacer;
