//! Candles as nobody would expect them.

use chart::{ChartError, ChartRequest, Mark, MarkKind, draw};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Candle, CandleSeries, Interval};
use proptest::prelude::*;
use rust_decimal::Decimal;
use rust_decimal_macros::dec;

use crate::candles::candle;
use crate::picture::Picture;

/// Prices of every size there is, and what is none.
fn price() -> impl Strategy<Value = Decimal> {
    let usual = (1..=i64::MAX, 6..=28_u32).prop_map(|(digits, scale)| Decimal::new(digits, scale));
    let sound = usual.prop_map(|price| price.clamp(dec!(0.000000000001), dec!(1_000_000_000_000)));
    prop_oneof![
        40 => sound,
        4 => Just(dec!(0.000000000001)),
        4 => Just(dec!(1_000_000_000_000)),
        4 => Just(dec!(1)),
    ]
}

fn moment() -> impl Strategy<Value = DateTime<Utc>> {
    prop_oneof![
        6 => (0_i64..4_000_000_000).prop_map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap()),
        1 => Just(DateTime::<Utc>::MIN_UTC),
        1 => Just(DateTime::<Utc>::MAX_UTC),
    ]
}

prop_compose! {
    fn candles()(
        start in moment(),
        rows in prop::collection::vec(
            ([price(), price(), price(), price()], prop_oneof![Just(60_i64), 1_i64..100_000], any::<bool>()),
            0..260,
        ),
    ) -> Vec<Candle> {
        let mut at = start;
        let mut candles = Vec::new();
        for (prices, seconds, closed) in rows {
            // At the end of all time there is no later.
            let (Some(next), Some(_)) = (
                at.checked_add_signed(TimeDelta::seconds(seconds)),
                at.checked_add_signed(TimeDelta::minutes(1)),
            ) else { break };
            candles.push(Candle { closed, ..candle(at, prices) });
            at = next;
        }
        candles
    }
}

fn mark() -> impl Strategy<Value = Option<Mark>> {
    let kinds = prop::sample::select(vec![MarkKind::Buy, MarkKind::Sell, MarkKind::Hold]);
    let prices = prop_oneof![price(), Just(Decimal::MAX), Just(Decimal::MIN), Just(Decimal::ZERO)];
    prop::option::of((moment(), prices, kinds, ".{0,60}").prop_map(|(at, price, kind, label)| Mark {
        at,
        price,
        kind,
        label,
    }))
}

fn request(candles: Vec<Candle>, interval: Interval, mark: Option<Mark>) -> ChartRequest {
    let symbol = "AAAAAAAAAAAAAAAAUSDT".parse().unwrap();
    ChartRequest { series: CandleSeries { symbol, interval, candles, trace_id: None }, mark }
}

proptest! {
    // A picture takes half a second of an unoptimised build.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_is_ordered_and_has_prices_becomes_a_picture(
        candles in candles(),
        interval in prop::sample::select(Interval::ALL.to_vec()),
        mark in mark(),
    ) {
        let empty = candles.is_empty();
        match draw(&request(candles, interval, mark)) {
            Ok(file) => {
                prop_assert!(!empty);
                prop_assert!(file.len() < 300_000, "{} bytes", file.len());
                let picture = Picture::of(&file);
                prop_assert_eq!((picture.width, picture.height), (1280, 720));
            }
            Err(error) => prop_assert!(empty && matches!(error, ChartError::NoCandles), "{}", error),
        }
    }
}

proptest! {
    #[test]
    fn what_is_no_price_or_out_of_order_is_refused(
        mut candles in candles().prop_filter("two candles", |candles| candles.len() > 1),
        position in any::<prop::sample::Index>(),
        nonsense in prop::sample::select(vec![dec!(0), dec!(-1), Decimal::MAX, Decimal::MIN, dec!(1_000_000_000_000.1)]),
        swap in any::<bool>(),
    ) {
        // Those that are drawn or averaged over; what is before them is not read.
        let position = position.index(candles.len() - 1);
        if swap {
            candles.swap(position, position + 1);
        } else {
            candles[position].high = nonsense;
        }
        let error = draw(&request(candles, Interval::OneMinute, None)).unwrap_err();
        match error {
            ChartError::Unordered { .. } => prop_assert!(swap),
            ChartError::BadPrice { price, field, .. } => prop_assert!(!swap && price == nonsense && field == "high"),
            other => prop_assert!(false, "{other}"),
        }
    }
}
