//! The service's own API.
#![expect(unused_qualifications, reason = "utoipa::path repeats a query's type with its path")]

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path, Query, ServiceConfig, get};
use domain::{CandleSeries, Interval, PriceQuote, PriceSource, Symbol, SymbolList};
use serde::Deserialize;
use tracing::Span;
use utoipa::{IntoParams, OpenApi};
use web::{Problem, ProblemBody};

use crate::Market;
use crate::error::ApiError;
use crate::events;

/// Most candles an answer has: as many as one call to the exchange gives.
const MAX_LIMIT: u16 = 1000;
/// Candles in an answer when nobody says how many.
const DEFAULT_LIMIT: u16 = 250;

/// The description of the API.
#[derive(OpenApi)]
#[openapi(
    info(title = "market-data-service", description = "Prices and candles from Binance, and how old they are"),
    paths(price, candles, symbols, stream)
)]
pub(crate) struct Api;

pub(crate) fn configure(config: &mut ServiceConfig) {
    config
        .route("/v1/prices/{symbol}", get().to(price))
        .route("/v1/candles/{symbol}", get().to(candles))
        .route("/v1/symbols", get().to(symbols))
        .route("/v1/stream", get().to(stream));
}

fn served(market: &Market, text: &str) -> Result<Symbol, ApiError> {
    let symbol: Symbol = text.parse()?;
    if market.store.served(symbol.as_str()).is_some() {
        return Ok(symbol);
    }
    Err(ApiError::UnknownSymbol { symbol, served: market.store.symbols().map(ToString::to_string).collect() })
}

/// The newest price of a symbol, and its age.
#[utoipa::path(get, path = "/v1/prices/{symbol}", params(("symbol" = String, Path, description = "For example BTCUSDT")),
    responses(
        (status = 200, description = "The price", body = PriceQuote),
        (status = 400, description = "`bad_symbol`: not a symbol", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_symbol`: not served; the answer names those that are", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`stale_price`, `price_unavailable`: Binance gives no price, and none is made up", body = ProblemBody, content_type = "application/problem+json"),
    ))]
async fn price(market: Data<Market>, path: Path<String>) -> Result<Json<PriceQuote>, Problem> {
    let symbol = served(&market, &path)?;
    let span = Span::current();
    span.record("crypto.symbol", symbol.as_str());
    let quote = Box::pin(market.quote(&symbol)).await;
    let mut quote = quote.map_err(|why| ApiError::NoPrice { symbol, why, cause: market.skew() })?;
    // Signed: an unsigned number would reach the trace as text.
    span.record("price.age_ms", i64::try_from(quote.age_ms).unwrap_or(i64::MAX));
    span.record(
        "price.source",
        match quote.source {
            PriceSource::Stream => "stream",
            PriceSource::Rest => "rest",
        },
    );
    quote.trace_id = telemetry::trace_id();
    Ok(Json(quote))
}

/// Texts, so that what is wrong with them can be said in words.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CandlesQuery {
    /// 1m (the default), 5m, 15m or 1h.
    interval: Option<String>,
    /// 1 to 1000; 250 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
}

/// The newest candles of a symbol, oldest first, with no hole among them; the last one is not final yet.
#[utoipa::path(get, path = "/v1/candles/{symbol}", params(("symbol" = String, Path, description = "For example BTCUSDT"), CandlesQuery),
    responses(
        (status = 200, description = "The candles", body = CandleSeries),
        (status = 400, description = "`bad_symbol`, `bad_interval`, `bad_limit`, `bad_query`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_symbol`: not served; the answer names those that are", body = ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "`exchange_error`, `exchange_malformed`, …: Binance failed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`stale_candles`, `exchange_rate_limited`, …: Binance gives none now", body = ProblemBody, content_type = "application/problem+json"),
    ))]
async fn candles(
    market: Data<Market>,
    path: Path<String>,
    query: Query<CandlesQuery>,
) -> Result<Json<CandleSeries>, Problem> {
    let symbol = served(&market, &path)?;
    Span::current().record("crypto.symbol", symbol.as_str());
    let interval = match &query.interval {
        Some(text) => text.parse().map_err(ApiError::from)?,
        None => Interval::OneMinute,
    };
    let limit = match &query.limit {
        Some(text) => text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or(ApiError::BadLimit)?,
        None => DEFAULT_LIMIT,
    };
    let candles = market.candles(&symbol, interval, limit).await?;
    Ok(Json(CandleSeries { symbol, interval, candles, trace_id: telemetry::trace_id() }))
}

/// Every symbol that is served.
#[utoipa::path(get, path = "/v1/symbols",
    responses(
        (status = 200, description = "The symbols", body = SymbolList),
        (status = 503, description = "`symbols_unknown`: Binance has not said yet what its symbols are made of", body = ProblemBody, content_type = "application/problem+json"),
    ))]
async fn symbols(market: Data<Market>) -> Result<Json<SymbolList>, Problem> {
    let symbols = market.store.infos();
    if symbols.len() < market.store.symbols().count() {
        return Err(ApiError::SymbolsUnknown.into());
    }
    Ok(Json(SymbolList { symbols, trace_id: telemetry::trace_id() }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct StreamQuery {
    /// Symbols separated by commas; all when left out.
    symbols: Option<String>,
}

/// Prices as they change: server-sent events named `price`, whose data is what `/v1/prices/{symbol}` answers.
///
/// The first events are the prices known already. A client that reads slowly gets the newest price and never old ones.
#[utoipa::path(get, path = "/v1/stream", params(StreamQuery),
    responses(
        (status = 200, description = "Events", content_type = "text/event-stream", body = String),
        (status = 400, description = "`bad_symbol`, `bad_query`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_symbol`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`too_many_clients`", body = ProblemBody, content_type = "application/problem+json"),
    ))]
async fn stream(market: Data<Market>, query: Query<StreamQuery>) -> Result<HttpResponse, Problem> {
    let mut symbols: Vec<Symbol> = match &query.symbols {
        Some(text) => text.split(',').map(|symbol| served(&market, symbol)).collect::<Result<_, _>>()?,
        None => market.store.symbols().cloned().collect(),
    };
    symbols.sort();
    symbols.dedup();
    Ok(events::respond(market.into_inner(), symbols)?)
}
