//! api-gateway in-process, on a free port.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up must fail")]

mod fake;
mod page;
mod support;
mod traces;
