//! The settings, checked before anything is sent.

use std::path::{Path, PathBuf};
use std::time::Duration;

use awc::http::header::HeaderValue;
use domain::{StrategyName, Symbol};
use url::{Host, Url};

use super::arrivals::Plan;
use super::journeys::Journeys;
use super::mix::Ingredients;
use super::schedule::Schedule;
use super::walk::Target;
use crate::serve::BadValue;
use crate::tools::http::shown;
use crate::tools::ports;

/// A bound on what one call can do to the machine it runs on.
const LONGEST: Duration = Duration::from_secs(600);

const JSON_KEYS: &str = "\
Keys of --json (microseconds from when a request was due until it was answered):
  rate_per_second, seed, planned, begun, interrupted, took_ms, answered_per_second, held_back
  sent, answered, failed, rate_limited, unfinished, failures{reason: count}
  latency{p50_us, p90_us, p99_us, p99.9_us, max_us}: of the answered requests
  send_lateness{…}: how late arrivals were sent, the generator's own part in it
  journeys{name: {weight, begun, completed, failed, latency{…},
    steps{name: {sent, answered, failed, rate_limited, unfinished, failures{…}, latency{…}}}}}

Exit codes:
  0 every request was answered   1 some failed or were rate limited
  64 a setting cannot be used    130 ended by Ctrl-C, with the report of what was done";

/// Send users at a fixed rate of arrival and report latencies.
#[derive(Debug, clap::Args)]
#[command(after_long_help = JSON_KEYS)]
pub(crate) struct Args {
    /// notifier-service, which a run of asks alone goes to; left out, NOTIFIER_PORT on this machine
    #[arg(long, env = "NOTIFIER_URL", value_parser = ports::http_url)]
    url: Option<Url>,

    /// api-gateway, which everything goes to when this is given or anything but ask is among the journeys; left out,
    /// GATEWAY_PORT on this machine
    #[arg(long, env = "GATEWAY_URL", value_parser = ports::http_url)]
    gateway_url: Option<Url>,

    /// File with the API key for api-gateway, on one line
    #[arg(long, env = "API_KEY_FILE")]
    api_key_file: Option<PathBuf>,

    /// File with the URL that alerts are posted to (http://127.0.0.1:8000/webhooks/tradingview/TOKEN), for the journey
    /// signals; 'crypto-telemetry hooks create NAME' makes one
    #[arg(long, env = "HOOK_URL_FILE")]
    hook_url_file: Option<PathBuf>,

    /// Let the load go to another machine; without this, loopback addresses only
    #[arg(long)]
    allow_remote: bool,

    /// Arrivals a second; each arriving user goes through one journey
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,

    /// How long, "20s" or "2m"; ten minutes at most
    #[arg(long = "for", default_value = "10s", value_parser = humantime::parse_duration)]
    duration: Duration,

    /// What users do, with weights: ask=5,process=3,reads=2,signals=1
    #[arg(long, default_value = "ask")]
    journeys: Journeys,

    /// Where the mix is drawn from; the same seed sends the same
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Symbols that users ask about, order and look at
    #[arg(long, value_delimiter = ',', default_value = "BTCUSDT,ETHUSDT,SOLUSDT")]
    symbols: Vec<Symbol>,

    /// Which strategy decides; the service's default when left out
    #[arg(long)]
    strategy: Option<StrategyName>,

    /// How many users have something processed, with ids from 1001 on
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: u32,

    /// Of a hundred requests to process, so many are sent twice with one Idempotency-Key and must give one order; and of a
    /// hundred alerts, so many are sent twice and must give one signal
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=100))]
    repeat_percent: u32,

    /// Users on their way at the same time; who is due beyond that waits, and the wait counts
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    max_in_flight: u32,

    /// Look for the highest rate that is held: every request answered, p99 within --p99-limit
    #[arg(long)]
    pub(super) find_highest: bool,

    /// The p99 that a held rate keeps to
    #[arg(long, default_value = "100ms", value_parser = humantime::parse_duration)]
    pub(super) p99_limit: Duration,

    /// One JSON object instead of words; --help lists its keys
    #[arg(long)]
    pub(super) json: bool,

    /// No progress on standard error
    #[arg(long, short)]
    pub(super) quiet: bool,
}

