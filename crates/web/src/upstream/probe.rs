//! Whether another of our services is alive, for readiness.

use std::time::Duration;

use tracing::instrument::WithSubscriber;

use super::{BreakerSettings, Upstream, UpstreamSettings};

/// Asks whether a service is alive, beside the real calls: a probe that fails must not keep those from being made, and
/// neither are its many calls theirs in the metrics.
#[derive(Debug, Clone)]
pub struct Probe {
    real: Upstream,
    probe: Upstream,
}

impl Probe {
    /// A probe of the service that `real` calls; `name` is the probe's own in metrics.
    #[must_use]
    pub fn new(name: &'static str, real: &Upstream) -> Self {
        let limit = Duration::from_millis(1_500);
        let probe = Upstream::new(UpstreamSettings {
            attempt_timeout: limit,
            total_timeout: limit,
            max_attempts: 1,
            // Each probe has to find out for itself.
            breaker: BreakerSettings { failures: u32::MAX, ..BreakerSettings::default() },
            ..UpstreamSettings::new(name, real.base_url().clone()).internal()
        });
        Self { real: real.clone(), probe }
    }

    /// Whether the service answers, and calls to it go out.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub async fn alive(&self) -> Result<(), String> {
        let (service, address) = (self.real.name(), self.real.base_url());
        // Probes come every second: each would be a trace of its own.
        let silent = tracing::subscriber::NoSubscriber::default();
        if let Err(error) = self.probe.get("/health/live").send().with_subscriber(silent).await {
            return Err(format!("{service} at {address}: {}", error.kind));
        }
        // Alive, and nobody gets through to it: whoever asks whether we are ready wants to know that.
        match self.real.held_back() {
            None => Ok(()),
            Some(rest) => Err(format!(
                "{service} at {address} is alive, but calls to it are held back for another {} ms after repeated failures",
                rest.as_millis()
            )),
        }
    }
}
