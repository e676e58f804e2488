//! notifier-service: the Telegram bot, and `POST /v1/ask` for everyone else.
//!
//! A question becomes symbols ([`question`]), each symbol a price, candles and a decision ([`ask`]), and the answer goes
//! back where the question came from. All of it is one trace, which api-gateway's page draws.

pub mod ask;
pub mod backends;
mod bot;
mod config;
mod error;
pub mod names;
pub mod question;
mod routes;
mod symbols;

use std::time::Duration;

use actix_web::web::{Data, ServiceConfig};
use domain::TradingMode;
use telegram::{Sender, SenderSettings};
use utoipa::OpenApi;
use web::{Background, CancellationToken, Readiness, RunningServer, Service, StartError};

pub use config::{Config, TelegramConfig, TelegramMode, UserIds};

use ask::Asker;
use backends::Backends;
use bot::{Bot, Status, polling, webhook};
use config::{BotSettings, Intake};
use routes::{ApiDescription, State};
use symbols::KnownSymbols;

/// Subcommand, process and `service.name`.
pub const NAME: &str = "notifier-service";

/// Its port where none is set.
pub const DEFAULT_PORT: u16 = 9000;

/// Starts the service. Call it inside an actix system.
///
/// # Errors
/// When a setting cannot be used or the port cannot be had.
#[expect(clippy::unused_async, reason = "every service starts the same way, and most must wait for something")]
pub async fn start(config: Config) -> Result<RunningServer, StartError> {
    let backends = Backends::new(config.market_data_url.clone(), config.decision_url.clone());
    let asker = Asker::new(backends.clone(), TradingMode::Paper);
    let symbols = KnownSymbols::default();
    let bot_settings = config.telegram.bot()?;

    let mut background = Background::new();
    background.spawn("symbols", |stop| symbols.clone().keep_up(backends.clone(), stop));
    let mut readiness = readiness(&backends);
    let webhook = match bot_settings {
        Some(settings) => {
            let (bot_readiness, webhook) = start_bot(&config, settings, &asker, &symbols, readiness, &mut background);
            readiness = bot_readiness;
            webhook
        }
        None => {
            tracing::warn!(
                "the Telegram bot is off: set TELEGRAM_BOT_TOKEN or TELEGRAM_BOT_TOKEN_FILE to switch it on"
            );
            readiness = readiness.check("telegram (off)", || async { Ok(()) });
            None
        }
    };

    let state = Data::new(State { asker, backends, symbols, default_symbol: config.default_symbol });
    let service = Service { name: NAME, default_port: DEFAULT_PORT, openapi: ApiDescription::openapi(), readiness };
    web::start(&config.server, service, background, move |routes: &mut ServiceConfig| {
        routes.app_data(state.clone()).configure(routes::routes);
        // Without a webhook its address is like any other that does not exist.
        if let Some(webhook) = &webhook {
            routes.app_data(webhook.clone()).service(webhook::webhook);
        }
    })
}

fn readiness(backends: &Backends) -> Readiness {
    let (market_data, decision) = (backends.clone(), backends.clone());
    Readiness::new()
        .check("market-data-service", move || {
            let backends = market_data.clone();
            async move { backends.market_data_alive().await }
        })
        .check("decision-service", move || {
            let backends = decision.clone();
            async move { backends.decision_alive().await }
        })
}

fn start_bot(
    config: &Config,
    settings: BotSettings,
    asker: &Asker,
    symbols: &KnownSymbols,
    readiness: Readiness,
    background: &mut Background,
) -> (Readiness, Option<Data<webhook::Webhook>>) {
    let BotSettings { client, token, allowed_user_ids, intake } = settings;
    if allowed_user_ids.is_empty() {
        tracing::warn!(
            "nobody may use the Telegram bot: name user ids in TELEGRAM_ALLOWED_USER_IDS (the bot tells strangers theirs)"
        );
    }
    let (mode, check_name) = match intake {
        Intake::Polling => ("polling", "telegram (polling)"),
        Intake::Webhook { .. } => ("webhook", "telegram (webhook)"),
    };
    let status = Status::new(mode);
    let sending = SenderSettings { drain_time: Duration::from_millis(1_500), ..SenderSettings::default() };
    let (sender, worker) = Sender::new(client.clone(), sending);
    let bot = Bot::new(bot::Parts {
        client,
        token,
        sender,
        asker: asker.clone(),
        symbols: symbols.clone(),
        default_symbol: config.default_symbol.clone(),
        public_url: config.public_url.url().cloned(),
        allowed_user_ids,
        status: status.clone(),
    });
    let readiness = readiness.check(check_name, move || {
        let checked = status.check();
        async move { checked }
    });
    // The sender outlives the updates: they may still have something to say.
    let handled = CancellationToken::new();
    let last_word = handled.clone();
    background.spawn("telegram-sender", |_stop| worker.run(async move { last_word.cancelled().await }));
    let webhook = match intake {
        Intake::Polling => {
            background.spawn("telegram-polling", |stop| polling::run(bot, stop, handled));
            None
        }
        Intake::Webhook { url, secret } => {
            let look_every = Duration::from_millis(config.telegram.webhook_check_interval_ms);
            background.spawn("telegram-webhook", |stop| {
                webhook::register(bot.clone(), url, secret.clone(), look_every, stop, handled)
            });
            Some(Data::new(webhook::Webhook::new(bot, secret)))
        }
    };
    (readiness, webhook)
}
