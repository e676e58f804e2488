//! Parameters of a call; BingX takes them from the query, whatever the method.

use std::collections::HashMap;
use std::str::FromStr;

use rust_decimal::Decimal;

use super::error::ApiError;

/// Parameters of a call; no call has as many.
const MOST_PARAMETERS: usize = 50;
/// Quantities and prices are below this: their product is still a decimal.
const MOST: i64 = 1_000_000_000;

/// The parameters of one call.
#[derive(Debug)]
pub(super) struct Params(HashMap<String, String>);

impl Params {
    pub(super) fn read(query: &str) -> Result<Self, ApiError> {
        let pairs: Vec<(String, String)> =
            serde_urlencoded::from_str(query).map_err(|_| ApiError::parameter("the query is not form-encoded"))?;
        if pairs.len() > MOST_PARAMETERS {
            return Err(ApiError::parameter("too many parameters"));
        }
        let count = pairs.len();
        let fields: HashMap<String, String> = pairs.into_iter().collect();
        if fields.len() < count {
            return Err(ApiError::parameter("a parameter comes twice"));
        }
        Ok(Self(fields))
    }

    /// What is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| ApiError::parameter(&format!("{name} is required")))
    }

    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let wrong = |_| ApiError::parameter(&format!("{name} is no number"));
        self.get(name).map(str::parse).transpose().map_err(wrong)
    }

    /// A decimal above 0.
    pub(super) fn amount(&self, name: &str) -> Result<Option<Decimal>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let amount = Decimal::from_str_exact(text).ok().filter(|amount| {
            *amount > Decimal::ZERO && *amount < Decimal::from(MOST) && amount.normalize().scale() <= 12
        });
        amount
            .map(|amount| Some(amount.normalize()))
            .ok_or_else(|| ApiError::parameter(&format!("{name} is a number above 0 with at most 12 decimals")))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(ApiError::parameter(&format!("{name} is true or false"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_positive_and_bounded() {
        let amount = |text: &str| Params::read(&format!("quantity={text}")).unwrap().amount("quantity");
        assert_eq!(amount("0.0500").unwrap().unwrap().to_string(), "0.05");
        assert_eq!(amount(""), Ok(None));
        for wrong in ["0", "-1", "1e5", "NaN", "1000000000", "0.0000000000001"] {
            assert!(amount(wrong).is_err(), "{wrong}");
        }
        assert!(Params::read("a=1&a=2").is_err());
    }
}
