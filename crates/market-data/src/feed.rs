//! The exchange's stream, into the store.

use std::sync::Arc;

use binance::stream::{KlineUpdate, MarketStream, Notice, StreamEvent, TickerUpdate};
use chrono::Utc;
use domain::PriceSource;
use rust_decimal::Decimal;
use telemetry::metrics::market_data::{STREAM_CONNECT_FAILURES, STREAM_EVENTS, STREAM_RECONNECTS};
use web::CancellationToken;

use crate::Market;
use crate::fill::FillReason;
use crate::price::StatedPrice;

/// Keeps the stream alive and the store up to date until cancelled.
pub(crate) async fn run(market: Arc<Market>, stream: MarketStream, cancel: CancellationToken) {
    market.link.set_stream_up(false);
    stream.run(cancel.cancelled_owned(), |notice| market.take(notice)).await;
    market.link.set_stream_up(false);
}

impl Market {
    fn take(&self, notice: Notice) {
        match notice {
            Notice::Connected { after } => {
                self.link.set_stream_up(true);
                let Some(reason) = after else { return };
                STREAM_RECONNECTS.add(1, &[("reason", reason.as_str())]);
                for symbol in self.store.symbols() {
                    self.fills.request(symbol, FillReason::Reconnect);
                }
            }
            Notice::Lost(_) => self.link.set_stream_up(false),
            Notice::ConnectFailed(error) => STREAM_CONNECT_FAILURES.add(1, &[("reason", error.label())]),
            Notice::Malformed(_) => count("malformed"),
            Notice::Event(StreamEvent::Kline(update)) => self.take_kline(update),
            Notice::Event(StreamEvent::Ticker(update)) => self.take_ticker(&update),
            Notice::Event(StreamEvent::ServerShutdown) => count("server_shutdown"),
            Notice::Event(StreamEvent::Unknown) => count("unknown"),
        }
    }

    fn take_ticker(&self, update: &TickerUpdate) {
        let taken = self.take_price(&update.symbol, update.price, update.event_time);
        count(taken.unwrap_or("ticker"));
    }

    fn take_kline(&self, update: KlineUpdate) {
        let price = update.candle.close;
        if let Some(refused) = self.take_price(&update.symbol, price, update.event_time) {
            count(refused);
            return;
        }
        let Some(symbol) = self.store.served(&update.symbol) else { return };
        match self.store.apply_candle(symbol, update.candle, update.event_time, Utc::now()) {
            Some(applied) => {
                count("kline");
                if applied.hole {
                    self.fills.request(symbol, FillReason::Hole);
                }
            }
            None => count("malformed"),
        }
    }

    /// Takes a price of the stream; says why not when it does not.
    fn take_price(&self, symbol: &str, price: Decimal, event_time: chrono::DateTime<Utc>) -> Option<&'static str> {
        let Some(symbol) = self.store.served(symbol) else { return Some("not_served") };
        let stated = StatedPrice { price, observed_at: event_time, source: PriceSource::Stream };
        (!self.store.offer_price(symbol, stated, Utc::now())).then_some("malformed")
    }
}

fn count(kind: &'static str) {
    STREAM_EVENTS.add(1, &[("kind", kind)]);
}
