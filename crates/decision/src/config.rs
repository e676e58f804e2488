//! Settings of decision-service.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use domain::{StrategyName, Symbol};
use llm::Prices;
use rust_decimal::Decimal;
use rust_decimal_macros::dec;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;
use web::{ServerSettings, StartError};

/// The model that is asked when a base URL is set and no model.
const DEFAULT_MODEL: &str = "gpt-4.1-mini";
/// Its published prices, in US dollars per million tokens.
const DEFAULT_MODEL_PRICES: Prices = Prices { input_usd_per_million: dec!(0.40), output_usd_per_million: dec!(1.60) };

/// Settings of decision-service: flags and environment variables.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Decisions")]
pub struct Config {
    /// HTTP server.
    #[command(flatten)]
    pub server: ServerSettings,

    /// Strategy that decides when a request names none: technical, llm or random
    #[arg(long, env = "DECISION_STRATEGY", default_value_t = StrategyName::Technical)]
    pub strategy: StrategyName,

    /// Age in milliseconds above which a price is too old to decide on
    #[arg(long, env = "DECISION_MAX_PRICE_AGE_MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub max_price_age_ms: u64,

    /// Seed of the random strategy: the same seed gives the same decisions
    #[arg(long, env = "RANDOM_SEED", default_value_t = 0)]
    pub random_seed: u64,

    /// Symbols that metrics tell apart, separated by commas; decisions about others count as `other`
    #[arg(long, env = "MARKET_DATA_SYMBOLS", value_delimiter = ',', default_value = "BTCUSDT,ETHUSDT,SOLUSDT")]
    pub symbols: Vec<Symbol>,

    /// Language model.
    #[command(flatten)]
    pub llm: LlmConfig,
}

/// Settings of the `llm` strategy. Without a base URL it is off, and whoever asks for it gets `technical` and is told.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Language model")]
pub struct LlmConfig {
    /// Base URL of an OpenAI-compatible API, such as https://api.openai.com; the llm strategy is off without
    #[arg(long, env = "LLM_BASE_URL")]
    pub llm_base_url: Option<Url>,

    /// API key; better in a file
    #[arg(long, env = "LLM_API_KEY", hide_env_values = true)]
    pub llm_api_key: Option<SecretString>,

    /// File that holds the API key; wins over the key itself
    #[arg(long, env = "LLM_API_KEY_FILE")]
    pub llm_api_key_file: Option<PathBuf>,

    /// The model's name
    #[arg(long, env = "LLM_MODEL", default_value = DEFAULT_MODEL)]
    pub llm_model: String,

    /// Who serves the model, as spans and metrics name it (gen_ai.provider.name)
    #[arg(long, env = "LLM_PROVIDER", default_value = "openai")]
    pub llm_provider: String,

    /// Longest wait for the model's answer, in milliseconds, 20000 at most; then technical decides
    #[arg(long, env = "LLM_TIMEOUT_MS", default_value_t = 8_000, value_parser = llm_timeout_ms)]
    pub llm_timeout_ms: u64,

    /// Most tokens of an answer
    #[arg(long, env = "LLM_MAX_COMPLETION_TOKENS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub llm_max_completion_tokens: u32,

    /// Sampling temperature; the model's own when left out (some models take no other)
    #[arg(long, env = "LLM_TEMPERATURE")]
    pub llm_temperature: Option<f64>,

    /// Price of a million input tokens in US dollars; known for the default model only
    #[arg(long, env = "LLM_INPUT_USD_PER_MILLION_TOKENS")]
    pub llm_input_usd_per_million_tokens: Option<Decimal>,

    /// Price of a million output tokens in US dollars; known for the default model only
    #[arg(long, env = "LLM_OUTPUT_USD_PER_MILLION_TOKENS")]
    pub llm_output_usd_per_million_tokens: Option<Decimal>,

    /// Most that one decision may cost in US dollars, estimated before the model is asked
    #[arg(long, env = "LLM_MAX_COST_USD_PER_DECISION", default_value = "0.01")]
    pub llm_max_cost_usd_per_decision: Decimal,

