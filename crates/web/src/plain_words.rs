//! What serde says of a text, for people: which member is wrong and what it is to be, without types of Rust.
//!
//! serde has words only and no parts to take them from: its sentences are read here, and what is none of them is a
//! sentence of our own types.

use std::ops::Range;

/// Most characters of a name that somebody else chose.
const MAX_NAME: usize = 64;

/// What is wrong with a JSON body that is no such value as is expected.
pub(crate) fn wrong_in_body(error: &serde_json::Error, body: &[u8]) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let said = text.strip_suffix(&place).unwrap_or(&text);
    let walk = Walk::through(body, offset(body, error.line(), error.column()));
    let wrong = walk.path(walk.value);
    if let Some(name) = said.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        let parent = walk.path(walk.closed);
        return if parent.is_empty() { format!("{name} is missing") } else { format!("{parent}.{name} is missing") };
    }
    match Said::of(said) {
        Said::Twice => format!("{wrong} is given twice"),
        Said::Unknown { known } if known.is_empty() => format!("{wrong} is not known here"),
        Said::Unknown { known } => format!("{wrong} is not known here; known are {known}"),
        Said::NoneOf { given, known } => format!("{wrong} is one of {known}, not {given}"),
        Said::Other { expected: Some(expected) } => format!("{wrong} is {expected}"),
        Said::Other { expected: None } => format!("{wrong} is of another kind than this call takes"),
        Said::Sentence(sentence) => {
            // Our own sentences name what they speak of.
            let last = wrong.rsplit('.').next().unwrap_or_default();
            if last.is_empty() || sentence.contains(last) {
                sentence.to_owned()
            } else {
                format!("{wrong}: {sentence}")
            }
        }
    }
}

/// What is wrong with a query or a path, of which no more is known than serde's sentence.
pub(crate) fn wrong_in_address(said: &str) -> String {
    let name = || shown(said.split('`').nth(1).unwrap_or_default());
    if said.starts_with("missing field `") {
        return format!("{} is missing", name());
    }
    match Said::of(said) {
        Said::Twice => format!("{} is given twice", name()),
        Said::Unknown { known } if known.is_empty() => format!("{} is not known here", name()),
        Said::Unknown { known } => format!("{} is not known here; known are {known}", name()),
        Said::NoneOf { given, known } => format!("a value in it is one of {known}, not {given}"),
        Said::Other { expected: Some(expected) } => format!("a value in it is {expected}"),
        Said::Other { expected: None } | Said::Sentence(_) => {
            "a value in it is of another kind than is taken".to_owned()
        }
    }
}

/// serde's sentences.
enum Said<'a> {
    Twice,
    Unknown { known: String },
    NoneOf { given: String, known: String },
    Other { expected: Option<&'static str> },
    Sentence(&'a str),
}

impl<'a> Said<'a> {
    fn of(text: &'a str) -> Self {
        // From the end: what stands before it may be the caller's.
        let expected = text.rsplit_once(", expected ").map_or("", |(_, expected)| expected);
        if text.starts_with("duplicate field `") {
            Self::Twice
        } else if text.starts_with("unknown field `") {
            Self::Unknown { known: listed(expected) }
        } else if let Some(variant) = text.strip_prefix("unknown variant `") {
            let given = variant.rsplit_once("`, expected ").map_or("this", |(given, _)| given);
            Self::NoneOf { given: shown(given), known: listed(expected) }
        } else if ["invalid type: ", "invalid value: ", "invalid length "].iter().any(|start| text.starts_with(start)) {
            Self::Other { expected: kind(expected) }
        } else {
            Self::Sentence(text)
        }
    }
}

/// The words between back quotes, as a list.
fn listed(text: &str) -> String {
    text.split('`').skip(1).step_by(2).collect::<Vec<_>>().join(", ")
}

/// What serde calls a type, in words.
fn kind(expected: &str) -> Option<&'static str> {
    Some(match expected {
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" | "u64" | "u128" | "usize" => "a whole number",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "a borrowed string" | "str" => "a text in double quotes",
        "a sequence" => "a list",
        "a map" => "an object",
        _ if expected.starts_with("struct ") => "an object",
        _ if expected.starts_with("a Decimal type") => "a decimal number",
        _ if expected.contains("RFC 3339") => "a time like 2026-01-31T12:00:00Z",
        // Words that a type of ours uses of itself.
        "an object" => "an object",
        _ => return None,
    })
}

