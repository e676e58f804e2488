//! The tools: they print for people on purpose, and as JSON for scripts.

pub(crate) mod api_key;
pub(crate) mod ask;
pub(crate) mod chaos;
pub(crate) mod doctor;
mod holder;
mod http;
pub(crate) mod load;
pub(crate) mod ports;
pub(crate) mod preflight;
mod problem;
mod terminal;

use std::process::ExitCode;

/// Prints docs/METRICS.md.
pub(crate) fn metrics_doc() -> ExitCode {
    match terminal::Terminal::stdout().line(telemetry::metrics::markdown().trim_end()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain(&format!("metrics-doc: standard output cannot be written: {error}"));
            ExitCode::FAILURE
        }
    }
}
