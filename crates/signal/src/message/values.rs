//! Values: numbers, times, actions, words.

use chrono::{DateTime, NaiveDateTime, Utc};
use domain::trading::SignalAction;
use rust_decimal::Decimal;

use super::{Raw, Refused};

/// Largest number of any kind.
const MAX: u64 = 1_000_000_000_000;

/// Most decimal places.
const MAX_SCALE: u32 = 18;

/// Longest comment that is kept, in characters; what is longer is cut.
const MAX_COMMENT: usize = 200;

/// Longest sender's order id, in characters.
const MAX_ORDER_ID: usize = 128;

/// Longest chart interval, in characters: `1`, `240`, `1D`.
const MAX_INTERVAL: usize = 16;

/// What `strategy.market_position` says the strategy holds after the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    Long,
    Short,
    Flat,
}

/// What stands for no value in the words of Pine and of those who write it.
pub(super) fn is_nothing(text: &str) -> bool {
    ["", "na", "nan", "n/a", "null", "none", "undefined", "infinity", "-infinity", "∞"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

/// The text of a value that has to be there.
pub(super) fn present<'a>(name: &'static str, raw: &'a Raw) -> Result<&'a str, Refused> {
    let text = filled(name, raw)?;
    text.filter(|text| !is_nothing(text)).ok_or_else(|| Refused::NoValue(name.to_owned()))
}

/// The text of a value, unless there is none.
fn filled<'a>(name: &'static str, raw: &'a Raw) -> Result<Option<&'a str>, Refused> {
    match raw {
        Raw::Nested => Err(Refused::Nested(name.to_owned())),
        Raw::Null => Ok(None),
        Raw::Text(text) if text.contains("{{") => Err(Refused::Placeholder(name.to_owned())),
        Raw::Text(text) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
    }
}

/// A number above zero, exact to the last digit.
pub(super) fn number(name: &'static str, raw: &Raw) -> Result<Decimal, Refused> {
    let text = present(name, raw)?;
    let wrong = || Refused::Number(name);
    // Others would be rounded, or are spellings of Rust's.
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if digits > 34 || !text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte)) {
        return Err(wrong());
    }
    let number = match text.split_once(['e', 'E']) {
        None => Decimal::from_str_exact(text),
        // Only what can be read exactly is: the mantissa by itself first.
        Some((mantissa, _)) => Decimal::from_str_exact(mantissa).and_then(|_| Decimal::from_scientific(text)),
    };
    let number = number.map_err(|_| wrong())?.normalize();
    let bounded = number > Decimal::ZERO && number <= Decimal::from(MAX) && number.scale() <= MAX_SCALE;
    if bounded { Ok(number) } else { Err(wrong()) }
}

/// A time: ISO 8601, where it says no zone UTC, or unix milliseconds or seconds.
pub(super) fn time(name: &'static str, raw: &Raw) -> Result<DateTime<Utc>, Refused> {
    let text = present(name, raw)?;
    let wrong = || Refused::Time(name);
    let time = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: i64 = text.parse().map_err(|_| wrong())?;
        // Eleven digits of milliseconds were in 1973.
        if text.len() <= 11 { DateTime::from_timestamp(number, 0) } else { DateTime::from_timestamp_millis(number) }
    } else {
        let zoned = DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
        zoned.or_else(|| text.parse::<NaiveDateTime>().ok().map(|time| time.and_utc()))
    };
    let (first, last) = (946_684_800, 4_102_444_800);
    // From 2000 to 2100: all else is a mistake, and a database need not keep it.
    time.filter(|time| (first..last).contains(&time.timestamp())).ok_or_else(wrong)
}

/// What is to be done.
pub(super) fn action(name: &'static str, raw: &Raw) -> Result<SignalAction, Refused> {
    match present(name, raw)?.to_ascii_lowercase().as_str() {
        "buy" | "long" => Ok(SignalAction::Buy),
        "sell" | "short" => Ok(SignalAction::Sell),
        "close" | "exit" | "flat" => Ok(SignalAction::Close),
        _ => Err(Refused::Action(name)),
    }
}

pub(super) fn position(name: &'static str, raw: &Raw) -> Result<Position, Refused> {
    match present(name, raw)?.to_ascii_lowercase().as_str() {
        "long" => Ok(Position::Long),
        "short" => Ok(Position::Short),
        "flat" => Ok(Position::Flat),
        _ => Err(Refused::Position(name)),
    }
}

/// The sender's id of the order, if it has one.
pub(super) fn order_id(name: &'static str, raw: &Raw) -> Result<Option<String>, Refused> {
    word(name, raw, MAX_ORDER_ID)
}

/// The chart's interval.
pub(super) fn interval(name: &'static str, raw: &Raw) -> Result<Option<String>, Refused> {
    word(name, raw, MAX_INTERVAL)
}

fn word(name: &'static str, raw: &Raw, most: usize) -> Result<Option<String>, Refused> {
    let Some(text) = filled(name, raw)? else { return Ok(None) };
    let well_formed = text.chars().count() <= most && !text.chars().any(char::is_control);
    if well_formed { Ok(Some(text.to_owned())) } else { Err(Refused::Word(name, most)) }
}

/// Free words: one line, cut where they are too long.
pub(super) fn comment(name: &'static str, raw: &Raw) -> Result<Option<String>, Refused> {
    let Some(text) = filled(name, raw)? else { return Ok(None) };
    Ok(Some(text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_COMMENT).collect()))
}
