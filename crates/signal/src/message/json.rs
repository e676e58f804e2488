//! A JSON object, member by member: those that come twice are seen, and numbers are read digit by digit.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::refused::shown;
use super::{Raw, Refused};

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Collect).map(Members)
    }
}

pub(super) fn read(text: &str) -> Result<Vec<(String, Raw)>, Refused> {
    match serde_json::from_str::<Members<'_>>(text) {
        Ok(Members(members)) => members.into_iter().map(|(name, value)| Ok((name, raw(value.get())?))).collect(),
        // Well-formed, and something else than an object.
        Err(error) if error.is_data() => Err(Refused::NoObject),
        Err(error) => Err(culprit(text, &error)),
    }
}

fn raw(text: &str) -> Result<Raw, Refused> {
    Ok(match text.as_bytes().first() {
        Some(b'"') => Raw::Text(serde_json::from_str(text).map_err(|error| culprit(text, &error))?),
        Some(b'{' | b'[') => Raw::Nested,
        Some(b'n') => Raw::Null,
        _ => Raw::Text(text.to_owned()),
    })
}

/// What is wrong with the text: placeholders that stand there without quotes, filled in or not, are the usual mistake.
fn culprit(text: &str, error: &serde_json::Error) -> Refused {
    let at = offset(text, error.line(), error.column());
    let read = text.get(..at).unwrap_or_default();
    // serde_json stands at, or one behind, what it cannot read: the last name before that is the field's.
    let member = read.rfind("\":").or_else(|| read.rfind("\" :")).and_then(|end| {
        let begin = read.get(..end)?.rfind('"')?;
        let value = text.get(end + 1..)?.trim_start_matches([' ', ':', '\t', '\r', '\n']);
        Some((shown(read.get(begin + 1..end)?), value))
    });
    match member {
        Some((name, _)) if error.is_eof() => Refused::Json(format!("it ends too early, at {name}")),
        Some((name, value)) if value.starts_with("{{") => Refused::Placeholder(name),
        Some((name, value)) if super::values::is_nothing(first_word(value)) => Refused::NoValue(name),
        Some((name, _)) => {
            Refused::Json(format!("it cannot be read on at {name} (line {}, column {})", error.line(), error.column()))
        }
        None if error.is_eof() => Refused::Json("it ends too early".to_owned()),
        None => Refused::Json(format!("it cannot be read on at line {}, column {}", error.line(), error.column())),
    }
}

fn first_word(text: &str) -> &str {
    text.split([',', '}', ' ', '\r', '\n', '\t']).next().unwrap_or_default()
}

/// Where in the text a line and a column are, as serde_json counts them: bytes from the line's beginning.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let begin: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let mut at = (begin + column).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
