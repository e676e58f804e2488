//! Tests of `series.rs`.

use rust_decimal::Decimal;

use super::*;

/// A candle's length in these tests is not a minute, on purpose.
const LENGTH_MS: i64 = 700;

fn at(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_700_000_000_000 + ms).unwrap()
}

fn kline(n: i64) -> Kline {
    let price = Decimal::from(100 + n);
    Kline {
        open_time: at(n * LENGTH_MS),
        close_time: at((n + 1) * LENGTH_MS - 1),
        open: price,
        high: price,
        low: price,
        close: price,
        volume: Decimal::ONE,
        quote_volume: Decimal::ONE,
        trades: 1,
    }
}

fn candle(n: i64, closed: bool) -> Candle {
    kline(n).candle(closed)
}

fn klines(range: std::ops::Range<i64>) -> Vec<Kline> {
    range.map(kline).collect()
}

/// Candles `first..=last`, the last one open.
fn filled(first: i64, last: i64) -> Series {
    let mut series = Series::default();
    series.merge(&klines(first..last + 1), at(last * LENGTH_MS), true);
    series
}

fn opens(series: &Series, limit: usize) -> Vec<i64> {
    series.newest(limit).iter().map(|candle| (candle.open_time - at(0)).num_milliseconds() / LENGTH_MS).collect()
}

#[test]
fn filled_by_rest_then_by_the_stream() {
    let mut series = filled(0, 3);
    assert_eq!(opens(&series, 100), [0, 1, 2, 3]);
    assert!(series.newest(1).iter().all(|candle| !candle.closed), "REST does not say that the last one is final");
    let update = series.apply(candle(3, false), at(3 * LENGTH_MS + 10));
    assert_eq!(update, Applied { became_final: false, hole: false });
    let end = series.apply(candle(3, true), at(4 * LENGTH_MS));
    assert_eq!(end, Applied { became_final: true, hole: false });
    let next = series.apply(candle(4, false), at(4 * LENGTH_MS + 1));
    assert_eq!(next, Applied { became_final: false, hole: false });
    assert_eq!(opens(&series, 3), [2, 3, 4]);
    assert_eq!(series.confirmed_at(), Some(at(4 * LENGTH_MS + 1)));
}

#[test]
fn duplicates_and_late_statements_change_nothing() {
    let mut series = filled(0, 2);
    series.apply(candle(2, false), at(2 * LENGTH_MS + 100));
    let mut late = candle(2, false);
    late.close = Decimal::from(7);
    late.low = Decimal::from(7);
    series.apply(late.clone(), at(2 * LENGTH_MS + 50));
    assert_eq!(series.newest(1)[0].close, Decimal::from(102));
    series.apply(late.clone(), at(2 * LENGTH_MS + 150));
    assert_eq!(series.newest(1)[0].close, Decimal::from(7));
    series.apply(candle(2, true), at(3 * LENGTH_MS));
    // After the end: an open statement with a later time, a second end, an update of a candle long past.
    series.apply(late, at(3 * LENGTH_MS + 500));
    assert_eq!(series.newest(1)[0], candle(2, true));
    assert!(!series.apply(candle(2, true), at(3 * LENGTH_MS)).became_final);
    assert!(!series.apply(candle(0, false), at(9 * LENGTH_MS)).became_final);
    assert_eq!(opens(&series, 10), [0, 1, 2]);
    // A late statement about the past says nothing about the present.
    assert_eq!(series.confirmed_at(), Some(at(3 * LENGTH_MS)));
}

#[test]
fn a_missed_candle_is_a_hole_until_rest_fills_it() {
    let mut series = filled(0, 2);
    series.apply(candle(2, true), at(3 * LENGTH_MS));
    assert!(series.apply(candle(5, false), at(5 * LENGTH_MS)).hole);
    assert!(!series.is_contiguous());
    assert_eq!(opens(&series, 10), [5], "nothing before a hole is served");
    let needed = i64::from(series.missing(at(5 * LENGTH_MS + 1)));
    assert!((4..20).contains(&needed), "{needed} candles for a hole of two");
    let merged = series.merge(&klines(6 - needed..6), at(5 * LENGTH_MS + 1), false);
    assert_eq!(merged, Merged { newly_final: 2 + usize::try_from(needed - 6).unwrap_or(0), contiguous: true });
    assert_eq!(opens(&series, 4), [2, 3, 4, 5]);
}

#[test]
fn a_candle_whose_end_was_missed_is_a_hole_too() {
    let mut series = filled(0, 2);
    assert!(series.apply(candle(3, false), at(3 * LENGTH_MS)).hole, "nobody said that candle 2 is final");
    assert_eq!(opens(&series, 10), [3]);
    let merged = series.merge(&klines(1..4), at(3 * LENGTH_MS + 1), false);
    assert_eq!(merged, Merged { newly_final: 1, contiguous: true });
    assert_eq!(opens(&series, 10), [0, 1, 2, 3]);
}

