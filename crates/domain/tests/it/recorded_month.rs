//! The technical strategy over every minute of the recorded month (see `crates/simulator/data/README.md`).

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use domain::Action;
use domain::strategy::Technical;
use flate2::read::GzDecoder;
use rust_decimal::Decimal;
use rust_decimal_macros::dec;

fn closes() -> Vec<Decimal> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../simulator/data/btc-perp-1m-2022-01.csv.gz");
    let file = File::open(&path).unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()));
    csv::Reader::from_reader(GzDecoder::new(file))
        .records()
        .map(|record| record.unwrap().get(4).unwrap().parse().unwrap())
        .collect()
}

/// Which rule spoke, by the words its reason begins with.
fn rule(action: Action, reason: &str) -> &'static str {
    let early = reason.starts_with("Fresh");
    match action {
        Action::Buy if early => "buy, fresh cross",
        Action::Buy => "buy, trend",
        Action::Sell if early => "sell, fresh cross",
        Action::Sell => "sell, trend",
        Action::Hold if reason.starts_with("No trend") => "hold, no trend",
        Action::Hold if reason.contains("overbought") => "hold, overbought",
        Action::Hold if reason.contains("oversold") => "hold, oversold",
        Action::Hold if reason.contains("not the moment") => "hold, price has left the trend",
        Action::Hold => "hold, for a reason unknown to this test",
    }
}

/// The expected counts and the sum of the confidences come from a Python script that computes averages, RSI, crosses
/// and rules from their definitions over the same file (exact decimals, no rolling state shared with this code).
#[test]
fn every_minute_is_decided_as_computed_independently() {
    let closes = closes();
    assert_eq!(closes.len(), 44_640);
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut confidences = Decimal::ZERO;
    let mut technical = Technical::default();
    for (minute, close) in closes.into_iter().enumerate() {
        technical.push(close);
        // The price now is the close of the candle that has just closed.
        let Some(opinion) = technical.opinion(close) else {
            assert!(minute < 214, "no opinion at minute {minute}");
            continue;
        };
        *counts.entry(rule(opinion.action, &opinion.reason)).or_default() += 1;
        confidences += opinion.confidence;
        // Spot checks of single minutes, from the same script.
        let stated = (opinion.action, opinion.confidence, opinion.indicators.rsi);
        match minute {
            214 => assert_eq!(stated, (Action::Hold, dec!(0.63), Some(dec!(54.82)))),
            264 => assert_eq!(stated, (Action::Sell, dec!(0.62), Some(dec!(36.54)))),
            339 => assert_eq!(stated, (Action::Buy, dec!(0.77), Some(dec!(68.99)))),
            583 => assert_eq!(stated, (Action::Hold, dec!(0.58), Some(dec!(25.08)))),
            _ => {}
        }
    }
    let expected = BTreeMap::from([
        ("hold, no trend", 14_246),
        ("hold, price has left the trend", 12_030),
        ("sell, trend", 7_152),
        ("buy, trend", 6_341),
        ("buy, fresh cross", 1_454),
        ("sell, fresh cross", 1_380),
        ("hold, oversold", 953),
        ("hold, overbought", 870),
    ]);
    assert_eq!(counts, expected);
    assert_eq!(confidences, dec!(34243.29));
}
