//! How trading stands, and what changes that.

use actix_web::web::{Json, Path, Query};
use actix_web::{get, post, put};
use domain::trading::{
    AdoptRequest, AdoptedPosition, Balance, PositionView, ProfitReport, StateOutcome, StateRequest, TradingStatus,
};
use serde::Deserialize;
use web::{JsonBody, Problem, ProblemBody};

use super::{Desk, trading};
use crate::trading::alerts::{AlertGroup, AlertsOutcome};
use crate::trading::error::TradingError;

/// Most characters of a reason.
const MAX_REASON_CHARS: usize = 500;

/// Days that are told where nothing is said, and the most.
const DEFAULT_DAYS: u16 = 30;
const MAX_DAYS: u16 = 366;

fn check_reason(reason: Option<&str>) -> Result<(), Problem> {
    if reason.is_some_and(|text| text.contains('\0') || text.chars().count() > MAX_REASON_CHARS) {
        return Err(Problem::new(
            actix_web::http::StatusCode::BAD_REQUEST,
            "bad_reason",
            format!("A reason is a text of at most {MAX_REASON_CHARS} characters, without NUL."),
        ));
    }
    Ok(())
}

/// How trading stands
#[utoipa::path(
    tag = "trading",
    responses(
        (status = 200, body = TradingStatus),
        (status = 404, description = "`trading_off`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trading/state")]
pub(super) async fn state(desk: Desk) -> Result<Json<TradingStatus>, Problem> {
    Ok(Json(trading(&desk)?.status().await?))
}

/// Change what may be traded
///
/// It counts at once, for every process, and stays over restarts. `halted` also takes back what is open at the exchange, as
/// far as that can be reached; what cannot is named, and tried again for as long as trading is halted. `reducing` takes back
/// in the same way what is open and may make a position larger. With `only_tighten` it is never made freer: a pause that
/// comes after a halt leaves the halt, and the answer has the state that holds.
#[utoipa::path(
    tag = "trading",
    request_body = StateRequest,
    responses(
        (status = 200, body = StateOutcome),
        (status = 400, description = "`bad_json`, `bad_body`, `bad_reason`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`trading_off`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "No answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[put("/v1/trading/state")]
pub(super) async fn change_state(
    desk: Desk,
    JsonBody(request): JsonBody<StateRequest>,
) -> Result<Json<StateOutcome>, Problem> {
    let trading = trading(&desk)?;
    check_reason(request.reason.as_deref())?;
    Ok(Json(web::detached(async move { Box::pin(trading.change_state(&request)).await }).await??))
}

/// Alerts that make trading stricter
///
/// Alertmanager's webhook, version 4. Alerts that fire and have the label `trading_action` with `reduce` or `halt` make
/// trading stricter, never freer, and take back what is open as `PUT /v1/trading/state` does; resolved ones and all others do
/// nothing.
#[utoipa::path(
    tag = "trading",
    request_body = AlertGroup,
    responses(
        (status = 200, body = AlertsOutcome),
        (status = 400, description = "`bad_json`, `bad_body`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`trading_off`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "No answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/v1/trading/alerts")]
pub(super) async fn heed_alerts(
    desk: Desk,
    JsonBody(group): JsonBody<AlertGroup>,
) -> Result<Json<AlertsOutcome>, Problem> {
    let trading = trading(&desk)?;
    Ok(Json(web::detached(async move { Box::pin(trading.heed(&group)).await }).await??))
}

/// What is held, as this platform counts it
#[utoipa::path(
    tag = "trading",
    responses(
        (status = 200, body = Vec<PositionView>),
        (status = 404, description = "`trading_off`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trading/positions")]
pub(super) async fn positions(desk: Desk) -> Result<Json<Vec<PositionView>>, Problem> {
    Ok(Json(trading(&desk)?.positions().await?))
}

/// Take over the exchange's position
///
/// For a position that the exchange counts otherwise than this platform, because somebody has traded on the same account or
/// the exchange has closed it by force. Its quantity and average price become ours; nothing is realised by it, for what was
/// won or lost on the way is known to the exchange alone.
#[utoipa::path(
    tag = "trading",
    params(("symbol" = String, Path, description = "The symbol", example = "BTCUSDT")),
    request_body = AdoptRequest,
    responses(
        (status = 200, body = AdoptedPosition),
        (status = 400, description = "`bad_json`, `bad_body`, `bad_query`, `bad_reason`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`trading_off`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`orders_open`: an order of the symbol is not at its end", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`exchange_unavailable`, `contended`, or the database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "No answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[put("/v1/trading/positions/{symbol}/adopt")]
pub(super) async fn adopt(
    desk: Desk,
    symbol: Path<String>,
    JsonBody(request): JsonBody<AdoptRequest>,
) -> Result<Json<AdoptedPosition>, Problem> {
    let trading = trading(&desk)?;
    check_reason(request.reason.as_deref())?;
    let symbol = symbol.parse().map_err(|error: domain::SymbolError| TradingError::Query(error.to_string()))?;
    Ok(Json(web::detached(async move { Box::pin(trading.adopt(&symbol, &request)).await }).await??))
}

/// The account at the exchange
#[utoipa::path(
    tag = "trading",
    responses(
        (status = 200, body = Balance),
        (status = 404, description = "`trading_off`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`exchange_unavailable`, or the database is away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trading/balance")]
pub(super) async fn balance(desk: Desk) -> Result<Json<Balance>, Problem> {
    Ok(Json(trading(&desk)?.balance().await?))
}

/// How many days.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Since {
    /// Days, today counted, 1 to 366; 30 when left out
    // A text, so that what is wrong with it can be said in words.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 366)]
    days: Option<String>,
}

/// Profit and loss
#[utoipa::path(
    tag = "trading",
    params(Since),
    responses(
        (status = 200, body = ProfitReport),
        (status = 400, description = "`bad_query`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`trading_off`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trading/profit")]
pub(super) async fn profit(desk: Desk, since: Query<Since>) -> Result<Json<ProfitReport>, Problem> {
    let trading = trading(&desk)?;
    let days = match since.days.as_deref() {
        None => DEFAULT_DAYS,
        Some(text) => text
            .parse()
            .ok()
            .filter(|days| (1..=MAX_DAYS).contains(days))
            .ok_or_else(|| TradingError::Query(format!("days is a whole number from 1 to {MAX_DAYS}")))?,
    };
    Ok(Json(trading.profit(days).await?))
}
