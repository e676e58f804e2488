//! What the bot tells Telegram, and asks it, before it serves: who am I, what can I do, how do updates come.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use telegram::api::methods::{DeleteWebhookParams, SetMyCommandsParams, SetWebhookParams};
use telegram::api::types::BotCommand;
use telegram::{AsyncTelegramApi, Error};
use url::Url;
use web::CancellationToken;

use super::Bot;
use super::intake::{Identity, WANTED};
use crate::question::COMMANDS;

impl Bot {
    /// Learns the bot's name and sets its commands; tries until it succeeds or is told to stop (`None`).
    pub(super) async fn introduce(&self, intake: &IntakeSetup, stop: &CancellationToken) -> Option<()> {
        let mut failures = 0;
        loop {
            let error = match stop.run_until_cancelled(self.try_introduce(intake)).await? {
                Ok(()) => return Some(()),
                Err(error) => error,
            };
            self.report_failure(&error);
            let pause = wait_after(&error, failures);
            failures = failures.saturating_add(1);
            stop.run_until_cancelled(tokio::time::sleep(pause)).await?;
        }
    }

    async fn try_introduce(&self, intake: &IntakeSetup) -> Result<(), Error> {
        let client = &self.inner.client;
        let me = client.get_me().await?.result;
        let identity = Identity { user_id: me.id, user_name: me.username.unwrap_or_default() };
        let command =
            |(name, description): &(&str, &str)| BotCommand::builder().command(*name).description(*description).build();
        let commands: Vec<BotCommand> = COMMANDS.iter().map(command).collect();
        client.set_my_commands(&SetMyCommandsParams::builder().commands(commands).build()).await?;
        match intake {
            // A webhook that is left over would make every poll fail; updates that wait are kept.
            IntakeSetup::Polling => {
                client.delete_webhook(&DeleteWebhookParams::builder().drop_pending_updates(false).build()).await?;
            }
            IntakeSetup::Webhook { url, secret } => {
                let params = SetWebhookParams::builder()
                    .url(url.as_str())
                    .secret_token(secret.expose_secret())
                    .allowed_updates(WANTED.to_vec())
                    .build();
                client.set_webhook(&params).await?;
            }
        }
        tracing::info!(telegram.bot.name = identity.user_name, "the bot is known to Telegram");
        // Set before by an earlier round at most, with the same answer.
        drop(self.inner.identity.set(identity));
        Ok(())
    }

    /// Logs a failure when it is news; it stays visible in readiness and the metric.
    pub(super) fn report_failure(&self, error: &Error) {
        if !self.inner.status.failing(error.to_string()) {
            return;
        }
        match error {
            Error::Unauthorized => tracing::error!(
                "Telegram does not know the bot's token: check TELEGRAM_BOT_TOKEN; it is tried again every minute"
            ),
            Error::Conflict { .. } => tracing::error!(
                error = %error,
                "another process receives this bot's updates with the same token (a second poller, or a webhook): stop one of them; it is tried again every half minute"
            ),
            _ => {
                tracing::warn!(error = %error, error.kind = error.label(), "Telegram cannot be reached now; it is tried again, asks over HTTP are served")
            }
        }
    }
}

/// How updates are to come.
#[derive(Debug, Clone)]
pub(crate) enum IntakeSetup {
    /// The bot asks.
    Polling,
    /// Telegram calls.
    Webhook {
        /// Where.
        url: Url,
        /// With which secret.
        secret: SecretString,
    },
}

/// How long to leave Telegram alone after a failure.
pub(super) fn wait_after(error: &Error, failures: u32) -> Duration {
    match error {
        Error::TooManyRequests { retry_after } => *retry_after,
        // Only a person can mend these.
        Error::Unauthorized => Duration::from_secs(60),
        Error::Conflict { .. } => Duration::from_secs(30),
        _ => {
            let ceiling = Duration::from_secs(1)
                .saturating_mul(2_u32.saturating_pow(failures.min(5)))
                .min(Duration::from_secs(30));
            ceiling.mul_f64(rand::random_range(0.2..=1.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end_at_half_a_minute() {
        let error = Error::Server { status: 502 };
        assert!(wait_after(&error, 0) <= Duration::from_secs(1));
        for failures in 0..100 {
            let wait = wait_after(&error, failures);
            assert!(wait >= Duration::from_millis(200) && wait <= Duration::from_secs(30));
        }
        let conflict = Error::Conflict { description: String::new() };
        assert_eq!(wait_after(&conflict, 0), Duration::from_secs(30));
        let flood = Error::TooManyRequests { retry_after: Duration::from_secs(17) };
        assert_eq!(wait_after(&flood, 3), Duration::from_secs(17));
    }
}
