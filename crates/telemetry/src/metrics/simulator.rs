//! Metrics of the simulator group.

use super::Metric;

/// All of them.
pub static ALL: &[&dyn Metric] = &[];
