//! Running a service: telemetry up, service up, wait for a signal, service down, telemetry down.

use std::future::Future;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use web::{RunningServer, ServerSettings};

use crate::BAD_SETTING;
use crate::cli::ServiceArgs;
use crate::tools::ports::{self, PortError, PortSetting};

/// Why a service did not start.
pub(crate) trait Refusal: std::error::Error {
    /// Whether a setting is to blame, which whoever starts it can mend.
    fn is_setting(&self) -> bool;
}

impl Refusal for web::StartError {
    fn is_setting(&self) -> bool {
        matches!(self, Self::Setting { .. })
    }
}

impl Refusal for simulator::StartError {
    fn is_setting(&self) -> bool {
        match self {
            // A folder that cannot be used, or a file in it: whoever starts it can mend either.
            Self::SecretFile { .. } | Self::BotToken | Self::Journal(_) => true,
            Self::Server(error) => error.is_setting(),
            Self::Recording(_) => false,
        }
    }
}

/// Runs one service until SIGTERM or SIGINT.
///
/// Its port is PORT's or, where that says nothing, that of its own variable, which the tools read too.
pub(crate) fn service<C, F, E>(
    port: &PortSetting,
    args: ServiceArgs<C>,
    server: impl FnOnce(&mut C) -> &mut ServerSettings,
    start: impl FnOnce(C) -> F,
) -> ExitCode
where
    C: clap::Args,
    F: Future<Output = Result<RunningServer, E>>,
    E: Refusal,
{
    let name = port.component;
    let ServiceArgs { mut config, telemetry } = args;
    let server = server(&mut config);
    if server.port.is_none() {
        match port.read(ports::environment) {
            Ok(port) => server.port = Some(port),
            Err(error) => return refuse(name, &error, BAD_SETTING),
        }
    }
    let telemetry = match telemetry::init(name, &telemetry) {
        Ok(telemetry) => telemetry,
        Err(error) => return refuse(name, &error, BAD_SETTING),
    };
    log_panics();
    let code = actix_web::rt::System::new().block_on(async move {
        let stop = match stop_signal() {
            Ok(stop) => stop,
            Err(error) => return refuse(name, &error, 1),
        };
        match start(config).await {
            Ok(server) => {
                server.run_until(stop).await;
                ExitCode::SUCCESS
            }
            Err(error) => refuse(name, &error, if error.is_setting() { BAD_SETTING } else { 1 }),
        }
    });
    telemetry.shutdown();
    code
}

/// A value that a tool cannot use, in a sentence; its exit code tells a mistake in the command from a failure.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadValue(pub(crate) String);

/// Runs a tool; its errors are printed with their causes.
pub(crate) fn tool(run: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    // TLS needs a provider before the first https:// address; a second installation is not an error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match actix_web::rt::System::new().block_on(run) {
        Ok(code) => code,
        Err(error) => {
            let usage = error.is::<BadValue>() || error.is::<PortError>();
            refuse("crypto-telemetry", &format!("{error:#}"), if usage { BAD_SETTING } else { 1 })
        }
    }
}

#[expect(clippy::print_stderr, reason = "whoever started it reads this, with or without telemetry")]
fn refuse(name: &str, error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("{name}: {error}");
    ExitCode::from(code)
}

/// Ready at the first SIGTERM or SIGINT; a second one, from somebody who will not wait, ends the process at once.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("stopping");
        actix_web::rt::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            std::process::exit(130);
        });
    })
}

/// A panic is a defect: it belongs in the logs with its place, not only on standard error.
fn log_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panic: {}", panic.payload_as_str().unwrap_or("no message"));
        before(panic);
    }));
}
