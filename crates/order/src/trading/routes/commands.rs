//! What people decide about an order.

use actix_web::post;
use actix_web::web::{Json, Path};
use domain::trading::{OrderCommand, TradeOrder};
use web::{JsonBody, Problem, ProblemBody};

use super::{Desk, id_of, trading};

/// Confirm an order, and send it
///
/// Once, and before its time is over. The limits are asked again, at the price of the moment: what they refuse now is
/// `cancelled`, and its reason says why. An order that is confirmed and cannot be sent at once is sent as soon as it can
/// be; the answer says where it stands.
#[utoipa::path(
    tag = "trading",
    params(("id" = String, Path, description = "The order's id, 32 lower-case hex digits")),
    request_body = OrderCommand,
    responses(
        (status = 200, body = TradeOrder),
        (status = 400, description = "`bad_order_id`, `bad_json`, `bad_body`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_order`, `trading_off`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`already_decided`, `no_confirmation`, `other_mode`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 410, description = "`confirmation_expired`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "market-data-service answered with an error; the order still waits", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`order_held_back`, `contended`, or the database or market-data-service is away; the order still waits", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "No answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/v1/trading/orders/{id}/confirm")]
pub(super) async fn confirm(
    desk: Desk,
    id: Path<String>,
    JsonBody(command): JsonBody<OrderCommand>,
) -> Result<Json<TradeOrder>, Problem> {
    let (trading, id) = (trading(&desk)?, id_of(id)?);
    Ok(Json(web::detached(async move { Box::pin(trading.confirm(&id, &command.by)).await }).await??))
}

/// Decline an order that waits to be confirmed
#[utoipa::path(
    tag = "trading",
    params(("id" = String, Path, description = "The order's id, 32 lower-case hex digits")),
    request_body = OrderCommand,
    responses(
        (status = 200, body = TradeOrder),
        (status = 400, description = "`bad_order_id`, `bad_json`, `bad_body`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_order`, `trading_off`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`already_decided`, `no_confirmation`, `other_mode`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 410, description = "`confirmation_expired`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`contended`, or the database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "No answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/v1/trading/orders/{id}/decline")]
pub(super) async fn decline(
    desk: Desk,
    id: Path<String>,
    JsonBody(command): JsonBody<OrderCommand>,
) -> Result<Json<TradeOrder>, Problem> {
    let (trading, id) = (trading(&desk)?, id_of(id)?);
    Ok(Json(web::detached(async move { Box::pin(trading.decline(&id, &command.by)).await }).await??))
}

/// Take an order back
///
/// What is filled by then stays filled; the answer says where the order stands. An order of which it is not known where it
/// is will not be sent again, and is taken back once it turns up. One that the exchange had and no longer knows, so that it
/// is `unknown`, ends as `cancelled`: look into the exchange's own records before.
#[utoipa::path(
    tag = "trading",
    params(("id" = String, Path, description = "The order's id, 32 lower-case hex digits")),
    request_body = OrderCommand,
    responses(
        (status = 200, body = TradeOrder),
        (status = 400, description = "`bad_order_id`, `bad_json`, `bad_body`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_order`, `trading_off`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`already_final`, `other_mode`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`order_unknown`, `exchange_unavailable`, `contended`, or the database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "No answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/v1/trading/orders/{id}/cancel")]
pub(super) async fn cancel(
    desk: Desk,
    id: Path<String>,
    JsonBody(command): JsonBody<OrderCommand>,
) -> Result<Json<TradeOrder>, Problem> {
    let (trading, id) = (trading(&desk)?, id_of(id)?);
    Ok(Json(web::detached(async move { Box::pin(trading.cancel(&id, &command.by)).await }).await??))
}
