//! The API, and its description.

use actix_web::web::{Data, Json, Path, Query, ServiceConfig};
use actix_web::{HttpResponse, get, post};
use domain::{ChainReply, Order, Page, PageQuery, ProcessRequest, UserId};
use serde::Deserialize;
use utoipa::OpenApi;
use web::{JsonBody, Problem, ProblemBody};

use crate::error::OrderError;
use crate::orders::Orders;
use crate::process::Processor;

/// The description of the API.
#[derive(OpenApi)]
#[openapi(
    info(title = "order-service", description = "Orders: their items, prices and totals."),
    paths(process, list_orders, order),
    components(schemas(ProblemBody))
)]
pub(crate) struct Api;

/// Adds the routes.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    routes.service(process).route("/orders", actix_web::web::get().to(list_orders)).service(order);
}

/// Make an order, and hand the request on.
///
/// The items get the prices of the moment. Without items, `purchase`, `buy`, `sell` and `sale` mean 0.001 BTCUSDT; any
/// other action is an order of nothing. When the next service is away the order stands and its part says `deferred`. A
/// repetition with the idempotency key of an earlier request gets that one's order.
#[utoipa::path(
    tag = "chain",
    request_body = ProcessRequest,
    responses(
        (status = 200, body = ChainReply),
        (status = 400, description = "`bad_json`, `bad_body`, `bad_context`, `too_many_items`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_symbol`: an item's symbol is not served", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`mixed_currencies`, `total_too_large`, `key_mismatch`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "market-data-service answered with an error", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database, market-data-service or the exchange is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "No answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/process")]
async fn process(
    processor: Data<Processor>,
    JsonBody(request): JsonBody<ProcessRequest>,
) -> Result<HttpResponse, Problem> {
    let request = web::accepted(request)?;
    Ok(web::detached(async move { processor.process(request).await }).await??.into())
}

/// Whose orders.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// Only this user's
    // A text, so that what is wrong with it can be said in words.
    #[param(value_type = Option<i64>, minimum = 1)]
    user_id: Option<String>,
}

/// Orders, newest first.
#[utoipa::path(
    get,
    path = "/orders",
    tag = "orders",
    params(PageQuery, Whose),
    responses(
        (status = 200, body = Page<Order>),
        (status = 400, description = "`bad_limit`, `bad_cursor`, `bad_query`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn list_orders(
    orders: Data<Orders>,
    query: Query<PageQuery>,
    whose: Query<Whose>,
) -> Result<Json<Page<Order>>, Problem> {
    let user_id = whose.user_id.as_deref().map(str::parse::<UserId>).transpose().map_err(|error| {
        Problem::new(
            actix_web::http::StatusCode::BAD_REQUEST,
            "bad_query",
            format!("The query cannot be understood: {error}."),
        )
    })?;
    let mut page = orders.list(&query, user_id).await?;
    page.trace_id = telemetry::trace_id();
    Ok(Json(page))
}

/// One order.
#[utoipa::path(
    tag = "orders",
    params(("id" = String, Path, description = "The order's id, 32 hex digits")),
    responses(
        (status = 200, body = Order),
        (status = 400, description = "`bad_order_id`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_order`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/orders/{id}")]
async fn order(orders: Data<Orders>, id: Path<String>) -> Result<Json<Order>, Problem> {
    let id = order_id(id)?;
    Ok(orders.find(&id).await?.map(|kept| Json(kept.order)).ok_or(OrderError::Unknown(id))?)
}

/// The order that a path names. Anything else never reaches a database: PostgreSQL fails at a NUL in a text.
pub(crate) fn order_id(path: Path<String>) -> Result<String, OrderError> {
    let id = path.into_inner().to_ascii_lowercase();
    if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) { Ok(id) } else { Err(OrderError::BadId(id)) }
}
