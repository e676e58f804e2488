//! Settings of pipeline-worker.

use std::time::Duration;

use clap::Args;
use storage::DatabaseSettings;
use url::Url;
use web::ServerSettings;

use super::backoff::Backoff;

/// Settings of pipeline-worker: flags and environment variables.
#[derive(Debug, Clone, Args)]
pub struct WorkerConfig {
    /// HTTP server.
    #[command(flatten)]
    pub server: ServerSettings,

    /// Where pipelines and executions are kept: of pipeline-service, trigger-dispatcher and pipeline-worker the same.
    #[command(flatten)]
    pub database: DatabaseSettings,

    /// What it does, and whom it asks.
    #[command(flatten)]
    pub worker: WorkerSettings,
}

/// How a worker works.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Worker")]
pub struct WorkerSettings {
    /// market-data-service, for prices and candles
    #[arg(long, env = "MARKET_DATA_URL", default_value = "http://127.0.0.1:8081", value_parser = http_url)]
    pub market_data_url: Url,

    /// decision-service, for steps that decide
    #[arg(long, env = "DECISION_URL", default_value = "http://127.0.0.1:8082", value_parser = http_url)]
    pub decision_url: Url,

    /// order-service, for steps that order
    #[arg(long, env = "ORDER_URL", default_value = "http://127.0.0.1:5002", value_parser = http_url)]
    pub order_url: Url,

    /// notifier-service, for steps that tell people
    #[arg(long, env = "NOTIFIER_URL", default_value = "http://127.0.0.1:9000", value_parser = http_url)]
    pub notifier_url: Url,

    /// What this worker is called where its executions are shown, unique among workers; made of the machine's name and the
    /// process's id when left out
    #[arg(long, env = "WORKER_ID", value_parser = worker_id)]
    pub worker_id: Option<String>,

    /// Executions that it is at, at the same time
    #[arg(long, env = "WORKER_CONCURRENCY", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,

    /// After how long without a word from its worker an execution is given to another, in seconds; it says a word three
    /// times in that
    #[arg(long, env = "WORKER_LEASE_SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub lease_seconds: u32,

    /// Time between two looks for executions, in milliseconds; while there are none it grows to five times as much
    #[arg(long, env = "WORKER_POLL_MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub poll_ms: u64,

    /// Wait before the second attempt of an execution, in milliseconds; before each further one it is twice as long
    #[arg(long, env = "WORKER_RETRY_FIRST_MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub retry_first_ms: u64,

    /// Longest wait between two attempts, in seconds, unless the service that failed asks for more
    #[arg(long, env = "WORKER_RETRY_LONGEST_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub retry_longest_seconds: u64,
}

/// Longest id of a worker, in characters.
const MAX_ID: usize = 100;

fn worker_id(text: &str) -> Result<String, String> {
    let sound = (1..=MAX_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    sound.then(|| text.to_owned()).ok_or_else(|| format!("1 to {MAX_ID} letters, digits and signs, without a space"))
}

fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("no URL like http://127.0.0.1:8081: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("no http:// or https:// URL with a host".to_owned());
    }
    Ok(url)
}

/// A name that no other worker has: machine, process, and a number that tells apart two processes of two containers.
fn made_id() -> String {
    let read = |path| std::fs::read_to_string(path).ok();
    // Where /proc shows processes alone, the file that names the machine is there all the same.
    let host = read("/proc/sys/kernel/hostname").or_else(|| read("/etc/hostname")).unwrap_or_default();
    let host: String = host.trim().chars().filter(char::is_ascii_graphic).take(MAX_ID / 2).collect();
    let host = if host.is_empty() { "worker" } else { &host };
    format!("{host}:{}:{:04x}", std::process::id(), rand::random::<u16>())
}

impl WorkerSettings {
    pub(super) fn id(&self) -> String {
        self.worker_id.clone().unwrap_or_else(made_id)
    }

    pub(super) const fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds as u64)
    }

    pub(super) const fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }

    pub(super) const fn backoff(&self) -> Backoff {
        Backoff {
            first: Duration::from_millis(self.retry_first_ms),
            longest: Duration::from_secs(self.retry_longest_seconds),
        }
    }
}

impl WorkerConfig {
    /// For tests: a free port, a database, everybody at one address, and waits that are short.
    #[must_use]
    pub fn ephemeral(database: DatabaseSettings, everybody: &Url) -> Self {
        Self {
            server: ServerSettings::ephemeral(),
            database,
            worker: WorkerSettings {
                market_data_url: everybody.clone(),
                decision_url: everybody.clone(),
                order_url: everybody.clone(),
                notifier_url: everybody.clone(),
                worker_id: None,
                concurrency: 4,
                lease_seconds: 15,
                poll_ms: 10,
                retry_first_ms: 10,
                retry_longest_seconds: 1,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        config: WorkerConfig,
    }

    fn read(arguments: &[&str]) -> Result<WorkerSettings, clap::Error> {
        let all = std::iter::once("pipeline-worker").chain(arguments.iter().copied());
        // Whatever the environment of the tests says.
        let command = Command::command().mut_args(|argument| argument.env(None::<&str>));
        Command::from_arg_matches(&command.try_get_matches_from(all)?).map(|read| read.config.worker)
    }

    #[test]
    fn what_is_left_out_has_a_sensible_value() {
        let settings = read(&[]).unwrap();
        assert_eq!((settings.concurrency, settings.lease()), (4, Duration::from_secs(15)));
        assert_eq!(settings.decision_url.as_str(), "http://127.0.0.1:8082/");
        let other = read(&[]).unwrap();
        assert!(settings.id().contains(&format!(":{}:", std::process::id())), "{}", settings.id());
        assert!((1..=MAX_ID).contains(&other.id().len()));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for bad in [
            ["--worker-id", "a b"],
            ["--worker-id", ""],
            ["--concurrency", "0"],
            ["--lease-seconds", "0"],
            ["--poll-ms", "0"],
            ["--order-url", "ftp://x"],
        ] {
            assert!(read(&bad).is_err(), "{bad:?}");
        }
        assert_eq!(read(&["--worker-id", "w-1"]).unwrap().id(), "w-1");
    }
}
