//! market-data-service as its callers see it, with exchanges that have bad days.
//!
//! `exchange.rs` is an exchange that does exactly what a test says, in Binance's wire format; `simulated.rs` uses the
//! simulator, which moves by itself.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod exchange;
mod failures;
mod prices;
mod shared;
mod simulated;
mod sse;
mod stream;
mod support;
