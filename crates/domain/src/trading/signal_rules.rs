//! What a signal must be before it can become an order.

use chrono::{DateTime, Datelike as _, Utc};
use rust_decimal::Decimal;

use super::Signal;

/// Most characters of a text in a signal.
const MAX_TEXT_CHARS: usize = 1_000;

/// A signal that cannot be handled, whatever the market does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignalError {
    /// A number that is nothing, or less.
    #[error("{0} is a number above zero")]
    NotPositive(&'static str),
    /// Both ways to say how much.
    #[error("quantity and notional both say how much: send one of them")]
    TwoSizes,
    /// A text that is too long, or has characters that are none.
    #[error("{0} is a text of at most {MAX_TEXT_CHARS} characters, without NUL")]
    Text(&'static str),
    /// A time that no calendar here has.
    #[error("{0} is a time from the year 1970 to 9999")]
    Time(&'static str),
}

impl Signal {
    /// Whether it makes sense at all.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(&self) -> Result<(), SignalError> {
        let numbers = [
            ("quantity", self.quantity),
            ("notional", self.notional),
            ("limit_price", self.limit_price),
            ("seen_price", self.seen_price),
        ];
        for (name, number) in numbers {
            if number.is_some_and(|number| number <= Decimal::ZERO) {
                return Err(SignalError::NotPositive(name));
            }
        }
        if self.quantity.is_some() && self.notional.is_some() {
            return Err(SignalError::TwoSizes);
        }
        let texts = [
            ("hook", &self.hook),
            ("sender_order_id", &self.sender_order_id),
            ("comment", &self.comment),
            ("interval", &self.interval),
        ];
        for (name, text) in texts {
            if text.as_ref().is_some_and(|text| text.contains('\0') || text.chars().count() > MAX_TEXT_CHARS) {
                return Err(SignalError::Text(name));
            }
        }
        for (name, time) in [("received_at", Some(self.received_at)), ("alerted_at", self.alerted_at)] {
            if time.is_some_and(|time| !can_be_kept(time)) {
                return Err(SignalError::Time(name));
            }
        }
        Ok(())
    }
}

/// Whether every database keeps this time, and in order.
pub(crate) fn can_be_kept(time: DateTime<Utc>) -> bool {
    (1970..=9999).contains(&time.year())
}

#[cfg(test)]
mod tests {
    use rust_decimal_macros::dec;

    use super::super::{SignalAction, SignalSource};
    use super::*;
    use crate::DecisionId;

    #[test]
    fn what_makes_no_sense_is_told() {
        let signal = Signal {
            signal_id: DecisionId::from_bytes([7; 16]),
            source: SignalSource::Tradingview,
            hook: Some("main".to_owned()),
            symbol: "BTCUSDT".parse().unwrap(),
            action: SignalAction::Buy,
            quantity: Some(dec!(0.01)),
            notional: None,
            limit_price: None,
            seen_price: None,
            sender_order_id: None,
            comment: None,
            interval: None,
            paper_only: false,
            alerted_at: None,
            received_at: Utc::now(),
        };
        assert_eq!(signal.check(), Ok(()));
        let bad = |change: fn(&mut Signal)| {
            let mut signal = signal.clone();
            change(&mut signal);
            signal.check().unwrap_err()
        };
        assert_eq!(bad(|s| s.quantity = Some(dec!(0))), SignalError::NotPositive("quantity"));
        assert_eq!(bad(|s| s.limit_price = Some(dec!(-1))), SignalError::NotPositive("limit_price"));
        assert_eq!(bad(|s| s.notional = Some(dec!(5))), SignalError::TwoSizes);
        assert_eq!(bad(|s| s.comment = Some("\0".to_owned())), SignalError::Text("comment"));
        assert_eq!(bad(|s| s.interval = Some("x".repeat(1_001))), SignalError::Text("interval"));
        assert_eq!(bad(|s| s.received_at = DateTime::<Utc>::MIN_UTC), SignalError::Time("received_at"));
        assert_eq!(bad(|s| s.alerted_at = Some(DateTime::<Utc>::MAX_UTC)), SignalError::Time("alerted_at"));
    }
}
