//! Who asks and what for: bounded words of requests from outside.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::Symbol;

/// A user's id, above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct UserId(i64);

/// Why a request's word cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartyError {
    /// Zero or below.
    #[error("a user_id is a whole number above 0 and below 2^63 - 1")]
    UserId,
    /// Empty, too long, or with characters that are none of a name.
    #[error(
        "a user_name has 1 to {} characters, without control characters and without invisible ones, such as those that turn the direction of the text",
        Username::MAX_CHARS
    )]
    Username,
    /// No address.
    #[error(
        "a user_email is an address like john@example.com, of at most {} characters, without invisible ones",
        Email::MAX_CHARS
    )]
    Email,
    /// No word.
    #[error("an action is a word of 1 to {} letters, digits, '_', '-' and '.', like purchase", OrderAction::MAX_CHARS)]
    Action,
    /// No amount.
    #[error(
        "a quantity is a decimal number above 0 and at most {}, with at most {} decimal places, like \"0.001\"",
        Quantity::MAX,
        Quantity::MAX_SCALE
    )]
    Quantity,
}

impl UserId {
    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for UserId {
    type Error = PartyError;

    fn try_from(id: i64) -> Result<Self, PartyError> {
        // The largest number is where a list of them begins.
        if id > 0 && id < i64::MAX { Ok(Self(id)) } else { Err(PartyError::UserId) }
    }
}

impl FromStr for UserId {
    type Err = PartyError;

