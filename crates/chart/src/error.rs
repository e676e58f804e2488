//! Why there is no picture.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

/// Why a chart cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// No candle was given.
    #[error("there are no candles to draw a chart of; try again once the market's data is there")]
    NoCandles,
    /// A price of a candle is none.
    #[error(
        "the candle that opens at {opens} has {price} as its {field}, which is not a price: a chart shows prices above zero \
         and up to 1000000000000"
    )]
    BadPrice {
        /// When the candle opens.
        opens: DateTime<Utc>,
        /// `open`, `high`, `low` or `close`.
        field: &'static str,
        /// What was given.
        price: Decimal,
    },
    /// A candle that is not later than the one before it.
    #[error(
        "candles have to be ordered oldest first, each once; one that opens at {opens} comes after one that opens at \
         {previous}"
    )]
    Unordered {
        /// When it opens.
        opens: DateTime<Utc>,
        /// When the candle before it opens.
        previous: DateTime<Utc>,
    },
    /// The canvas could not be made.
    #[error("there is no memory for the picture")]
    NoMemory,
    /// The picture could not be written as PNG.
    #[error("the picture cannot be written as PNG")]
    Png(#[from] png::EncodingError),
}
