//! Query parameters, checked as strictly as the real exchange checks them.

use super::ApiError;
use crate::market::{Instrument, Market};

const SYMBOL_LEGAL: &str = "^[A-Z0-9-_.]{1,20}$";
const SYMBOLS_LEGAL: &str = r#"^\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\]$"#;
const NUMBER_LEGAL: &str = "^[0-9]{1,20}$";

/// The parameters of a call.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

/// The symbols that a call is about.
pub(super) enum Symbols<'a> {
    /// `symbol=`: the answer is an object.
    One(&'a Instrument),
    /// `symbols=` or none at all: the answer is an array.
    Many(Vec<&'a Instrument>),
}

impl Params {
    /// Reads a query that may hold the parameters `known` and no others, each once and with a value.
    pub(super) fn read(query: &str, known: &[&str]) -> Result<Self, ApiError> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
            .map_err(|_| ApiError::illegal_characters("query", "UTF-8, percent-encoded"))?;
        let read = pairs.iter().filter(|(name, _)| known.contains(&name.as_str())).count();
        if read < pairs.len() {
            return Err(ApiError::too_many_parameters(read, pairs.len()));
        }
        for (index, (name, value)) in pairs.iter().enumerate() {
            if pairs.iter().take(index).any(|(other, _)| other == name) {
                return Err(ApiError::duplicate_parameter());
            }
            if value.is_empty() {
                return Err(ApiError::empty(name));
            }
        }
        Ok(Self(pairs))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A whole number that is not negative.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        if text.len() > 20 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ApiError::illegal_characters(name, NUMBER_LEGAL));
        }
        text.parse().map(Some).map_err(|_| ApiError::invalid_value(name))
    }

    /// `limit`: 500 when left out, at most 1000, as the exchange does without a word.
    pub(super) fn limit(&self) -> Result<i64, ApiError> {
        match self.number("limit")? {
            None => Ok(500),
            Some(0) => Err(ApiError::invalid_value("limit")),
            Some(limit) => Ok(limit.min(1000)),
        }
    }

    /// The mandatory `symbol`.
    pub(super) fn symbol<'a>(&self, market: &'a Market) -> Result<&'a Instrument, ApiError> {
        find(market, self.get("symbol").ok_or_else(|| ApiError::missing("symbol"))?)
    }

    /// `symbol`, `symbols` or neither.
    pub(super) fn symbols<'a>(&self, market: &'a Market) -> Result<Symbols<'a>, ApiError> {
        match (self.get("symbol"), self.get("symbols")) {
            (Some(_), Some(_)) => Err(ApiError::bad_combination()),
            (Some(symbol), None) => find(market, symbol).map(Symbols::One),
            (None, None) => Ok(Symbols::Many(market.instruments().iter().collect())),
            (None, Some(list)) => {
                let illegal = || ApiError::illegal_characters("symbols", SYMBOLS_LEGAL);
                let names: Vec<String> = serde_json::from_str(list).map_err(|_| illegal())?;
                if names.iter().any(|name| !is_legal(name)) {
                    return Err(illegal());
                }
                let mut found: Vec<&Instrument> = Vec::with_capacity(names.len());
                for name in &names {
                    let instrument = market.find(name).ok_or_else(ApiError::invalid_symbol)?;
                    if found.iter().any(|other| other.symbol == instrument.symbol) {
                        return Err(ApiError::duplicate_symbols());
                    }
                    found.push(instrument);
                }
                Ok(Symbols::Many(found))
            }
        }
    }
}

fn find<'a>(market: &'a Market, symbol: &str) -> Result<&'a Instrument, ApiError> {
    if !is_legal(symbol) {
        return Err(ApiError::illegal_characters("symbol", SYMBOL_LEGAL));
    }
    market.find(symbol).ok_or_else(ApiError::invalid_symbol)
}

fn is_legal(symbol: &str) -> bool {
    (1..=20).contains(&symbol.len())
        && symbol
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.'))
}
