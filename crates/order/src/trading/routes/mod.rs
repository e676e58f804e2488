//! The API of trading, and its description.

mod account;
mod commands;
mod orders;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ServiceConfig};
use domain::DecisionId;
use utoipa::OpenApi;
use web::Problem;

use super::Trading;
use super::error::TradingError;

/// The description of these routes.
#[derive(OpenApi)]
#[openapi(paths(
    orders::take_signal,
    orders::list_trade_orders,
    orders::trade_order,
    commands::confirm,
    commands::decline,
    commands::cancel,
    account::state,
    account::change_state,
    account::heed_alerts,
    account::positions,
    account::adopt,
    account::balance,
    account::profit,
))]
pub(crate) struct Api;

/// Adds the routes.
pub(crate) fn configure(config: &mut ServiceConfig) {
    config
        .service(orders::take_signal)
        .service(orders::list_trade_orders)
        .service(orders::trade_order)
        .service(commands::confirm)
        .service(commands::decline)
        .service(commands::cancel)
        .service(account::state)
        .service(account::change_state)
        .service(account::heed_alerts)
        .service(account::positions)
        .service(account::adopt)
        .service(account::balance)
        .service(account::profit);
}

/// What handlers work with: trading, unless it is off.
pub(crate) type Desk = Data<Option<Trading>>;

fn trading(desk: &Desk) -> Result<Trading, Problem> {
    desk.get_ref().clone().ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "trading_off",
            "Nothing is traded here. TRADING_MODE=paper, or live, of order-service turns trading on.",
        )
    })
}

/// The order that a path names.
fn id_of(path: Path<String>) -> Result<DecisionId, TradingError> {
    let id = path.into_inner();
    id.parse().map_err(|_| TradingError::BadId(id))
}
