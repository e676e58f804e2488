//! Settings of api-gateway.

use clap::Args;
use url::Url;
use web::ServerSettings;

/// Settings of api-gateway: flags and environment variables.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// HTTP server.
    #[command(flatten)]
    pub server: ServerSettings,

    /// Base URL of Tempo, for the page
    #[arg(long, env = "TEMPO_URL", default_value = "http://127.0.0.1:3200", help_heading = "Page")]
    pub tempo_url: Url,

    /// Base URL of Loki, for the page
    #[arg(long, env = "LOKI_URL", default_value = "http://127.0.0.1:3100", help_heading = "Page")]
    pub loki_url: Url,

    /// How far back log lines of a trace are looked for, in minutes
    #[arg(long, env = "LOG_LOOK_BACK_MINUTES", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=10_080), help_heading = "Page")]
    pub log_look_back_minutes: u32,
}

impl Config {
    /// For tests, whatever the environment says: a free port; Tempo and Loki away, unless these further flags say
    /// otherwise.
    ///
    /// # Errors
    /// When a flag cannot be read.
    pub fn ephemeral(flags: &[&str]) -> Result<Self, clap::Error> {
        use clap::FromArgMatches as _;
        use clap::builder::Resettable;
        let nowhere = "http://127.0.0.1:1";
        let mut all = vec!["test"];
        for flag in ["--tempo-url", "--loki-url"] {
            if !flags.contains(&flag) {
                all.extend([flag, nowhere]);
            }
        }
        all.extend(flags);
        // A test must not meet what its developer's shell knows.
        let command = Self::augment_args(clap::Command::new("test")).mut_args(|arg| arg.env(Resettable::Reset));
        let mut config = Self::from_arg_matches(&command.try_get_matches_from(all)?)?;
        config.server = ServerSettings { host: config.server.host, ..ServerSettings::ephemeral() };
        Ok(config)
    }
}
