//! The tools: they print for people on purpose, and as JSON for scripts.

pub(crate) mod api_key;
pub(crate) mod ask;
pub(crate) mod chaos;
pub(crate) mod doctor;
mod holder;
pub(crate) mod hooks;
mod http;
pub(crate) mod load;
pub(crate) mod ports;
pub(crate) mod preflight;
mod problem;
mod settings_doc;
mod terminal;

use std::process::ExitCode;

/// Prints docs/METRICS.md.
pub(crate) fn metrics_doc() -> ExitCode {
    print_document("metrics-doc", telemetry::metrics::markdown().trim_end())
}

/// Prints nix/modules/settings.json, made from the command line that this binary has.
pub(crate) fn settings_doc(cli: &clap::Command) -> ExitCode {
    print_document("settings-doc", &format!("{:#}", settings_doc::document(cli)))
}

fn print_document(tool: &str, text: &str) -> ExitCode {
    match terminal::Terminal::stdout().line(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain(&format!("{tool}: standard output cannot be written: {error}"));
            ExitCode::FAILURE
        }
    }
}
