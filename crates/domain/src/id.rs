//! Identifiers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A decision's id: one word of 32 lower-case hex digits.
///
/// It serves as idempotency key, exchange client order id (which allows `[a-zA-Z0-9]{1,40}`, lower-cased by the
/// exchange), span attribute and audit row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "4bf92f3577b34da6a3ce929d0e0e4736")]
pub struct DecisionId(String);

/// A text that is not a decision id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a decision id is 32 lower-case hex digits")]
pub struct DecisionIdError;

impl DecisionId {
    /// An id from 16 random bytes; the caller supplies the randomness, since this crate does no I/O.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(bytes)))
    }

    /// The 32 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DecisionId {
    type Err = DecisionIdError;

    fn from_str(text: &str) -> Result<Self, DecisionIdError> {
        let well_formed = text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        well_formed.then(|| Self(text.to_owned())).ok_or(DecisionIdError)
    }
}

impl TryFrom<String> for DecisionId {
    type Error = DecisionIdError;

    fn try_from(text: String) -> Result<Self, DecisionIdError> {
        text.parse()
    }
}

impl From<DecisionId> for String {
    fn from(id: DecisionId) -> Self {
        id.0
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_leading_zeroes_and_reads_itself() {
        let id = DecisionId::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(id.as_str(), "000102030405060708090a0b0c0d0e0f");
        assert_eq!(id.as_str().parse(), Ok(id));
        assert_eq!("000102030405060708090A0B0C0D0E0F".parse::<DecisionId>(), Err(DecisionIdError));
    }
}
