//! Binance's WebSocket streams: one combined connection, kept alive.

mod backoff;
mod client;
mod connection;
mod event;
mod pace;

pub use backoff::Backoff;
pub use client::{MarketStream, Notice, StreamError, StreamSettings};
pub use connection::{ConnectError, LostReason};
pub use event::{KlineUpdate, MalformedEvent, StreamEvent, TickerUpdate};
