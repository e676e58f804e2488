//! `crypto-telemetry hooks`: addresses for TradingView's alerts, each with a token of its own that can be revoked.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Subcommand;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::http::{self, CallError, Http, Reply};
use super::ports;
use super::problem::Problem;
use super::terminal::{Style, Terminal, complain, printable};
use crate::serve::BadValue;

/// signal-service answers at once or not at all.
const LIMIT: Duration = Duration::from_secs(10);

/// Make, list and revoke the addresses that TradingView sends alerts to.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,

    /// signal-service; left out, SIGNAL_PORT on this machine
    #[arg(long, global = true, env = "SIGNAL_URL", value_parser = ports::http_url)]
    url: Option<Url>,

    /// Address under which TradingView reaches signal-service; left out, the service's own
    #[arg(long, global = true, env = "SIGNAL_PUBLIC_URL", value_parser = ports::http_url)]
    public_url: Option<Url>,

    /// Key of a signal-service on another machine, as its SIGNAL_ADMIN_KEY has it. Better given as a file
    #[arg(long, global = true, env = "SIGNAL_ADMIN_KEY", hide_env_values = true)]
    admin_key: Option<SecretString>,

    /// File that holds that key; it wins over the key itself
    #[arg(long, global = true, env = "SIGNAL_ADMIN_KEY_FILE")]
    admin_key_file: Option<PathBuf>,

    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a hook, and print what to paste into TradingView; its token is shown this once
    Create {
        /// What it is called: 1 to 40 letters, digits, '-', '_' and '.'; signals and spans name it
        name: String,
    },
    /// List the hooks; their tokens nobody can show
    List,
    /// Revoke a hook: its address takes no more alerts from this moment on
    Revoke {
        /// Its id, as create and list tell it
        id: String,
    },
}

#[derive(Debug, Deserialize)]
struct Created {
    id: String,
    name: String,
    path: String,
    created_at: DateTime<Utc>,
}

/// What `create --json` prints.
#[derive(Debug, Serialize)]
struct Made<'a> {
    id: &'a str,
    name: &'a str,
    url: &'a str,
    created_at: DateTime<Utc>,
    strategy_message: &'static str,
    indicator_message: &'static str,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Hook {
    id: String,
    name: String,
    created_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
    signals: u64,
}

#[derive(Debug, Deserialize)]
struct HookPage {
    items: Vec<Hook>,
    next_cursor: Option<String>,
}

