//! Decimals as Binance writes them: numbers in strings, always with eight decimals, most of them zeros.
//!
//! The zeros say nothing and are left out: they would be a quarter of what is sent on.

use std::borrow::Cow;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, de};

/// Reads `"46224.00"`; a JSON number is refused, because it may have lost digits on its way.
pub(crate) fn from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    Amount::deserialize(deserializer).map(|amount| amount.0)
}

/// A [`Decimal`] that is read from a string only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amount(pub(crate) Decimal);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not `&str`: a value read through `serde_json::Value` cannot be borrowed.
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        // The longest amount Binance writes has 20-odd digits; a longer text is not worth quoting in an error.
        if text.len() > 40 {
            return Err(de::Error::custom(format_args!("a decimal of {} characters is too long", text.len())));
        }
        Decimal::from_str_exact(&text)
            .map(|amount| Self(amount.normalize()))
            .map_err(|error| de::Error::custom(format_args!("{text:?} is no decimal: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_strings_only() {
        let read = |json: &str| serde_json::from_str::<Amount>(json).map(|amount| amount.0.to_string());
        assert_eq!(read("\"46224.10000000\"").unwrap(), "46224.1");
        assert_eq!(read("\"0\"").unwrap(), "0");
        assert!(read("46224.1").is_err());
        assert!(read("\"\"").unwrap_err().to_string().contains("no decimal"));
        assert!(read("\"4e9999\"").is_err());
        assert!(read("\"NaN\"").is_err());
        assert!(read(&format!("\"{}\"", "9".repeat(41))).unwrap_err().to_string().contains("too long"));
    }
}
