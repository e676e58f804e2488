//! Binance spot market data: REST client, WebSocket stream, wire types, errors.
//!
//! Public data only, no API key. The wire formats are those of Binance's own documentation
//! (<https://github.com/binance/binance-spot-api-docs>: `rest-api.md`, `web-socket-streams.md`, `errors.md`).
//!
//! - [`rest::RestClient`] keeps to Binance's limits by itself: once told to slow down (429) or banned (418) every
//!   call is refused locally until the time is over, and calls are withheld while too much weight is used.
//! - [`stream::MarketStream`] keeps one combined WebSocket stream alive for ever and says what happened to it.
//!
//! Everything that comes in is bounded in size and checked: a price is positive, a candle's high is its highest.

mod decimal;
pub mod rest;
pub mod stream;

pub use rest::{RestClient, RestError, RestSettings};
pub use stream::{MarketStream, StreamSettings};