/// Does it and prints what was done.
///
/// # Errors
/// When a setting cannot be used or standard output cannot be written.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let service = ports::SIGNAL.url(args.url.as_ref())?;
    let key = admin_key(args.admin_key.as_ref(), args.admin_key_file.as_ref())?;
    let http = Http::with_api_key(LIMIT, key.as_ref());
    let told = match &args.action {
        Action::Create { name } => {
            let reply = http.post(&http::join(&service, "/v1/hooks"), &serde_json::json!({ "name": name })).await;
            match read::<Created>(reply, &service) {
                Ok(created) => Ok(made(&created, args.public_url.as_ref().unwrap_or(&service), args.json)?),
                Err(sentence) => Err(sentence),
            }
        }
        Action::List => match list(&http, &service).await {
            Ok(hooks) if args.json => Ok(serde_json::to_string_pretty(&hooks)?),
            Ok(hooks) if hooks.is_empty() => {
                Ok("There is no hook. 'crypto-telemetry hooks create NAME' makes one.".to_owned())
            }
            Ok(hooks) => Ok(hooks.iter().map(line).collect::<Vec<_>>().join("\n")),
            Err(sentence) => Err(sentence),
        },
        Action::Revoke { id } => {
            // Anything else would be another path.
            if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(BadValue(format!(
                    "{id:?}: a hook's id has 32 hex digits; 'crypto-telemetry hooks list' shows it"
                ))
                .into());
            }
            done(http.delete(&http::join(&service, &format!("/v1/hooks/{id}"))).await, &service).map(|_| {
                match args.json {
                    true => serde_json::json!({ "id": id, "revoked": true }).to_string(),
                    false => format!("Hook {id} is revoked: its address takes no more alerts."),
                }
            })
        }
    };
    let terminal = Terminal::stdout();
    match told {
        Ok(text) => {
            terminal.line(&text)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(sentence) => {
            complain(&format!("{} {sentence}", terminal.paint(Style::Bad, "✘")));
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The key from its file, or else from its variable; an empty variable is none.
fn admin_key(value: Option<&SecretString>, file: Option<&PathBuf>) -> Result<Option<SecretString>, BadValue> {
    let Some(file) = file else { return Ok(value.filter(|key| !key.expose_secret().is_empty()).cloned()) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| BadValue(format!("SIGNAL_ADMIN_KEY_FILE: {} cannot be read: {error}", file.display())))?;
    Ok(Some(SecretString::from(text.trim())))
}

async fn list(http: &Http, service: &Url) -> Result<Vec<Hook>, String> {
    let (mut hooks, mut cursor) = (Vec::new(), None);
    loop {
        let mut query = vec![("limit", "200")];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page: HookPage = read(http.get(&http::join_query(service, "/v1/hooks", &query)).await, service)?;
        hooks.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(hooks),
        }
    }
}

/// What to paste into TradingView.
fn made(created: &Created, public: &Url, json: bool) -> Result<String, serde_json::Error> {
    let url = http::join(public, &created.path).to_string();
    let (strategy_message, indicator_message) = (signal::strategy_message(), signal::indicator_message());
    if json {
        let made = Made {
            id: &created.id,
            name: &created.name,
            url: &url,
            created_at: created.created_at,
            strategy_message,
            indicator_message,
        };
        return serde_json::to_string_pretty(&made);
    }
    let near = match public.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_private(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let reach = if near {
        "\n\nTradingView cannot reach this machine under that address: say under which it does with --public-url or \
         SIGNAL_PUBLIC_URL. It calls ports 80 and 443 only."
    } else {
        ""
    };
    Ok(format!(
        "Hook {} is made, with id {}. Its address for the alert's 'Webhook URL', shown this once and kept nowhere:\n\n  \
         {url}{reach}\n\nMessage for the alert of a strategy; without \"contracts\" the usual size is traded:\n\n\
         {strategy_message}\n\nMessage for any other alert; write buy, sell or close as its action:\n\n{indicator_message}",
        printable(&created.name),
        printable(&created.id),
    ))
}

/// One hook in a line.
fn line(hook: &Hook) -> String {
    let used = match hook.last_used_at {
        Some(time) => format!("{} signals, the last at {}", hook.signals, time.format("%Y-%m-%d %H:%M:%SZ")),
        None => "never used".to_owned(),
    };
    let state = match hook.revoked_at {
        Some(time) => format!("revoked at {}", time.format("%Y-%m-%d %H:%M:%SZ")),
        None => "live".to_owned(),
    };
    let made = hook.created_at.format("%Y-%m-%d %H:%M:%SZ");
    format!("{}  {}  {state}, made at {made}, {used}", printable(&hook.id), printable(&hook.name))
}

fn done(reply: Result<Reply, CallError>, service: &Url) -> Result<Reply, String> {
    match reply {
        Ok(reply) if reply.is_success() => Ok(reply),
        Ok(reply) => Err(printable(&Problem::read(&reply, signal::NAME).detail)),
        Err(error) => Err(format!(
            "signal-service does not answer at {}: {error}. Start the stack with 'make up', or say where it runs with --url \
             or SIGNAL_URL.",
            http::shown(service)
        )),
    }
}

fn read<T: DeserializeOwned>(reply: Result<Reply, CallError>, service: &Url) -> Result<T, String> {
    let reply = done(reply, service)?;
    reply.json().map_err(|error| format!("signal-service's answer cannot be read: {error}."))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use web::testing::{fake, ready, url};

    use super::*;

    fn created() -> Created {
        serde_json::from_value(
            json!({"id": "0f", "name": "breakout", "token": "tv_t", "path": "/webhooks/tradingview/tv_t",
            "created_at": "2026-01-31T12:00:00Z"}),
        )
        .unwrap()
    }

    #[test]
    fn what_is_pasted_is_told() {
        let text = made(&created(), &"https://signals.example.org/in/".parse().unwrap(), false).unwrap();
        assert_eq!(text.matches("https://signals.example.org/in/webhooks/tradingview/tv_t").count(), 1, "{text}");
        assert!(text.contains("{{strategy.order.action}}") && !text.contains("SIGNAL_PUBLIC_URL"), "{text}");
        for near in ["http://127.0.0.1:8000", "http://localhost:8000", "http://192.168.1.2", "http://[::1]:8000"] {
            let text = made(&created(), &near.parse().unwrap(), false).unwrap();
            assert!(text.contains("SIGNAL_PUBLIC_URL"), "{near}: {text}");
        }
        let json: Value =
            serde_json::from_str(&made(&created(), &"http://127.0.0.1:8000".parse().unwrap(), true).unwrap()).unwrap();
        assert_eq!(json["url"], "http://127.0.0.1:8000/webhooks/tradingview/tv_t");
        assert!(serde_json::from_str::<Value>(json["strategy_message"].as_str().unwrap()).is_ok());
    }

    /// The tool against the service itself.
    #[actix_web::test]
    async fn a_hook_is_made_listed_and_revoked() {
        let database = storage::testing::TestDatabase::sqlite();
        let orders = fake(|_, _| async { actix_web::HttpResponse::Ok().finish() });
        let mut config = signal::Config::ephemeral(database.settings(), bus::BusSettings::at(database.url()), orders);
        let key = SecretString::from("a-key-for-this-test");
        config.access.admin_key = Some(key.clone());
        let server = signal::start(config).await.unwrap();
        ready(&server).await;
        let service: Url = url(&server, "/").parse().unwrap();
        let http = Http::with_api_key(LIMIT, Some(&key));
        let body = json!({"name": "one"});
        let created: Created = read(http.post(&http::join(&service, "/v1/hooks"), &body).await, &service).unwrap();
        assert!(created.path.starts_with("/webhooks/tradingview/tv_"), "{}", created.path);
        let taken = read::<Created>(http.post(&http::join(&service, "/v1/hooks"), &body).await, &service).unwrap_err();
        assert!(taken.contains("name"), "{taken}");
        let hooks = list(&http, &service).await.unwrap();
        assert!(hooks.len() == 1 && line(&hooks[0]).contains("one  live, ") && line(&hooks[0]).contains("never used"));
        let revoke = |id: &str| Args {
            action: Action::Revoke { id: id.to_owned() },
            url: Some(service.clone()),
            public_url: None,
            admin_key: Some(key.clone()),
            admin_key_file: None,
            json: false,
        };
        assert_eq!(run(revoke(&created.id)).await.unwrap(), ExitCode::SUCCESS);
        assert!(line(&list(&http, &service).await.unwrap()[0]).contains("revoked at "));
        assert_eq!(run(revoke(&"0".repeat(32))).await.unwrap(), ExitCode::FAILURE);
        assert!(run(revoke("../signals")).await.unwrap_err().is::<BadValue>());
        server.stop().await;
        let gone = list(&http, &service).await.unwrap_err();
        assert!(gone.contains("SIGNAL_URL"), "{gone}");
    }
}
