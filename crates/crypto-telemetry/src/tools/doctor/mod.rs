//! `crypto-telemetry doctor` (spec B6): the health of every component, then one probe trace, log and metric through every
//! hop, and the name of the hop that loses it.

mod components;
mod diagnosis;
#[cfg(test)]
mod diagnosis_tests;
mod follow;
mod hop;
mod parse;
#[cfg(test)]
mod parse_tests;
mod probe;
mod report;
mod settings;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use diagnosis::{MetricAddresses, Store};
use follow::Follower;
use hop::Hop;
use probe::Probe;
pub(crate) use settings::Args;

use super::http::shown;
use super::terminal::{Style, Terminal};

/// Checks everything and prints it as it becomes known; success only when all is well.
///
/// # Errors
/// When a setting cannot be used or standard output cannot be written.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let stack = args.stack()?;
    let terminal = Terminal::stdout();
    let started = Instant::now();
    let told = |text: String| if args.json { Ok(()) } else { terminal.line(&text) };

    let components = components::check(&args, &stack).await;
    told(report::components(&components, terminal))?;

    let probe = Probe::new();
    let follower = Follower::new(
        &stack,
        &probe,
        Duration::from_millis(args.timeout_ms),
        Duration::from_millis(args.prometheus_wait_ms),
    );
    let (otlp, own, offered, prometheus) = (
        shown(&stack.otlp_http),
        shown(&stack.collector_self),
        shown(&stack.collector_metrics),
        shown(&stack.prometheus),
    );
    let (tempo, loki) = (shown(&stack.tempo), shown(&stack.loki));

    let traces = async {
        let store =
            Store { name: "Tempo", process: "tempo", url: &tempo, receives_on: "TEMPO_OTLP_PORT", item: "span" };
        let hops = diagnosis::stored("traces", &follower.traces().await, store, &otlp, &own);
        told(report::hops("\nTraces", &hops, terminal)).map(|()| hops)
    };
    let logs = async {
        let store = Store { name: "Loki", process: "loki", url: &loki, receives_on: "LOKI_PORT", item: "log record" };
        let hops = diagnosis::stored("logs", &follower.logs().await, store, &otlp, &own);
        told(report::hops("\nLogs", &hops, terminal)).map(|()| hops)
    };
    let metrics = async {
        let seen = follower
            .metrics(|| {
                told(terminal.paint(Style::Dim, "\nThe metric waits for Prometheus, which scrapes every 15 s …"))
            })
            .await?;
        let addresses =
            MetricAddresses { otlp: &otlp, collector_self: &own, offered_at: &offered, prometheus: &prometheus };
        let hops = diagnosis::measured(&seen, &addresses);
        told(report::hops("\nMetrics", &hops, terminal)).map(|()| hops)
    };
    let (of_traces, of_logs, of_metrics) = tokio::join!(traces, logs, metrics);
    let hops: Vec<Hop> = [of_traces?, of_logs?, of_metrics?].concat();

    let problems = report::problems(&components, &hops, &args.data_dir);
    let took_ms = hop::in_ms(started.elapsed());
    if args.json {
        let report = report::Report {
            ok: problems.is_empty(),
            probe_id: &probe.id,
            trace_id: &probe.trace_id,
            took_ms,
            components: &components,
            hops: &hops,
            problems: &problems,
        };
        terminal.line(&serde_json::to_string_pretty(&report)?)?;
    } else {
        terminal.line(&format!("\n{}", report::verdict(&problems, took_ms, &probe.trace_id, terminal)))?;
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
