//! The web crate over real sockets.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod incoming;
mod local_names;
mod outgoing;
mod streaming;
mod support;
