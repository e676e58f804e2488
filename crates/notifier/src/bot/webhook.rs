//! Webhook: Telegram calls this service, with a secret that both know.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, post};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use subtle::ConstantTimeEq;
use telemetry::metrics::notifier::BOT_UPDATES;
use url::Url;
use web::{CancellationToken, Problem, ProblemBody};

use super::setup::IntakeSetup;
use super::{Bot, Outcome};
use crate::error::webhook_unauthorized;

/// The header that carries the secret: <https://core.telegram.org/bots/api#setwebhook>.
const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";

/// Calls that run when the service stops are given this long before the sender stops too; a later answer is refused, and
/// Telegram sends its update again.
const CALLS_END_WITHIN: Duration = Duration::from_secs(1);

/// Ids of updates that are remembered, since Telegram calls again when an answer was late.
const REMEMBERED: usize = 1_000;

/// What the route works with; it exists in webhook mode only.
pub(crate) struct Webhook {
    bot: Bot,
    secret: SecretString,
    recent: Mutex<VecDeque<i64>>,
}

impl Webhook {
    pub(crate) fn new(bot: Bot, secret: SecretString) -> Self {
        Self { bot, secret, recent: Mutex::default() }
    }

    /// Compares without telling by its time how much was right.
    fn knows_secret(&self, request: &HttpRequest) -> bool {
        let given = request.headers().get(SECRET_HEADER).map_or(&b""[..], |value| value.as_bytes());
        bool::from(given.ct_eq(self.secret.expose_secret().as_bytes()))
    }

    /// Notes an update; false when it came before.
    fn is_new(&self, id: i64) -> bool {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.contains(&id) {
            return false;
        }
        if recent.len() >= REMEMBERED {
            recent.pop_front();
        }
        recent.push_back(id);
        true
    }

    /// Takes an update as new when it comes again.
    fn forget(&self, id: i64) {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).retain(|recent| *recent != id);
    }
}

/// Takes an update from Telegram. Only in webhook mode.
///
/// An update that cannot be read is answered with 200 and a log line: with anything else Telegram would send it again
/// for a day.
#[utoipa::path(
    params(("x-telegram-bot-api-secret-token" = String, Header, description = "The webhook's secret")),
    request_body = Object,
    responses(
        (status = 200, description = "Taken"),
        (status = 400, description = "No update", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "Not from Telegram", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The answer cannot be queued; Telegram sends the update again", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/telegram/webhook")]
pub(crate) async fn webhook(
    request: HttpRequest,
    webhook: Data<Webhook>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    // Before the body is looked at: a stranger learns nothing about what would be taken.
    if !webhook.knows_secret(&request) {
        return Err(webhook_unauthorized());
    }
    let json: Value = serde_json::from_slice(&body).map_err(no_update)?;
    let update = telegram::read_update(json).map_err(no_update)?;
    let id = update.id;
    if !webhook.is_new(id) {
        BOT_UPDATES.add(1, &[("type", "other"), ("outcome", "duplicate")]);
    } else if webhook.bot.handle(update).await == Outcome::Undelivered {
        webhook.forget(id);
        let detail = "The answer cannot be queued now. Send the update again later.";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "outbox_full", detail));
    }
    Ok(HttpResponse::Ok().finish())
}

fn no_update(error: impl std::fmt::Display) -> Problem {
    tracing::warn!(error = %error, "a webhook call without an update");
    Problem::new(StatusCode::BAD_REQUEST, "bad_update", "The body is no Telegram update.")
}

/// Registers the webhook with Telegram; tries until it succeeds or is told to stop.
///
/// Cancels `handled` a moment after the stop, when the server has ended the calls that were running.
pub(crate) async fn register(
    bot: Bot,
    url: Url,
    secret: SecretString,
    stop: CancellationToken,
    handled: CancellationToken,
) {
    let _when_this_ends = handled.drop_guard();
    let setup = IntakeSetup::Webhook { url, secret };
    if bot.introduce(&setup, &stop).await.is_some() {
        bot.inner.status.receiving();
        tracing::info!("the bot receives updates through its webhook");
    }
    stop.cancelled().await;
    tokio::time::sleep(CALLS_END_WITHIN).await;
}
