//! Prices and times as texts.

use chrono::{DateTime, Utc};
use domain::strategy::figures;
use rust_decimal::Decimal;

/// A price with as many decimals as its size deserves, in groups of three digits: 46,224.00, 0.000012346.
pub(crate) fn price(value: Decimal) -> String {
    grouped(figures::price(value))
}

/// Exactly this many decimals, in groups of three digits.
pub(crate) fn fixed(value: Decimal, decimals: u32) -> String {
    grouped(figures::fixed(value, decimals))
}

fn grouped(value: Decimal) -> String {
    let text = value.to_string();
    let (whole, decimals) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let mut shown = String::with_capacity(text.len() + text.len() / 3);
    for (position, digit) in whole.char_indices() {
        let left = whole.len() - position;
        if position > 0 && left.is_multiple_of(3) && !shown.ends_with('-') {
            shown.push(',');
        }
        shown.push(digit);
    }
    if let Some(decimals) = decimals {
        shown.push('.');
        shown.push_str(decimals);
    }
    shown
}

/// A span of time: `2022-01-03 10:00 - 12:30 UTC`, or with both days when it ends on another.
pub(crate) fn time_range(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    let end = if from.date_naive() == to.date_naive() { to.format("%H:%M") } else { to.format("%Y-%m-%d %H:%M") };
    format!("{} - {end} UTC", minute(from))
}

/// A moment to the minute: `2022-01-03 10:00`.
pub(crate) fn minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use rust_decimal_macros::dec;

    use super::*;

    #[test]
    fn prices_are_read_at_a_glance() {
        assert_eq!(price(dec!(46224)), "46,224.00");
        assert_eq!(price(dec!(1234567.891)), "1,234,567.89");
        assert_eq!(price(dec!(123)), "123.00");
        assert_eq!(price(dec!(0.00001234)), "0.00001234");
        assert_eq!(price(dec!(0.000012345678)), "0.000012346");
        assert_eq!(fixed(dec!(-123456), 0), "-123,456");
        assert_eq!(fixed(dec!(1000000000000), 0), "1,000,000,000,000");
        assert_eq!(fixed(dec!(999.5), 2), "999.50");
    }

    #[test]
    fn a_day_is_named_once() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(time_range(at("2022-01-03T10:00:00Z"), at("2022-01-03T12:30:00Z")), "2022-01-03 10:00 - 12:30 UTC");
        assert_eq!(
            time_range(at("2022-01-03T22:00:00Z"), at("2022-01-04T00:30:00Z")),
            "2022-01-03 22:00 - 2022-01-04 00:30 UTC"
        );
    }
}
