//! Webhook: Telegram calls this service, with a secret that both know.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
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

/// What the route works with; it exists in webhook mode only.
pub(crate) struct Webhook {
    bot: Bot,
    secret: SecretString,
    in_hand: InHand,
}

impl Webhook {
    pub(crate) fn new(bot: Bot, secret: SecretString) -> Self {
        Self { bot, secret, in_hand: InHand::default() }
    }

    /// Compares without telling by its time how much was right.
    fn knows_secret(&self, request: &HttpRequest) -> bool {
        let given = request.headers().get(SECRET_HEADER).map_or(&b""[..], |value| value.as_bytes());
        bool::from(given.ct_eq(self.secret.expose_secret().as_bytes()))
    }
}

/// The updates that are being handled: Telegram calls again when an answer is late. What was handled before, the outbox
/// knows.
#[derive(Debug, Default)]
struct InHand {
    ids: Mutex<HashSet<i64>>,
}

impl InHand {
    /// Takes an update into one's hands; nothing when somebody has it already.
    fn take(&self, id: i64) -> Option<Taken<'_>> {
        let is_new = self.ids().insert(id);
        // Made only for who has it: dropping one gives the update back.
        is_new.then(|| Taken { in_hand: self, id })
    }

    fn ids(&self) -> MutexGuard<'_, HashSet<i64>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An update that is being handled, until this is dropped: also when its call's time is over, its client is gone, or its
/// handling panicked.
#[derive(Debug)]
struct Taken<'a> {
    in_hand: &'a InHand,
    id: i64,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.in_hand.ids().remove(&self.id);
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
        (status = 503, description = "`database_away`: the answer cannot be written down; `in_hand`: another call with this update is not over. Telegram sends it again", body = ProblemBody, content_type = "application/problem+json"),
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
    let later = |code, detail: &str| Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail));
    let Some(_taken) = webhook.in_hand.take(update.id) else {
        BOT_UPDATES.add(1, &[("type", "other"), ("outcome", "duplicate")]);
        return later("in_hand", "This update is being handled. Send it again if that call fails.");
    };
    if webhook.bot.handle(update).await == Outcome::Undelivered {
        return later("database_away", "The answer cannot be written down now. Send the update again later.");
    }
    webhook.bot.inner.status.called(Utc::now());
    Ok(HttpResponse::Ok().finish())
}

fn no_update(error: impl std::fmt::Display) -> Problem {
    tracing::warn!(error = %error, "a webhook call without an update");
    Problem::new(StatusCode::BAD_REQUEST, "bad_update", "The body is no Telegram update.")
}

/// Registers the webhook with Telegram, trying until it succeeds; then asks now and then whether the calls arrive.
pub(crate) async fn register(bot: Bot, url: Url, secret: SecretString, look_every: Duration, stop: CancellationToken) {
    let setup = IntakeSetup::Webhook { url: url.clone(), secret };
    if bot.introduce(&setup, &stop).await.is_some() {
        // What went wrong before is another registration's.
        bot.inner.status.called(Utc::now());
        bot.inner.status.receiving();
        tracing::info!("the bot receives updates through its webhook");
        stop.run_until_cancelled(keep_looking(&bot, &url, look_every)).await;
    }
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
    fn an_update_is_in_one_pair_of_hands_until_its_handling_ends() {
        let in_hand = InHand::default();
        let taken = in_hand.take(1).unwrap();
        assert!(in_hand.take(1).is_none() && in_hand.take(2).is_some());
        drop(taken);
        assert!(in_hand.take(1).is_some());
        let panicked = std::panic::catch_unwind(|| {
            let _taken = in_hand.take(3).unwrap();
            panic!("while it is handled");
        });
        assert!(panicked.is_err());
        assert!(in_hand.take(3).is_some());
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