/// A name as it may be repeated: short, and without anything that has a meaning somewhere.
fn shown(name: &str) -> String {
    let harmless = |c: char| if c.is_alphanumeric() || "_-. ".contains(c) { c } else { '?' };
    name.chars().take(MAX_NAME).map(harmless).collect()
}

/// Where in a text a line and column are, as serde_json counts them: bytes from the line's beginning.
fn offset(text: &[u8], line: usize, column: usize) -> usize {
    let begin = match line.checked_sub(2) {
        None => 0,
        Some(nth) => {
            text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(nth).map_or(text.len(), |(at, _)| at + 1)
        }
    };
    (begin + column).min(text.len())
}

/// A step from a value to one within it.
enum Step {
    /// The member whose name stands there.
    Member(Range<usize>),
    /// The element of this number.
    Element(usize),
}

/// What of a JSON text has been read up to a place in it. The text is well-formed until there: serde_json was here.
struct Walk<'a> {
    text: &'a [u8],
    /// Steps to the value that was read last; further ones may follow that lead nowhere any more.
    steps: Vec<Step>,
    /// How many steps lead to the value, or the name, that was begun last.
    value: usize,
    /// How many lead to the object or list that was closed last.
    closed: usize,
}

impl<'a> Walk<'a> {
    fn through(text: &'a [u8], end: usize) -> Self {
        let mut walk = Self { text, steps: Vec::new(), value: 0, closed: 0 };
        // Steps to the place where the walk is, and whether a name comes next.
        let (mut depth, mut name_next, mut at) = (0_usize, false, 0);
        while at < end {
            match text[at] {
                open @ (b'{' | b'[') => {
                    walk.value = depth;
                    walk.steps.truncate(depth);
                    walk.steps.push(if open == b'{' { Step::Member(at..at) } else { Step::Element(0) });
                    depth += 1;
                    name_next = open == b'{';
                    if !name_next {
                        // What is wrong with an element may be seen before it is read.
                        walk.value = depth;
                    }
                    at += 1;
                }
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    walk.closed = depth;
                    at += 1;
                }
                b',' => {
                    match depth.checked_sub(1).and_then(|last| walk.steps.get_mut(last)) {
                        Some(Step::Element(number)) => {
                            *number += 1;
                            walk.value = depth;
                        }
                        Some(Step::Member(_)) => name_next = true,
                        None => {}
                    }
                    at += 1;
                }
                b'"' => {
                    let close = closing_quote(text, at);
                    if name_next && let Some(step) = depth.checked_sub(1).and_then(|last| walk.steps.get_mut(last)) {
                        *step = Step::Member(at + 1..close);
                    }
                    name_next = false;
                    walk.value = depth;
                    at = close + 1;
                }
                b':' | b' ' | b'\t' | b'\r' | b'\n' => at += 1,
                _ => {
                    walk.value = depth;
                    let ends = |byte: &u8| b",]} \t\r\n".contains(byte);
                    at = text[at..].iter().position(ends).map_or(text.len(), |length| at + length);
                }
            }
        }
        walk
    }

    /// The first so many steps, as `items[0].quantity`.
    fn path(&self, steps: usize) -> String {
        let mut path = String::new();
        for step in self.steps.iter().take(steps) {
            match step {
                Step::Member(name) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(&shown(&String::from_utf8_lossy(&self.text[name.clone()])));
                }
                Step::Element(number) => path.push_str(&format!("[{number}]")),
            }
        }
        path
    }
}