impl Args {
    /// What to send, once nothing is wrong with it.
    ///
    /// # Errors
    /// [`BadValue`] or a port variable that is none.
    pub(super) fn plan(&self) -> anyhow::Result<Plan> {
        if self.duration > LONGEST {
            return Err(bad(format!("--for: at most {} minutes", LONGEST.as_secs() / 60)));
        }
        if Schedule::arrivals(self.rate, self.duration) == 0 {
            return Err(bad(format!("--for: at {} a second nobody arrives in that time", self.rate)));
        }
        let to_gateway = self.gateway_url.is_some() || !self.journeys.only_ask();
        let target = if to_gateway {
            Target::Gateway(ports::GATEWAY.url(self.gateway_url.as_ref())?)
        } else {
            Target::Notifier(ports::NOTIFIER.url(self.url.as_ref())?)
        };
        if !self.allow_remote && !is_loopback(target.base()) {
            return Err(bad(format!(
                "{} is not on this machine: load goes to loopback addresses only, unless --allow-remote says that its \
                 owner wants it",
                shown(target.base())
            )));
        }
        // The key is the gateway's, and nobody else's business.
        let api_key = self.api_key_file.as_deref().filter(|_| to_gateway).map(api_key).transpose()?;
        if api_key.is_some() && target.base().scheme() == "http" && !is_loopback(target.base()) {
            return Err(bad("--api-key-file: a key goes to another machine over https:// only".to_owned()));
        }
        let hook = match (&self.hook_url_file, self.journeys.have_signals()) {
            (_, false) => None,
            (None, true) => {
                return Err(bad(
                    "--hook-url-file: alerts need a hook; 'crypto-telemetry hooks create NAME' makes one".to_owned()
                ));
            }
            (Some(path), true) => Some(self.hook(path)?),
        };
        Ok(Plan {
            hook,
            target,
            api_key,
            rate_per_second: self.rate,
            duration: self.duration,
            journeys: self.journeys.clone(),
            ingredients: Ingredients {
                symbols: self.symbols.clone(),
                users: self.users,
                repeat_percent: self.repeat_percent,
            },
            strategy: self.strategy,
            seed: self.seed,
            most_in_flight: self.max_in_flight,
        })
    }
}

impl Args {
    /// Where alerts are posted. Its token is never shown.
    fn hook(&self, path: &Path) -> anyhow::Result<Url> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| bad(format!("--hook-url-file: {} cannot be read: {error}", path.display())))?;
        let url = ports::http_url(text.trim())
            .map_err(|_shown_nowhere| bad(format!("--hook-url-file: {} holds no http:// URL", path.display())))?;
        if !self.allow_remote && !is_loopback(&url) {
            return Err(bad(
                "--hook-url-file: the hook is not on this machine: load goes to loopback addresses only, unless \
                 --allow-remote says that its owner wants it"
                    .to_owned(),
            ));
        }
        Ok(url)
    }
}

