//! Settings of notifier-service.

mod ids;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::Resettable;
use clap::{Args, FromArgMatches, ValueEnum};
use domain::Symbol;
use secrecy::{ExposeSecret, SecretString};
use storage::DatabaseSettings;
use url::Url;
use web::{ServerSettings, StartError};

use crate::bot::{Role, Roles};
pub use ids::{ChatIds, UserIds};

/// How updates reach the bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TelegramMode {
    /// The bot asks Telegram.
    Polling,
    /// Telegram calls the bot.
    Webhook,
}

/// Where people reach the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicUrl {
    /// Nowhere: messages have no links.
    None,
    /// At this address.
    At(Url),
}

impl PublicUrl {
    /// The address, if there is one.
    #[must_use]
    pub const fn url(&self) -> Option<&Url> {
        match self {
            Self::None => None,
            Self::At(url) => Some(url),
        }
    }
}

fn page_url(text: &str) -> Result<PublicUrl, String> {
    if text == "none" || text.is_empty() {
        return Ok(PublicUrl::None);
    }
    let url = Url::parse(text).map_err(|error| format!("no URL like http://127.0.0.1:8080: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("no http:// or https:// URL with a host".to_owned());
    }
    Ok(PublicUrl::At(url))
}

/// Settings of notifier-service.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// The HTTP server.
    #[command(flatten)]
    pub server: ServerSettings,

    /// Where the bot keeps what it has to say; not used while the bot is off.
    #[command(flatten)]
    pub database: DatabaseSettings,

    /// Base URL of market-data-service
    #[arg(long, env = "MARKET_DATA_URL", default_value = "http://127.0.0.1:8081", help_heading = "Services")]
    pub market_data_url: Url,

    /// Base URL of decision-service
    #[arg(long, env = "DECISION_URL", default_value = "http://127.0.0.1:8082", help_heading = "Services")]
    pub decision_url: Url,

    /// Base URL of order-service, for the bot's trading commands
    #[arg(long, env = "ORDER_URL", default_value = "http://127.0.0.1:5002", help_heading = "Services")]
    pub order_url: Url,

    /// Base URL of Tempo, for the latencies that the bot's /why tells; left out, it tells none
    #[arg(long, env = "TEMPO_URL", help_heading = "Services")]
    pub tempo_url: Option<Url>,

    /// Symbol that is meant when a question names none
    #[arg(long, env = "DEFAULT_SYMBOL", default_value = "BTCUSDT", help_heading = "Services")]
    pub default_symbol: Symbol,

    /// Address under which people reach api-gateway's page, for links in the bot's messages; "none" for no links
    #[arg(long, env = "PUBLIC_URL", default_value = "http://127.0.0.1:8080", value_parser = page_url, help_heading = "Page")]
    pub public_url: PublicUrl,

    /// Settings of the bot.
    #[command(flatten)]
    pub telegram: TelegramConfig,
}

/// Settings of the Telegram bot.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Telegram bot")]
pub struct TelegramConfig {
    /// Base URL of the Bot API: Telegram's, or the simulator's
    #[arg(long = "telegram-api-url", env = "TELEGRAM_API_URL", default_value = "https://api.telegram.org")]
    pub api_url: Url,

    /// The bot's token, as BotFather gave it; the bot is off without one. Better given as a file
    #[arg(long = "telegram-bot-token", env = "TELEGRAM_BOT_TOKEN", hide_env_values = true)]
    pub bot_token: Option<SecretString>,

    /// File that holds the bot's token; wins over the token itself
    #[arg(long = "telegram-bot-token-file", env = "TELEGRAM_BOT_TOKEN_FILE")]
    pub bot_token_file: Option<PathBuf>,

    /// User ids that may use the bot as viewers: ask and look. Separated by commas; nobody may when left out
    #[arg(long = "telegram-allowed-user-ids", env = "TELEGRAM_ALLOWED_USER_IDS", default_value = "")]
    pub allowed_user_ids: UserIds,

    /// User ids of traders: viewers who may also confirm, decline and cancel orders, and pause and stop trading
    #[arg(long = "telegram-trader-user-ids", env = "TELEGRAM_TRADER_USER_IDS", default_value = "")]
    pub trader_user_ids: UserIds,