    /// Most that all decisions of a day (UTC) may cost in US dollars; counted by this process, anew after a restart
    #[arg(long, env = "LLM_DAILY_BUDGET_USD", default_value = "1")]
    pub llm_daily_budget_usd: Decimal,

    /// Record prompts and answers on spans (true or false)
    #[arg(long, env = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", default_value = "false", value_parser = capture_content, action = clap::ArgAction::Set)]
    pub llm_capture_content: bool,
}

impl Config {
    /// The defaults on a free port, whatever the environment says: for tests.
    #[must_use]
    pub fn ephemeral() -> Self {
        Self {
            server: ServerSettings::ephemeral(),
            strategy: StrategyName::Technical,
            max_price_age_ms: 30_000,
            random_seed: 0,
            symbols: Vec::new(),
            llm: LlmConfig {
                llm_base_url: None,
                llm_api_key: None,
                llm_api_key_file: None,
                llm_model: DEFAULT_MODEL.to_owned(),
                llm_provider: "openai".to_owned(),
                llm_timeout_ms: 8_000,
                llm_max_completion_tokens: 300,
                llm_temperature: None,
                llm_input_usd_per_million_tokens: None,
                llm_output_usd_per_million_tokens: None,
                llm_max_cost_usd_per_decision: dec!(0.01),
                llm_daily_budget_usd: dec!(1),
                llm_capture_content: false,
            },
        }
    }
}

impl LlmConfig {
    /// The client's settings; `None` when the strategy is off.
    pub(crate) fn client(&self) -> Result<Option<llm::Settings>, StartError> {
        let Some(base_url) = self.llm_base_url.clone() else { return Ok(None) };
        if !matches!(base_url.scheme(), "http" | "https") || base_url.host().is_none() {
            return Err(bad("LLM_BASE_URL", "it has to be an http or https URL, such as https://api.openai.com"));
        }
        if !base_url.username().is_empty() || base_url.password().is_some() {
            return Err(bad("LLM_BASE_URL", "a URL shows up in logs: put the key in LLM_API_KEY_FILE instead"));
        }
        if self.llm_model.trim().is_empty() {
            return Err(bad("LLM_MODEL", "name the model to ask"));
        }
        if let Some(temperature) = self.llm_temperature
            && !(0.0..=2.0).contains(&temperature)
        {
            return Err(bad("LLM_TEMPERATURE", "it is a number from 0 to 2"));
        }
        Ok(Some(llm::Settings {
            api_key: self.api_key()?,
            provider: self.llm_provider.clone(),
            timeout: Duration::from_millis(self.llm_timeout_ms),
            max_completion_tokens: self.llm_max_completion_tokens,
            temperature: self.llm_temperature,
            capture_content: self.llm_capture_content,
            ..llm::Settings::new(base_url, self.llm_model.clone())
        }))
    }

    /// Prices as set; those of the default model are known.
    pub(crate) fn prices(&self) -> Result<Prices, StartError> {
        let known = (self.llm_model == DEFAULT_MODEL).then_some(DEFAULT_MODEL_PRICES);
        let price = |setting, set: Option<Decimal>, known: Option<Decimal>| match set.or(known) {
            None => Err(bad(setting, "the price of this model is not known: set it, 0 if it costs nothing")),
            Some(price) => not_negative(setting, price),
        };
        Ok(Prices {
            input_usd_per_million: price(
                "LLM_INPUT_USD_PER_MILLION_TOKENS",
                self.llm_input_usd_per_million_tokens,
                known.map(|prices| prices.input_usd_per_million),
            )?,
            output_usd_per_million: price(
                "LLM_OUTPUT_USD_PER_MILLION_TOKENS",
                self.llm_output_usd_per_million_tokens,
                known.map(|prices| prices.output_usd_per_million),
            )?,
        })
    }

