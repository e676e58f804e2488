//! The recorded month (see `crates/simulator/data/README.md`), and what is to be found in it.

use std::fs::File;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::OnceLock;

use chrono::{DateTime, TimeDelta, Utc};
use domain::strategy::{CrossFinder, CrossKind};
use domain::{Candle, Interval};
use flate2::read::GzDecoder;
use rust_decimal::Decimal;

/// Candles of these closes, from a time on.
pub(crate) fn candles(from: DateTime<Utc>, interval: Interval, closes: &[Decimal]) -> Vec<Candle> {
    let length = TimeDelta::minutes(interval.minutes().into());
    let candle = |(place, close): (usize, &Decimal)| {
        let open_time = from + length * i32::try_from(place).unwrap();
        Candle {
            open_time,
            close_time: open_time + length - TimeDelta::milliseconds(1),
            open: *close,
            high: *close,
            low: *close,
            close: *close,
            volume: Decimal::ONE,
            closed: true,
        }
    };
    closes.iter().enumerate().map(candle).collect()
}

fn closes() -> &'static [Decimal] {
    static CLOSES: OnceLock<Vec<Decimal>> = OnceLock::new();
    CLOSES.get_or_init(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../simulator/data/btc-perp-1m-2022-01.csv.gz");
        let file = File::open(&path).unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()));
        let mut reader = csv::Reader::from_reader(GzDecoder::new(file));
        reader.records().map(|record| record.unwrap().get(4).unwrap().parse().unwrap()).collect()
    })
}

/// The month in candles of an interval, as it was.
pub(crate) fn month(interval: Interval) -> Vec<Candle> {
    let step = usize::try_from(interval.minutes()).unwrap();
    let closes: Vec<Decimal> = closes().chunks(step).map(|chunk| *chunk.last().unwrap()).collect();
    candles("2022-01-01T00:00:00Z".parse().unwrap(), interval, &closes)
}

/// What there is to find after the first so many candles: kind, action, close of the candle, its end, how sure.
pub(crate) fn expected(candles: &[Candle], after: usize) -> Vec<[String; 5]> {
    let window = |candles| NonZeroU32::new(candles).unwrap();
    let found = CrossFinder::new(window(9), window(21)).unwrap().find(candles);
    let told = found.iter().filter(|crossing| crossing.candle >= after).map(|crossing| {
        let (kind, action) = match crossing.kind {
            CrossKind::Golden => ("golden_cross", "buy"),
            CrossKind::Death => ("death_cross", "sell"),
        };
        let candle = &candles[crossing.candle];
        let closed_at = candle.close_time.to_rfc3339();
        [kind.to_owned(), action.to_owned(), candle.close.to_string(), closed_at, crossing.confidence.to_string()]
    });
    told.collect()
}
