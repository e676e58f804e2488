//! `/openApi/swap/v2/*`.

use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use chrono::DateTime;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::error::ApiError;
use super::exchange::Which;
use super::order::{NewOrder, client_id};
use super::params::Params;
use super::wire;
use crate::faults::{FaultKind, FaultTarget, Trick, wants};
use crate::world::{World, now_ms};

type Reply = Result<HttpResponse, ApiError>;

/// Shortest and longest time of `cancelAllAfter`, in seconds.
const CANCEL_AFTER_S: std::ops::RangeInclusive<i64> = 10..=120;

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/trade/order")
                .route(web::post().to(place))
                .route(web::get().to(query))
                .route(web::delete().to(cancel)),
        )
        .route("/trade/openOrders", web::get().to(open_orders))
        .route("/trade/cancelAllAfter", web::post().to(cancel_all_after))
        .route("/user/balance", web::get().to(balance))
        .route("/user/positions", web::get().to(positions))
        .route("/server/time", web::get().to(server_time));
}

fn done(data: &Value) -> Reply {
    Ok(HttpResponse::Ok().json(json!({ "code": 0, "msg": "", "data": data })))
}

/// The parameters of a signed call.
fn signed(world: &World, request: &HttpRequest) -> Result<Params, ApiError> {
    let params = world.bingx.keys.admit(request, now_ms())?;
    if wants(request).trick == Some(Trick::ClockSkew) { Err(ApiError::timestamp()) } else { Ok(params) }
}

/// Does what is due before a question is answered.
async fn look(world: &World) -> Result<(), ApiError> {
    let hold_rests = world.faults.is_on(FaultTarget::Bingx, FaultKind::PartialFill);
    world.bingx.look(&world.market, hold_rests, now_ms()).await
}

async fn place(world: Data<World>, request: HttpRequest) -> Reply {
    let params = signed(&world, &request)?;
    let new = NewOrder::read(&params)?;
    world.bingx.receive(new.client_id.as_deref(), now_ms())?;
    world.bingx.rate.admit(now_ms())?;
    let price = world.bingx.prices.price(&world.market, &new.symbol).await?;
    let order = world.bingx.place(&new, price, wants(&request).trick, now_ms())?;
    done(&json!({ "order": wire::placed(&order) }))
}

/// Symbol and id of the order that a call is about.
fn which(params: &Params) -> Result<(&str, Which), ApiError> {
    let symbol = params.required("symbol")?;
    let which = match (params.number("orderId")?, client_id(params)?) {
        (Some(id), _) => Which::Id(id),
        (None, Some(id)) => Which::ClientId(id),
        (None, None) => return Err(ApiError::parameter("orderId or clientOrderId is required")),
    };
    Ok((symbol, which))
}

async fn query(world: Data<World>, request: HttpRequest) -> Reply {
    let params = signed(&world, &request)?;
    let (symbol, which) = which(&params)?;
    look(&world).await?;
    let order = world.bingx.find(symbol, &which)?;
    done(&json!({ "order": wire::reported(&order) }))
}

async fn cancel(world: Data<World>, request: HttpRequest) -> Reply {
    let params = signed(&world, &request)?;
    let (symbol, which) = which(&params)?;
    look(&world).await?;
    let order = world.bingx.cancel(symbol, &which, now_ms())?;
    done(&json!({ "order": wire::reported(&order) }))
}

async fn open_orders(world: Data<World>, request: HttpRequest) -> Reply {
    let params = signed(&world, &request)?;
    look(&world).await?;
    let symbol = params.get("symbol");
    let open = world.bingx.open();
    let wanted = open.iter().filter(|order| symbol.is_none_or(|symbol| order.symbol == symbol));
    done(&json!({ "orders": wanted.map(wire::reported).collect::<Vec<_>>() }))
}

async fn balance(world: Data<World>, request: HttpRequest) -> Reply {
    signed(&world, &request)?;
    look(&world).await?;
    let books = world.bingx.books();
    let mut unrealised = Decimal::ZERO;
    for (symbol, position) in &books.account.positions {
        unrealised += position.unrealised(world.bingx.prices.price(&world.market, symbol).await?);
    }
    done(&json!({ "balance": wire::balance(&books, unrealised) }))
}

async fn positions(world: Data<World>, request: HttpRequest) -> Reply {
    let params = signed(&world, &request)?;
    look(&world).await?;
    let wanted = params.get("symbol");
    let mut rows = Vec::new();
    for (symbol, position) in &world.bingx.books().account.positions {
        if wanted.is_none_or(|wanted| wanted == symbol) {
            let price = world.bingx.prices.price(&world.market, symbol).await?;
            rows.push(wire::position(symbol, position, price));
        }
    }
    done(&Value::Array(rows))
}

/// The dead-man switch: who does not renew it in time has all open orders cancelled.
async fn cancel_all_after(world: Data<World>, request: HttpRequest) -> Reply {
    let params = signed(&world, &request)?;
    let now = now_ms();
    let (at_ms, status, note) = match params.required("type")? {
        "ACTIVATE" => {
            let seconds: i64 = params
                .number("timeOut")?
                .filter(|seconds| CANCEL_AFTER_S.contains(seconds))
                .ok_or_else(|| ApiError::parameter("timeOut is from 10 to 120 seconds"))?;
            let at = now + seconds * 1_000;
            let time = DateTime::from_timestamp_millis(at).map(|time| time.to_rfc3339()).unwrap_or_default();
            (Some(at), "ACTIVATED", format!("All your perpetual pending orders will be closed automatically at {time}"))
        }
        "CLOSE" => (None, "CLOSED", "The timer is off".to_owned()),
        _ => return Err(ApiError::parameter("type is ACTIVATE or CLOSE")),
    };
    world.bingx.cancel_all_at(at_ms)?;
    done(&json!({ "triggerTime": at_ms.unwrap_or(now) / 1_000, "status": status, "note": note }))
}

async fn server_time() -> Reply {
    done(&json!({ "serverTime": now_ms() }))
}
