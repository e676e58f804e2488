//! Binance's public REST API under `/api/v3`.

mod client;
mod error;
mod guard;
mod kline;
mod types;

pub use client::{KlinesQuery, RestClient, RestSettings};
pub use error::RestError;
pub use guard::Withheld;
pub use kline::Kline;
pub(crate) use kline::{check_candle, time_ms};
pub use types::{ExchangeInfo, ExchangeSymbol, Ticker24h, TickerPrice};