fn bad(sentence: String) -> anyhow::Error {
    BadValue(sentence).into()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        // RFC 6761, 6.3: the name means this machine everywhere.
        Some(Host::Domain(name)) => name.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

fn api_key(path: &Path) -> anyhow::Result<HeaderValue> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| bad(format!("--api-key-file: {} cannot be read: {error}", path.display())))?;
    let key = text.trim();
    let well_formed = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
    let value = HeaderValue::from_str(key).ok().filter(|_| well_formed);
    let mut value = value.ok_or_else(|| {
        bad(format!("--api-key-file: {} holds no key: one line of visible ASCII is expected", path.display()))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    /// The arguments of a command line.
    pub(crate) fn args(line: &[&str]) -> Args {
        Line::try_parse_from([&["load"], line].concat()).unwrap_or_else(|error| panic!("{error}")).args
    }

    fn refused(line: &[&str]) -> String {
        let error = args(line).plan().unwrap_err();
        assert!(error.is::<BadValue>(), "exit code 64: {error:#}");
        error.to_string()
    }

    #[test]
    fn asks_alone_go_to_the_notifier_and_all_else_to_the_gateway() {
        let target = |line: &[&str]| args(line).plan().unwrap().target;
        let url = |text: &str| text.parse::<Url>().unwrap();
        let notifier = ["--url", "http://127.0.0.1:9999"];
        assert_eq!(target(&notifier), Target::Notifier(url("http://127.0.0.1:9999")));
        let gateway = ["--gateway-url", "http://localhost:8888"];
        assert_eq!(target(&[notifier, gateway].concat()), Target::Gateway(url("http://localhost:8888")));
        let mixed = target(&["--url", "http://127.0.0.1:9999", "--journeys", "ask=9,reads"]);
        assert!(matches!(&mixed, Target::Gateway(url) if url.host_str() == Some("127.0.0.1")), "{mixed:?}");
    }

    #[test]
    fn strangers_get_no_load_by_accident() {
        for url in ["http://127.0.0.2:1", "http://[::1]:1", "http://[::ffff:127.0.0.1]:1", "http://LOCALHOST.:1"] {
            assert!(args(&["--url", url]).plan().is_ok(), "{url}");
        }
        for url in [
            "http://example.com",
            "http://10.0.0.1",
            "http://[::ffff:a00:1]",
            "http://[2001:db8::1]",
            "http://0.0.0.0:9000",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
        ] {
            for option in ["--url", "--gateway-url"] {
                let sentence = refused(&[option, url]);
                assert!(sentence.starts_with(url) && sentence.contains("--allow-remote"), "{sentence}");
                assert!(args(&[option, url, "--allow-remote"]).plan().is_ok());
            }
        }
        assert!(!refused(&["--url", "http://me:secret@example.com"]).contains("secret"));
    }

    #[test]
    fn times_are_bounded() {
        assert!(refused(&["--for", "601s"]).contains("at most 10 minutes"));
        assert!(refused(&["--for", "0s"]).contains("nobody arrives"));
        assert!(refused(&["--rate", "1", "--for", "900ms"]).contains("nobody arrives"));
        assert!(args(&["--for", "600s"]).plan().is_ok());
        assert!(Line::try_parse_from(["load", "--journeys", "ask=0"]).is_err());
    }

    #[test]
    fn the_key_comes_from_a_file_goes_to_the_gateway_only_and_is_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let with = |key: &str| std::fs::write(path, key).unwrap();
        let line = ["--journeys", "process", "--api-key-file", path];
        with("  s3cret\n");
        let plan = args(&line).plan().unwrap();
        assert_eq!(plan.api_key.as_ref().unwrap(), "s3cret");
        assert!(!format!("{plan:?}").contains("s3cret"));
        assert!(args(&["--api-key-file", path]).plan().unwrap().api_key.is_none(), "the notifier has no use for it");
        let remote = ["--allow-remote", "--gateway-url"];
        assert!(refused(&[&line[..], &remote, &["http://example.com"]].concat()).contains("https://"));
        assert!(args(&[&line[..], &remote, &["https://example.com"]].concat()).plan().is_ok());
        for none in ["", " \n", "s3cret two", "s3cret\ntwo", "s3crét"] {
            with(none);
            let sentence = refused(&line);
            assert!(sentence.contains("holds no key") && !sentence.contains("s3cr"), "{sentence}");
        }
        assert!(refused(&["--journeys", "reads", "--api-key-file", "/nowhere/key"]).contains("/nowhere/key"));
    }
}
