//! What an alert says: a JSON object or `key=value` text, as whoever set the alert up has written it.
//!
//! TradingView sends the alert's message as the body, `application/json` where it is valid JSON and `text/plain`
//! otherwise, with its placeholders filled in:
//! <https://www.tradingview.com/support/solutions/43000529348-about-webhooks/>.

mod fields;
mod json;
mod pairs;
mod refused;
mod ticker;
mod values;

use chrono::{DateTime, Utc};
use domain::{Symbol, trading::SignalAction};
use rust_decimal::Decimal;

use fields::Fields;
pub(crate) use refused::Refused;

/// What a body says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyKind {
    /// `application/json`.
    Json,
    /// `text/plain`, or nothing said: JSON too, where it begins like an object.
    Text,
}

/// An alert that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alert {
    /// The ticker as TradingView spells it, in upper case.
    pub(crate) ticker: String,
    /// The symbol that it means.
    pub(crate) symbol: Symbol,
    pub(crate) action: SignalAction,
    /// In the base currency.
    pub(crate) quantity: Option<Decimal>,
    /// In the quote currency.
    pub(crate) notional: Option<Decimal>,
    pub(crate) limit_price: Option<Decimal>,
    pub(crate) seen_price: Option<Decimal>,
    pub(crate) order_id: Option<String>,
    pub(crate) comment: Option<String>,
    pub(crate) interval: Option<String>,
    pub(crate) alerted_at: Option<DateTime<Utc>>,
}

/// What a value is before anybody knows what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Raw {
    /// A text, or a number digit by digit: a float in between would change the amount.
    Text(String),
    /// JSON's null.
    Null,
    /// An object or a list.
    Nested,
}

impl Alert {
    /// Reads a body.
    ///
    /// # Errors
    /// What is wrong, and with which field; never a value.
    pub(crate) fn read(body: &[u8], kind: BodyKind) -> Result<Self, Refused> {
        let text = std::str::from_utf8(body).map_err(|_| Refused::Encoding)?;
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            return Err(Refused::Empty);
        }
        let pairs = if kind == BodyKind::Json || text.starts_with('{') { json::read(text) } else { pairs::read(text) }?;
        Fields::collect(pairs)?.alert()
    }
}

/// A message for the alert of a strategy, to be pasted into TradingView: its placeholders are filled in when the alert
/// fires.
#[must_use]
pub fn strategy_message() -> &'static str {
    r#"{
  "ticker": "{{exchange}}:{{ticker}}",
  "action": "{{strategy.order.action}}",
  "market_position": "{{strategy.market_position}}",
  "contracts": "{{strategy.order.contracts}}",
  "order_id": "{{strategy.order.id}}",
  "price": "{{close}}",
  "interval": "{{interval}}",
  "timenow": "{{timenow}}"
}"#
}

/// A message for any other alert, whose action (buy, sell or close) is written out.
#[must_use]
pub fn indicator_message() -> &'static str {
    r#"{
  "ticker": "{{exchange}}:{{ticker}}",
  "action": "buy",
  "price": "{{close}}",
  "interval": "{{interval}}",
  "timenow": "{{timenow}}"
}"#
}

#[cfg(test)]
mod tests;
