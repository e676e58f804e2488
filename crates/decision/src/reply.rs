//! What the language model says, checked. It is data from outside: every field is either understood or refused.

use domain::Action;
use domain::strategy::confidence;
use llm::{ChatErrorKind, Completion};
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::prompt::MAX_REASON_CHARS;

/// The schema of the prompt, as it comes back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    action: Action,
    confidence: serde_json::Number,
    reason: String,
}

/// A reply that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) action: Action,
    /// 0 to 1, two decimals.
    pub(crate) confidence: Decimal,
    /// One line of at most [`MAX_REASON_CHARS`] characters.
    pub(crate) reason: String,
}

/// Why a reply cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReplyError {
    /// Not a JSON document of the schema.
    Form(ChatErrorKind),
    /// A confidence that is none.
    Confidence,
    /// No reason.
    NoReason,
}

impl Reply {
    pub(crate) fn read(completion: &Completion) -> Result<Self, ReplyError> {
        let wire: Wire = completion.parse().map_err(|error| ReplyError::Form(error.kind))?;
        let stated = decimal(&wire.confidence).ok_or(ReplyError::Confidence)?;
        if !(Decimal::ZERO..=Decimal::ONE).contains(&stated) {
            return Err(ReplyError::Confidence);
        }
        let reason = one_line(&wire.reason);
        if reason.is_empty() {
            return Err(ReplyError::NoReason);
        }
        Ok(Self { action: wire.action, confidence: confidence(stated), reason })
    }
}

/// The number as it was written, 0.7 and 7e-1 alike.
fn decimal(number: &serde_json::Number) -> Option<Decimal> {
    let text = number.to_string();
    text.parse().or_else(|_| Decimal::from_scientific(&text)).ok()
}

/// Text for one line: no control characters, nothing that hides or reverses text, single spaces, bounded.
fn one_line(text: &str) -> String {
    let visible: String = text
        .chars()
        .map(|character| if character.is_whitespace() { ' ' } else { character })
        .filter(|character| !character.is_control() && !is_invisible(*character))
        .collect();
    let words = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= MAX_REASON_CHARS {
        return words;
    }
    let mut cut: String = words.chars().take(MAX_REASON_CHARS - 1).collect();
    cut.truncate(cut.trim_end().len());
    cut.push('…');
    cut
}

/// Characters that change what a reader sees without being seen (zero width, direction, tags).
const fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use rust_decimal_macros::dec;

    use super::*;

    fn read(text: &str) -> Result<Reply, ReplyError> {
        Reply::read(&Completion { text: text.to_owned(), usage: None })
    }

    #[test]
    fn a_reply_of_the_schema_is_read() {
        let reply = read(r#"{"action":"SELL","confidence":0.725,"reason":"RSI 71.2 is high."}"#).unwrap();
        assert_eq!((reply.action, reply.confidence), (Action::Sell, dec!(0.73)));
        assert_eq!(reply.reason, "RSI 71.2 is high.");
        for (written, meant) in
            [("0", dec!(0.00)), ("1", dec!(1.00)), ("1.0", dec!(1.00)), ("1e-9", dec!(0.00)), ("5E-1", dec!(0.50))]
        {
            let reply = read(&format!(r#"{{"action":"HOLD","confidence":{written},"reason":"r"}}"#)).unwrap();
            assert_eq!(reply.confidence, meant, "{written}");
        }
    }

    #[test]
    fn whatever_else_is_refused() {
        let form = |text: &str| matches!(read(text), Err(ReplyError::Form(ChatErrorKind::SchemaIgnored)));
        assert!(form("BUY"));
        assert!(form("```json\n{\"action\":\"BUY\",\"confidence\":1,\"reason\":\"r\"}\n```"));
        assert!(form(r#"{"action":"buy","confidence":1,"reason":"r"}"#));
        assert!(form(r#"{"action":"SHORT","confidence":1,"reason":"r"}"#));
        assert!(form(r#"{"action":"BUY","confidence":"1","reason":"r"}"#));
        assert!(form(r#"{"action":"BUY","confidence":1}"#));
        assert!(form(r#"{"action":"BUY","confidence":1,"reason":"r","tool":"rm"}"#));
        for out in ["1.01", "-0.01", "-1e-30", "1e300", "87"] {
            let text = format!(r#"{{"action":"BUY","confidence":{out},"reason":"r"}}"#);
            assert_eq!(read(&text), Err(ReplyError::Confidence), "{out}");
        }
        assert_eq!(read(r#"{"action":"BUY","confidence":1,"reason":" \n\u200b\t "}"#), Err(ReplyError::NoReason));
    }

    #[test]
    fn reasons_become_one_bounded_line_without_tricks() {
        let reason = |text: &str| {
            read(&serde_json::json!({"action": "BUY", "confidence": 1, "reason": text}).to_string()).unwrap().reason
        };
        assert_eq!(reason("Line one.\r\n\u{1b}[31mline\u{0} \t two\u{202e}!"), "Line one. [31mline two!");
        let long = reason(&"wörd ".repeat(500));
        assert_eq!(long.chars().count(), MAX_REASON_CHARS);
        assert!(long.ends_with('…'));
    }
}
