//! `/api/v3/*`.

use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::json;

use super::params::{Params, Symbols};
use super::ticker::{BookTicker, FullTicker, MiniTicker};
use super::wire::{Cents, Units};
use super::{ApiError, exchange_info};
use crate::faults::wants;
use crate::market::{Candle, Day, Instrument, Interval, Range};
use crate::world::{World, now_ms};

type Reply = Result<HttpResponse, ApiError>;

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .route("/v3/ping", web::get().to(ping))
        .route("/v3/time", web::get().to(time))
        .route("/v3/exchangeInfo", web::get().to(exchange_information))
        .route("/v3/klines", web::get().to(klines))
        .route("/v3/trades", web::get().to(trades))
        .route("/v3/ticker/price", web::get().to(ticker_price))
        .route("/v3/ticker/24hr", web::get().to(ticker_day))
        .route("/v3/ticker/bookTicker", web::get().to(ticker_book));
}

/// The tick whose prices a call sees: the newest, or an old one while prices are frozen.
fn tick(world: &World, request: &HttpRequest) -> i64 {
    world.market.timeline().tick_at(wants(request).frozen_at_ms.unwrap_or_else(now_ms))
}

async fn ping(request: HttpRequest) -> Reply {
    Params::read(request.query_string(), &[])?;
    Ok(HttpResponse::Ok().json(json!({})))
}

async fn time(request: HttpRequest) -> Reply {
    Params::read(request.query_string(), &[])?;
    Ok(HttpResponse::Ok().json(json!({ "serverTime": now_ms() })))
}

async fn exchange_information(world: Data<World>, request: HttpRequest) -> Reply {
    let params = Params::read(request.query_string(), &["symbol", "symbols", "showPermissionSets"])?;
    let instruments = match params.symbols(&world.market)? {
        Symbols::One(instrument) => vec![instrument],
        Symbols::Many(instruments) => instruments,
    };
    Ok(HttpResponse::Ok().json(exchange_info::describe(&instruments, world.limits.weight_per_minute(), now_ms())))
}

/// A row of `GET /api/v3/klines`: an array of twelve.
#[derive(Serialize)]
struct Kline(i64, Cents, Cents, Cents, Cents, Units, i64, Cents, i64, Units, Cents, &'static str);

impl From<Candle> for Kline {
    fn from(candle: Candle) -> Self {
        Self(
            candle.open_ms,
            Cents(candle.open),
            Cents(candle.high),
            Cents(candle.low),
            Cents(candle.close),
            Units(candle.base_volume),
            candle.close_ms,
            Cents(candle.quote_volume),
            candle.trades,
            Units(candle.taker_base),
            Cents(candle.taker_quote),
            "0",
        )
    }
}

async fn klines(world: Data<World>, request: HttpRequest) -> Reply {
    let params = Params::read(request.query_string(), &["symbol", "interval", "startTime", "endTime", "limit"])?;
    let instrument = params.symbol(&world.market)?;
    let interval = params.get("interval").ok_or_else(|| ApiError::missing("interval"))?;
    let interval = Interval::named(interval).ok_or_else(ApiError::invalid_interval)?;
    let range =
        Range { start_ms: params.number("startTime")?, end_ms: params.number("endTime")?, limit: params.limit()? };
    let candles = world.market.candles(instrument, interval, range, tick(&world, &request));
    Ok(HttpResponse::Ok().json(candles.into_iter().map(Kline::from).collect::<Vec<_>>()))
}

/// A row of `GET /api/v3/trades`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TradeRow {
    id: i64,
    price: Cents,
    qty: Units,
    quote_qty: Units,
    time: i64,
    is_buyer_maker: bool,
    is_best_match: bool,
}

async fn trades(world: Data<World>, request: HttpRequest) -> Reply {
    let params = Params::read(request.query_string(), &["symbol", "limit"])?;
    let instrument = params.symbol(&world.market)?;
    let limit = params.limit()?;
    let newest = tick(&world, &request);
    let rows: Vec<TradeRow> = (newest - limit + 1..=newest)
        .filter_map(|tick| world.market.trade(instrument, tick))
        .map(|trade| TradeRow {
            id: trade.id,
            price: Cents(trade.price),
            qty: Units(trade.quantity),
            quote_qty: Units(quote_units(trade.price, trade.quantity)),
            time: trade.time_ms,
            is_buyer_maker: trade.buyer_is_maker,
            is_best_match: true,
        })
        .collect();
    Ok(HttpResponse::Ok().json(rows))
}

/// Cents times units of 1e-8, in units of 1e-8.
fn quote_units(price_cents: i64, quantity: i64) -> i64 {
    i64::try_from(i128::from(price_cents) * i128::from(quantity) / 100).unwrap_or(i64::MAX)
}

async fn ticker_price(world: Data<World>, request: HttpRequest) -> Reply {
    #[derive(Serialize)]
    struct Price {
        symbol: &'static str,
        price: Cents,
    }
    let params = Params::read(request.query_string(), &["symbol", "symbols"])?;
    let tick = tick(&world, &request);
    let price = |instrument: &Instrument| match world.market.trade(instrument, tick) {
        Some(trade) => Ok(Price { symbol: instrument.symbol, price: Cents(trade.price) }),
        None => Err(ApiError::server_error(500)),
    };
    one_or_many(params.symbols(&world.market)?, price)
}

async fn ticker_day(world: Data<World>, request: HttpRequest) -> Reply {
    let params = Params::read(request.query_string(), &["symbol", "symbols", "type"])?;
    let symbols = params.symbols(&world.market)?;
    let tick = tick(&world, &request);
    let day = |instrument: &Instrument| day(&world, instrument, tick);
    match params.get("type") {
        None | Some("FULL") => one_or_many(symbols, |instrument| Ok(FullTicker::new(instrument, &day(instrument)?))),
        Some("MINI") => one_or_many(symbols, |instrument| Ok(MiniTicker::new(instrument, &day(instrument)?))),
        Some(_) => Err(ApiError::invalid_ticker_type()),
    }
}

async fn ticker_book(world: Data<World>, request: HttpRequest) -> Reply {
    let params = Params::read(request.query_string(), &["symbol", "symbols"])?;
    let tick = tick(&world, &request);
    one_or_many(params.symbols(&world.market)?, |instrument| {
        Ok(BookTicker::new(instrument, &day(&world, instrument, tick)?))
    })
}

fn day(world: &World, instrument: &Instrument, tick: i64) -> Result<Day, ApiError> {
    world.market.day(instrument, tick).ok_or_else(|| ApiError::server_error(500))
}

/// An object for `symbol=`, an array otherwise.
fn one_or_many<T: Serialize>(symbols: Symbols<'_>, make: impl Fn(&Instrument) -> Result<T, ApiError>) -> Reply {
    match symbols {
        Symbols::One(instrument) => Ok(HttpResponse::Ok().json(make(instrument)?)),
        Symbols::Many(instruments) => {
            let rows = instruments.into_iter().map(make).collect::<Result<Vec<T>, ApiError>>()?;
            Ok(HttpResponse::Ok().json(rows))
        }
    }
}
