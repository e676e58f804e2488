//! Klines (candles) as REST returns them: arrays of twelve.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use domain::Candle;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::{self, IgnoredAny, SeqAccess, Visitor};

use crate::decimal::Amount;

/// One candle of `GET /api/v3/klines`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kline {
    /// First instant.
    pub open_time: DateTime<Utc>,
    /// Last instant, one millisecond before the next candle's first.
    pub close_time: DateTime<Utc>,
    /// First price.
    pub open: Decimal,
    /// Highest price.
    pub high: Decimal,
    /// Lowest price.
    pub low: Decimal,
    /// Last price so far.
    pub close: Decimal,
    /// Volume in the base currency.
    pub volume: Decimal,
    /// Volume in the quote currency.
    pub quote_volume: Decimal,
    /// Number of trades.
    pub trades: u64,
}

impl Kline {
    /// The service's candle. REST does not say whether a candle is final: the caller does.
    #[must_use]
    pub fn candle(&self, closed: bool) -> Candle {
        Candle {
            open_time: self.open_time,
            close_time: self.close_time,
            open: self.open,
            high: self.high,
            low: self.low,
            close: self.close,
            volume: self.volume,
            closed,
        }
    }
}

/// What a candle must be, wherever it came from; the text says what is wrong.
pub(crate) fn check_candle(
    open_time: DateTime<Utc>,
    close_time: DateTime<Utc>,
    [open, high, low, close]: [Decimal; 4],
    volume: Decimal,
) -> Result<(), String> {
    if close_time < open_time {
        return Err(format!("it closes at {close_time}, before it opens at {open_time}"));
    }
    if low <= Decimal::ZERO {
        return Err(format!("its low {low} is not positive"));
    }
    if low > open.min(close) || high < open.max(close) {
        return Err(format!("low {low} and high {high} do not enclose open {open} and close {close}"));
    }
    if volume.is_sign_negative() && !volume.is_zero() {
        return Err(format!("its volume {volume} is negative"));
    }
    Ok(())
}

/// A time in milliseconds since 1970, as everywhere in Binance's JSON.
pub(crate) fn time_ms(ms: i64) -> Result<DateTime<Utc>, String> {
    // Year 2000 to 2100: a time in seconds or microseconds is a fault that must not pass for a time.
    const RANGE: std::ops::Range<i64> = 946_684_800_000..4_102_444_800_000;
    if !RANGE.contains(&ms) {
        return Err(format!("{ms} is no time in milliseconds between the years 2000 and 2100"));
    }
    DateTime::from_timestamp_millis(ms).ok_or_else(|| format!("{ms} is no time"))
}

impl<'de> Deserialize<'de> for Kline {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Row;

        impl<'de> Visitor<'de> for Row {
            type Value = Kline;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a kline, an array of 12")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut row: A) -> Result<Kline, A::Error> {
                // Each field is named in its error: "kline's high: ...".
                fn field<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
                    row: &mut A,
                    name: &'static str,
                ) -> Result<T, A::Error> {
                    row.next_element()
                        .map_err(|error| de::Error::custom(format_args!("kline's {name}: {error}")))?
                        .ok_or_else(|| de::Error::custom(format_args!("kline ends before its {name}")))
                }
                let open_time: i64 = field(&mut row, "open time")?;
                let Amount(open) = field(&mut row, "open")?;
                let Amount(high) = field(&mut row, "high")?;
                let Amount(low) = field(&mut row, "low")?;
                let Amount(close) = field(&mut row, "close")?;
                let Amount(volume) = field(&mut row, "volume")?;
                let close_time: i64 = field(&mut row, "close time")?;
                let Amount(quote_volume) = field(&mut row, "quote volume")?;
                let trades: u64 = field(&mut row, "number of trades")?;
                // Taker volumes and an unused field follow; nobody reads them, and Binance may add more.
                while row.next_element::<IgnoredAny>()?.is_some() {}
                let open_time = time_ms(open_time).map_err(de::Error::custom)?;
                let close_time = time_ms(close_time).map_err(de::Error::custom)?;
                check_candle(open_time, close_time, [open, high, low, close], volume)
                    .map_err(|wrong| de::Error::custom(format_args!("kline of {open_time}: {wrong}")))?;
                Ok(Kline { open_time, close_time, open, high, low, close, volume, quote_volume, trades })
            }
        }

        deserializer.deserialize_seq(Row)
    }
}

/// Checks that klines come in order and do not overlap (a hole is possible: the exchange itself was down).
pub(crate) fn check_order(klines: &[Kline]) -> Result<(), String> {
    for (index, pair) in klines.windows(2).enumerate() {
        if let [before, after] = pair
            && after.open_time < before.close_time + TimeDelta::milliseconds(1)
        {
            return Err(format!(
                "row {} opens at {}, before row {index} ends at {}",
                index + 1,
                after.open_time,
                before.close_time
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Binance's rest-api.md.
    const DOCUMENTED: &str = r#"[[1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",
        1499644799999,"2434.19055334",308,"1756.87402397","28.46694368","0"]]"#;

    fn read(json: &str) -> Result<Vec<Kline>, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_the_documented_example() {
        let klines = read(DOCUMENTED).unwrap();
        let kline = &klines[0];
        assert_eq!(kline.open_time.timestamp_millis(), 1_499_040_000_000);
        assert_eq!(kline.close_time.timestamp_millis(), 1_499_644_799_999);
        assert_eq!(kline.high.to_string(), "0.8");
        assert_eq!(kline.volume.to_string(), "148976.11427815");
        assert_eq!(kline.trades, 308);
        assert!(!kline.candle(false).closed);
    }

    #[test]
    fn names_what_is_wrong() {
        let wrong = |from: &str, to: &str| read(&DOCUMENTED.replace(from, to)).unwrap_err();
        assert!(wrong("\"0.80000000\"", "0.8").contains("kline's high"));
        assert!(wrong("\"0.01577100\"", "\"x\"").contains("kline's close"));
        assert!(wrong("1499644799999", "\"soon\"").contains("kline's close time"));
        assert!(wrong("1499040000000", "1499040000").contains("no time in milliseconds"));
        assert!(wrong("\"0.01575800\"", "\"0\"").contains("not positive"));
        assert!(wrong("\"0.80000000\"", "\"0.01\"").contains("do not enclose"));
        assert!(wrong("\"148976.11427815\"", "\"-1\"").contains("volume"));
        assert!(wrong("1499644799999", "1498000000000").contains("before it opens"));
        assert!(read("[[1499040000000,\"1\"]]").unwrap_err().contains("ends before its high"));
        assert!(read("[{}]").unwrap_err().contains("array of 12"));
    }

    #[test]
    fn order_is_checked_and_holes_are_allowed() {
        let row = |open: i64, close: i64| format!(r#"[{open},"1","1","1","1","0",{close},"0",0,"0","0","0"]"#);
        let a = 1_700_000_000_000;
        let series = |rows: [String; 2]| read(&format!("[{}]", rows.join(","))).unwrap();
        assert_eq!(check_order(&series([row(a, a + 59_999), row(a + 60_000, a + 119_999)])), Ok(()));
        assert_eq!(check_order(&series([row(a, a + 59_999), row(a + 600_000, a + 659_999)])), Ok(()));
        let overlapping = check_order(&series([row(a, a + 59_999), row(a + 59_999, a + 119_999)])).unwrap_err();
        assert!(overlapping.contains("row 1 opens"), "{overlapping}");
    }
}
