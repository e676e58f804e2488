//! Webhook: Telegram calls this service, with a secret that both know.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, post};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use subtle::ConstantTimeEq;
use telegram::AsyncTelegramApi;
use telegram::api::updates::WebhookInfo;
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
    recent: Recent,
}

impl Webhook {
    pub(crate) fn new(bot: Bot, secret: SecretString) -> Self {
        Self { bot, secret, recent: Recent::default() }
    }

    /// Compares without telling by its time how much was right.
    fn knows_secret(&self, request: &HttpRequest) -> bool {
        let given = request.headers().get(SECRET_HEADER).map_or(&b""[..], |value| value.as_bytes());
        bool::from(given.ct_eq(self.secret.expose_secret().as_bytes()))
    }
}

/// The updates that came lately.
#[derive(Debug, Default)]
struct Recent {
    ids: Mutex<VecDeque<i64>>,
}

impl Recent {
    /// Notes an update; nothing when it came before.
    fn note(&self, id: i64) -> Option<Noted<'_>> {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.contains(&id) {
            return None;
        }
        if ids.len() >= REMEMBERED {
            ids.pop_front();
        }
        ids.push_back(id);
        Some(Noted { recent: self, id, handled: false })
    }
}

/// An update that is being handled. Forgotten when that comes to no end (the call's time is over, its client is gone, it
/// panicked): Telegram sends the update again, and then it must count as new.
#[derive(Debug)]
struct Noted<'a> {
    recent: &'a Recent,
    id: i64,
    handled: bool,
}

impl Noted<'_> {
    /// It need not come again.
    fn handled(mut self) {
        self.handled = true;
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        if !self.handled {
            self.recent.ids.lock().unwrap_or_else(PoisonError::into_inner).retain(|id| *id != self.id);
        }
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
    match webhook.recent.note(update.id) {
        None => BOT_UPDATES.add(1, &[("type", "other"), ("outcome", "duplicate")]),
        Some(noted) => {
            if webhook.bot.handle(update).await == Outcome::Undelivered {
                let detail = "The answer cannot be queued now. Send the update again later.";
                return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "outbox_full", detail));
            }
            noted.handled();
        }
    }
    webhook.bot.inner.status.called(Utc::now());
    Ok(HttpResponse::Ok().finish())
}

fn no_update(error: impl std::fmt::Display) -> Problem {
    tracing::warn!(error = %error, "a webhook call without an update");
    Problem::new(StatusCode::BAD_REQUEST, "bad_update", "The body is no Telegram update.")
}

/// Registers the webhook with Telegram, trying until it succeeds; then asks now and then whether the calls arrive.
///
/// Cancels `handled` a moment after the stop, when the server has ended the calls that were running.
pub(crate) async fn register(
    bot: Bot,
    url: Url,
    secret: SecretString,
    look_every: Duration,
    stop: CancellationToken,
    handled: CancellationToken,
) {
    let _when_this_ends = handled.drop_guard();
    let setup = IntakeSetup::Webhook { url: url.clone(), secret };
    if bot.introduce(&setup, &stop).await.is_some() {
        // What went wrong before is another registration's.
        bot.inner.status.called(Utc::now());
        bot.inner.status.receiving();
        tracing::info!("the bot receives updates through its webhook");
        stop.run_until_cancelled(keep_looking(&bot, &url, look_every)).await;
    }
    stop.cancelled().await;
    tokio::time::sleep(CALLS_END_WITHIN).await;
}

/// Only Telegram knows whether its calls arrive: a call that cannot reach this service is not seen from here.
async fn keep_looking(bot: &Bot, url: &Url, every: Duration) {
    let status = &bot.inner.status;
    loop {
        tokio::time::sleep(every).await;
        let info = match bot.inner.client.get_webhook_info().await {
            Ok(response) => response.result,
            Err(error) => {
                bot.report_failure(&error);
                continue;
            }
        };
        match trouble(&info, url, status.last_call()) {
            Some(why) => {
                if status.failing(why.clone()) {
                    tracing::warn!(telegram.pending_updates = info.pending_update_count, "{why}");
                }
            }
            None => {
                if status.receiving() {
                    tracing::info!("the bot receives updates through its webhook again");
                }
            }
        }
    }
}

/// Why Telegram's calls do not arrive; nothing when the last one did.
fn trouble(info: &WebhookInfo, url: &Url, last_call: DateTime<Utc>) -> Option<String> {
    if info.url.is_empty() {
        return Some("Telegram has no webhook for this bot any more: somebody removed it, or polls; restart this service to set it again".to_owned());
    }
    if info.url != url.as_str() {
        return Some("Telegram calls another address than TELEGRAM_WEBHOOK_URL: somebody else set this bot's webhook; restart this service to set it again".to_owned());
    }
    // The date stays when calls arrive again: only an error after the last good call counts.
    let failed_at = info.last_error_date.and_then(|date| i64::try_from(date).ok())?;
    (failed_at > last_call.timestamp()).then(|| {
        let message = info.last_error_message.as_deref().unwrap_or("no reason given");
        let message: String = message.chars().take(200).collect();
        format!("Telegram cannot deliver updates to the webhook: {message}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_whose_handling_did_not_end_is_new_when_it_comes_again() {
        let recent = Recent::default();
        drop(recent.note(1).unwrap());
        let again = recent.note(1).unwrap();
        assert!(recent.note(1).is_none(), "it is being handled");
        again.handled();
        assert!(recent.note(1).is_none(), "it was handled");
        let panicked = std::panic::catch_unwind(|| {
            let _noted = recent.note(2).unwrap();
            panic!("while it is handled");
        });
        assert!(panicked.is_err());
        assert!(recent.note(2).is_some());
    }

    #[test]
    fn only_an_error_after_the_last_good_call_is_trouble() {
        let url: Url = "https://bot.example.com/telegram/webhook".parse().unwrap();
        let last_call = DateTime::from_timestamp(1_000, 0).unwrap();
        let info = |url: &str, last_error: Option<u64>| -> WebhookInfo {
            let mut json = serde_json::json!({"url": url, "has_custom_certificate": false, "pending_update_count": 0});
            if let Some(date) = last_error {
                json["last_error_date"] = date.into();
                json["last_error_message"] = "Connection refused".into();
            }
            serde_json::from_value(json).unwrap()
        };
        assert_eq!(trouble(&info(url.as_str(), None), &url, last_call), None);
        assert_eq!(trouble(&info(url.as_str(), Some(999)), &url, last_call), None);
        let refused = trouble(&info(url.as_str(), Some(1_001)), &url, last_call).unwrap();
        assert!(refused.contains("Connection refused"), "{refused}");
        assert!(trouble(&info("", None), &url, last_call).unwrap().contains("no webhook"));
        let other = trouble(&info("https://other.example.com/secret-path", None), &url, last_call).unwrap();
        assert!(other.contains("another address") && !other.contains("secret-path"), "{other}");
    }
}
