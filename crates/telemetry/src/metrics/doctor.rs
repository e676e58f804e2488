//! What `crypto-telemetry doctor` sends.

use super::instrument::{Kind, Metric, Observed, Spec};

/// Name of [`PROBE_SENT`] as Prometheus shows it.
pub const PROBE_SENT_NAME: &str = "doctor_probe_sent_timestamp_seconds";

/// The probe: its value tells one probe from another, so that there is one series in all.
pub static PROBE_SENT: Observed = Observed::new(
    Spec {
        name: PROBE_SENT_NAME,
        unit: "s",
        labels: &[],
        help: "When doctor sent its last probe, in seconds since 1970",
    },
    Kind::Gauge,
);

/// All of them.
pub static ALL: &[&dyn Metric] = &[&PROBE_SENT];
