//! Candles: of the recorded month, and of a seeded random walk.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use domain::Candle;
use flate2::read::GzDecoder;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use rust_decimal::Decimal;
use rust_decimal_macros::dec;

/// These minutes of January 2022.
pub(crate) fn recorded(minutes: Range<usize>) -> Vec<Candle> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../simulator/data/btc-perp-1m-2022-01.csv.gz");
    let mut month = csv::Reader::from_reader(GzDecoder::new(File::open(path).unwrap()));
    let count = minutes.len();
    let row = |row: csv::StringRecord| {
        let price = |column: usize| row[column].parse::<Decimal>().unwrap();
        let at = NaiveDateTime::parse_from_str(&row[0], "%Y-%m-%d %H:%M:%S").unwrap().and_utc();
        candle(at, [price(1), price(2), price(3), price(4)])
    };
    let candles: Vec<Candle> = month.records().skip(minutes.start).take(count).map(|r| row(r.unwrap())).collect();
    assert_eq!(candles.len(), count);
    candles
}

/// A random walk of so many minutes.
pub(crate) fn walk(seed: u64, minutes: u32) -> Vec<Candle> {
    let mut random = SmallRng::seed_from_u64(seed);
    let start: DateTime<Utc> = "2026-11-21T18:00:00Z".parse().unwrap();
    let mut price = dec!(0.00001234);
    let mut candles = Vec::new();
    for minute in 0..minutes {
        let mut step = || Decimal::new(random.random_range(-40..=40), 10);
        let (open, close) = (price, (price + step()).max(dec!(0.00000001)));
        let (above, below) = (step().abs(), step().abs().min(open.min(close) / dec!(2)));
        let at = start + TimeDelta::minutes(minute.into());
        candles.push(candle(at, [open, open.max(close) + above, open.min(close) - below, close]));
        price = close;
    }
    candles
}

/// A closed candle of a minute; prices are open, high, low, close.
pub(crate) fn candle(at: DateTime<Utc>, [open, high, low, close]: [Decimal; 4]) -> Candle {
    let close_time = at + TimeDelta::milliseconds(59_999);
    Candle { open_time: at, close_time, open, high, low, close, volume: Decimal::ONE, closed: true }
}