    /// User ids of admins: traders who may also resume trading
    #[arg(long = "telegram-admin-user-ids", env = "TELEGRAM_ADMIN_USER_IDS", default_value = "")]
    pub admin_user_ids: UserIds,

    /// Chats that are told of orders, refusals and changes of the trading state, groups too (below zero), separated by
    /// commas; left out, everybody who may use the bot is told in private
    #[arg(
        long = "telegram-notify-chat-ids",
        env = "TELEGRAM_NOTIFY_CHAT_IDS",
        default_value = "",
        allow_hyphen_values = true
    )]
    pub notify_chat_ids: ChatIds,

    /// Age at which a message that Telegram does not take is given up, in seconds
    #[arg(long = "telegram-give-up-after-seconds", env = "TELEGRAM_GIVE_UP_AFTER_SECONDS", default_value_t = 86_400, value_parser = clap::value_parser!(u64).range(60..=604_800))]
    pub give_up_after_seconds: u64,

    /// How updates reach the bot
    #[arg(long = "telegram-mode", env = "TELEGRAM_MODE", value_enum, default_value_t = TelegramMode::Polling)]
    pub mode: TelegramMode,

    /// Public URL of this service's /telegram/webhook, for webhook mode
    #[arg(long = "telegram-webhook-url", env = "TELEGRAM_WEBHOOK_URL")]
    pub webhook_url: Option<Url>,

    /// Secret that Telegram sends with each call, for webhook mode: 1 to 256 of A-Z a-z 0-9 _ -. Better given as a file
    #[arg(long = "telegram-webhook-secret", env = "TELEGRAM_WEBHOOK_SECRET", hide_env_values = true)]
    pub webhook_secret: Option<SecretString>,

    /// File that holds the webhook's secret; wins over the secret itself
    #[arg(long = "telegram-webhook-secret-file", env = "TELEGRAM_WEBHOOK_SECRET_FILE")]
    pub webhook_secret_file: Option<PathBuf>,

    /// Time between two questions to Telegram whether its calls arrive, in milliseconds, for webhook mode
    #[arg(long = "telegram-webhook-check-interval-ms", env = "TELEGRAM_WEBHOOK_CHECK_INTERVAL_MS", default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub webhook_check_interval_ms: u64,
}

/// The bot's settings, checked.
#[derive(Debug, Clone)]
pub(crate) struct BotSettings {
    pub(crate) client: telegram::Client,
    pub(crate) token: SecretString,
    pub(crate) roles: Roles,
    /// Chats that are told of trading.
    pub(crate) recipients: Vec<i64>,
    pub(crate) give_up_after: Duration,
    pub(crate) intake: Intake,
}

/// How updates come in.
#[derive(Debug, Clone)]
pub(crate) enum Intake {
    Polling,
    Webhook { url: Url, secret: SecretString },
}

impl Config {
    /// For tests, whatever the environment says: a free port, no bot, and these services behind it. order-service is
    /// nowhere, and there is no database: whoever adds a bot has to name one.
    ///
    /// # Errors
    /// When an address is no URL.
    pub fn ephemeral(market_data_url: &str, decision_url: &str) -> Result<Self, clap::Error> {
        let nowhere = "http://127.0.0.1:1";
        let flags = [
            "test",
            "--market-data-url",
            market_data_url,
            "--decision-url",
            decision_url,
            "--order-url",
            nowhere,
            "--telegram-api-url",
            nowhere,
        ];
        let mut config = Self::from_flags(&flags)?;
        config.server = ServerSettings::ephemeral();
        config.database = DatabaseSettings::at("none");
        Ok(config)
    }

    /// Reads flags and nothing else: a test must not meet the real bot because its developer's shell knows the token.
    fn from_flags(flags: &[&str]) -> Result<Self, clap::Error> {
        let command = Self::augment_args(clap::Command::new("test")).mut_args(|arg| arg.env(Resettable::Reset));
        Self::from_arg_matches(&command.try_get_matches_from(flags)?)
    }
}

