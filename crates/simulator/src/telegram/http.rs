//! `/bot<token>/<method>`.

use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::ServiceRequest;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep_until};

use super::error::BotError;
use super::methods::Answer;
use super::params::Params;
use super::state::now_s;
use super::updates::Displaced;
use crate::faults::{FaultTarget, Refusal, inject};
use crate::world::World;

/// Longest a getUpdates may wait.
const LONGEST_POLL_S: i64 = 50;

/// The Bot API.
pub(crate) fn configure(config: &mut ServiceConfig) {
    config.service(
        web::resource("/bot{token}/{method}")
            .wrap(from_fn(|request: ServiceRequest, next: Next<BoxBody>| {
                inject(FaultTarget::Telegram, refuse, request, next)
            }))
            .route(web::route().to(call)),
    );
}

fn refuse(refusal: Refusal) -> HttpResponse {
    BotError::refused(refusal).response()
}

async fn call(world: Data<World>, path: Path<(String, String)>, request: HttpRequest, body: Payload) -> HttpResponse {
    let (token, method) = path.into_inner();
    let answer = if world.telegram.token.matches(&token) {
        match Params::read(&request, body).await {
            Ok(params) => answer(&world, &method.to_ascii_lowercase(), &params).await,
            Err(error) => Err(error),
        }
    } else if token.starts_with('0') || token.len() > 80 || !token.contains(':') {
        Err(BotError::new(401, "Unauthorized: invalid token specified"))
    } else {
        Err(BotError::new(401, "Unauthorized"))
    };
    match answer {
        Ok((result, description)) => {
            let mut body = Map::new();
            body.insert("ok".to_owned(), true.into());
            body.insert("result".to_owned(), result);
            if let Some(description) = description {
                body.insert("description".to_owned(), description.into());
            }
            HttpResponse::Ok().json(body)
        }
        Err(error) => error.response(),
    }
}

async fn answer(world: &World, method: &str, params: &Params) -> Answer {
    if method == "getupdates" { get_updates(world, params).await } else { world.telegram.call(method, params) }
}

/// Long poll: waits until there is an update, the time is over, or another call takes this one's place.
async fn get_updates(world: &World, params: &Params) -> Answer {
    let telegram = &world.telegram;
    let offset = params.integer("offset").unwrap_or_default();
    let limit = params.integer("limit").unwrap_or(100).clamp(1, 100);
    let limit = usize::try_from(limit).unwrap_or(100);
    let timeout_s = params.integer("timeout").unwrap_or_default().clamp(0, LONGEST_POLL_S);
    let deadline = Instant::now() + Duration::from_secs(timeout_s.unsigned_abs());
    let mut changes = telegram.changes();
    let poll = {
        let mut inner = telegram.inner();
        if inner.updates.webhook.is_some() {
            return Err(BotError::conflict(
                "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
            ));
        }
        // Telegram's server ignores what it cannot read here.
        inner.updates.allow(params.json("allowed_updates").unwrap_or_default());
        inner.updates.begin_poll(offset, now_s())
    };
    telegram.wake();
    loop {
        changes.borrow_and_update();
        let found = {
            let inner = telegram.inner();
            match inner.updates.check_poll(poll) {
                Ok(()) => inner.updates.peek(limit),
                Err(Displaced::ByPoll) => {
                    return Err(BotError::conflict(
                        "terminated by other getUpdates request; make sure that only one bot instance is running",
                    ));
                }
                Err(Displaced::ByWebhook) => return Err(BotError::conflict("terminated by setWebhook request")),
            }
        };
        if !found.is_empty() {
            return Ok((Value::Array(found), None));
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return Ok((Value::Array(Vec::new()), None)) },
            () = sleep_until(deadline) => return Ok((Value::Array(Vec::new()), None)),
            () = world.stop.cancelled() => return Err(BotError::new(500, "Internal Server Error: restart")),
        }
    }
}
