//! Binance's WebSocket streams: one combined connection, kept alive.

mod backoff;
mod client;
mod connection;
mod event;
mod pace;
mod reason;
mod settings;

pub use backoff::Backoff;
pub use client::{MarketStream, Notice};
pub use event::{KlineUpdate, MalformedEvent, StreamEvent, TickerUpdate};
pub use reason::{ConnectError, LostReason};
pub use settings::{StreamError, StreamSettings};
