//! notifier-service in-process, against the simulator, the real services behind it, and scripted ones where those cannot
//! misbehave as wanted.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

mod api;
mod bot;
mod failures;
mod scripted;
mod spans;
mod webhook;
mod world;
