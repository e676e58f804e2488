//! Signals on the bus: what a generator found or TradingView said, for pipelines to act on.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::trading::SignalAction;
use crate::{DecisionId, Interval, Symbol};

/// Topic of the bus that signals are published to.
pub const SIGNALS_TOPIC: &str = "signals";

/// What kind of signal it is, or who made it: one lower-case word. The known ones are constants; others pass, so that a
/// new generator needs no new dispatcher.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "golden_cross", min_length = 1, max_length = 40, pattern = "^[a-z][a-z0-9_]{0,39}$")]
pub struct SignalWord(String);

/// A text that is no such word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a word of 1 to 40 lower-case letters, digits and _, that begins with a letter, like golden_cross")]
pub struct SignalWordError;

impl SignalWord {
    /// Longest word, in characters.
    pub const MAX_LEN: usize = 40;

    /// Random, for trying things out.
    pub const MOCK: &'static str = "mock";
    /// The fast moving average went above the slow one.
    pub const GOLDEN_CROSS: &'static str = "golden_cross";
    /// The fast moving average went below the slow one.
    pub const DEATH_CROSS: &'static str = "death_cross";
    /// An alert of TradingView.
    pub const TRADINGVIEW: &'static str = "tradingview";
    /// Types that services here make: what else comes is `other` in metrics.
    pub const TYPES: [&'static str; 4] = [Self::MOCK, Self::GOLDEN_CROSS, Self::DEATH_CROSS, Self::TRADINGVIEW];

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The word where it is one of [`SignalWord::TYPES`], else `other`: bounded, for metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        Self::TYPES.into_iter().find(|known| *known == self.0).unwrap_or("other")
    }
}

impl FromStr for SignalWord {
    type Err = SignalWordError;

    fn from_str(text: &str) -> Result<Self, SignalWordError> {
        let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
        let sound = (1..=Self::MAX_LEN).contains(&text.len())
            && text.bytes().all(fits)
            && text.as_bytes()[0].is_ascii_lowercase();
        sound.then(|| Self(text.to_owned())).ok_or(SignalWordError)
    }
}

impl TryFrom<String> for SignalWord {
    type Error = SignalWordError;

    fn try_from(text: String) -> Result<Self, SignalWordError> {
        text.parse()
    }
}

impl From<SignalWord> for String {
    fn from(word: SignalWord) -> Self {
        word.0
    }
}

impl fmt::Display for SignalWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A signal on the bus. Version 1 of its JSON form.
///
/// Readers ignore fields that they do not know, and take what a later version leaves out by its default; a message whose
/// `version` is above theirs is read all the same, as far as they understand it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SignalEvent {
    /// Version of this form; 1 where it is left out.
    #[serde(default = "first_version")]
    pub version: u16,
    /// Its id. The same signal that comes again is acted on once.
    pub signal_id: DecisionId,
    /// What kind of signal it is.
    pub signal_type: SignalWord,
    /// Who made it: `mock_generator`, `golden_cross_generator`, `tradingview`.
    pub source: SignalWord,
    /// Which market it is about.
    pub symbol: Symbol,
    /// What it asks for.
    pub action: SignalAction,
    /// How sure it is, from 0 to 1.
    #[schema(value_type = String, example = "0.85")]
    pub confidence: Decimal,
    /// The price it was made at, in the quote currency: to compare, never to trade at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub price: Option<Decimal>,
    /// Interval of the candles that it was found on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// When the candle that it was found on closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candle_closed_at: Option<DateTime<Utc>>,
    /// Why, in a sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub reason: Option<String>,
    /// When it was made.
    pub generated_at: DateTime<Utc>,
}

const fn first_version() -> u16 {
    SignalEvent::VERSION
}

/// A signal that cannot be acted on, whatever the pipelines are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignalEventError {
    /// Not a share of one.
    #[error("confidence is a number from 0 to 1")]
    Confidence,
    /// A price that is nothing, or less.
    #[error("price is a number above zero")]
    Price,
    /// Too long, or with characters that databases do not take.
    #[error("reason is a text of at most {max} characters, without NUL", max = SignalEvent::MAX_REASON_CHARS)]
    Reason,
    /// A time that no calendar here has.
    #[error("{0} is a time from the year 1970 to 9999")]
    Time(&'static str),
}

