//! `crypto-telemetry chaos`: makes the simulated outside world misbehave for a while.

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use serde::de::DeserializeOwned;
use simulator::{Fault, FaultKind, FaultList, FaultRequest, FaultTarget, FaultsRemoved};
use url::Url;

use super::http::{self, CallError, Http, Reply};
use super::ports;
use super::problem::Problem;
use super::terminal::{Style, Terminal, complain, printable};
use crate::serve::BadValue;

/// The control endpoint answers at once or not at all.
const LIMIT: Duration = Duration::from_secs(5);
const SIMULATOR: &str = "simulator";

/// Make the simulated outside world misbehave for a while.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,

    /// The simulator; left out, SIMULATOR_PORT on this machine
    #[arg(long, global = true, env = "SIMULATOR_URL", value_parser = ports::http_url)]
    url: Option<Url>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// What misbehaves now
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Switch a fault on
    Inject(Inject),
    /// Switch faults off: one by its id, or all
    Clear {
        /// As inject and list tell it
        id: Option<u64>,
    },
}

#[derive(Debug, clap::Args)]
struct Inject {
    /// Who misbehaves: binance_rest, binance_ws, telegram, llm, bingx
    #[arg(value_parser = word::<FaultTarget>)]
    target: FaultTarget,

    /// How: latency, too_many_requests, server_error, malformed, drop; freeze (Binance); refusal, length, no_usage,
    /// schema_ignored (llm); accepted_then_timeout, accepted_then_drop, partial_fill, reject, insufficient_margin,
    /// clock_skew (bingx)
    #[arg(value_parser = word::<FaultKind>)]
    kind: FaultKind,

    /// For how long, such as 30s or 5m
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Duration,

    /// Share of the calls that it hits, above 0 and at most 1
    #[arg(long)]
    probability: Option<f64>,

    /// Of latency: how late, such as 500ms; a second when left out
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    latency: Option<Duration>,

    /// Of too_many_requests: what the caller is told to wait, in whole seconds, such as 5s
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    retry_after: Option<Duration>,

    /// Of server_error (500 to 599) and too_many_requests (429, 418): the HTTP status
    #[arg(long)]
    status: Option<u16>,

    /// Only calls whose path (Telegram: method; sockets: stream names) contains this
    #[arg(long)]
    method: Option<String>,
}

/// Reads one of an enum's words, `-` for `_` too. The error lists them.
fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.replace('-', "_"))).map_err(|error| error.to_string())
}

impl Inject {
    fn request(&self) -> Result<FaultRequest, BadValue> {
        let mut request = FaultRequest::new(self.target, self.kind, millis(self.duration));
        if let Some(probability) = self.probability {
            request.probability = probability;
        }
        request.latency_ms = self.latency.map(millis);
        if let Some(after) = self.retry_after {
            if after.subsec_nanos() != 0 {
                return Err(BadValue("--retry-after is in whole seconds, as the Retry-After header is".to_owned()));
            }
            request.retry_after_s = Some(after.as_secs());
        }
        request.status = self.status;
        request.method.clone_from(&self.method);
        request.checked().map_err(|error| BadValue(error.to_string()))
    }
}

/// Does it and says in a sentence what was done.
///
/// # Errors
/// When a setting cannot be used or standard output cannot be written.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::stdout();
    let simulator = ports::SIMULATOR.url(args.url.as_ref())?;
    let http = Http::new(LIMIT);
    let faults = http::join(&simulator, "/control/faults");
    let told = match &args.action {
        Action::List { json } => match read::<FaultList>(http.get(&faults).await, &simulator) {
            Ok(list) if *json => Ok(serde_json::to_string_pretty(&list)?),
            Ok(list) if list.faults.is_empty() => Ok("Nothing misbehaves.".to_owned()),
            Ok(list) => Ok(list.faults.iter().map(describe).collect::<Vec<_>>().join("\n")),
            Err(sentence) => Err(sentence),
        },
        Action::Inject(inject) => read::<Fault>(http.post(&faults, &inject.request()?).await, &simulator)
            .map(|fault| format!("{} 'crypto-telemetry chaos clear {}' ends it sooner.", describe(&fault), fault.id)),
        Action::Clear { id: Some(id) } => {
            let url = http::join(&simulator, &format!("/control/faults/{id}"));
            done(http.delete(&url).await, &simulator).map(|_| format!("Fault {id} is switched off."))
        }
        Action::Clear { id: None } => {
            read::<FaultsRemoved>(http.delete(&faults).await, &simulator).map(|removed| match removed.removed {
                0 => "No fault was switched on.".to_owned(),
                1 => "The one fault is switched off.".to_owned(),
                count => format!("All {count} faults are switched off."),
            })
        }
    };
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

fn done(reply: Result<Reply, CallError>, simulator: &Url) -> Result<Reply, String> {
    match reply {
        Ok(reply) if reply.is_success() => Ok(reply),
        Ok(reply) => Err(printable(&Problem::read(&reply, SIMULATOR).detail)),
        Err(error) => Err(format!(
            "The simulator does not answer at {}: {error}. Start the stack with 'make up' (or it alone: 'crypto-telemetry \
             simulator'), or say where it runs with --url or SIMULATOR_URL.",
            http::shown(simulator)
        )),
    }
}

