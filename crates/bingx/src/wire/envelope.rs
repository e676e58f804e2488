//! `{"code":0,"msg":"","data":…}`: what every answer is wrapped in.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::Loose;
use crate::{Refusal, RefusalKind};

/// Longest message of BingX that is passed on.
const MOST_MESSAGE: usize = 200;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    code: Loose,
    #[serde(default, borrow)]
    msg: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    data: Option<&'a RawValue>,
}

/// `null` is an answer (of no positions); a field that is missing is none.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// What an answer says.
#[derive(Debug)]
pub(crate) enum Answer<'a> {
    /// `code` 0, and its `data`.
    Done(&'a RawValue),
    /// BingX said no.
    Refused(Refusal),
    /// BingX said that it failed itself: what came of the request is not known.
    Failed(String),
    /// An answer that cannot be read, with why.
    Unreadable(String),
}

/// Reads an answer with its HTTP status. `secrets` appear in no message.
pub(crate) fn read<'a>(status: u16, body: &'a [u8], secrets: &[&SecretString]) -> Answer<'a> {
    let envelope = if body.trim_ascii_start().starts_with(b"{") {
        serde_json::from_slice::<Envelope<'a>>(body).map_err(|error| describe(&error))
    } else {
        // serde would take the fields from a list, too.
        Err("it is no JSON object".to_owned())
    };
    let code = envelope.as_ref().ok().and_then(|envelope| envelope.code.integer());
    let said = envelope.as_ref().ok().and_then(|envelope| envelope.msg).map(message).unwrap_or_default();
    let message = cleaned(&said, secrets);
    match (status, code) {
        // 504: handed on to the service behind, no answer from it. The others are as good as that.
        (500.., _) => Answer::Failed(format!("HTTP {status}")),
        (200..=299, Some(0)) => match envelope.ok().and_then(|envelope| envelope.data) {
            Some(data) => Answer::Done(data),
            None => Answer::Unreadable("success without data".to_owned()),
        },
        (200..=299 | 400..=499, Some(code)) if is_refusal(code) => {
            let kind = RefusalKind::of(code, &message);
            Answer::Refused(Refusal { code, message, kind })
        }
        (200..=299 | 400..=499, Some(code)) if code != 0 => Answer::Failed(format!("{message} (code {code})")),
        // Refused by what stands in front of the exchange.
        (400..=407 | 410..=418 | 429 | 431, None) => {
            let kind = RefusalKind::of(i64::from(status), &message);
            Answer::Refused(Refusal { code: status.into(), message: format!("HTTP {status}"), kind })
        }
        (200..=299, _) => {
            let why = envelope.err().unwrap_or_else(|| "no code in it".to_owned());
            Answer::Unreadable(why)
        }
        _ => Answer::Unreadable(format!("HTTP {status}")),
    }
}

/// Whether a code says that the request was refused for good. BingX's own failures (100500, 80012, …) do not say what
/// came of the request, and neither does a number that is none of its codes.
fn is_refusal(code: i64) -> bool {
    match code {
        80_013..=80_020 => true,
        100_001..=119_999 => !matches!(code % 1_000, 500..=599),
        _ => false,
    }
}

/// Where and why JSON could not be read; what stands there is left out.
fn describe(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax => "it is no JSON",
        serde_json::error::Category::Io | serde_json::error::Category::Data => "its fields are not as documented",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

/// `msg` as text, whatever it is.
fn message(raw: &RawValue) -> String {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().to_owned())
}

/// On one line, short, without the caller's keys and without anything that could be a signature.
fn cleaned(text: &str, secrets: &[&SecretString]) -> String {
    let mut text: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    for secret in secrets.iter().map(|secret| secret.expose_secret()).filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "***");
    }
    let mut kept = String::new();
    for word in text.split_inclusive(|char: char| !char.is_ascii_hexdigit()) {
        let digits = word.bytes().take_while(u8::is_ascii_hexdigit).count();
        kept.push_str(if digits >= 64 { "***" } else { &word[..digits] });
        kept.push_str(&word[digits..]);
    }
    kept.chars().take(MOST_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> String {
        match read(status, body.as_bytes(), &[]) {
            Answer::Done(data) => format!("done {}", data.get()),
            Answer::Refused(refusal) => format!("refused {} {}", refusal.code, refusal.kind.as_str()),
            Answer::Failed(why) => format!("failed {why}"),
            Answer::Unreadable(why) => format!("unreadable {why}"),
        }
    }

    #[test]
    fn codes_are_numbers_or_texts_and_tell_refusals_from_failures() {
        assert_eq!(answer(200, r#"{"code":0,"msg":"","data":{}}"#), "done {}");
        assert_eq!(answer(200, r#"{"code":"0","data":[]}"#), "done []");
        assert_eq!(
            answer(200, r#"{"code":101204,"msg":"Insufficient margin","data":{}}"#),
            "refused 101204 insufficient_margin"
        );
        assert_eq!(answer(400, r#"{"code":"100421","msg":"x"}"#), "refused 100421 clock_skew");
        assert_eq!(
            answer(200, r#"{"code":101400,"msg":"The minimum order amount is 15 JASMY."}"#),
            "refused 101400 bad_request"
        );
        assert_eq!(
            answer(200, r#"{"code":101400,"msg":"clientOrderID is used"}"#),
            "refused 101400 duplicate_client_id"
        );
        assert_eq!(answer(200, r#"{"code":100500,"msg":"busy"}"#), "failed busy (code 100500)");
        assert_eq!(answer(200, r#"{"code":80012,"msg":"unavailable"}"#), "failed unavailable (code 80012)");
        assert_eq!(answer(200, r#"{"code":-1,"msg":"?"}"#), "failed ? (code -1)");
    }

    #[test]
    fn what_stands_in_front_of_the_exchange_refuses_without_a_code() {
        assert_eq!(answer(429, "<html>slow down</html>"), "refused 429 rate_limited");
        assert_eq!(answer(403, ""), "refused 403 bad_signature");
        for status in [301, 408, 409, 499] {
            assert_eq!(answer(status, ""), format!("unreadable HTTP {status}"));
        }
        assert_eq!(answer(504, r#"{"code":101204,"msg":"x"}"#), "failed HTTP 504");
    }

    #[test]
    fn answers_that_contradict_themselves_are_unreadable() {
        assert_eq!(answer(200, r#"{"code":0,"msg":"ok"}"#), "unreadable success without data");
        assert_eq!(answer(400, r#"{"code":0,"data":{}}"#), "unreadable HTTP 400");
        assert_eq!(answer(200, r#"{"msg":"x"}"#), "unreadable no code in it");
        assert_eq!(answer(200, r#"{"code":0,"#), "unreadable it ends too early (line 1, column 10)");
        assert_eq!(answer(200, "[101204]"), "unreadable it is no JSON object");
        assert_eq!(
            answer(200, r#"{"code":0,"code":101204}"#),
            "unreadable its fields are not as documented (line 1, column 16)"
        );
    }

    #[test]
    fn messages_are_short_and_hold_no_secret() {
        let key = SecretString::from("my-api-key");
        let signature = "ab".repeat(32);
        let text = format!("bad my-api-key signature={signature}\nend {}", "x".repeat(500));
        let cleaned = cleaned(&text, &[&key]);
        assert!(cleaned.starts_with("bad *** signature=*** end xxx"), "{cleaned}");
        assert_eq!(cleaned.chars().count(), MOST_MESSAGE);
    }
}