/// Where the string that begins here ends; the text's end where it does not.
fn closing_quote(text: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while at < text.len() && text[at] != b'"' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    at.min(text.len())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only errors are looked at")]
    struct Order {
        id: i64,
        #[serde(default)]
        items: Vec<Item>,
        #[serde(default)]
        kind: Option<Kind>,
        #[serde(default)]
        at: Option<chrono::DateTime<chrono::Utc>>,
        #[serde(default)]
        price: Option<domain::Symbol>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only errors are looked at")]
    struct Item {
        name: String,
        quantity: u16,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Buy,
        Sell,
    }

    fn wrong(body: &str) -> String {
        wrong_in_body(&serde_json::from_str::<Order>(body).err().unwrap(), body.as_bytes())
    }

    #[test]
    fn the_member_is_named_and_what_it_is_to_be() {
        for (body, words) in [
            ("{}", "id is missing"),
            (r#"{"id": "x"}"#, "id is a whole number"),
            (r#"{"id": 1.5, "items": []}"#, "id is a whole number"),
            ("{\n \"items\": [],\n\n \"id\":\n true}", "id is a whole number"),
            (r#"{"id": 1, "items": {}}"#, "items is a list"),
            (r#"{"id": 1, "items": [7]}"#, "items[0] is an object"),
            (r#"{"id": 1, "items": [{"name": "a", "quantity": 1}, "b"]}"#, "items[1] is an object"),
            (
                r#"{"id": 1, "items": [{"name": "a", "quantity": 1}, {"name": {}, "quantity": 1}]}"#,
                "items[1].name is a text in double quotes",
            ),
            (r#"{"id": [], "items": []}"#, "id is a whole number"),
            (
                r#"{"id": 1, "items": [{"name": "a", "quantity": 1}, {"name": ["\"]"], "quantity": 1}]}"#,
                "items[1].name is a text in double quotes",
            ),
            (
                r#"{"id": 1, "items": [{"name": "a", "quantity": 1}, {"quantity": 70000, "name": "b"}]}"#,
                "items[1].quantity is a whole number from 0 to 65535",
            ),
            (
                r#"{"id": 1, "items": [{"name": "a\\", "quantity": -1}]}"#,
                "items[0].quantity is a whole number from 0 to 65535",
            ),
            (r#"{"items": [{"name": "a"}], "id": 1}"#, "items[0].quantity is missing"),
            (r#"{"id": 1, "itmes": []}"#, "itmes is not known here; known are id, items, kind, at, price"),
            (
                r#"{"id": 1, "items": [{"name": "a", "size": 1}]}"#,
                "items[0].size is not known here; known are name, quantity",
            ),
            (r#"{"id": 1, "id": 2}"#, "id is given twice"),
            (r#"{"id": 1, "kind": "lend"}"#, "kind is one of buy, sell, not lend"),
            (r#"{"id": 1, "at": "yesterday"}"#, "at: input contains invalid characters"),
            (r#"{"id": 1, "at": 7}"#, "at is a time like 2026-01-31T12:00:00Z"),
            (r#"{"id": 1, "price": "B/U"}"#, "price: a symbol is made of letters A-Z and digits, like BTCUSDT"),
        ] {
            assert_eq!(wrong(body), words, "{body}");
        }
    }

    #[test]
    fn names_of_others_are_cut_and_cleaned() {
        let words = wrong(&format!(r#"{{"id": 1, "<b>\u202e`, expected {}": 1}}"#, "x".repeat(500)));
        assert!(words.starts_with("?b??u202e?? expected xx") && words.chars().count() < 150, "{words}");
        for (said, words) in [
            (
                "unknown field `limits`, expected `interval` or `limit`",
                "limits is not known here; known are interval, limit",
            ),
            ("duplicate field `limit`", "limit is given twice"),
            ("missing field `limit`", "limit is missing"),
            ("invalid digit found in string", "a value in it is of another kind than is taken"),
        ] {
            assert_eq!(wrong_in_address(said), words);
        }
    }
}
