//! Events of the streams, field by field as `web-socket-streams.md` documents them.

use serde::Serialize;

use super::super::ticker::change_milli_percent;
use super::super::wire::{Cents, MilliPercent, Units};
use crate::market::{Candle, Day, Interval, Trade};

/// An event of any stream.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Event {
    Kline(KlineEvent),
    Ticker(Box<TickerEvent>),
    MiniTicker(MiniTickerEvent),
    Trade(TradeEvent),
    BookTicker(BookTickerEvent),
    Shutdown(ShutdownEvent),
}

#[derive(Debug, Serialize)]
pub(super) struct KlineEvent {
    e: &'static str,
    #[serde(rename = "E")]
    event_time: i64,
    s: &'static str,
    k: KlineBody,
}

#[derive(Debug, Serialize)]
struct KlineBody {
    t: i64,
    #[serde(rename = "T")]
    close_time: i64,
    s: &'static str,
    i: &'static str,
    f: i64,
    #[serde(rename = "L")]
    last_trade: i64,
    o: Cents,
    c: Cents,
    h: Cents,
    l: Cents,
    v: Units,
    n: i64,
    x: bool,
    q: Cents,
    #[serde(rename = "V")]
    taker_base: Units,
    #[serde(rename = "Q")]
    taker_quote: Cents,
    #[serde(rename = "B")]
    ignore: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct TickerEvent {
    e: &'static str,
    #[serde(rename = "E")]
    event_time: i64,
    s: &'static str,
    p: Cents,
    #[serde(rename = "P")]
    change_percent: MilliPercent,
    w: Cents,
    x: Cents,
    c: Cents,
    #[serde(rename = "Q")]
    last_quantity: Units,
    b: Cents,
    #[serde(rename = "B")]
    bid_quantity: Units,
    a: Cents,
    #[serde(rename = "A")]
    ask_quantity: Units,
    o: Cents,
    h: Cents,
    l: Cents,
    v: Units,
    q: Cents,
    #[serde(rename = "O")]
    open_time: i64,
    #[serde(rename = "C")]
    close_time: i64,
    #[serde(rename = "F")]
    first_trade: i64,
    #[serde(rename = "L")]
    last_trade: i64,
    n: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct MiniTickerEvent {
    e: &'static str,
    #[serde(rename = "E")]
    event_time: i64,
    s: &'static str,
    c: Cents,
    o: Cents,
    h: Cents,
    l: Cents,
    v: Units,
    q: Cents,
}

#[derive(Debug, Serialize)]
pub(super) struct TradeEvent {
    e: &'static str,
    #[serde(rename = "E")]
    event_time: i64,
    s: &'static str,
    t: i64,
    p: Cents,
    q: Units,
    #[serde(rename = "T")]
    trade_time: i64,
    m: bool,
    #[serde(rename = "M")]
    ignore: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct BookTickerEvent {
    u: i64,
    s: &'static str,
    b: Cents,
    #[serde(rename = "B")]
    bid_quantity: Units,
    a: Cents,
    #[serde(rename = "A")]
    ask_quantity: Units,
}

#[derive(Debug, Serialize)]
pub(super) struct ShutdownEvent {
    e: &'static str,
    #[serde(rename = "E")]
    event_time: i64,
}

impl Event {
    /// Label for metrics.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Kline(_) => "kline",
            Self::Ticker(_) => "ticker",
            Self::MiniTicker(_) => "mini_ticker",
            Self::Trade(_) => "trade",
            Self::BookTicker(_) => "book_ticker",
            Self::Shutdown(_) => "server_shutdown",
        }
    }

    pub(super) fn kline(symbol: &'static str, interval: Interval, candle: &Candle, event_time: i64) -> Self {
        Self::Kline(KlineEvent {
            e: "kline",
            event_time,
            s: symbol,
            k: KlineBody {
                t: candle.open_ms,
                close_time: candle.close_ms,
                s: symbol,
                i: interval.name,
                f: candle.first_trade,
                last_trade: candle.last_trade(),
                o: Cents(candle.open),
                c: Cents(candle.close),
                h: Cents(candle.high),
                l: Cents(candle.low),
                v: Units(candle.base_volume),
                n: candle.trades,
                x: candle.closed,
                q: Cents(candle.quote_volume),
                taker_base: Units(candle.taker_base),
                taker_quote: Cents(candle.taker_quote),
                ignore: "0",
            },
        })
    }

    pub(super) fn ticker(symbol: &'static str, day: &Day, event_time: i64) -> Self {
        let candle = &day.candle;
        Self::Ticker(Box::new(TickerEvent {
            e: "24hrTicker",
            event_time,
            s: symbol,
            p: Cents(candle.close - candle.open),
            change_percent: change_milli_percent(day),
            w: Cents(day.average()),
            x: Cents(day.previous_close),
            c: Cents(candle.close),
            last_quantity: Units(day.last.quantity),
            b: Cents(day.bid()),
            bid_quantity: Units(day.last.quantity),
            a: Cents(day.ask()),
            ask_quantity: Units(day.last.quantity),
            o: Cents(candle.open),
            h: Cents(candle.high),
            l: Cents(candle.low),
            v: Units(candle.base_volume),
            q: Cents(candle.quote_volume),
            open_time: candle.open_ms,
            close_time: day.last.time_ms,
            first_trade: candle.first_trade,
            last_trade: candle.last_trade(),
            n: candle.trades,
        }))
    }

    pub(super) fn mini_ticker(symbol: &'static str, day: &Day, event_time: i64) -> Self {
        let candle = &day.candle;
        Self::MiniTicker(MiniTickerEvent {
            e: "24hrMiniTicker",
            event_time,
            s: symbol,
            c: Cents(candle.close),
            o: Cents(candle.open),
            h: Cents(candle.high),
            l: Cents(candle.low),
            v: Units(candle.base_volume),
            q: Cents(candle.quote_volume),
        })
    }

    pub(super) fn trade(symbol: &'static str, trade: &Trade, event_time: i64) -> Self {
        Self::Trade(TradeEvent {
            e: "trade",
            event_time,
            s: symbol,
            t: trade.id,
            p: Cents(trade.price),
            q: Units(trade.quantity),
            trade_time: trade.time_ms,
            m: trade.buyer_is_maker,
            ignore: true,
        })
    }

    pub(super) fn book_ticker(symbol: &'static str, day: &Day) -> Self {
        Self::BookTicker(BookTickerEvent {
            u: day.last.id,
            s: symbol,
            b: Cents(day.bid()),
            bid_quantity: Units(day.last.quantity),
            a: Cents(day.ask()),
            ask_quantity: Units(day.last.quantity),
        })
    }

    pub(super) const fn shutdown(event_time: i64) -> Self {
        Self::Shutdown(ShutdownEvent { e: "serverShutdown", event_time })
    }
}
