//! Prices and candles.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::Symbol;

/// Where a price came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PriceSource {
    /// The exchange's WebSocket stream.
    Stream,
    /// The exchange's REST API.
    Rest,
}

/// A price, and how old it was when it was served. `GET /v1/prices/{symbol}` of market-data-service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PriceQuote {
    /// What is priced.
    pub symbol: Symbol,
    /// Last traded price in the quote currency.
    #[schema(value_type = String, example = "46224.00")]
    pub price: Decimal,
    /// When the exchange said so.
    pub observed_at: DateTime<Utc>,
    /// Age in milliseconds at the moment of serving.
    pub age_ms: u64,
    /// How it reached us.
    pub source: PriceSource,
    /// Trace of the request that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// One candle of an interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Candle {
    /// First instant of the candle.
    pub open_time: DateTime<Utc>,
    /// Last instant of the candle.
    pub close_time: DateTime<Utc>,
    /// First price.
    #[schema(value_type = String)]
    pub open: Decimal,
    /// Highest price.
    #[schema(value_type = String)]
    pub high: Decimal,
    /// Lowest price.
    #[schema(value_type = String)]
    pub low: Decimal,
    /// Last price so far, or final when `closed`.
    #[schema(value_type = String)]
    pub close: Decimal,
    /// Traded volume in the base currency.
    #[schema(value_type = String)]
    pub volume: Decimal,
    /// Whether the candle is final. Strategies read closed candles only.
    pub closed: bool,
}

/// Candles of one symbol, oldest first. `GET /v1/candles/{symbol}` of market-data-service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CandleSeries {
    /// What the candles are of.
    pub symbol: Symbol,
    /// Length of a candle.
    pub interval: Interval,
    /// Oldest first.
    pub candles: Vec<Candle>,
    /// Trace of the request that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// One symbol that can be asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SymbolInfo {
    /// The symbol.
    pub symbol: Symbol,
    /// Base currency, `BTC`.
    pub base: String,
    /// Quote currency, `USDT`.
    pub quote: String,
}

/// `GET /v1/symbols` of market-data-service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SymbolList {
    /// Every symbol that is served.
    pub symbols: Vec<SymbolInfo>,
    /// Trace of the request that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// Candle intervals that are served, in Binance's spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub enum Interval {
    /// One minute.
    #[serde(rename = "1m")]
    OneMinute,
    /// Five minutes.
    #[serde(rename = "5m")]
    FiveMinutes,
    /// Fifteen minutes.
    #[serde(rename = "15m")]
    FifteenMinutes,
    /// One hour.
    #[serde(rename = "1h")]
    OneHour,
}

/// A text that is no interval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the interval is one of 1m, 5m, 15m, 1h")]
pub struct IntervalError;

impl Interval {
    /// Every interval, shortest first.
    pub const ALL: [Self; 4] = [Self::OneMinute, Self::FiveMinutes, Self::FifteenMinutes, Self::OneHour];

    /// In Binance's spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneMinute => "1m",
            Self::FiveMinutes => "5m",
            Self::FifteenMinutes => "15m",
            Self::OneHour => "1h",
        }
    }

    /// How many one-minute candles make one candle of this interval.
    #[must_use]
    pub const fn minutes(self) -> u32 {
        match self {
            Self::OneMinute => 1,
            Self::FiveMinutes => 5,
            Self::FifteenMinutes => 15,
            Self::OneHour => 60,
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, IntervalError> {
        Self::ALL.into_iter().find(|interval| interval.as_str() == text).ok_or(IntervalError)
    }
}
