//! Pictures of recorded prices and of made-up ones, read back pixel by pixel.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

mod arbitrary;
mod candles;
mod picture;

use chart::{ChartError, ChartRequest, MAX_DRAWN, Mark, MarkKind, draw};
use chrono::TimeDelta;
use domain::{Action, Candle, CandleSeries, Interval, trading::Side};
use rust_decimal_macros::dec;

use candles::{recorded, walk};
use picture::Picture;

const FAST: [u8; 3] = [0x0b, 0x4f, 0xc9];
const SLOW: [u8; 3] = [0xe8, 0x86, 0x00];
const RISING: [u8; 3] = [0x2b, 0xb0, 0x9a];
const FALLING: [u8; 3] = [0xd9, 0x3a, 0x3f];
const MARKS: [(MarkKind, [u8; 3]); 3] =
    [(MarkKind::Buy, [0x00, 0x5f, 0x36]), (MarkKind::Sell, [0x8e, 0x06, 0x30]), (MarkKind::Hold, [0x5b, 0x2b, 0x93])];
/// Above it are title and legend, which have samples of the averages' colours.
const PLOT_TOP: usize = 100;

fn request(candles: Vec<Candle>, mark: Option<Mark>) -> ChartRequest {
    let symbol = "BTCUSDT".parse().unwrap();
    ChartRequest { series: CandleSeries { symbol, interval: Interval::OneMinute, candles, trace_id: None }, mark }
}

fn mark_at(candle: &Candle, kind: MarkKind) -> Mark {
    let at = candle.open_time + TimeDelta::seconds(20);
    Mark { at, price: candle.close, kind, label: format!("{kind:?} 0.002") }
}

fn drawn(candles: Vec<Candle>, mark: Option<Mark>) -> Picture {
    Picture::of(&draw(&request(candles, mark)).unwrap())
}

#[test]
fn the_recorded_month_with_everything_on_it() {
    let candles = recorded(3_000..3_400);
    let mark = mark_at(&candles[360], MarkKind::Buy);
    let file = draw(&request(candles, Some(mark))).unwrap();
    assert!(file.len() < 300_000, "{} bytes", file.len());
    let picture = Picture::of(&file);
    assert_eq!((picture.width, picture.height), (1280, 720));
    for (what, colour, least) in [
        ("fast average", FAST, 1_500),
        ("slow average", SLOW, 1_500),
        ("rising candles", RISING, 2_000),
        ("falling candles", FALLING, 2_000),
        ("mark", MARKS[0].1, 300),
    ] {
        let seen = picture.plot(colour).len();
        assert!(seen >= least, "{what}: {seen} pixels");
    }
}

#[test]
fn averages_are_drawn_once_there_are_candles_for_them() {
    for (count, fast, slow) in [(49, false, false), (199, true, false), (260, true, true)] {
        let picture = drawn(recorded(3_000..3_000 + count), None);
        let has = |colour| !picture.plot(colour).is_empty();
        assert_eq!((has(FAST), has(SLOW)), (fast, slow), "{count} candles");
    }
    // An open candle counts in no average: with one closed candle less there is none.
    let mut candles = recorded(3_000..3_051);
    for candle in &mut candles[49..] {
        candle.closed = false;
    }
    assert_eq!(drawn(candles, None).plot(FAST), []);
}

#[test]
fn averages_are_where_the_strategy_has_them() {
    // A step from 100 to 200: the average of 50 is half way up in the middle of its climb, 25 candles later.
    let mut candles = recorded(0..344);
    for (index, candle) in candles.iter_mut().enumerate() {
        let price = if index < 300 { dec!(100) } else { dec!(200) };
        (candle.open, candle.high, candle.low, candle.close) = (price, price, price, price);
    }
    let half_way = candles[324].clone();
    let mark = Mark { price: dec!(150), ..mark_at(&half_way, MarkKind::Hold) };
    let picture = drawn(candles, Some(mark));
    // A line leads from the mark to its label, and a level is at its price, ten pixels to either side at most.
    let column = picture.fullest_column(MARKS[2].1);
    let level = picture.all(MARKS[2].1).into_iter().filter(|(x, _)| *x == column).map(|(_, y)| y).max().unwrap();
    let height_at = |column: usize| {
        let rows: Vec<usize> = picture.plot(FAST).into_iter().filter(|(x, _)| *x == column).map(|(_, y)| y).collect();
        rows.iter().sum::<usize>() / rows.len()
    };
    let average = usize::midpoint(height_at(column - 10), height_at(column + 10));
    assert!(average.abs_diff(level) <= 4, "the average is at {average}, the mark at {level}");
}

