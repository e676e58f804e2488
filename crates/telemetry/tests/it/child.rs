//! The child's side of a scenario, and starting it.

use std::collections::HashMap;
use std::process::{Command, Stdio};

use clap::Parser;
use opentelemetry::propagation::{Extractor, Injector};
use serde::{Deserialize, Serialize};
use telemetry::TelemetrySettings;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// What a child saw.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) trace_id: Option<String>,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) metrics: Option<String>,
    pub(crate) span_disabled: bool,
    /// Everything else the child printed.
    #[serde(default)]
    pub(crate) output: String,
}

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    telemetry: TelemetrySettings,
}

const SCENARIO: &str = "TELEMETRY_TEST_SCENARIO";
const MARK: &str = "REPORT ";

/// Plays a scenario in a child process with these variables and no others that concern telemetry.
pub(crate) fn play(scenario: &str, variables: &[(&str, &str)]) -> Report {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child::scenario", "--nocapture", "--test-threads=1"]);
    for (name, _) in std::env::vars() {
        if name.starts_with("OTEL_") || name.starts_with("TELEMETRY_") {
            command.env_remove(name);
        }
    }
    command.env(SCENARIO, scenario).env_remove("METRICS_ENABLED");
    command.envs(variables.iter().copied()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    // The test runner may have begun the line.
    let line =
        text.lines().find_map(|line| line.split_once(MARK)).unwrap_or_else(|| unreachable!("no report in {text}")).1;
    let mut report: Report = serde_json::from_str(line).unwrap();
    report.output = text.lines().filter(|line| !line.contains(MARK)).collect::<Vec<_>>().join("\n");
    report
}

/// In the parent this does nothing; in a child it is the scenario.
#[test]
fn scenario() {
    let Ok(scenario) = std::env::var(SCENARIO) else { return };
    let settings = Settings::try_parse_from(["child"]).unwrap().telemetry;
    let telemetry = telemetry::init("child", &settings).unwrap();
    let mut report = Report::default();
    match scenario.as_str() {
        "off" | "work" => {
            let span = tracing::info_span!("work");
            report.span_disabled = span.is_disabled();
            span.in_scope(|| {
                tracing::info!(answer = 42, "at work");
                report.trace_id = telemetry::trace_id();
                telemetry::propagation::inject(&tracing::Span::current().context(), &mut Map(&mut report.headers));
            });
            telemetry::metrics::http::SERVER_ACTIVE_REQUESTS.add(1, &[("method", "GET"), ("route", "/")]);
        }
        "sampling" => {
            tracing::info_span!("root").in_scope(|| tracing::debug!("dropped"));
            let mut headers = HashMap::new();
            headers
                .insert("traceparent".to_owned(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
            let child = tracing::info_span!("child", otel.name = "child of a sampled parent");
            child.set_parent(telemetry::propagation::extract(&Map(&mut headers))).unwrap();
            child.in_scope(|| report.trace_id = telemetry::trace_id());
        }
        "flood" => {
            for _ in 0..5_000 {
                drop(tracing::info_span!("flood").entered());
            }
            // The batch thread takes a while to see its first failure; the count is what is waited for.
            if settings.telemetry_batch_delay_ms.is_some() {
                while !telemetry::metrics::render().unwrap().contains("export_failed") {
                    std::thread::yield_now();
                }
            }
        }
        "exit" => {
            tracing::info!("first");
            tracing::warn!("second");
            println!("{MARK}{}", serde_json::to_string(&report).unwrap());
            // Nothing is shut down.
            std::process::exit(0);
        }
        other => unreachable!("no scenario {other}"),
    }
    report.metrics = telemetry::metrics::render();
    telemetry.shutdown();
    println!("{MARK}{}", serde_json::to_string(&report).unwrap());
}

struct Map<'a>(&'a mut HashMap<String, String>);

impl Injector for Map<'_> {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(key.to_owned(), value);
    }
}

impl Extractor for Map<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}
