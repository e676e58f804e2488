//! Values of settings.

use std::str::FromStr;

use domain::Symbol;
use rust_decimal::Decimal;
use url::Url;

/// Another of our services, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receiver {
    /// Nobody.
    None,
    /// At this base URL.
    At(Url),
}

impl FromStr for Receiver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" || text.is_empty() {
            return Ok(Self::None);
        }
        let url = Url::parse(text).map_err(|error| format!("no URL like http://127.0.0.1:9000: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("no http:// or https:// URL with a host".to_owned());
        }
        Ok(Self::At(url))
    }
}

/// Decimals that an exchange takes of a quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantityDecimals {
    pub(super) usual: u32,
    /// Symbols with others.
    pub(super) others: Vec<(Symbol, u32)>,
}

impl QuantityDecimals {
    /// Decimals of a symbol's quantities.
    #[must_use]
    pub fn of(&self, symbol: &Symbol) -> u32 {
        self.others.iter().find(|(other, _)| other == symbol).map_or(self.usual, |(_, decimals)| *decimals)
    }
}

impl FromStr for QuantityDecimals {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let decimals = text.trim().parse().ok().filter(|decimals| *decimals <= 18);
            decimals.ok_or_else(|| format!("{text:?} is no whole number from 0 to 18"))
        };
        let mut read = Self { usual: 4, others: Vec::new() };
        for part in text.split(',') {
            match part.split_once('=') {
                None => read.usual = number(part)?,
                Some((symbol, decimals)) => {
                    let symbol = symbol.parse::<Symbol>().map_err(|error| error.to_string())?;
                    read.others.push((symbol, number(decimals)?));
                }
            }
        }
        Ok(read)
    }
}

/// An amount of money, above zero.
pub(super) fn amount(text: &str) -> Result<Decimal, String> {
    let amount = Decimal::from_str_exact(text).ok().filter(|amount| *amount > Decimal::ZERO);
    amount.ok_or_else(|| "an amount is a number above zero, like 100 or 0.5".to_owned())
}
