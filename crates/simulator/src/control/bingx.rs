//! The paper account of the simulated BingX.

use actix_web::web::{self, Data, Json, ServiceConfig};

use crate::bingx::BingxState;
use crate::world::World;

pub(super) fn configure(config: &mut ServiceConfig) {
    config.route("/control/bingx", web::get().to(show));
}

/// Shows the account, its positions, its orders, and how often each client order id came.
#[utoipa::path(get, path = "/control/bingx", responses((status = 200, description = "The paper account", body = BingxState)))]
pub(super) async fn show(world: Data<World>) -> Json<BingxState> {
    Json(world.bingx.show())
}
