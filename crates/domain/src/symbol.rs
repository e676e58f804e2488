//! Trading symbols as exchanges spell them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A spot trading pair in Binance's spelling: upper-case letters and digits, base before quote, `BTCUSDT`.
///
/// Bounded to [`Symbol::MAX_LEN`] so that it is safe as a path segment and as a metric label
/// (the services further restrict labels to the symbols they are configured for).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "BTCUSDT")]
pub struct Symbol(String);

/// Why a text is not a [`Symbol`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SymbolError {
    /// Shorter or longer than any symbol there is.
    #[error("a symbol has {min} to {max} letters and digits, like BTCUSDT; this one has {actual}", min = Symbol::MIN_LEN, max = Symbol::MAX_LEN)]
    Length {
        /// Characters in the text that was given.
        actual: usize,
    },
    /// Something else than ASCII letters and digits.
    #[error("a symbol is made of letters A-Z and digits, like BTCUSDT")]
    Character,
}

impl Symbol {
    /// Fewest characters of a symbol.
    pub const MIN_LEN: usize = 5;
    /// Most characters of a symbol (Binance's own filter is `^[A-Z0-9-_.]{1,20}$`).
    pub const MAX_LEN: usize = 20;
    /// Quote currencies, longest first, by which a pair is split.
    const QUOTES: [&'static str; 9] = ["FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USD", "EUR", "BTC", "ETH"];

    /// The symbol as text, upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Base and quote currency (`BTC`, `USDT`), if the quote is one that is known.
    #[must_use]
    pub fn split(&self) -> Option<(&str, &str)> {
        Self::QUOTES.iter().find_map(|quote| {
            let base = self.0.strip_suffix(quote)?;
            (base.len() >= 2).then_some((base, *quote))
        })
    }
}

impl FromStr for Symbol {
    type Err = SymbolError;

    /// Reads a symbol in any case, `btcusdt` too.
    fn from_str(text: &str) -> Result<Self, SymbolError> {
        let text = text.trim();
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(SymbolError::Character);
        }
        if !(Self::MIN_LEN..=Self::MAX_LEN).contains(&text.len()) {
            return Err(SymbolError::Length { actual: text.len() });
        }
        Ok(Self(text.to_ascii_uppercase()))
    }
}

impl TryFrom<String> for Symbol {
    type Error = SymbolError;

    fn try_from(text: String) -> Result<Self, SymbolError> {
        text.parse()
    }
}

impl From<Symbol> for String {
    fn from(symbol: Symbol) -> Self {
        symbol.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_any_case_and_splits() {
        let symbol: Symbol = " btcusdt ".parse().unwrap();
        assert_eq!(symbol.as_str(), "BTCUSDT");
        assert_eq!(symbol.split(), Some(("BTC", "USDT")));
        assert_eq!("ETHBTC".parse::<Symbol>().unwrap().split(), Some(("ETH", "BTC")));
    }

    #[test]
    fn refuses_with_a_reason() {
        assert_eq!("BTC".parse::<Symbol>(), Err(SymbolError::Length { actual: 3 }));
        assert_eq!("BTC/USDT".parse::<Symbol>(), Err(SymbolError::Character));
        assert_eq!("".parse::<Symbol>(), Err(SymbolError::Length { actual: 0 }));
        assert_eq!("ÄÖÜUSDT".parse::<Symbol>(), Err(SymbolError::Character));
        assert!("A".repeat(21).parse::<Symbol>().is_err());
        assert!(serde_json::from_str::<Symbol>("\"x\"").is_err());
    }
}
