//! Limits of outgoing calls.

use std::time::Duration;

use url::Url;

/// When to stop calling somebody who keeps failing.
#[derive(Debug, Clone, Copy)]
pub struct BreakerSettings {
    /// Failures in a row that open the circuit.
    pub failures: u32,
    /// How long it stays open before one trial call.
    pub open_for: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { failures: 10, open_for: Duration::from_secs(2) }
    }
}

/// Where an API is and how patiently it is called.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// Bounded name, for errors, metrics and spans.
    pub name: &'static str,
    /// Base URL; a path in it stays in front of every call's.
    pub base_url: Url,
    /// Longest one attempt may take.
    pub attempt_timeout: Duration,
    /// Longest the call may take with all its attempts and waits.
    pub total_timeout: Duration,
    /// Attempts, the first one included.
    pub max_attempts: u32,
    /// Largest answer that is read.
    pub max_response_bytes: usize,
    /// When to stop calling.
    pub breaker: BreakerSettings,
    /// Whether it is a service of this system. Only such a one is believed who failed behind it, and only it is told
    /// the baggage of a request; an outside system gets the trace's ids and no more.
    pub internal: bool,
}

impl UpstreamSettings {
    /// 2 s an attempt, 5 s in all, 3 attempts, 4 MiB; an outside system.
    #[must_use]
    pub fn new(name: &'static str, base_url: Url) -> Self {
        Self {
            name,
            base_url,
            attempt_timeout: Duration::from_secs(2),
            total_timeout: Duration::from_secs(5),
            max_attempts: 3,
            max_response_bytes: 4 * 1024 * 1024,
            breaker: BreakerSettings::default(),
            internal: false,
        }
    }

    /// The same for a service of this system: see [`UpstreamSettings::internal`].
    #[must_use]
    pub fn internal(self) -> Self {
        Self { internal: true, ..self }
    }
}
