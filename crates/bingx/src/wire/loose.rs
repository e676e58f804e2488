//! A text or a number: BingX writes the same field either way.

use std::str::FromStr as _;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

/// Longest text that is looked at; no field that is read here has as many characters.
const MOST_CHARACTERS: usize = 200;

/// The digits of a number as they were written, or a text; empty for `null` and what is missing.
///
/// A number is not read as a float: order ids have 19 digits, and a price must not lose any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Loose(String);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?.get();
        if raw.len() > MOST_CHARACTERS {
            return Err(de::Error::custom(format_args!("a field of {} characters is too long", raw.len())));
        }
        match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw).map(Self).map_err(de::Error::custom),
            Some(b'-' | b'0'..=b'9') => Ok(Self(raw.to_owned())),
            Some(b'n') => Ok(Self::default()),
            _ => Err(de::Error::custom("a text or a number was expected")),
        }
    }
}

impl Loose {
    /// The text; `None` when there is nothing in it.
    pub(crate) fn text(&self) -> Option<&str> {
        Some(self.0.trim()).filter(|text| !text.is_empty())
    }

    /// A whole number; `None` when it is none.
    pub(crate) fn integer(&self) -> Option<i64> {
        self.text()?.parse().ok()
    }

    /// A decimal; `Ok(None)` when there is nothing, `Err` when it is none.
    pub(crate) fn decimal(&self) -> Result<Option<Decimal>, String> {
        let Some(text) = self.text() else { return Ok(None) };
        // Exact where it can be: more digits than a decimal holds are rounded, not refused.
        let read = Decimal::from_str_exact(text)
            .or_else(|_| Decimal::from_scientific(text))
            .or_else(|_| Decimal::from_str(text));
        read.map(|number| Some(number.normalize())).map_err(|_| format!("{text:?} is no decimal"))
    }

    /// A decimal, 0 when there is nothing.
    pub(crate) fn decimal_or_zero(&self) -> Result<Decimal, String> {
        self.decimal().map(Option::unwrap_or_default)
    }

    /// Milliseconds since 1970; `None` for nothing and for 0.
    pub(crate) fn time(&self) -> Option<DateTime<Utc>> {
        self.integer().filter(|ms| *ms > 0).and_then(DateTime::from_timestamp_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Loose {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(read("1736012449498123513").text(), Some("1736012449498123513"));
        assert_eq!(read("\"1736012449498123513\"").integer(), Some(1_736_012_449_498_123_513));
        assert_eq!(read("294.16914617776246").decimal().unwrap().unwrap().to_string(), "294.16914617776246");
        assert_eq!(read("\"0.0500\"").decimal().unwrap().unwrap().to_string(), "0.05");
        assert_eq!(read("1e-7").decimal().unwrap().unwrap().to_string(), "0.0000001");
        assert_eq!(read("\"-0.002585\"").decimal().unwrap().unwrap().to_string(), "-0.002585");
    }

    #[test]
    fn nothing_is_nothing_and_garbage_is_told() {
        assert_eq!(read("null").text(), None);
        assert_eq!(read("\"  \"").decimal(), Ok(None));
        assert!(read("\"a lot\"").decimal().is_err());
        assert!(serde_json::from_str::<Loose>("{}").is_err() && serde_json::from_str::<Loose>("true").is_err());
        assert!(serde_json::from_str::<Loose>(&format!("\"{}\"", "9".repeat(300))).is_err());
        assert_eq!(read("1702732596188").time().unwrap().timestamp_millis(), 1_702_732_596_188);
        assert_eq!(read("0").time(), None);
    }
}
