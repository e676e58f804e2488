//! Signals in, orders out.

use actix_web::web::{Json, Path, Query};
use actix_web::{get, post};
use domain::trading::{OrderStatus, Signal, SignalOutcome, TradeOrder};
use domain::{Page, PageQuery, Symbol};
use serde::Deserialize;
use web::{JsonBody, Problem, ProblemBody};

use super::{Desk, id_of, trading};
use crate::trading::error::TradingError;
use crate::trading::lookups::{self, StatusFilter};

/// Trade on a signal
///
/// Once a signal: the same one gets the same outcome, however often it comes. 200 says what became of it: there is an
/// order (which the exchange has, or which is at its end), it waits for somebody to confirm it, or a limit refused it.
/// While it is not known whether the exchange has the order, the answer is 503 `order_unknown`; nothing is sent twice, and
/// whoever comes again is told more.
#[utoipa::path(
    tag = "trading",
    request_body = Signal,
    responses(
        (status = 200, body = SignalOutcome),
        (status = 400, description = "`bad_json`, `bad_body`, `bad_signal`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`trading_off`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "market-data-service answered with an error", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`order_unknown`, `exchange_unavailable`, `order_held_back` (nothing is written of the signal yet, or its order waits), `contended`: come again; or the database, market-data-service or the price's exchange is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "No answer in time; come again", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/v1/signals")]
pub(super) async fn take_signal(
    desk: Desk,
    JsonBody(signal): JsonBody<Signal>,
) -> Result<Json<SignalOutcome>, Problem> {
    let trading = trading(&desk)?;
    // Whoever hangs up leaves nothing half done.
    Ok(Json(web::detached(async move { Box::pin(trading.handle_signal(signal)).await }).await??))
}

/// Which orders.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Only those of this symbol
    #[param(value_type = Option<String>, example = "BTCUSDT")]
    symbol: Option<String>,
    /// Only those with this status; `open` is every one that is not at its end
    // A text, so that what is wrong with it can be said in words.
    #[param(value_type = Option<String>, example = "open")]
    status: Option<String>,
}

impl Which {
    fn read(&self) -> Result<(Option<Symbol>, StatusFilter), TradingError> {
        let symbol = self.symbol.as_deref().map(str::parse).transpose();
        let symbol = symbol.map_err(|error: domain::SymbolError| TradingError::Query(error.to_string()))?;
        let status = match self.status.as_deref() {
            None => StatusFilter::Any,
            Some("open") => StatusFilter::Open,
            Some(status) => StatusFilter::One(status.parse::<OrderStatus>().map_err(|error| {
                TradingError::Query(format!("a status is open, for those that are not at their end, or {error}"))
            })?),
        };
        Ok((symbol, status))
    }
}

/// Orders at the exchange, newest first
#[utoipa::path(
    tag = "trading",
    params(PageQuery, Which),
    responses(
        (status = 200, body = Page<TradeOrder>),
        (status = 400, description = "`bad_limit`, `bad_cursor`, `bad_query`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`trading_off`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trading/orders")]
pub(super) async fn list_trade_orders(
    desk: Desk,
    query: Query<PageQuery>,
    which: Query<Which>,
) -> Result<Json<Page<TradeOrder>>, Problem> {
    let trading = trading(&desk)?;
    let (symbol, status) = which.read()?;
    Ok(Json(lookups::list(&trading.core.database, &query, symbol.as_ref(), &status).await?))
}

/// One order, with every status that it had
#[utoipa::path(
    tag = "trading",
    params(("id" = String, Path, description = "The order's id, 32 lower-case hex digits")),
    responses(
        (status = 200, body = TradeOrder),
        (status = 400, description = "`bad_order_id`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_order`, `trading_off`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trading/orders/{id}")]
pub(super) async fn trade_order(desk: Desk, id: Path<String>) -> Result<Json<TradeOrder>, Problem> {
    let trading = trading(&desk)?;
    let kept = trading.find(&id_of(id)?).await?;
    let mut order = kept.order;
    order.history = lookups::history(&trading.core.database, kept.number).await?;
    Ok(Json(order))
}
