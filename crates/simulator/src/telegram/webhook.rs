//! Webhooks: set by the bot, delivered to in order, retried until they take the update.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use actix_web::web::Data;
use awc::Client;
use awc::http::StatusCode;
use serde_json::Value;
use telemetry::metrics::simulator::WEBHOOK_DELIVERIES;
use url::{Host, Url};
use web::CancellationToken;

use super::error::BotError;
use super::methods::Answer;
use super::params::Params;
use super::state::{Telegram, now_s};
use super::updates::Webhook;
use crate::world::World;

/// Longest that a webhook may take to answer.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait between two attempts.
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// Answer of a webhook that is read: it may hold a method call.
const MOST_ANSWER_BYTES: usize = 64 * 1024;

impl Telegram {
    pub(super) fn set_webhook(&self, params: &Params) -> Answer {
        let url = params.text("url");
        if url.is_empty() {
            return self.delete_webhook(params.flag("drop_pending_updates"));
        }
        let url = checked(&url)?;
        let secret = params.text("secret_token");
        if secret.len() > 256 {
            return Err(BotError::bad("Secret token is too long"));
        }
        if !secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return Err(BotError::bad("Secret token contains unallowed characters"));
        }
        let secret = (!secret.is_empty()).then_some(secret);
        let max_connections = params.integer("max_connections").unwrap_or(40).clamp(1, 100);
        let drop_pending = params.flag("drop_pending_updates");
        let unchanged = {
            let mut inner = self.inner();
            inner.updates.allow(params.json("allowed_updates").unwrap_or_default());
            let same = inner.updates.webhook.as_ref().is_some_and(|known| {
                known.url == url && known.secret == secret && known.max_connections == max_connections && !drop_pending
            });
            if !same {
                let webhook = Webhook { url, secret, max_connections, last_error: None, generation: 0 };
                inner.updates.set_webhook(Some(webhook), drop_pending);
            }
            same
        };
        self.wake();
        Ok((Value::Bool(true), Some(if unchanged { "Webhook is already set" } else { "Webhook was set" })))
    }

    pub(super) fn delete_webhook(&self, drop_pending: bool) -> Answer {
        let existed = {
            let mut inner = self.inner();
            let existed = inner.updates.webhook.is_some();
            inner.updates.set_webhook(None, drop_pending);
            existed
        };
        self.wake();
        Ok((Value::Bool(true), Some(if existed { "Webhook was deleted" } else { "Webhook is already deleted" })))
    }

    /// The next update and where it has to go.
    fn next_delivery(&self) -> Option<(i64, Value, Webhook)> {
        let inner = self.inner();
        let webhook = inner.updates.webhook.clone()?;
        let (id, body) = inner.updates.first()?;
        Some((id, body.clone(), webhook))
    }

    fn delivered(&self, id: i64) {
        self.inner().updates.confirm(id);
        self.wake();
    }

    fn refused(&self, generation: u64, message: String) {
        let mut inner = self.inner();
        if let Some(webhook) = inner.updates.webhook.as_mut().filter(|webhook| webhook.generation == generation) {
            webhook.last_error = Some((now_s(), message));
        }
    }
}

/// Telegram wants HTTPS. This simulator also takes plain HTTP on the loopback device, where the bot runs beside it.
fn checked(text: &str) -> Result<Url, BotError> {
    let url = Url::parse(text).map_err(|_| BotError::bad("Invalid webhook URL specified"))?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address == Ipv4Addr::LOCALHOST,
        Some(Host::Ipv6(address)) => address == Ipv6Addr::LOCALHOST,
        None => return Err(BotError::bad("Invalid webhook URL specified")),
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        _ => Err(BotError::bad("bad webhook: An HTTPS URL must be provided for webhook")),
    }
}

