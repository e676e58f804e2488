//! Requests over the recorded month.

use std::fs::File;
use std::path::Path;
use std::sync::LazyLock;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use domain::{Candle, CandleSeries, DecisionRequest, Interval, PriceQuote, PriceSource, StrategyName, Symbol};
use flate2::read::GzDecoder;
use rust_decimal::Decimal;

/// Minutes of which domain's tests know the decision, computed independently.
pub(crate) const HOLD_MINUTE: usize = 214;
pub(crate) const SELL_MINUTE: usize = 264;
pub(crate) const BUY_MINUTE: usize = 339;

static MORNING: LazyLock<Vec<Candle>> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../simulator/data/btc-perp-1m-2022-01.csv.gz");
    let file = File::open(&path).unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()));
    csv::Reader::from_reader(GzDecoder::new(file)).records().take(400).map(|record| candle(&record.unwrap())).collect()
});

fn candle(record: &csv::StringRecord) -> Candle {
    let open_time = NaiveDateTime::parse_from_str(&record[0], "%Y-%m-%d %H:%M:%S").unwrap().and_utc();
    let number = |index: usize| -> Decimal { record[index].parse().unwrap() };
    Candle {
        open_time,
        close_time: open_time + TimeDelta::milliseconds(59_999),
        open: number(1),
        high: number(2),
        low: number(3),
        close: number(4),
        volume: number(5),
        closed: true,
    }
}

/// The market at the end of this minute of 1 January 2022: its close is the price, everything before it the candles.
pub(crate) fn request(minute: usize, strategy: Option<StrategyName>) -> DecisionRequest {
    let symbol: Symbol = "BTCUSDT".parse().unwrap();
    let candles = MORNING[..=minute].to_vec();
    let last = &candles[minute];
    let (price, observed_at): (Decimal, DateTime<Utc>) = (last.close, last.close_time);
    DecisionRequest {
        price: PriceQuote {
            symbol: symbol.clone(),
            price,
            observed_at,
            age_ms: 40,
            source: PriceSource::Stream,
            trace_id: None,
        },
        candles: CandleSeries { symbol, interval: Interval::OneMinute, candles, trace_id: None },
        strategy,
    }
}
