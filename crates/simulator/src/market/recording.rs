//! The recorded month: read once at start from the compressed CSV in this crate's `data/` folder.

use std::io::Read;
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use flate2::read::GzDecoder;
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

use super::bar::Bar;

static COMPRESSED: &[u8] = include_bytes!("../../data/btc-perp-1m-2022-01.csv.gz");

/// 2022-01-01 00:00:00 UTC, when the recording begins.
const BEGIN_SECONDS: i64 = 1_640_995_200;
/// Minutes of January.
pub(crate) const MINUTES: usize = 31 * 24 * 60;

/// When the recording begins.
pub(crate) fn begin() -> DateTime<Utc> {
    DateTime::from_timestamp(BEGIN_SECONDS, 0).unwrap_or(DateTime::UNIX_EPOCH)
}

/// What is wrong with the embedded recording; never seen unless the file is replaced by another.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It cannot be decompressed or is no CSV.
    #[error("the recorded month cannot be read")]
    Csv(#[from] csv::Error),
    /// A row is not what it should be.
    #[error("the recorded month is unsound at minute {minute}: {what}")]
    Row {
        /// Row, from 0.
        minute: usize,
        /// What is wrong.
        what: &'static str,
    },
}

/// The recorded month, decoded once a process: tests start many simulators.
pub(super) fn month() -> Result<Arc<Vec<Bar>>, RecordingError> {
    static DECODED: OnceLock<Arc<Vec<Bar>>> = OnceLock::new();
    if let Some(bars) = DECODED.get() {
        return Ok(bars.clone());
    }
    let bars = Arc::new(read(GzDecoder::new(COMPRESSED))?);
    Ok(DECODED.get_or_init(|| bars).clone())
}

fn read(input: impl Read) -> Result<Vec<Bar>, RecordingError> {
    let mut reader = csv::Reader::from_reader(input);
    let mut bars = Vec::with_capacity(MINUTES);
    let mut record = csv::StringRecord::new();
    let mut expected = begin().naive_utc();
    while reader.read_record(&mut record)? {
        let minute = bars.len();
        let wrong = |what| RecordingError::Row { minute, what };
        let time = record
            .get(0)
            .and_then(|text| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok())
            .ok_or_else(|| wrong("no time"))?;
        if time != expected {
            return Err(wrong("not the minute after the one before"));
        }
        expected += TimeDelta::minutes(1);
        let price = |column| record.get(column).and_then(cents).and_then(|cents| u32::try_from(cents).ok());
        let prices = [1, 2, 3, 4].map(price);
        let [Some(open), Some(high), Some(low), Some(close)] = prices else {
            return Err(wrong("a price is missing or no number"));
        };
        let volume = record.get(5).and_then(cents).ok_or_else(|| wrong("no volume"))?;
        bars.push(
            Bar::new([open, high, low, close], volume)
                .ok_or_else(|| wrong("low and high do not enclose open and close"))?,
        );
    }
    if bars.len() != MINUTES {
        return Err(RecordingError::Row { minute: bars.len(), what: "the month ends early or late" });
    }
    Ok(bars)
}

fn cents(text: &str) -> Option<u64> {
    let amount: Decimal = text.parse().ok()?;
    let cents = (amount * Decimal::ONE_HUNDRED).round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
    cents.to_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_month_is_whole_and_has_its_known_extremes() {
        let bars = month().unwrap();
        assert_eq!(bars.len(), 44_640);
        assert_eq!((bars[0].open(), bars[0].close()), (4_619_700, 4_622_400));
        assert_eq!(bars[44_639].close(), 3_852_100);
        assert_eq!(bars.iter().map(Bar::high).max(), Some(4_808_000));
        assert_eq!(bars.iter().map(Bar::low).min(), Some(3_283_700));
    }

    #[test]
    fn a_hole_a_bad_price_and_a_short_month_are_refused() {
        let refuse = |rows: &str| {
            read(format!("timestamp,open,high,low,close,volume\n{rows}").as_bytes()).unwrap_err().to_string()
        };
        assert!(refuse("2022-01-01 00:01:00,1,1,1,1,1").contains("minute 0: not the minute after"));
        assert!(refuse("2022-01-01 00:00:00,1,x,1,1,1").contains("a price is missing"));
        assert!(refuse("2022-01-01 00:00:00,1,1,2,1,1").contains("do not enclose"));
        assert!(refuse("2022-01-01 00:00:00,1,1,1,1,1").contains("ends early"));
    }
}
