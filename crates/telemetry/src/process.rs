//! What the process uses, read from the kernel when metrics are collected.

use opentelemetry::metrics::Meter;

use crate::metrics::{Metric as _, process};

/// Kernel clock ticks a second in /proc/self/stat: USER_HZ, 100 on every Linux architecture that is supported.
const TICKS_PER_SECOND: f64 = 100.0;

/// Registers the process metrics. Where there is no /proc (macOS) CPU and memory are not reported.
pub(crate) fn observe(meter: &Meter) {
    let cpu = process::CPU.spec();
    let _cpu = meter
        .f64_observable_counter(cpu.otel_name(process::CPU.kind()))
        .with_unit(cpu.unit)
        .with_description(cpu.help)
        .with_callback(|observer| {
            if let Some(seconds) = cpu_seconds() {
                observer.observe(seconds, &[]);
            }
        })
        .build();
    let memory = process::RESIDENT_MEMORY.spec();
    let _memory = meter
        .u64_observable_gauge(memory.otel_name(process::RESIDENT_MEMORY.kind()))
        .with_unit(memory.unit)
        .with_description(memory.help)
        .with_callback(|observer| {
            if let Some(bytes) = resident_bytes() {
                observer.observe(bytes, &[]);
            }
        })
        .build();
    let start = process::START_TIME.spec();
    let started = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |since_epoch| since_epoch.as_secs_f64());
    let _start = meter
        .f64_observable_gauge(start.otel_name(process::START_TIME.kind()))
        .with_unit(start.unit)
        .with_description(start.help)
        .with_callback(move |observer| observer.observe(started, &[]))
        .build();
}

fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses and may hold anything: count from behind it.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / TICKS_PER_SECOND)
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernel() {
        assert!(cpu_seconds().unwrap() >= 0.0);
        assert!(resident_bytes().unwrap() > 100 * 1024);
    }
}
