//! `crypto-telemetry ask`: a question, its answer, and the trace of the answer.

mod answer;
mod question;
mod trace;
mod tree;

use std::process::ExitCode;
use std::time::Duration;

use domain::{AskResponse, StrategyName};
use serde::Serialize;
use trace_reader::{TraceId, TraceView};
use url::Url;

use super::http::{self, Http};
use super::ports;
use super::problem::Problem;
use super::terminal::{Style, Terminal, complain};

/// Ask what to do, and see the trace of the answer as a tree.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Symbols (BTCUSDT ETHUSDT), or a question in words ("btc and eth?"); none asks about the default symbol
    #[arg(value_name = "SYMBOL|WORD")]
    words: Vec<String>,

    /// Which strategy decides: technical, llm, random; the service's default when left out
    #[arg(long, short)]
    strategy: Option<StrategyName>,

    /// notifier-service; left out, NOTIFIER_PORT on this machine
    #[arg(long, env = "NOTIFIER_URL", value_parser = ports::http_url)]
    url: Option<Url>,

    /// Tempo, where the trace is read; left out, TEMPO_PORT on this machine
    #[arg(long, env = "TEMPO_URL", value_parser = ports::http_url)]
    tempo_url: Option<Url>,

    /// Print one JSON object: response or problem, and the trace
    #[arg(long)]
    json: bool,

    /// Do not wait for the trace
    #[arg(long)]
    no_trace: bool,

    /// Longest wait for the whole trace, in milliseconds
    #[arg(long, default_value_t = 5_000)]
    wait_ms: u64,

    /// Longest wait for the answer, in milliseconds
    #[arg(long, default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(1..))]
    timeout_ms: u64,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Output<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'a AskResponse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a Problem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<TraceView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_complete: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_note: Option<String>,
}

/// Asks and prints; failure when there is no answer.
///
/// # Errors
/// When a setting cannot be used or standard output cannot be written.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::stdout();
    let notifier = ports::NOTIFIER.url(args.url.as_ref())?;
    let tempo = ports::TEMPO.url(args.tempo_url.as_ref())?;
    let request = question::request(&args.words, args.strategy);
    let asked =
        Http::new(Duration::from_millis(args.timeout_ms)).post(&http::join(&notifier, "/v1/ask"), &request).await;
    let reply = match asked {
        Ok(reply) => reply,
        Err(error) => {
            let sentence = format!("notifier-service does not answer at {}: {error}.", http::shown(&notifier));
            complain(&format!(
                "{sentence}\nStart the stack with 'make up' (or the service alone: 'crypto-telemetry notifier-service'), or say \
                 where it runs with --url or NOTIFIER_URL."
            ));
            if args.json {
                terminal.line(&serde_json::to_string_pretty(&serde_json::json!({ "error": sentence }))?)?;
            }
            return Ok(ExitCode::FAILURE);
        }
    };

    let outcome = if reply.is_success() {
        reply.json::<AskResponse>().map_err(|error| Problem {
            status: reply.status,
            code: "malformed_answer".to_owned(),
            detail: format!("The answer of notifier-service cannot be read: {error}."),
            upstream: Some("notifier-service".to_owned()),
            trace_id: None,
        })
    } else {
        Err(Problem::read(&reply, "notifier-service"))
    };
    let (text, trace_id) = match &outcome {
        Ok(response) => (answer::tell(response, terminal), response.trace_id.clone()),
        Err(problem) => (problem.tell(terminal, "notifier-service"), problem.trace_id.clone()),
    };
    if !args.json {
        terminal.line(&text)?;
    }

    let trace_id: Option<TraceId> = trace_id.filter(|_| !args.no_trace).and_then(|id| id.parse().ok());
    let waited = match &trace_id {
        Some(id) => Some(trace::wait(&tempo, id, Duration::from_millis(args.wait_ms)).await),
        None => None,
    };
    if args.json {
        let output = Output {
            response: outcome.as_ref().ok(),
            problem: outcome.as_ref().err(),
            trace_complete: waited.as_ref().map(|waited| waited.complete),
            trace_note: waited.as_ref().and_then(|waited| waited.note.clone()),
            trace: waited.and_then(|waited| waited.trace),
        };
        terminal.line(&serde_json::to_string_pretty(&output)?)?;
    } else if let Some(waited) = waited {
        if let Some(view) = &waited.trace {
            terminal.line(&tree::draw(view, terminal))?;
        }
        if let Some(note) = &waited.note {
            terminal.line(&terminal.paint(Style::Warn, note))?;
        }
    }
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
