//! Metrics of the decision group.

use super::Metric;

/// All of them.
pub static ALL: &[&dyn Metric] = &[];
