//! What the simulated market is made of and where it stands.

use actix_web::web::{self, Data, Json, ServiceConfig};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Serialize;

use crate::faults::Fault;
use crate::market::PriceOrigin;
use crate::world::{World, now_ms};

pub(super) fn configure(config: &mut ServiceConfig) {
    config.route("/control/market", web::get().to(show));
}

/// The simulated market now. Reading it costs no request weight.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct MarketState {
    /// Seconds that a base candle ("1m") lasts.
    pub seconds_per_candle: i64,
    /// Every symbol.
    pub symbols: Vec<SymbolState>,
    /// The faults that are on.
    pub faults: Vec<Fault>,
}

/// A symbol of the simulated market.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SymbolState {
    /// In Binance's spelling.
    pub symbol: &'static str,
    /// Where its prices come from.
    pub origin: PriceOrigin,
    /// Price now, in the quote currency.
    #[schema(value_type = String)]
    pub price: Decimal,
    /// Since when it is that price.
    pub price_since: DateTime<Utc>,
    /// Change over the last 1440 base candles, in percent.
    #[schema(value_type = String)]
    pub change_percent: Decimal,
    /// Minute of its month that forms now, from 0.
    pub minute_of_month: usize,
}

/// Shows the market.
#[utoipa::path(get, path = "/control/market", responses((status = 200, description = "The market now", body = MarketState)))]
pub(super) async fn show(world: Data<World>) -> Json<MarketState> {
    let timeline = world.market.timeline();
    let tick = timeline.tick_at(now_ms());
    let symbols = world.market.instruments().iter().filter_map(|instrument| {
        let day = world.market.day(instrument, tick)?;
        let change = Decimal::from(day.candle.close - day.candle.open) * Decimal::ONE_HUNDRED
            / Decimal::from(day.candle.open.max(1));
        Some(SymbolState {
            symbol: instrument.symbol,
            origin: instrument.origin,
            price: Decimal::new(day.candle.close, 2),
            price_since: DateTime::from_timestamp_millis(day.last.time_ms)?,
            change_percent: change.round_dp(2),
            minute_of_month: timeline.index_of(timeline.candle_of(tick).0)?,
        })
    });
    Json(MarketState {
        seconds_per_candle: timeline.candle_ms() / 1_000,
        symbols: symbols.collect(),
        faults: world.faults.list(),
    })
}
