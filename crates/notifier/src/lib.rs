//! notifier-service: the Telegram bot, `POST /v1/ask` for everyone else, and what people are told of trading.
//!
//! A question becomes symbols ([`question`]), each symbol a price, candles and a decision ([`ask`]), and the answer goes
//! back where the question came from. All of it is one trace, which api-gateway's page draws. order-service tells what
//! happens to orders (`POST /v1/notices`), and does what traders want of it ([`backends`]). Whatever the bot says waits in
//! the database until Telegram has it ([`outbox`]).
//!
//! It is ready when it can answer asks: market-data-service and decision-service are there, and with a bot its database
//! and Telegram. order-service may be away: whoever wants something of it is told so, asks are answered all the same.

pub mod ask;
pub mod backends;
mod bot;
mod config;
mod error;
pub mod mode;
pub mod names;
mod notices;
pub mod outbox;
pub mod question;
mod routes;
mod symbols;

use std::time::Duration;

use actix_web::web::{Data, ServiceConfig};
use storage::{Database, DatabaseSettings};
use utoipa::OpenApi;
use web::{Background, Readiness, RunningServer, Service, StartError};

pub use config::{ChatIds, Config, TelegramConfig, TelegramMode, UserIds};
pub use notices::{NoticeOutcome, NoticeReceipt};

use ask::Asker;
use backends::Backends;
use bot::{Bot, Status, polling, webhook};
use config::{BotSettings, Intake};
use mode::KnownMode;
use notices::Notices;
use outbox::{Outbox, Sender, SenderSettings};
use routes::{ApiDescription, State};
use symbols::KnownSymbols;

/// Subcommand, process and `service.name`.
pub const NAME: &str = "notifier-service";

/// Its port where none is set.
pub const DEFAULT_PORT: u16 = 9000;

/// Most connections of the sender.
const SENDER_CONNECTIONS: u16 = 4;

/// Starts the service. Call it inside an actix system.
///
/// # Errors
/// When a setting cannot be used or the port cannot be had.
#[expect(clippy::unused_async, reason = "every service starts the same way, and most must wait for something")]
pub async fn start(config: Config) -> Result<RunningServer, StartError> {
    let backends = Backends::new(config.market_data_url.clone(), config.decision_url.clone(), config.order_url.clone());
    let mode = KnownMode::default();
    let asker = Asker::new(backends.clone(), mode.clone());
    let symbols = KnownSymbols::default();
    let parts = match config.telegram.bot()? {
        None => None,
        // The database is the bot's: without one there is nothing to keep.
        Some(settings) => Some((settings, Databases::open(&config.database)?)),
    };

    let mut background = Background::new();
    background.spawn("symbols", |stop| symbols.clone().keep_up(backends.clone(), stop));
    background.spawn("trading-mode", |stop| mode.clone().keep_up(backends.clone(), stop));
    let readiness = readiness(&backends);
    let running = match parts {
        Some((settings, databases)) => {
            let shared = Shared { backends: &backends, asker: &asker, symbols: &symbols, mode: &mode };
            start_bot(&config, settings, databases, &shared, readiness, &mut background)
        }
        None => {
            tracing::warn!(
                "the Telegram bot is off: set TELEGRAM_BOT_TOKEN or TELEGRAM_BOT_TOKEN_FILE to switch it on"
            );
            let readiness = readiness.check("telegram (off)", || async { Ok(()) });
            Running { readiness, notices: Notices::off(), webhook: None }
        }
    };

    let Running { readiness, notices, webhook } = running;
    let state = Data::new(State { asker, backends, symbols, default_symbol: config.default_symbol });
    let notices = Data::new(notices);
    let openapi = ApiDescription::openapi().merge_from(notices::ApiDescription::openapi());
    let service =
        Service { name: NAME, default_port: DEFAULT_PORT, openapi: routes::NAMES.described(openapi), readiness };
    let stop = background.token();
    web::start(&config.server, service, background, move |routes: &mut ServiceConfig| {
        routes.app_data(state.clone()).configure(routes::routes);
        routes.app_data(notices.clone()).configure(notices::routes);
        // Without a webhook its address is like any other that does not exist.
        if let Some(webhook) = &webhook {
            routes.app_data(webhook.clone()).service(webhook::webhook);
        }
    })
    // Nobody would stop the tasks of a service that never came to be.
    .inspect_err(|_| stop.cancel())
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
        .noted("order-service", backends.order_probe())
}