impl TelegramConfig {
    /// Checks the settings; `None` when there is no token, that is, no bot.
    pub(crate) fn bot(&self) -> Result<Option<BotSettings>, StartError> {
        let token = web::secret("TELEGRAM_BOT_TOKEN", self.bot_token.as_ref(), self.bot_token_file.as_deref())?;
        let Some(token) = token else {
            return Ok(None);
        };
        let client =
            telegram::Client::new(&telegram::Settings::new(self.api_url.clone(), token.clone())).map_err(|error| {
                let setting = match error {
                    telegram::SettingsError::ApiUrl => "TELEGRAM_API_URL",
                    _ => "TELEGRAM_BOT_TOKEN",
                };
                StartError::Setting { setting, reason: error.to_string() }
            })?;
        let intake = match self.mode {
            TelegramMode::Polling => Intake::Polling,
            TelegramMode::Webhook => self.webhook()?,
        };
        let roles = Roles::new([
            (Role::Viewer, self.allowed_user_ids.0.as_slice()),
            (Role::Trader, self.trader_user_ids.0.as_slice()),
            (Role::Admin, self.admin_user_ids.0.as_slice()),
        ]);
        // A private chat has its person's id.
        let recipients = match self.notify_chat_ids.0.as_slice() {
            [] => roles.users().filter_map(|id| i64::try_from(id).ok()).collect(),
            chats => chats.to_vec(),
        };
        let give_up_after = Duration::from_secs(self.give_up_after_seconds);
        Ok(Some(BotSettings { client, token, roles, recipients, give_up_after, intake }))
    }