#[test]
fn a_mark_is_on_its_candle_and_points_the_right_way() {
    let candles = recorded(3_000..3_400);
    let bare = drawn(candles.clone(), None);
    for (kind, colour) in MARKS {
        assert_eq!(bare.all(colour), [], "{kind:?} in a chart without a mark");
        let early = drawn(candles.clone(), Some(mark_at(&candles[270], kind)));
        let late = drawn(candles.clone(), Some(mark_at(&candles[370], kind)));
        // The line from the mark to its label is one pixel wide and most of the plot high.
        let apart = late.fullest_column(colour).abs_diff(early.fullest_column(colour));
        assert!((600..=800).contains(&apart), "{kind:?}: 100 candles are {apart} pixels");
    }
    let heights = |kind, colour| {
        let picture = drawn(candles.clone(), Some(mark_at(&candles[330], kind)));
        let ys: Vec<usize> = picture.all(colour).into_iter().map(|(_, y)| y).collect();
        (*ys.iter().min().unwrap(), *ys.iter().max().unwrap())
    };
    // What is to be bought is written at the lower edge, what is to be sold at the upper.
    assert!(heights(MarkKind::Buy, MARKS[0].1).1 > 620);
    assert!(heights(MarkKind::Sell, MARKS[1].1).0 < 150);
}

#[test]
fn a_mark_outside_of_the_chart_is_written_at_its_edge() {
    let candles = recorded(3_000..3_400);
    for (at, what) in [(candles[0].open_time, "before"), (candles[399].open_time + TimeDelta::hours(9), "after")] {
        let mark = Mark { at, ..mark_at(&candles[0], MarkKind::Sell) };
        let picture = drawn(candles.clone(), Some(mark));
        let pixels = picture.all(MARKS[1].1);
        assert!(pixels.len() > 500 && pixels.iter().all(|(_, y)| (PLOT_TOP..PLOT_TOP + 50).contains(y)), "{what}");
    }
}

#[test]
fn only_the_last_candles_are_drawn_and_the_averages_know_those_before() {
    let all = draw(&request(recorded(0..2_000), None)).unwrap();
    let enough = usize::from(MAX_DRAWN) + 200;
    assert_eq!(all, draw(&request(recorded(2_000 - enough..2_000), None)).unwrap());
    assert_ne!(all, draw(&request(recorded(2_000 - enough + 150..2_000), None)).unwrap());
}

#[test]
fn a_gap_is_left_empty() {
    let mut candles = walk(7, 144);
    let whole = drawn(candles.clone(), None);
    candles.drain(40..80);
    let gap = drawn(candles, None);
    let middle = 1_280 * 2 / 5;
    let near = |picture: &Picture| {
        let candles = [RISING, FALLING].map(|colour| picture.plot(colour)).concat();
        candles.into_iter().filter(|(x, _)| x.abs_diff(middle) <= 30).count()
    };
    assert!(near(&whole) > 100, "{}", near(&whole));
    assert_eq!(near(&gap), 0);
}

#[test]
fn the_same_request_gives_the_same_bytes() {
    let candles = walk(1, 300);
    let request = request(candles.clone(), Some(mark_at(&candles[280], MarkKind::Hold)));
    let first = draw(&request).unwrap();
    let elsewhere = std::thread::scope(|scope| scope.spawn(|| draw(&request).unwrap()).join().unwrap());
    assert_eq!(first, elsewhere);
    assert_ne!(first, draw(&ChartRequest { mark: None, ..request }).unwrap());
}

#[test]
fn what_cannot_be_drawn_is_said_in_words() {
    let none = draw(&request(Vec::new(), None)).unwrap_err();
    assert_eq!(none.to_string(), "there are no candles to draw a chart of; try again once the market's data is there");

    let mut candles = recorded(0..3);
    candles[1].low = dec!(0);
    let bad = draw(&request(candles.clone(), None)).unwrap_err();
    assert!(matches!(bad, ChartError::BadPrice { field: "low", .. }), "{bad:?}");
    assert!(bad.to_string().contains("2022-01-01 00:01:00 UTC has 0 as its low"), "{bad}");

    candles[1].low = candles[1].close;
    candles.swap(1, 2);
    let unordered = draw(&request(candles, None)).unwrap_err();
    assert!(matches!(unordered, ChartError::Unordered { .. }), "{unordered:?}");
}

#[test]
fn marks_come_from_decisions_and_orders() {
    assert_eq!([Action::Buy, Action::Sell, Action::Hold].map(MarkKind::from), MARKS.map(|(kind, _)| kind));
    assert_eq!([Side::Buy, Side::Sell].map(MarkKind::from), [MarkKind::Buy, MarkKind::Sell]);
}
