//! The fixed rule that stands in for a model.
//!
//! It reads the first JSON object in the user's last message that has numbers (or numbers as strings) under
//! `sma_fast`, `sma_slow` and, if there is one, `rsi`:
//!
//! - the fast average more than 0.05 % above the slow one: BUY, unless the RSI is 70 or more;
//! - more than 0.05 % below: SELL, unless the RSI is 30 or less;
//! - otherwise, or with an average missing: HOLD.
//!
//! Confidence is 0.50 plus a tenth for every 0.1 % between the averages, at most 0.95; of a HOLD it is 0.50.

use std::str::FromStr as _;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde_json::{Map, Number, Value};

/// What the rule says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opinion {
    /// `BUY`, `SELL` or `HOLD`.
    pub(super) action: &'static str,
    /// 0 to 1 with two decimals.
    pub(super) confidence: Decimal,
    pub(super) reason: String,
}

impl Opinion {
    fn hold(reason: impl Into<String>) -> Self {
        Self { action: "HOLD", confidence: Decimal::new(50, 2), reason: reason.into() }
    }

    /// Under the names that schemas use.
    pub(super) fn properties(&self) -> Map<String, Value> {
        let confidence = self.confidence.to_f64().and_then(Number::from_f64).map_or(Value::Null, Value::Number);
        let mut properties = Map::new();
        properties.insert("action".to_owned(), self.action.into());
        properties.insert("confidence".to_owned(), confidence);
        properties.insert("reason".to_owned(), self.reason.clone().into());
        properties
    }
}

/// The rule's opinion on a message.
pub(super) fn opinion(message: &str) -> Opinion {
    let Some(market) = summary(message) else {
        return Opinion::hold(
            "The message holds no market summary with sma_fast and sma_slow, so there is nothing to act on.",
        );
    };
    let number = |name: &str| market.get(name).and_then(decimal);
    let (Some(fast), Some(slow)) = (number("sma_fast"), number("sma_slow")) else {
        return Opinion::hold("The averages are not known yet.");
    };
    let rsi = number("rsi");
    if slow <= Decimal::ZERO {
        return Opinion::hold("The slow average is not positive.");
    }
    // Percent between the averages.
    let Some(spread) = fast
        .checked_sub(slow)
        .and_then(|gap| gap.checked_div(slow))
        .and_then(|share| share.checked_mul(Decimal::ONE_HUNDRED))
    else {
        return Opinion::hold("The averages are too far apart to be compared.");
    };
    let shown = spread.round_dp(2).normalize();
    let said_rsi = rsi.map_or_else(String::new, |rsi| format!(", RSI {}", rsi.round_dp(1).normalize()));
    let threshold = Decimal::new(5, 2);
    let confidence = (Decimal::new(50, 2) + spread.abs()).min(Decimal::new(95, 2)).round_dp(2);
    if spread > threshold {
        if rsi.is_some_and(|rsi| rsi >= Decimal::from(70)) {
            return Opinion::hold(format!(
                "The trend is up ({shown} % between the averages) but overbought{said_rsi}."
            ));
        }
        let reason = format!("The fast average is {shown} % above the slow one{said_rsi}: the trend is up.");
        return Opinion { action: "BUY", confidence, reason };
    }
    if spread < -threshold {
        if rsi.is_some_and(|rsi| rsi <= Decimal::from(30)) {
            return Opinion::hold(format!(
                "The trend is down ({shown} % between the averages) but oversold{said_rsi}."
            ));
        }
        let reason = format!("The fast average is {} % below the slow one{said_rsi}: the trend is down.", shown.abs());
        return Opinion { action: "SELL", confidence, reason };
    }
    Opinion::hold(format!("The averages are within 0.05 % of each other{said_rsi}: there is no trend."))
}

/// The first JSON object in a text that has one of the averages; it may stand amid prose.
fn summary(message: &str) -> Option<Map<String, Value>> {
    message.match_indices('{').take(100).find_map(|(start, _)| {
        let mut values = serde_json::Deserializer::from_str(message.get(start..)?).into_iter::<Value>();
        match values.next() {
            Some(Ok(Value::Object(object))) if object.contains_key("sma_fast") || object.contains_key("sma_slow") => {
                Some(object)
            }
            _ => None,
        }
    })
}

fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::String(text) => Decimal::from_str(text).ok(),
        Value::Number(number) => {
            Decimal::from_str(&number.to_string()).ok().or_else(|| Decimal::from_scientific(&number.to_string()).ok())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_and_rsi_decide() {
        for (fast, slow, rsi, action, confidence) in [
            ("100.20", "100", "\"55\"", "BUY", "0.70"),
            ("100.20", "100", "70", "HOLD", "0.50"),
            ("99.80", "100", "55.5", "SELL", "0.70"),
            ("99.80", "100", "30", "HOLD", "0.50"),
            ("100.05", "100", "55", "HOLD", "0.50"),
            ("110", "100", "null", "BUY", "0.95"),
        ] {
            let message = format!(
                "Decide on {{}} now:\n{{\"symbol\":\"BTCUSDT\",\"sma_fast\":\"{fast}\",\"sma_slow\":{slow},\"rsi\":{rsi}}} please"
            );
            let opinion = opinion(&message);
            assert_eq!(
                (opinion.action, opinion.confidence.to_string().as_str()),
                (action, confidence),
                "{message} {opinion:?}"
            );
        }
    }

    #[test]
    fn without_numbers_it_holds_and_says_why() {
        assert!(opinion("hello { world").reason.contains("no market summary"));
        assert!(opinion(r#"{"sma_fast":null,"sma_slow":"1"}"#).reason.contains("not known yet"));
        assert_eq!(opinion(r#"{"sma_fast":"1","sma_slow":"0"}"#).action, "HOLD");
    }
}