    /// Most a decision may cost, and most a day may cost, in US dollars.
    pub(crate) fn limits(&self) -> Result<(Decimal, Decimal), StartError> {
        Ok((
            not_negative("LLM_MAX_COST_USD_PER_DECISION", self.llm_max_cost_usd_per_decision)?,
            not_negative("LLM_DAILY_BUDGET_USD", self.llm_daily_budget_usd)?,
        ))
    }

    fn api_key(&self) -> Result<Option<SecretString>, StartError> {
        match &self.llm_api_key_file {
            Some(path) => secret_from(path).map(Some),
            // An empty one would be sent as an empty bearer token.
            None => Ok(self.llm_api_key.clone().filter(|key| !key.expose_secret().trim().is_empty())),
        }
    }
}

fn secret_from(path: &Path) -> Result<SecretString, StartError> {
    const SETTING: &str = "LLM_API_KEY_FILE";
    let text = std::fs::read_to_string(path)
        .map_err(|error| bad(SETTING, format!("{} cannot be read: {error}", path.display())))?;
    let key = text.trim();
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err(bad(SETTING, format!("{} holds no key: one line with the key is expected", path.display())));
    }
    Ok(SecretString::from(key))
}

fn not_negative(setting: &'static str, value: Decimal) -> Result<Decimal, StartError> {
    if value.is_sign_negative() && !value.is_zero() {
        return Err(bad(setting, format!("{value} is below zero; it is a number of US dollars")));
    }
    Ok(value)
}

fn bad(setting: &'static str, reason: impl Into<String>) -> StartError {
    StartError::Setting { setting, reason: reason.into() }
}

/// Above this whoever asked (notifier-service waits 25 s) would be gone before the fallback has decided.
const LONGEST_LLM_TIMEOUT_MS: u64 = 20_000;

fn llm_timeout_ms(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|ms| (1..=LONGEST_LLM_TIMEOUT_MS).contains(ms)).ok_or_else(|| {
        format!(
            "it is a number of milliseconds from 1 to {LONGEST_LLM_TIMEOUT_MS}: whoever asked does not wait much longer, and technical has to decide when the model does not answer"
        )
    })
}

