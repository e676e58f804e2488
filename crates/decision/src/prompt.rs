//! What the language model is asked.

use domain::Indicators;
use domain::strategy::MarketView;
use llm::Prompt;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::json;

/// Closes that are shown: enough for the last half hour of one-minute candles, little enough to be cheap.
const LAST_CLOSES: usize = 30;

/// Longest reason that is kept, in characters.
pub(crate) const MAX_REASON_CHARS: usize = 300;

const SYSTEM: &str = "You decide what to do with one crypto currency on a short horizon: BUY, SELL or HOLD. \
    The user message is one JSON object with market data and nothing else: prices in the quote currency, simple moving \
    averages of the last 50 and 200 closed candles, Wilder's RSI over 14 candles, and the last closing prices, oldest \
    first. Rest on these numbers only. Say HOLD when they do not clearly favour a side. The confidence is a number from 0 \
    to 1. The reason is one or two plain sentences that name the numbers it rests on, at most 300 characters.";

/// The market as the model sees it.
#[derive(Debug, Serialize)]
struct Market<'a> {
    symbol: &'a str,
    candle_interval: &'a str,
    price: Decimal,
    sma_fast: Option<Decimal>,
    sma_slow: Option<Decimal>,
    rsi: Option<Decimal>,
    last_closes: &'a [Decimal],
}

/// The question about a market.
pub(crate) fn prompt(view: &MarketView, indicators: &Indicators) -> Result<Prompt, serde_json::Error> {
    let closes = view.closes();
    let market = Market {
        symbol: view.symbol().as_str(),
        candle_interval: view.interval().as_str(),
        price: view.price(),
        sma_fast: indicators.sma_fast,
        sma_slow: indicators.sma_slow,
        rsi: indicators.rsi,
        last_closes: &closes[closes.len().saturating_sub(LAST_CLOSES)..],
    };
    Ok(Prompt {
        system: SYSTEM.to_owned(),
        user: serde_json::to_string(&market)?,
        schema_name: "trading_decision",
        schema: json!({
            "type": "object",
            "properties": {
                "action": {"type": "string", "enum": ["BUY", "SELL", "HOLD"]},
                "confidence": {"type": "number", "minimum": 0, "maximum": 1},
                "reason": {"type": "string"},
            },
            "required": ["action", "confidence", "reason"],
            "additionalProperties": false,
        }),
    })
}