/// The one database, through connections of two kinds.
///
/// A connection to PostgreSQL ends with the thread that opened it, and the server's threads end before the sender does:
/// what Telegram took in that moment could not be written down, and would be said again at the next start. So the sender
/// has connections that its own thread opens.
struct Databases {
    api: Database,
    sender: Database,
}

impl Databases {
    fn open(settings: &DatabaseSettings) -> Result<Self, StartError> {
        let few = DatabaseSettings {
            database_max_connections: settings.database_max_connections.min(SENDER_CONNECTIONS),
            ..settings.clone()
        };
        Ok(Self {
            api: Database::open(NAME, settings, outbox::migrations())?,
            sender: Database::open(NAME, &few, outbox::migrations())?,
        })
    }
}

/// What the bot has in common with the API.
struct Shared<'a> {
    backends: &'a Backends,
    asker: &'a Asker,
    symbols: &'a KnownSymbols,
    mode: &'a KnownMode,
}

/// What the server needs of the bot.
struct Running {
    readiness: Readiness,
    notices: Notices,
    webhook: Option<Data<webhook::Webhook>>,
}

fn start_bot(
    config: &Config,
    settings: BotSettings,
    Databases { api: database, sender: senders }: Databases,
    shared: &Shared<'_>,
    readiness: Readiness,
    background: &mut Background,
) -> Running {
    let BotSettings { client, token, roles, recipients, give_up_after, intake } = settings;
    if roles.is_empty() {
        tracing::warn!(
            "nobody may use the Telegram bot: name user ids in TELEGRAM_ALLOWED_USER_IDS (the bot tells strangers theirs)"
        );
    }
    let (name, check_name) = match intake {
        Intake::Polling => ("polling", "telegram (polling)"),
        Intake::Webhook { .. } => ("webhook", "telegram (webhook)"),
    };
    let status = Status::new(name);
    let outbox = Outbox::new(database.clone());
    let bot = Bot::new(bot::Parts {
        client: client.clone(),
        token,
        outbox: outbox.clone(),
        asker: shared.asker.clone(),
        backends: shared.backends.clone(),
        mode: shared.mode.clone(),
        symbols: shared.symbols.clone(),
        tempo_url: config.tempo_url.clone(),
        default_symbol: config.default_symbol.clone(),
        public_url: config.public_url.url().cloned(),
        roles,
        status: status.clone(),
    });
    let readiness = database.checked_in(readiness).check(check_name, move || {
        let checked = status.check();
        async move { checked }
    });
    background.spawn("database", |stop| database.keep_up(stop));
    background.spawn("sender-database", |stop| senders.clone().keep_up(stop));
    let sender =
        Sender::new(outbox.through(senders), client, SenderSettings { give_up_after, ..SenderSettings::default() });
    background.spawn("telegram-sender", |stop| sender.run(stop));
    let webhook = match intake {
        Intake::Polling => {
            background.spawn("telegram-polling", |stop| polling::run(bot, stop));
            None
        }
        Intake::Webhook { url, secret } => {
            let look_every = Duration::from_millis(config.telegram.webhook_check_interval_ms);
            background.spawn("telegram-webhook", |stop| {
                webhook::register(bot.clone(), url, secret.clone(), look_every, stop)
            });
            Some(Data::new(webhook::Webhook::new(bot, secret)))
        }
    };
    Running { readiness, notices: Notices::to(outbox, recipients), webhook }
}