    fn webhook(&self) -> Result<Intake, StartError> {
        let missing =
            |setting, what: &str| StartError::Setting { setting, reason: format!("webhook mode needs {what}") };
        let url = self
            .webhook_url
            .clone()
            .ok_or_else(|| missing("TELEGRAM_WEBHOOK_URL", "the public URL of /telegram/webhook"))?;
        let secret =
            web::secret("TELEGRAM_WEBHOOK_SECRET", self.webhook_secret.as_ref(), self.webhook_secret_file.as_deref())?
                .ok_or_else(|| {
                    missing("TELEGRAM_WEBHOOK_SECRET", "a secret, so that nobody but Telegram can call it")
                })?;
        let text = secret.expose_secret();
        // Telegram's rule for secret_token: https://core.telegram.org/bots/api#setwebhook
        if text.len() > 256 || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)) {
            let reason = "the secret has 1 to 256 letters A-Z a-z, digits, _ and -".to_owned();
            return Err(StartError::Setting { setting: "TELEGRAM_WEBHOOK_SECRET", reason });
        }
        Ok(Intake::Webhook { url, secret })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn telegram(arguments: &[&str]) -> TelegramConfig {
        Config::from_flags(&[&["test"], arguments].concat()).unwrap().telegram
    }

    #[test]
    fn ephemeral_settings_do_not_come_from_the_environment() {
        const FROM_OUTSIDE: &str = "1:from-the-environment";
        // A process's own environment cannot be changed safely: the test runs itself with another one.
        if std::env::var("TELEGRAM_BOT_TOKEN").is_ok_and(|token| token == FROM_OUTSIDE) {
            let config = Config::ephemeral("http://127.0.0.1:1", "http://127.0.0.1:2").unwrap();
            assert!(config.telegram.bot_token.is_none());
            assert_eq!(config.telegram.api_url.as_str(), "http://127.0.0.1:1/");
            assert_eq!(config.telegram.mode, TelegramMode::Polling);
            return;
        }
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "config::tests::ephemeral_settings_do_not_come_from_the_environment"])
            .env("TELEGRAM_BOT_TOKEN", FROM_OUTSIDE)
            .env("TELEGRAM_MODE", "webhook")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    fn links_lead_to_the_gateway_unless_told_otherwise() {
        let url = |flags: &[&str]| Config::from_flags(&[&["test"], flags].concat()).map(|config| config.public_url);
        let at = |text: &str| PublicUrl::At(text.parse().unwrap());
        assert_eq!(url(&[]).unwrap(), at("http://127.0.0.1:8080"));
        assert_eq!(url(&["--public-url", "https://example.org/crypto/"]).unwrap(), at("https://example.org/crypto/"));
        assert_eq!(url(&["--public-url", "none"]).unwrap().url(), None);
        for bad in ["example.org", "ftp://example.org/", "127.0.0.1:8080"] {
            assert!(url(&["--public-url", bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn without_a_token_there_is_no_bot() {
        assert!(telegram(&[]).bot().unwrap().is_none());
        assert!(telegram(&["--telegram-bot-token", ""]).bot().unwrap().is_none());
    }

    #[test]
    fn everybody_with_a_role_is_told_unless_chats_are_named() {
        let token = ["--telegram-bot-token", "1:x"];
        let bot = |more: &[&str]| telegram(&[&token[..], more].concat()).bot().unwrap().unwrap();
        assert!(bot(&[]).recipients.is_empty() && bot(&[]).roles.is_empty(), "nobody by default");
        let people = [
            "--telegram-allowed-user-ids",
            "1001,1002",
            "--telegram-trader-user-ids",
            "1002",
            "--telegram-admin-user-ids",
            "7",
        ];
        let told = bot(&people);
        assert_eq!(told.recipients, [7, 1001, 1002]);
        assert_eq!(told.roles.of(1002), Some(Role::Trader));
        let named = bot(&[&people[..], &["--telegram-notify-chat-ids", "-100200300,1001"]].concat());
        assert_eq!(named.recipients, [-100_200_300, 1001]);
        assert_eq!(named.give_up_after, Duration::from_secs(86_400));
        assert!(Config::from_flags(&["test", "--telegram-allowed-user-ids", "alice"]).is_err());
    }

    #[test]
    fn a_token_may_come_from_a_file_and_never_shows() {
        let file = std::env::temp_dir().join(format!("notifier-token-{}", std::process::id()));
        std::fs::write(&file, "123:from-file\n").unwrap();
        let config = telegram(&["--telegram-bot-token-file", file.to_str().unwrap()]);
        let bot = config.bot().unwrap().unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(!format!("{config:?} {bot:?}").contains("from-file"));
        assert!(config.bot().unwrap_err().to_string().contains("TELEGRAM_BOT_TOKEN"));
        let config = telegram(&["--telegram-bot-token", "123:given"]);
        assert!(!format!("{config:?}").contains("given"));
    }

    #[test]
    fn the_file_wins_over_the_variable_and_an_empty_variable_is_none() {
        let file = std::env::temp_dir().join(format!("notifier-secret-{}", std::process::id()));
        let path = file.to_str().unwrap();
        let base = ["--telegram-mode", "webhook", "--telegram-webhook-url", "https://example.com/telegram/webhook"];
        let token = ["--telegram-bot-token", "1:given", "--telegram-bot-token-file", path];
        let secret = ["--telegram-webhook-secret", "given", "--telegram-webhook-secret-file", path];
        let config = telegram(&[&base[..], &token, &secret].concat());
        std::fs::write(&file, "2:from-file\n").unwrap();
        let polling = telegram(&token).bot().unwrap().unwrap();
        assert_eq!(polling.token.expose_secret(), "2:from-file");
        let refused = config.bot().unwrap_err().to_string();
        assert!(refused.contains("TELEGRAM_WEBHOOK_SECRET"), "the file's secret has a colon: {refused}");
        std::fs::write(&file, "from-file\n").unwrap();
        let webhook = telegram(&[&base[..], &token[..2], &secret].concat()).bot().unwrap().unwrap();
        assert!(matches!(webhook.intake, Intake::Webhook { secret, .. } if secret.expose_secret() == "from-file"));
        std::fs::write(&file, "\n").unwrap();
        let empty = telegram(&token).bot().unwrap_err().to_string();
        std::fs::remove_file(&file).unwrap();
        assert!(empty.contains("is empty"), "{empty}");
        assert!(telegram(&["--telegram-bot-token", " "]).bot().unwrap().is_none());
    }

    #[test]
    fn a_webhook_needs_its_address_and_a_proper_secret() {
        let base = ["--telegram-bot-token", "1:x", "--telegram-mode", "webhook"];
        let error = |more: &[&str]| telegram(&[&base[..], more].concat()).bot().unwrap_err().to_string();
        assert!(error(&[]).contains("TELEGRAM_WEBHOOK_URL"));
        let url = ["--telegram-webhook-url", "https://example.com/telegram/webhook"];
        assert!(error(&url).contains("TELEGRAM_WEBHOOK_SECRET"));
        assert!(
            error(&[&url[..], &["--telegram-webhook-secret", "no spaces"]].concat())
                .contains("TELEGRAM_WEBHOOK_SECRET")
        );
        let config = telegram(&[&base[..], &url, &["--telegram-webhook-secret", "s3cret_-"]].concat());
        assert!(matches!(config.bot().unwrap().unwrap().intake, Intake::Webhook { .. }));
    }
}