fn read<T: DeserializeOwned>(reply: Result<Reply, CallError>, simulator: &Url) -> Result<T, String> {
    let reply = done(reply, simulator)?;
    reply.json().map_err(|error| format!("The simulator's answer cannot be read: {error}."))
}

/// One fault in a sentence.
fn describe(fault: &Fault) -> String {
    let request = &fault.request;
    let who = request.target.as_str();
    let status = request.status.unwrap_or_default();
    let what = match request.kind {
        FaultKind::Latency => format!("answers {} late", human(request.latency_ms.unwrap_or_default())),
        FaultKind::TooManyRequests if request.target == FaultTarget::Bingx => "refuses with code 100410".to_owned(),
        FaultKind::TooManyRequests => {
            format!("refuses with {status} and Retry-After {} s", request.retry_after_s.unwrap_or_default())
        }
        FaultKind::ServerError => format!("fails with {status}"),
        FaultKind::Malformed => "cuts its answers in half".to_owned(),
        FaultKind::Drop => "drops connections with no answer".to_owned(),
        FaultKind::Freeze => "stands still: prices do not move".to_owned(),
        FaultKind::Refusal => "refuses to decide".to_owned(),
        FaultKind::Length => "is cut off by its token limit".to_owned(),
        FaultKind::NoUsage => "leaves the usage out".to_owned(),
        FaultKind::SchemaIgnored => "talks instead of keeping to the schema".to_owned(),
        FaultKind::AcceptedThenTimeout => "takes orders and answers 504".to_owned(),
        FaultKind::AcceptedThenDrop => "takes orders and drops the connection with no answer".to_owned(),
        FaultKind::PartialFill => "fills half of a market order, and the rest when this is over".to_owned(),
        FaultKind::Reject => "takes orders and rejects them".to_owned(),
        FaultKind::InsufficientMargin => "refuses orders for want of margin".to_owned(),
        FaultKind::ClockSkew => "refuses signed calls for their timestamp".to_owned(),
    };
    let mut which = match &request.method {
        Some(method) => format!(", for calls with {:?} in them", printable(method)),
        None => String::new(),
    };
    if request.probability < 1.0 {
        which.push_str(&format!(", with probability {}", request.probability));
    }
    let hits = match fault.injected {
        0 => String::new(),
        1 => " It has hit once.".to_owned(),
        times => format!(" It has hit {times} times."),
    };
    format!("Fault {}: {who} {what}{which}, for {}.{hits}", fault.id, human(fault.remaining_ms))
}

/// Milliseconds in words, in seconds where that is exact enough.
fn human(ms: u64) -> String {
    // What is left of 6 s is 5.999 s by the time the answer is here.
    let unit_ms = match ms {
        ..1_000 => 1,
        1_000..10_000 => 100,
        _ => 1_000,
    };
    let rounded = ms.div_ceil(unit_ms) * unit_ms;
    humantime::format_duration(Duration::from_millis(rounded)).to_string()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn inject(line: &str) -> Result<Inject, String> {
        let words = ["chaos", "inject"].into_iter().chain(line.split(' '));
        match Cli::try_parse_from(words).map_err(|error| error.to_string())?.args.action {
            Action::Inject(inject) => Ok(inject),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn the_command_line_becomes_the_request() {
        let request =
            inject("binance-rest too_many_requests --for 30s --retry-after 5s --probability 0.5 --method klines")
                .unwrap()
                .request()
                .unwrap();
        assert_eq!(
            serde_json::to_value(&request).unwrap(),
            serde_json::json!({"target": "binance_rest", "kind": "too_many_requests", "duration_ms": 30_000, "probability": 0.5, "retry_after_s": 5, "status": 429, "method": "klines"})
        );
        let request = inject("llm latency --for 1m --latency 500ms").unwrap().request().unwrap();
        assert_eq!((request.duration_ms, request.latency_ms), (60_000, Some(500)));
    }

    #[test]
    fn what_cannot_be_is_told_before_anything_is_sent() {
        let unknown = inject("binance latency --for 1s").unwrap_err();
        assert!(unknown.contains("binance_rest") && unknown.contains("telegram"), "{unknown}");
        assert!(inject("llm drop").unwrap_err().contains("--for"));
        assert!(inject("llm drop --for soon").is_err());
        for bad in [
            "telegram refusal --for 1s",
            "llm drop --for 2h",
            "llm drop --for 1s --probability 2",
            "binance_rest too_many_requests --for 1s --retry-after 1500ms",
        ] {
            assert!(inject(bad).unwrap().request().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fault_is_a_sentence() {
        let fault = |json: &str| describe(&serde_json::from_str(json).unwrap());
        assert_eq!(
            fault(
                r#"{"id":3,"target":"binance_rest","kind":"too_many_requests","duration_ms":30000,"probability":0.5,"retry_after_s":5,"status":429,"method":"klines","remaining_ms":29400,"injected":2}"#
            ),
            "Fault 3: binance_rest refuses with 429 and Retry-After 5 s, for calls with \"klines\" in them, with probability 0.5, for 30s. It has hit 2 times."
        );
        assert_eq!(
            fault(
                r#"{"id":4,"target":"llm","kind":"latency","duration_ms":1000,"probability":1.0,"latency_ms":500,"remaining_ms":1000,"injected":0}"#
            ),
            "Fault 4: llm answers 500ms late, for 1s."
        );
        assert_eq!((human(5_999).as_str(), human(999).as_str(), human(9_999).as_str()), ("6s", "999ms", "10s"));
    }
}
