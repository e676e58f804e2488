//! The client over real sockets: against documented answers, and against the simulator's BingX.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod answers;
mod paper;
mod support;