impl SignalEvent {
    /// The version that is written here.
    pub const VERSION: u16 = 1;
    /// Longest reason, in characters.
    pub const MAX_REASON_CHARS: usize = 1_000;

    /// Whether it makes sense at all.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(&self) -> Result<(), SignalEventError> {
        if self.confidence < Decimal::ZERO || self.confidence > Decimal::ONE {
            return Err(SignalEventError::Confidence);
        }
        if self.price.is_some_and(|price| price <= Decimal::ZERO) {
            return Err(SignalEventError::Price);
        }
        let long = |text: &String| text.contains('\0') || text.chars().count() > Self::MAX_REASON_CHARS;
        if self.reason.as_ref().is_some_and(long) {
            return Err(SignalEventError::Reason);
        }
        for (name, time) in [("generated_at", Some(self.generated_at)), ("candle_closed_at", self.candle_closed_at)] {
            if time.is_some_and(|time| !crate::trading::can_be_kept(time)) {
                return Err(SignalEventError::Time(name));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal_macros::dec;

    use super::*;

    fn event() -> SignalEvent {
        SignalEvent {
            version: 1,
            signal_id: DecisionId::from_bytes([7; 16]),
            signal_type: "golden_cross".parse().unwrap(),
            source: "golden_cross_generator".parse().unwrap(),
            symbol: "BTCUSDT".parse().unwrap(),
            action: SignalAction::Buy,
            confidence: dec!(0.85),
            price: Some(dec!(104250.12)),
            interval: Some(Interval::FiveMinutes),
            candle_closed_at: "2026-01-31T12:05:00Z".parse().ok(),
            reason: Some("SMA 5 went above SMA 20".to_owned()),
            generated_at: "2026-01-31T12:05:00.25Z".parse().unwrap(),
        }
    }

    #[test]
    fn words_are_bounded_and_labels_more_so() {
        for bad in ["", "Golden", "9lives", "a-b", "a b", "_a", "\u{e4}", &"x".repeat(41)] {
            assert_eq!(bad.parse::<SignalWord>(), Err(SignalWordError), "{bad:?}");
        }
        assert_eq!("death_cross".parse::<SignalWord>().unwrap().label(), "death_cross");
        assert_eq!("made_up_by_somebody".parse::<SignalWord>().unwrap().label(), "other");
    }

    /// What a later version may add, and what an earlier one did not have.
    #[test]
    fn other_versions_are_read_as_far_as_they_are_understood() {
        let mut json = serde_json::to_value(event()).unwrap();
        json["version"] = 7.into();
        json["horizon"] = serde_json::json!({"minutes": 30});
        json["signal_type"] = "head_and_shoulders".into();
        let read: SignalEvent = serde_json::from_value(json).unwrap();
        assert_eq!((read.version, read.signal_type.label(), read.check()), (7, "other", Ok(())));
        let oldest = serde_json::json!({
            "signal_id": "07070707070707070707070707070707", "signal_type": "mock", "source": "mock_generator",
            "symbol": "BTCUSDT", "action": "sell", "confidence": "0.5", "generated_at": "2026-01-31T12:05:00Z",
        });
        let read: SignalEvent = serde_json::from_value(oldest).unwrap();
        assert_eq!((read.version, read.price, read.interval, read.check()), (1, None, None, Ok(())));
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let bad = |change: fn(&mut SignalEvent)| {
            let mut event = event();
            change(&mut event);
            event.check().unwrap_err()
        };
        assert_eq!(event().check(), Ok(()));
        assert_eq!(bad(|e| e.confidence = dec!(1.01)), SignalEventError::Confidence);
        assert_eq!(bad(|e| e.confidence = dec!(-0.01)), SignalEventError::Confidence);
        assert_eq!(bad(|e| e.price = Some(dec!(0))), SignalEventError::Price);
        assert_eq!(bad(|e| e.reason = Some("\0".to_owned())), SignalEventError::Reason);
        assert_eq!(bad(|e| e.reason = Some("x".repeat(1_001))), SignalEventError::Reason);
        assert_eq!(bad(|e| e.generated_at = DateTime::<Utc>::MIN_UTC), SignalEventError::Time("generated_at"));
    }
}