    /// Reads the digits of a path or a query.
    fn from_str(text: &str) -> Result<Self, PartyError> {
        text.parse().map_err(|_| PartyError::UserId).and_then(|id: i64| id.try_into())
    }
}

impl From<UserId> for i64 {
    fn from(id: UserId) -> Self {
        id.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! text {
    ($name:ident, $doc:literal, $error:ident) => {
        #[doc = $doc]
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = PartyError;

            fn try_from(text: String) -> Result<Self, PartyError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(Username, "A person's name, as they write it, without spaces around it.", Username);
text!(Email, "An e-mail address: it has the form of one; whether it exists only a mail would tell.", Email);
text!(OrderAction, "What is to be done, in a word: lower-case letters, digits, `_`, `-`, `.`.", Action);

/// Whether a character shows nothing, or changes how others show: in a name it can only deceive whoever reads it, in a
/// list, a log or a mail. Control characters (Cc), format characters (Cf, Unicode 16), separators of lines, fillers; but
/// not the joiners.
fn is_hidden(c: char) -> bool {
    !is_joiner(c)
        && (c.is_control()
            || matches!(c,
                '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
                | '\u{890}' | '\u{891}' | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}'
                | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e007f}'))
}

/// The zero-width joiner and non-joiner: names in Persian, Hindi, Sinhala and other scripts need them.
const fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

impl Username {
    /// Most characters of a name.
    pub const MAX_CHARS: usize = 200;
}

impl FromStr for Username {
    type Err = PartyError;

    fn from_str(text: &str) -> Result<Self, PartyError> {
        let text = text.trim();
        let well_formed = (1..=Self::MAX_CHARS).contains(&text.chars().count())
            && !text.chars().any(is_hidden)
            && !text.chars().all(|c| is_joiner(c) || c.is_whitespace());
        well_formed.then(|| Self(text.to_owned())).ok_or(PartyError::Username)
    }
}

impl Email {
    /// Most characters of an address (RFC 5321, 4.5.3.1.3: a path of 256 octets with its brackets).
    pub const MAX_CHARS: usize = 254;
}

impl FromStr for Email {
    type Err = PartyError;

    fn from_str(text: &str) -> Result<Self, PartyError> {
        let text = text.trim();
        let well_formed = text.len() <= Self::MAX_CHARS
            && !text.chars().any(is_hidden)
            && email_address::EmailAddress::is_valid(text);
        well_formed.then(|| Self(text.to_owned())).ok_or(PartyError::Email)
    }
}

impl OrderAction {
    /// Most characters of an action.
    pub const MAX_CHARS: usize = 64;
}

impl FromStr for OrderAction {
    type Err = PartyError;

    /// Reads a word in any case, `Purchase` too.
    fn from_str(text: &str) -> Result<Self, PartyError> {
        let text = text.trim();
        let well_formed = (1..=Self::MAX_CHARS).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        well_formed.then(|| Self(text.to_ascii_lowercase())).ok_or(PartyError::Action)
    }
}

/// How much of a base currency: above zero, bounded in size and places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Quantity(Decimal);

impl Quantity {
    /// Largest quantity.
    pub const MAX: u64 = 1_000_000_000;
    /// Most decimal places, as exchanges have.
    pub const MAX_SCALE: u32 = 8;

    /// The number.
    #[must_use]
    pub const fn get(self) -> Decimal {
        self.0
    }
}

impl TryFrom<Decimal> for Quantity {
    type Error = PartyError;

    fn try_from(quantity: Decimal) -> Result<Self, PartyError> {
        let quantity = quantity.normalize();
        let bounded = quantity > Decimal::ZERO && quantity <= Decimal::from(Self::MAX);
        (bounded && quantity.scale() <= Self::MAX_SCALE).then_some(Self(quantity)).ok_or(PartyError::Quantity)
    }
}

impl FromStr for Quantity {
    type Err = PartyError;

    fn from_str(text: &str) -> Result<Self, PartyError> {
        let number = Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text));
        number.map_err(|_| PartyError::Quantity)?.try_into()
    }
}

impl<'de> Deserialize<'de> for Quantity {
    /// A JSON string or number, read digit by digit: a float in between would change the amount.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        text.strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .unwrap_or(text)
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// One thing that is ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderItemRequest {
    /// What.
    pub symbol: Symbol,
    /// How much, in the base currency; text or number, above 0, at most 8 decimal places.
    #[schema(value_type = String, example = "0.001")]
    pub quantity: Quantity,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_exactly_from_text_and_number() {
        let read = |json: &str| serde_json::from_str::<Quantity>(json).map(|q| q.get().to_string());
        for (json, is) in [
            ("0.1", "0.1"),
            ("\"0.10\"", "0.1"),
            ("3", "3"),
            ("1e-3", "0.001"),
            ("999999999.12345678", "999999999.12345678"),
            ("1000000000", "1000000000"),
        ] {
            assert_eq!(read(json).unwrap(), is, "{json}");
        }
        for json in
            ["0", "-1", "\"\"", "\"NaN\"", "null", "[]", "0.123456789", "1000000001", "1e40", "true", "\"1\\u0030\""]
        {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn names_and_addresses_hold_nothing_invisible_but_joiners() {
        for hidden in [
            '\u{202a}',
            '\u{202e}',
            '\u{2066}',
            '\u{2069}',
            '\u{200b}',
            '\u{200e}',
            '\u{200f}',
            '\u{feff}',
            '\u{ad}',
            '\u{61c}',
            '\u{180e}',
            '\u{2060}',
            '\u{2028}',
            '\u{e0041}',
            '\u{3164}',
            '\u{7}',
            '\u{9b}',
        ] {
            let refused = format!("Jo{hidden}hn").parse::<Username>().unwrap_err();
            assert!(refused.to_string().contains("invisible"), "{hidden:?}");
            assert!(format!("jo{hidden}hn@example.com").parse::<Email>().is_err(), "{hidden:?}");
        }
        for name in ["می\u{200c}رضا", "क्\u{200d}ष", "José Ñandú", "李小龍", "O’Neill-Smith", "👩\u{200d}🔬"]
        {
            assert_eq!(name.parse::<Username>().unwrap().as_str(), name);
        }
        assert!("\u{200d}\u{200c}".parse::<Username>().is_err(), "a name shows something");
    }

    #[test]
    fn words_are_bounded() {
        assert_eq!("  John Doe ".parse::<Username>().unwrap().as_str(), "John Doe");
        assert!("".parse::<Username>().is_err() && "a\nb".parse::<Username>().is_err());
        assert!("é".repeat(200).parse::<Username>().is_ok() && "é".repeat(201).parse::<Username>().is_err());
        assert!("john@example.com".parse::<Email>().is_ok());
        for bad in ["john", "@example.com", "john@", "a b@example.com", "john@example.com\n.x", ""] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
        assert_eq!("Purchase".parse::<OrderAction>().unwrap().as_str(), "purchase");
        for bad in ["", "buy now", "a;b", "é", &"a".repeat(65)] {
            assert!(bad.parse::<OrderAction>().is_err(), "{bad:?}");
        }
        assert!(UserId::try_from(0).is_err() && UserId::try_from(-5).is_err() && UserId::try_from(1).is_ok());
        assert_eq!("7".parse::<UserId>(), UserId::try_from(7));
        assert!(["", "x", "0", "-1", "1.0", "9223372036854775808"].iter().all(|id| id.parse::<UserId>().is_err()));
        assert!(UserId::try_from(i64::MAX).is_err() && UserId::try_from(i64::MAX - 1).is_ok());
    }
}
