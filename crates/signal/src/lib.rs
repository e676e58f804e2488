//! signal-service: TradingView webhooks in, signals out.
mod message;
pub use message::{indicator_message, strategy_message};
