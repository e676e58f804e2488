use super::*;

const NOW: i64 = 1_800_000_012_345;

fn market() -> Market {
    Market::new(NonZeroU16::new(60).unwrap(), StartAt::default(), 1, NOW).unwrap()
}

fn last(limit: i64) -> Range {
    Range { start_ms: None, end_ms: None, limit }
}

#[test]
fn the_closed_candles_are_the_recorded_ones() {
    let market = market();
    let bitcoin = market.find("BTCUSDT").unwrap();
    let tick = market.timeline().tick_at(NOW);
    let candles = market.candles(bitcoin, Interval::named("1m").unwrap(), last(1000), tick);
    assert_eq!(candles.len(), 1000);
    let start = StartAt::default().index();
    let recorded = &recording::month().unwrap()[start - 999..start];
    for (candle, bar) in candles.iter().zip(recorded) {
        assert!(candle.closed);
        assert_eq!(
            [candle.open, candle.high, candle.low, candle.close],
            [bar.open(), bar.high(), bar.low(), bar.close()]
        );
        assert_eq!((candle.quote_volume, candle.base_volume), (bar.quote(), bar.base()));
        assert_eq!(candle.close_ms - candle.open_ms, 59_999);
    }
    let forming = candles[999];
    assert!(!forming.closed && forming.open_ms <= NOW && NOW <= forming.close_ms);
    assert_eq!(forming.close, market.trade(bitcoin, tick).unwrap().price);
    assert_eq!(forming.last_trade(), tick);
    assert!(candles.windows(2).all(|pair| pair[0].last_trade() + 1 == pair[1].first_trade));
    assert!(candles.windows(2).all(|pair| pair[0].close_ms + 1 == pair[1].open_ms));
}

#[test]
fn longer_intervals_are_made_of_base_candles() {
    let market = market();
    let ether = market.find("ETHUSDT").unwrap();
    let tick = market.timeline().tick_at(NOW);
    let minutes = market.candles(ether, Interval::named("1m").unwrap(), last(1000), tick);
    for (name, count) in [("5m", 5), ("15m", 15), ("1h", 60)] {
        let long = market.candles(ether, Interval::named(name).unwrap(), last(3), tick);
        let whole = long[1];
        assert!(whole.closed && !long[2].closed);
        assert_eq!(whole.open_ms % (i64::from(count) * 60_000), 0);
        let parts: Vec<_> =
            minutes.iter().filter(|minute| (whole.open_ms..whole.close_ms).contains(&minute.open_ms)).collect();
        assert_eq!(parts.len(), usize::try_from(count).unwrap());
        assert_eq!(whole.open, parts[0].open);
        assert_eq!(whole.close, parts.last().unwrap().close);
        assert_eq!(Some(whole.high), parts.iter().map(|part| part.high).max());
        assert_eq!(Some(whole.low), parts.iter().map(|part| part.low).min());
        assert_eq!(whole.base_volume, parts.iter().map(|part| part.base_volume).sum::<i64>());
        assert_eq!(whole.trades, parts.iter().map(|part| part.trades).sum::<i64>());
    }
}

#[test]
fn ranges_are_cut_as_the_exchange_cuts_them() {
    let market = market();
    let bitcoin = market.find("BTCUSDT").unwrap();
    let minute = Interval::named("1m").unwrap();
    let tick = market.timeline().tick_at(NOW);
    let opens = |start_ms, end_ms, limit| -> Vec<i64> {
        let range = Range { start_ms, end_ms, limit };
        market.candles(bitcoin, minute, range, tick).iter().map(|candle| candle.open_ms).collect()
    };
    let now = NOW - NOW.rem_euclid(60_000);
    assert_eq!(opens(Some(now - 120_000), None, 500), [now - 120_000, now - 60_000, now]);
    assert_eq!(opens(Some(now - 119_999), None, 500), [now - 60_000, now]);
    assert_eq!(opens(Some(now - 600_000), None, 2), [now - 600_000, now - 540_000]);
    assert_eq!(opens(None, Some(now - 1), 2), [now - 120_000, now - 60_000]);
    assert_eq!(opens(Some(now + 60_000), None, 5), [0; 0]);
    assert_eq!(opens(Some(now), Some(now - 60_000), 5), [0; 0]);
    // History begins with the month.
    assert_eq!(opens(Some(0), None, 1), [now - 30_300 * 60_000]);
    assert_eq!(opens(Some(0), Some(i64::MAX), 1), [now - 30_300 * 60_000]);
}

#[test]
fn prices_move_within_the_candle_and_close_as_recorded() {
    let market = market();
    let bitcoin = market.find("BTCUSDT").unwrap();
    let minute = Interval::named("1m").unwrap();
    let begin = market.timeline().tick_at(NOW - NOW.rem_euclid(60_000));
    let seen: Vec<_> = (begin..begin + 60).map(|tick| market.trade(bitcoin, tick).unwrap()).collect();
    let bar = recording::month().unwrap()[StartAt::default().index()];
    assert_eq!((seen[0].price, seen[59].price), (bar.open(), bar.close()));
    assert!(seen.iter().any(|trade| trade.price == bar.high()) && seen.iter().any(|trade| trade.price == bar.low()));
    for (tick, trade) in (begin..).zip(&seen) {
        let candle = market.current(bitcoin, minute, tick).unwrap();
        assert_eq!((candle.close, candle.last_trade(), candle.closed), (trade.price, trade.id, false));
    }
    let done = market.candles(bitcoin, minute, Range { start_ms: None, end_ms: Some(NOW), limit: 1 }, begin + 60)[0];
    assert!(done.closed);
    assert_eq!(done.trades, 60);
}

#[test]
fn a_day_is_1440_candles() {
    let market = market();
    let bitcoin = market.find("BTCUSDT").unwrap();
    let tick = market.timeline().tick_at(NOW);
    let day = market.day(bitcoin, tick).unwrap();
    let candles = market.candles(bitcoin, Interval::named("1m").unwrap(), last(1440), tick);
    assert_eq!(day.candle.open, candles[0].open);
    assert_eq!(Some(day.candle.high), candles.iter().map(|candle| candle.high).max());
    assert_eq!(day.candle.trades, candles.iter().map(|candle| candle.trades).sum::<i64>());
    assert!(day.candle.low <= day.average() && day.average() <= day.candle.high);
    assert!(day.bid() < day.last.price && day.last.price < day.ask());
}
