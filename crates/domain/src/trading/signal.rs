//! Signals: somebody says buy, sell or close.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Refusal, TradeOrder};
use crate::{DecisionId, Symbol};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignalAction {
    /// Buy.
    Buy,
    /// Sell.
    Sell,
    /// Bring the position of the symbol to zero, whichever side it is on.
    Close,
}

impl SignalAction {
    /// Every action.
    pub const ALL: [Self; 3] = [Self::Buy, Self::Sell, Self::Close];

    /// `buy`, `sell` or `close`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
            Self::Close => "close",
        }
    }
}

impl fmt::Display for SignalAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a signal comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignalSource {
    /// An alert of TradingView, by webhook.
    Tradingview,
    /// A pipeline, whose name is the signal's `hook`.
    Pipeline,
}

impl SignalSource {
    /// Every source.
    pub const ALL: [Self; 2] = [Self::Tradingview, Self::Pipeline];

    /// `tradingview` or `pipeline`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tradingview => "tradingview",
            Self::Pipeline => "pipeline",
        }
    }
}

impl FromStr for SignalSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|source| source.as_str() == text)
            .ok_or_else(|| format!("no source is called {text}"))
    }
}

/// A signal: body of `POST /v1/signals` of order-service.
///
/// Its id is the id of everything that comes of it: the exchange's client order id, the audit rows, the messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Signal {
    /// Its id.
    pub signal_id: DecisionId,
    /// Where it comes from.
    pub source: SignalSource,
    /// Name of the hook, or of the pipeline, that it came through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// What is to be traded.
    pub symbol: Symbol,
    /// What is to be done.
    pub action: SignalAction,
    /// How much, in the base currency. Without it and `notional` the default size is traded; `close` without it closes
    /// all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "0.001")]
    pub quantity: Option<Decimal>,
    /// How much, in the quote currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "100")]
    pub notional: Option<Decimal>,
    /// Trade at this price or better; at the market's price when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub limit_price: Option<Decimal>,
    /// The price that the sender saw, in the quote currency: for people to compare, never for trading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub seen_price: Option<Decimal>,
    /// The sender's own id of the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_order_id: Option<String>,
    /// The sender's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The chart's interval, in the sender's spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Whether it must not be traded with real money: refused where trading is live.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paper_only: bool,
    /// When the sender says that it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerted_at: Option<DateTime<Utc>>,
    /// When it arrived here.
    pub received_at: DateTime<Utc>,
}

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignalResult {
    /// There is an order, whatever its status.
    Ordered,
    /// There is an order that waits for somebody to confirm it.
    AwaitingConfirmation,
    /// A limit or the trading state refused it: there is no order.
    Refused,
}

/// Reply of `POST /v1/signals` of order-service. The same signal gets the same outcome, however often it comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SignalOutcome {
    /// Which signal.
    pub signal_id: DecisionId,
    /// What became of it.
    pub result: SignalResult,
    /// The order, unless it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Box<TradeOrder>>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// Whether it had been handled before.
    #[serde(default)]
    pub replayed: bool,
    /// Trace of the request that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}
