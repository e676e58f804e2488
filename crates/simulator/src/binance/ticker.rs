//! Tickers of REST and WebSocket, from the same statistics.

use serde::Serialize;

use super::wire::{Cents, MilliPercent, Units};
use crate::market::{Day, Instrument};

/// `GET /api/v3/ticker/24hr`, `type=FULL`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FullTicker {
    symbol: &'static str,
    price_change: Cents,
    price_change_percent: MilliPercent,
    weighted_avg_price: Cents,
    prev_close_price: Cents,
    last_price: Cents,
    last_qty: Units,
    bid_price: Cents,
    bid_qty: Units,
    ask_price: Cents,
    ask_qty: Units,
    open_price: Cents,
    high_price: Cents,
    low_price: Cents,
    volume: Units,
    quote_volume: Cents,
    open_time: i64,
    close_time: i64,
    first_id: i64,
    last_id: i64,
    count: i64,
}

/// `GET /api/v3/ticker/24hr`, `type=MINI`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MiniTicker {
    symbol: &'static str,
    open_price: Cents,
    high_price: Cents,
    low_price: Cents,
    last_price: Cents,
    volume: Units,
    quote_volume: Cents,
    open_time: i64,
    close_time: i64,
    first_id: i64,
    last_id: i64,
    count: i64,
}

/// `GET /api/v3/ticker/bookTicker`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BookTicker {
    symbol: &'static str,
    bid_price: Cents,
    bid_qty: Units,
    ask_price: Cents,
    ask_qty: Units,
}

/// Change of the day in thousandths of a percent.
pub(super) fn change_milli_percent(day: &Day) -> MilliPercent {
    MilliPercent((day.candle.close - day.candle.open) * 100_000 / day.candle.open.max(1))
}

impl FullTicker {
    pub(super) fn new(instrument: &Instrument, day: &Day) -> Self {
        let candle = &day.candle;
        Self {
            symbol: instrument.symbol,
            price_change: Cents(candle.close - candle.open),
            price_change_percent: change_milli_percent(day),
            weighted_avg_price: Cents(day.average()),
            prev_close_price: Cents(day.previous_close),
            last_price: Cents(candle.close),
            last_qty: Units(day.last.quantity),
            bid_price: Cents(day.bid()),
            bid_qty: Units(day.last.quantity),
            ask_price: Cents(day.ask()),
            ask_qty: Units(day.last.quantity),
            open_price: Cents(candle.open),
            high_price: Cents(candle.high),
            low_price: Cents(candle.low),
            volume: Units(candle.base_volume),
            quote_volume: Cents(candle.quote_volume),
            open_time: candle.open_ms,
            close_time: day.last.time_ms,
            first_id: candle.first_trade,
            last_id: candle.last_trade(),
            count: candle.trades,
        }
    }
}

impl MiniTicker {
    pub(super) fn new(instrument: &Instrument, day: &Day) -> Self {
        let candle = &day.candle;
        Self {
            symbol: instrument.symbol,
            open_price: Cents(candle.open),
            high_price: Cents(candle.high),
            low_price: Cents(candle.low),
            last_price: Cents(candle.close),
            volume: Units(candle.base_volume),
            quote_volume: Cents(candle.quote_volume),
            open_time: candle.open_ms,
            close_time: day.last.time_ms,
            first_id: candle.first_trade,
            last_id: candle.last_trade(),
            count: candle.trades,
        }
    }
}

impl BookTicker {
    pub(super) fn new(instrument: &Instrument, day: &Day) -> Self {
        Self {
            symbol: instrument.symbol,
            bid_price: Cents(day.bid()),
            bid_qty: Units(day.last.quantity),
            ask_price: Cents(day.ask()),
            ask_qty: Units(day.last.quantity),
        }
    }
}