#[test]
fn too_few_candles_leave_the_hole_and_all_of_them_close_it() {
    let mut series = filled(0, 2);
    series.apply(candle(50, false), at(50 * LENGTH_MS));
    assert!(!series.merge(&klines(40..51), at(50 * LENGTH_MS), false).contiguous);
    assert!(series.merge(&klines(0..51), at(50 * LENGTH_MS), true).contiguous);
    assert_eq!(opens(&series, 100).len(), 51);
}

#[test]
fn what_can_never_be_joined_is_let_go() {
    let mut series = filled(0, 2);
    assert!(series.merge(&klines(500..504), at(503 * LENGTH_MS), true).contiguous);
    assert_eq!(opens(&series, 100), [500, 501, 502, 503]);
}

#[test]
fn a_hole_of_the_exchange_itself_is_no_hole_of_ours() {
    let mut series = Series::default();
    let with_outage: Vec<Kline> = klines(0..3).into_iter().chain(klines(10..13)).collect();
    assert!(series.merge(&with_outage, at(12 * LENGTH_MS), true).contiguous);
    assert_eq!(opens(&series, 100), [0, 1, 2, 10, 11, 12]);
}

#[test]
fn rest_is_the_truth_within_its_range() {
    // An exchange that was restarted with another phase: its candles overlap those that are held.
    let mut series = filled(0, 4);
    let shifted: Vec<Kline> = klines(2..6)
        .into_iter()
        .map(|mut kline| {
            kline.open_time += TimeDelta::milliseconds(300);
            kline.close_time += TimeDelta::milliseconds(300);
            kline
        })
        .collect();
    let merged = series.merge(&shifted, at(6 * LENGTH_MS), true);
    assert!(merged.contiguous);
    assert_eq!(series.newest(100).len(), 4, "0, 1 do not join, 2 to 4 are overlapped");
}

#[test]
fn rest_does_not_undo_what_the_stream_said() {
    let mut series = filled(0, 2);
    series.apply(candle(2, true), at(3 * LENGTH_MS));
    let mut newer = candle(3, false);
    newer.close = Decimal::from(200);
    newer.high = Decimal::from(200);
    series.apply(newer.clone(), at(3 * LENGTH_MS + 200));
    // Asked before that statement, answered after it.
    let merged = series.merge(&klines(0..4), at(3 * LENGTH_MS + 100), true);
    assert_eq!(merged, Merged { newly_final: 0, contiguous: true });
    assert_eq!(series.newest(1)[0], newer);
    // And an answer that ends before the newest candle leaves that alone.
    series.apply(candle(3, true), at(4 * LENGTH_MS));
    series.apply(candle(4, false), at(4 * LENGTH_MS));
    assert!(series.merge(&klines(0..4), at(3 * LENGTH_MS + 300), true).contiguous);
    assert_eq!(opens(&series, 2), [3, 4]);
}

#[test]
fn the_oldest_make_room() {
    let mut series = filled(0, 999);
    for n in 999..1300 {
        series.apply(candle(n, true), at((n + 1) * LENGTH_MS));
    }
    assert_eq!(series.newest(5000).len(), CAPACITY);
    assert!(series.newest(5000).iter().all(|candle| candle.closed));
    assert!(series.is_contiguous());
    assert_eq!(series.apply(candle(1, true), at(1301 * LENGTH_MS)), Applied { became_final: false, hole: false });
}

#[test]
fn an_empty_series_needs_everything() {
    let mut series = Series::default();
    assert_eq!(series.missing(at(0)), FULL_DEPTH);
    assert!(series.newest(10).is_empty());
    assert_eq!(series.merge(&[], at(0), true), Merged { newly_final: 0, contiguous: true });
    assert_eq!(series.confirmed_at(), None);
}

#[test]
fn an_exchange_that_repeats_itself_confirms_nothing_new() {
    let mut series = filled(0, 2);
    let end = at(3 * LENGTH_MS - 1);
    series.merge(&klines(0..3), at(90 * LENGTH_MS), true);
    assert_eq!(series.confirmed_at(), Some(end));
}

#[test]
fn a_young_listing_has_enough_with_all_it_has() {
    let young = filled(0, 9);
    assert_eq!(young.enough(1000).unwrap().len(), 10);
    let old = filled(0, 999);
    assert!(old.enough(1001).is_none() && old.enough(1000).is_some());
    let mut torn = filled(0, 9);
    torn.apply(candle(20, false), at(20 * LENGTH_MS));
    assert!(torn.enough(5).is_none());
}