/// The values that OpenTelemetry's own instrumentations take for this variable; only those that mean spans mean yes.
fn capture_content(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "span_only" | "span_and_event" => Ok(true),
        "" | "false" | "0" | "no_content" | "event_only" => Ok(false),
        _ => Err("it is true or false".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::builder::Resettable;
    use clap::{Command, FromArgMatches as _};

    use super::*;

    /// Reads flags and nothing else, whatever the developer's environment says.
    fn parsed(flags: &[&str]) -> Result<Config, clap::Error> {
        let command = Config::augment_args(Command::new("test")).mut_args(|arg| arg.env(Resettable::Reset));
        Config::from_arg_matches(&command.try_get_matches_from(["test"].iter().chain(flags))?)
    }

    fn with_model(change: impl FnOnce(&mut LlmConfig)) -> LlmConfig {
        let mut config = Config::ephemeral().llm;
        config.llm_base_url = Some("http://127.0.0.1:1".parse().unwrap());
        change(&mut config);
        config
    }

    #[test]
    fn flags_are_read_and_wrong_ones_named() {
        let config =
            parsed(&["--strategy", "llm", "--llm-daily-budget-usd", "2.50", "--llm-capture-content", "span_only"])
                .unwrap();
        assert_eq!(config.strategy, StrategyName::Llm);
        assert_eq!(config.llm.llm_daily_budget_usd, dec!(2.50));
        assert!(config.llm.llm_capture_content);
        let error = parsed(&["--strategy", "fortune"]).unwrap_err().to_string();
        assert!(error.contains("technical, llm, random"), "{error}");
        assert!(parsed(&["--llm-timeout-ms", "0"]).is_err());
        assert_eq!(parsed(&["--llm-timeout-ms", "20000"]).unwrap().llm.llm_timeout_ms, 20_000);
        let error = parsed(&["--llm-timeout-ms", "20001"]).unwrap_err().to_string();
        assert!(error.contains("from 1 to 20000"), "{error}");
    }

    #[test]
    fn the_llm_strategy_is_off_without_a_base_url() {
        assert!(Config::ephemeral().llm.client().unwrap().is_none());
    }

    #[test]
    fn prices_are_known_for_the_default_model_only() {
        assert_eq!(with_model(|_| {}).prices().unwrap(), DEFAULT_MODEL_PRICES);
        let error = with_model(|config| config.llm_model = "other".to_owned()).prices().unwrap_err();
        assert!(error.to_string().starts_with("LLM_INPUT_USD_PER_MILLION_TOKENS: "), "{error}");
        let local = with_model(|config| {
            config.llm_model = "local".to_owned();
            config.llm_input_usd_per_million_tokens = Some(Decimal::ZERO);
            config.llm_output_usd_per_million_tokens = Some(Decimal::ZERO);
        });
        assert_eq!(local.prices().unwrap().output_usd_per_million, Decimal::ZERO);
        assert!(with_model(|config| config.llm_input_usd_per_million_tokens = Some(dec!(-1))).prices().is_err());
        assert!(with_model(|config| config.llm_daily_budget_usd = dec!(-0.01)).limits().is_err());
    }

    #[test]
    fn bad_urls_and_keys_are_refused_with_the_name_of_the_setting() {
        let refused = |config: LlmConfig| config.client().unwrap_err().to_string();
        let ftp = refused(with_model(|config| config.llm_base_url = Some("ftp://127.0.0.1".parse().unwrap())));
        assert!(ftp.starts_with("LLM_BASE_URL: "), "{ftp}");
        let in_url =
            refused(with_model(|config| config.llm_base_url = Some("http://me:secret@127.0.0.1".parse().unwrap())));
        assert!(in_url.starts_with("LLM_BASE_URL: ") && !in_url.contains("secret"), "{in_url}");
        let missing = refused(with_model(|config| config.llm_api_key_file = Some("/nowhere/key".into())));
        assert!(missing.starts_with("LLM_API_KEY_FILE: /nowhere/key cannot be read"), "{missing}");
        let hot = refused(with_model(|config| config.llm_temperature = Some(f64::NAN)));
        assert!(hot.starts_with("LLM_TEMPERATURE: "), "{hot}");
    }

    #[test]
    fn the_file_wins_over_the_variable_and_an_empty_variable_is_none() {
        let key = |flags: &[&str]| {
            let base = ["--llm-base-url", "http://127.0.0.1:1"];
            let settings = parsed(&[&base, flags].concat()).unwrap().llm.client();
            settings.unwrap().unwrap().api_key.map(|key| key.expose_secret().to_owned())
        };
        let path = std::env::temp_dir().join(format!("decision-key-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, "key-from-file\n").unwrap();
        let both = key(&["--llm-api-key", "given", "--llm-api-key-file", path.to_str().unwrap()]);
        let beside_an_empty_one = key(&["--llm-api-key", "", "--llm-api-key-file", path.to_str().unwrap()]);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(both.as_deref(), Some("key-from-file"));
        assert_eq!(beside_an_empty_one.as_deref(), Some("key-from-file"));
        assert_eq!(key(&["--llm-api-key", "given"]).as_deref(), Some("given"));
        assert_eq!(key(&["--llm-api-key", ""]), None);
    }

    #[test]
    fn the_key_comes_from_a_file_without_its_line_end() {
        let path = std::env::temp_dir().join(format!("decision-key-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, "key-from-file\n").unwrap();
        let settings = with_model(|config| config.llm_api_key_file = Some(path.clone())).client();
        std::fs::remove_file(&path).unwrap();
        let settings = settings.unwrap().unwrap();
        assert_eq!(settings.api_key.as_ref().unwrap().expose_secret(), "key-from-file");
        assert!(!format!("{settings:?}").contains("key-from-file"));
    }
}
