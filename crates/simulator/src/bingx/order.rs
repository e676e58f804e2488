//! An order: what was asked for and what has become of it.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use super::params::Params;

/// Most characters of a client order id.
const MOST_CLIENT_ID: usize = 40;

/// Buy or sell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Side {
    Buy,
    Sell,
}

impl Side {
    /// 1 for buying, -1 for selling.
    pub(super) const fn sign(self) -> Decimal {
        match self {
            Self::Buy => Decimal::ONE,
            Self::Sell => Decimal::NEGATIVE_ONE,
        }
    }
}

/// Until when a limit order waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum TimeInForce {
    Gtc,
    Ioc,
    Fok,
}

/// At which price it is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Kind {
    Market,
    Limit { price: Decimal, time_in_force: TimeInForce },
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Market => "MARKET",
            Self::Limit { .. } => "LIMIT",
        }
    }

    pub(super) const fn limit_price(self) -> Option<Decimal> {
        match self {
            Self::Market => None,
            Self::Limit { price, .. } => Some(price),
        }
    }
}

/// What has become of an order, in BingX's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Status {
    /// Waits in the book.
    Pending,
    PartiallyFilled,
    Filled,
    Cancelled,
    Rejected,
}

/// An order that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewOrder {
    /// In BingX's spelling, `BTC-USDT`.
    pub(super) symbol: String,
    pub(super) side: Side,
    pub(super) kind: Kind,
    /// In coins.
    pub(super) quantity: Decimal,
    pub(super) reduce_only: bool,
    /// Lower case.
    pub(super) client_id: Option<String>,
}

impl NewOrder {
    pub(super) fn read(params: &Params) -> Result<Self, ApiError> {
        let symbol = params.required("symbol")?.to_owned();
        let side = match params.required("side")? {
            "BUY" => Side::Buy,
            "SELL" => Side::Sell,
            _ => return Err(ApiError::parameter("side is BUY or SELL")),
        };
        if params.get("positionSide") != Some("BOTH") {
            return Err(ApiError::parameter("In the One-way mode, the 'PositionSide' field can only be set to BOTH"));
        }
        let kind = match params.required("type")? {
            "MARKET" => Kind::Market,
            "LIMIT" => {
                let price = params.amount("price")?.ok_or_else(|| ApiError::parameter("price is required"))?;
                let time_in_force = match params.get("timeInForce").unwrap_or("GTC") {
                    "GTC" => TimeInForce::Gtc,
                    "IOC" => TimeInForce::Ioc,
                    "FOK" => TimeInForce::Fok,
                    _ => return Err(ApiError::parameter("timeInForce is GTC, IOC or FOK here")),
                };
                Kind::Limit { price, time_in_force }
            }
            _ => return Err(ApiError::parameter("type is MARKET or LIMIT here")),
        };
        let quantity = params.amount("quantity")?.ok_or_else(|| ApiError::parameter("quantity is required"))?;
        let client_id = client_id(params)?;
        Ok(Self { symbol, side, kind, quantity, reduce_only: params.flag("reduceOnly")?, client_id })
    }
}

/// The client order id of a call, in lower case; both spellings are taken.
pub(super) fn client_id(params: &Params) -> Result<Option<String>, ApiError> {
    let Some(id) = params.get("clientOrderId").or_else(|| params.get("clientOrderID")) else { return Ok(None) };
    if id.len() > MOST_CLIENT_ID || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(ApiError::parameter("clientOrderId has 1 to 40 letters and digits"));
    }
    Ok(Some(id.to_ascii_lowercase()))
}

/// An order that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    /// Above 2^53, as on the real exchange.
    pub(super) id: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_id: Option<String>,
    /// In BingX's spelling, `BTC-USDT`.
    pub(super) symbol: String,
    pub(super) side: Side,
    pub(super) kind: Kind,
    pub(super) reduce_only: bool,
    /// In coins.
    pub(super) quantity: Decimal,
    /// In coins.
    pub(super) executed: Decimal,
    /// Price times quantity of what was filled.
    pub(super) quote: Decimal,
    /// What it cost, positive.
    pub(super) commission: Decimal,
    /// What it realised, before fees.
    pub(super) profit: Decimal,
    pub(super) status: Status,
    /// Milliseconds since 1970.
    pub(super) created_ms: i64,
    /// Milliseconds since 1970.
    pub(super) updated_ms: i64,
}

impl Order {
    pub(super) fn new(id: u64, new: &NewOrder, now_ms: i64) -> Self {
        Self {
            id,
            client_id: new.client_id.clone(),
            symbol: new.symbol.clone(),
            side: new.side,
            kind: new.kind,
            reduce_only: new.reduce_only,
            quantity: new.quantity,
            executed: Decimal::ZERO,
            quote: Decimal::ZERO,
            commission: Decimal::ZERO,
            profit: Decimal::ZERO,
            status: Status::Pending,
            created_ms: now_ms,
            updated_ms: now_ms,
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.status, Status::Pending | Status::PartiallyFilled)
    }

    /// What is not filled yet, in coins.
    pub(super) fn rest(&self) -> Decimal {
        self.quantity - self.executed
    }

    /// 0 while nothing is filled.
    pub(super) fn average_price(&self) -> Decimal {
        if self.executed.is_zero() { Decimal::ZERO } else { (self.quote / self.executed).round_dp(8).normalize() }
    }
}
