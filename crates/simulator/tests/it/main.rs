//! The simulated outside world over real sockets, against the shapes that the real one documents.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod binance_rest;
mod binance_ws;
mod bingx;
mod bingx_faults;
mod bingx_prices;
mod control;
mod faults;
mod faults_ws;
mod llm;
mod page;
mod support;
mod telegram;
mod telegram_updates;
mod webhook;
