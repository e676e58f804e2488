//! The shared cache: a Redis or Valkey, where there is one.

use super::{Counter, Gauge, Histogram, Metric, Spec};

/// From a command on this machine to the longest that one may be given.
const COMMAND_BUCKETS_SECONDS: &[f64] =
    &[0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// How long commands take.
///
/// `command` is `get`, `mget` or `set`.
pub static COMMAND_DURATION: Histogram = Histogram::with_buckets(
    Spec {
        name: "redis_command_duration_seconds",
        unit: "s",
        labels: &["command"],
        help: "Time of a command to the shared cache (Redis or Valkey), whether it succeeded or not; none is sent while \
               the cache is known to be away.",
    },
    COMMAND_BUCKETS_SECONDS,
);

/// Commands that failed.
pub static COMMANDS_FAILED: Counter = Counter::new(Spec {
    name: "redis_commands_failed_total",
    unit: "{command}",
    labels: &["command"],
    help: "Commands that the shared cache did not answer in time, or refused; whoever asked does without it.",
});

/// What looking into the cache came to.
///
/// `outcome` is `hit`, `miss`, `unreadable` (something else stands there), `failed` or `away` (it was not asked).
pub static LOOKUPS: Counter = Counter::new(Spec {
    name: "cache_lookups_total",
    unit: "{lookup}",
    labels: &["cache", "outcome"],
    help: "Looks into the shared cache, by what was looked for and how it went: hit, miss, unreadable, failed, or away \
           (not asked, being known to be away).",
});

/// Whether it is there.
pub static CONNECTED: Gauge = Gauge::new(Spec {
    name: "redis_connected",
    unit: "{connection}",
    labels: &[],
    help: "1 while the shared cache can be used, else 0; absent where no service is given one.",
});

/// Every metric of this group.
pub static ALL: &[&dyn Metric] = &[&COMMAND_DURATION, &COMMANDS_FAILED, &LOOKUPS, &CONNECTED];