/// Delivers updates to the webhook, one at a time and in order, until the simulator stops.
pub(crate) async fn deliver(world: Data<World>, first_retry: Duration, cancel: CancellationToken) {
    // Telegram sends no trace headers, so neither does this: awc without the instrumented client around it.
    let client = Client::builder().timeout(DELIVERY_TIMEOUT).disable_redirects().finish();
    let telegram = &world.telegram;
    let mut changes = telegram.changes();
    let mut retry = first_retry;
    loop {
        changes.borrow_and_update();
        let Some((id, body, webhook)) = telegram.next_delivery() else {
            retry = first_retry;
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = cancel.cancelled() => return,
            }
            continue;
        };
        let outcome = tokio::select! {
            outcome = post(&client, &webhook, &body) => outcome,
            () = cancel.cancelled() => return,
        };
        match outcome {
            Ok(reply) => {
                WEBHOOK_DELIVERIES.add(1, &[("outcome", "ok")]);
                retry = first_retry;
                telegram.delivered(id);
                answer_inline(telegram, reply);
            }
            Err(refusal) => {
                WEBHOOK_DELIVERIES.add(1, &[("outcome", refusal.label)]);
                tracing::warn!(update.id = id, reason = %refusal.message, "the bot's webhook did not take an update; it is tried again");
                telegram.refused(webhook.generation, refusal.message);
                let wait = refusal.retry_after.unwrap_or(retry).min(LONGEST_RETRY);
                retry = (retry * 2).min(LONGEST_RETRY);
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = webhook_replaced(telegram, webhook.generation) => retry = first_retry,
                    () = cancel.cancelled() => return,
                }
            }
        }
    }
}

/// A new webhook need not wait for the old one's next attempt.
async fn webhook_replaced(telegram: &Telegram, generation: u64) {
    let mut changes = telegram.changes();
    loop {
        let now = telegram.inner().updates.webhook.as_ref().map(|webhook| webhook.generation);
        if now != Some(generation) || changes.changed().await.is_err() {
            return;
        }
    }
}

struct Undelivered {
    label: &'static str,
    message: String,
    retry_after: Option<Duration>,
}

/// Posts an update; the webhook's answer when it is 2xx.
async fn post(client: &Client, webhook: &Webhook, body: &Value) -> Result<Vec<u8>, Undelivered> {
    let mut request = client.post(webhook.url.as_str());
    if let Some(secret) = &webhook.secret {
        request = request.insert_header(("X-Telegram-Bot-Api-Secret-Token", secret.as_str()));
    }
    let unreachable = |message: String| Undelivered { label: "unreachable", message, retry_after: None };
    let mut response = request.send_json(body).await.map_err(|error| unreachable(describe(&error)))?;
    let status = response.status();
    if !status.is_success() {
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        return Err(Undelivered {
            label: "refused",
            message: format!("Wrong response from the webhook: {}", reason(status)),
            retry_after: retry_after.map(Duration::from_secs),
        });
    }
    // An answer too long to be a method call was still an answer.
    Ok(response.body().limit(MOST_ANSWER_BYTES).await.map(|body| body.to_vec()).unwrap_or_default())
}

fn reason(status: StatusCode) -> String {
    format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default())
}

/// As Telegram words it in `last_error_message`.
fn describe(error: &awc::error::SendRequestError) -> String {
    use awc::error::{ConnectError, SendRequestError};
    match error {
        SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout) => {
            "Read timeout expired".to_owned()
        }
        SendRequestError::Connect(ConnectError::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            "Connection refused".to_owned()
        }
        SendRequestError::Connect(ConnectError::Resolver(_) | ConnectError::NoRecords) => {
            "Failed to resolve host".to_owned()
        }
        other => format!("Connection failed: {other}"),
    }
}

/// A webhook may answer with a method call (`{"method":"sendMessage",…}`); its result is told to nobody, as at Telegram.
fn answer_inline(telegram: &Telegram, reply: Vec<u8>) {
    let Ok(Value::Object(mut object)) = serde_json::from_slice(&reply) else { return };
    let Some(Value::String(method)) = object.remove("method") else { return };
    if let Err(error) = telegram.call(&method.to_ascii_lowercase(), &Params::from_object(object)) {
        tracing::warn!(error = ?error, "the method call in a webhook's answer failed");
    }
}
