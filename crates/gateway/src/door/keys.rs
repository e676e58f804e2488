//! API keys: what the file says, and whether a presented key is in it.
//!
//! The file has a line a key, `name:sha256-hex`, with `#` for comments. Keys themselves stand nowhere: they are 256 random
//! bits, so that a plain digest is as good as a slow one.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt as _;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

/// What every key begins with, so that one that leaked is found for what it is.
const PREFIX: &str = "ct_";

/// Longest name of a key.
const MAX_NAME: usize = 40;

/// More keys than this is not what a file is for.
const MAX_KEYS: usize = 10_000;

type DigestBytes = [u8; 32];

/// The keys that are let in.
#[derive(Clone, Default)]
pub(crate) struct Keys {
    entries: Vec<(Arc<str>, DigestBytes)>,
}

/// A line that is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub(crate) struct KeysError {
    /// Counted from 1.
    line: usize,
    /// What is wrong with it, without what it says.
    reason: &'static str,
}

/// A key that was made just now.
pub struct NewKey {
    /// The key, which is shown once and kept nowhere.
    pub key: String,
    /// The line for the file.
    pub line: String,
}

/// A name that a key cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key's name has 1 to 40 letters A-Z a-z, digits, '-', '_' and '.'")]
pub struct KeyNameError;

impl NewKey {
    /// Makes a key for a client of this name.
    ///
    /// # Errors
    /// When the name is none.
    pub fn make(name: &str) -> Result<Self, KeyNameError> {
        if !is_name(name) {
            return Err(KeyNameError);
        }
        let secret: [u8; 32] = rand::rng().random();
        let key = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret));
        let hex: String = digest(&key).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { line: format!("{name}:{hex}"), key })
    }
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn digest(key: &str) -> DigestBytes {
    Sha256::digest(key.as_bytes()).into()
}

fn from_hex(text: &str) -> Option<DigestBytes> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        // A sign would be read as part of a number.
        let pair = text.get(at * 2..at * 2 + 2).filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

impl Keys {
    /// Reads the file's text.
    ///
    /// # Errors
    /// At the first line that is no key.
    pub(crate) fn parse(text: &str) -> Result<Self, KeysError> {
        let mut entries: Vec<(Arc<str>, DigestBytes)> = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let wrong = |reason| KeysError { line: at + 1, reason };
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (name, hex) = line.split_once(':').ok_or_else(|| wrong("no 'name:sha256-hex'"))?;
            let (name, hex) = (name.trim(), hex.trim());
            if !is_name(name) {
                return Err(wrong("the name has other than 1 to 40 letters, digits, '-', '_' and '.'"));
            }
            let digest = from_hex(hex).ok_or_else(|| wrong("what stands behind the name is not 64 hex digits"))?;
            if entries.iter().any(|(other, known)| **other == *name || *known == digest) {
                return Err(wrong("this name or this key stands in the file already"));
            }
            if entries.len() == MAX_KEYS {
                return Err(wrong("too many keys"));
            }
            entries.push((name.into(), digest));
        }
        Ok(Self { entries })
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether these are the same keys under the same names.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.entries == other.entries
    }

    /// The name of a presented key. How long it takes says nothing about which key was nearly right.
    pub(crate) fn name_of(&self, presented: &str) -> Option<Arc<str>> {
        let presented = digest(presented);
        let (mut found, mut position) = (Choice::from(0), 0_u32);
        for (at, (_, known)) in (0_u32..).zip(&self.entries) {
            let same = known.ct_eq(&presented);
            position.conditional_assign(&at, same);
            found |= same;
        }
        let position = usize::try_from(position).ok()?;
        if bool::from(found) { self.entries.get(position).map(|(name, _)| Arc::clone(name)) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_known_by_its_line_and_no_other() {
        let (alice, bob) = (NewKey::make("alice").unwrap(), NewKey::make("bob.2").unwrap());
        assert!(alice.key.starts_with("ct_") && alice.key.len() == 46 && alice.key != bob.key, "{}", alice.key);
        assert!(!alice.line.contains(&alice.key));
        let keys = Keys::parse(&format!("# who\n\n {} # since May\n{}\n", alice.line, bob.line)).unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys.name_of(&alice.key).as_deref(), Some("alice"));
        assert_eq!(keys.name_of(&bob.key).as_deref(), Some("bob.2"));
        for wrong in ["", "ct_", &alice.key[..45], &format!("{}x", alice.key), &alice.line] {
            assert_eq!(keys.name_of(wrong), None, "{wrong}");
        }
        assert_eq!(Keys::default().name_of(&alice.key), None);
    }

    #[test]
    fn a_line_that_is_no_key_is_told_without_what_it_says() {
        let hex = "ab".repeat(32);
        for (text, line) in [
            ("nonsense", 1),
            ("a:12", 1),
            (&*format!("\n\na b:{hex}"), 3),
            (&*format!("a:{hex}\na:{}", "cd".repeat(32)), 2),
            (&*format!("a:{hex}\nb:{hex}"), 2),
            (&*format!("a:{}", "+a".repeat(32)), 1),
            (&*format!("a:{}\u{e4}", "a".repeat(62)), 1),
            ("ct_secret", 1),
        ] {
            let error = Keys::parse(text).map(|keys| keys.len()).unwrap_err();
            assert_eq!(error.line, line, "{text}");
            assert!(!error.to_string().contains("secret") && !error.to_string().contains(&hex), "{error}");
        }
        assert_eq!(Keys::parse("# nobody\n").unwrap().len(), 0);
        for name in ["", "a b", "a:b", "\u{e4}", &"a".repeat(41)] {
            assert!(NewKey::make(name).is_err(), "{name}");
        }
    }
}
