//! What a tick of the market means for a connection: pure, so that it can be tested without a socket.

use super::event::Event;
use super::streams::{Kind, Stream};
use crate::market::{Interval, Market, Range};

/// Candles that ended unseen (the machine slept) are told of one by one up to this many.
const MOST_FINALS: i64 = 100;

/// The events of one stream for the ticks after `seen` up to and including `tick`: candles that ended, then the present.
pub(super) fn events(market: &Market, stream: Stream, seen: i64, tick: i64) -> Vec<Event> {
    let Some(instrument) = market.instruments().get(stream.instrument) else { return Vec::new() };
    let event_time = market.timeline().tick_begin_ms(tick);
    let present = match stream.kind {
        Kind::Kline(interval) => {
            let mut events = finals(market, stream, interval, seen, tick);
            events.extend(
                market
                    .current(instrument, interval, tick)
                    .map(|candle| Event::kline(instrument.symbol, interval, &candle, event_time)),
            );
            return events;
        }
        Kind::Ticker => market.day(instrument, tick).map(|day| Event::ticker(instrument.symbol, &day, event_time)),
        Kind::MiniTicker => {
            market.day(instrument, tick).map(|day| Event::mini_ticker(instrument.symbol, &day, event_time))
        }
        Kind::Trade => market.trade(instrument, tick).map(|trade| Event::trade(instrument.symbol, &trade, event_time)),
        Kind::BookTicker => market.day(instrument, tick).map(|day| Event::book_ticker(instrument.symbol, &day)),
    };
    present.into_iter().collect()
}

/// The final event (`x: true`) of every candle that was forming at `seen` or later and has ended.
fn finals(market: &Market, stream: Stream, interval: Interval, seen: i64, tick: i64) -> Vec<Event> {
    let Some(instrument) = market.instruments().get(stream.instrument) else { return Vec::new() };
    let (Some(before), Some(now)) =
        (market.current(instrument, interval, seen), market.current(instrument, interval, tick))
    else {
        return Vec::new();
    };
    if before.open_ms == now.open_ms {
        return Vec::new();
    }
    let range = Range { start_ms: Some(before.open_ms), end_ms: Some(now.open_ms - 1), limit: MOST_FINALS };
    market
        .candles(instrument, interval, range, tick)
        .iter()
        .map(|candle| Event::kline(instrument.symbol, interval, candle, candle.close_ms + 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use serde_json::Value;

    use super::*;
    use crate::market::StartAt;

    const NOW: i64 = 1_800_000_012_345;

    fn market() -> Market {
        Market::new(NonZeroU16::new(60).unwrap(), StartAt::default(), 1, NOW).unwrap()
    }

    fn seen(market: &Market, name: &str, from: i64, to: i64) -> Vec<Value> {
        let stream = Stream::named(name, market).unwrap();
        events(market, stream, from, to).iter().map(|event| serde_json::to_value(event).unwrap()).collect()
    }

    #[test]
    fn a_candle_that_ends_is_final_before_the_next_one_forms() {
        let market = market();
        let begin = market.timeline().tick_at(NOW - NOW.rem_euclid(60_000));
        let within = seen(&market, "btcusdt@kline_1m", begin + 5, begin + 6);
        assert_eq!(within.len(), 1);
        assert_eq!(within[0]["k"]["x"], false);
        let across = seen(&market, "btcusdt@kline_1m", begin + 59, begin + 60);
        assert_eq!(across.len(), 2);
        assert_eq!((&across[0]["k"]["x"], &across[1]["k"]["x"]), (&Value::Bool(true), &Value::Bool(false)));
        assert_eq!(across[0]["k"]["T"].as_i64().unwrap() + 1, across[1]["k"]["t"].as_i64().unwrap());
        assert_eq!(across[0]["E"], across[1]["k"]["t"]);
        // The five-minute candle goes on or ends, whichever the clock says.
        let ends = (begin + 60) % 300 == 0;
        assert_eq!(seen(&market, "btcusdt@kline_5m", begin + 59, begin + 60).len(), if ends { 2 } else { 1 });
    }

    #[test]
    fn candles_missed_in_a_long_sleep_are_told_of_up_to_a_bound() {
        let market = market();
        let tick = market.timeline().tick_at(NOW);
        assert_eq!(
            seen(&market, "btcusdt@kline_1m", tick, tick + 3 * 60)
                .iter()
                .filter(|event| event["k"]["x"] == true)
                .count(),
            3
        );
        assert_eq!(
            seen(&market, "btcusdt@kline_1m", tick, tick + 100_000)
                .iter()
                .filter(|event| event["k"]["x"] == true)
                .count(),
            100
        );
    }

    #[test]
    fn events_have_the_documented_fields() {
        let market = market();
        let tick = market.timeline().tick_at(NOW);
        let keys = |value: &Value| {
            let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
            keys.sort_unstable();
            keys.concat()
        };
        let event = |name| seen(&market, name, tick - 1, tick).pop().unwrap();
        let kline = event("btcusdt@kline_15m");
        assert_eq!((keys(&kline).as_str(), keys(&kline["k"]).as_str()), ("Eeks", "BLQTVcfhilnoqstvx"));
        assert_eq!(keys(&event("ethusdt@ticker")), "ABCEFLOPQabcehlnopqsvwx");
        assert_eq!(keys(&event("ethusdt@miniTicker")), "Ecehloqsv");
        assert_eq!(keys(&event("solusdt@trade")), "EMTempqst");
        assert_eq!(keys(&event("solusdt@bookTicker")), "ABabsu");
        assert!(Stream::named("BTCUSDT@trade", &market).is_none());
        assert!(Stream::named("btcusdt@kline_1y", &market).is_none());
    }
}
