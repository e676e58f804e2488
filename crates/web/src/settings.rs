//! Where and how a service listens.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use clap::Args;

/// Settings of a service's HTTP server.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "HTTP server")]
pub struct ServerSettings {
    /// Address to listen on
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    pub host: IpAddr,

    /// Port to listen on, 0 for a free one; left out, the service's own variable (such as MARKET_DATA_PORT), or its usual
    /// port
    #[arg(long, env = "PORT")]
    pub port: Option<u16>,

    /// Worker threads; as many as there are cores when left out
    #[arg(long, env = "HTTP_WORKERS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,

    /// Longest a request may take, in milliseconds, before it is answered with 504
    #[arg(long, env = "HTTP_REQUEST_TIMEOUT_MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub request_timeout_ms: u64,

    /// Largest request body, in bytes
    #[arg(long, env = "HTTP_MAX_BODY_BYTES", default_value_t = 1024 * 1024)]
    pub max_body_bytes: usize,

    /// Longest a client may take to send a request's body, in milliseconds, before it is answered with 408
    #[arg(long, env = "HTTP_BODY_TIMEOUT_MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub body_timeout_ms: u64,

    /// Requests worked on at the same time; further ones are answered with 503 at once
    #[arg(long, env = "HTTP_MAX_IN_FLIGHT", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_in_flight: u32,

    /// Longest that running requests and tasks may still take after SIGTERM, in milliseconds
    #[arg(long, env = "SHUTDOWN_GRACE_MS", default_value_t = 5_000)]
    pub shutdown_grace_ms: u64,
}

impl ServerSettings {
    /// 127.0.0.1 on a free port, with one worker: for tests.
    #[must_use]
    pub fn ephemeral() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: Some(0),
            workers: Some(1),
            request_timeout_ms: 30_000,
            max_body_bytes: 1024 * 1024,
            body_timeout_ms: 5_000,
            max_in_flight: 256,
            shutdown_grace_ms: 2_000,
        }
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(crate) fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    pub(crate) fn shutdown_grace(&self) -> Duration {
        Duration::from_millis(self.shutdown_grace_ms)
    }
}
