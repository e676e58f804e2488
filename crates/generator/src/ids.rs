//! Ids that are the same each time the same signal is made.

use chrono::{DateTime, Utc};
use domain::{DecisionId, Interval, Symbol};
use sha2::{Digest as _, Sha256};

/// A digest of parts, with their lengths: no two lists of parts are the same bytes.
pub(crate) fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

fn first_half(digest: [u8; 32]) -> DecisionId {
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    DecisionId::from_bytes(half)
}

/// The id of what was found at a candle: whoever finds it again, finds the same.
pub(crate) fn of_crossing(
    signal_type: &str,
    symbol: &Symbol,
    interval: Interval,
    (fast, slow): (u32, u32),
    opened_at: DateTime<Utc>,
) -> DecisionId {
    first_half(digest(&[
        signal_type.as_bytes(),
        symbol.as_str().as_bytes(),
        interval.as_str().as_bytes(),
        &fast.to_be_bytes(),
        &slow.to_be_bytes(),
        &opened_at.timestamp_micros().to_be_bytes(),
    ]))
}

/// The id of a signal that somebody asked for with a key.
pub(crate) fn of_key(key: &str) -> DecisionId {
    first_half(digest(&[b"idempotency-key", key.as_bytes()]))
}

/// The id of a number of a seed.
pub(crate) fn of_number(seed: u64, number: u64) -> DecisionId {
    first_half(digest(&[b"mock", &seed.to_be_bytes(), &number.to_be_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_what_makes_it_that_signal() {
        let time: DateTime<Utc> = "2022-01-01T00:00:00Z".parse().unwrap();
        let of = |kind: &str, symbol: &str, interval, windows, time| {
            of_crossing(kind, &symbol.parse().unwrap(), interval, windows, time)
        };
        let minute = Interval::OneMinute;
        let first = of("golden_cross", "BTCUSDT", minute, (9, 21), time);
        // Computed once elsewhere: ids must not change with a new version, or signals come twice.
        assert_eq!(first.as_str(), "4b5c65ef0d3e77b7521c3d4958d2ea4a");
        assert_eq!(of("golden_cross", "btcusdt", minute, (9, 21), time), first);
        for other in [
            of("death_cross", "BTCUSDT", minute, (9, 21), time),
            of("golden_cross", "ETHUSDT", minute, (9, 21), time),
            of("golden_cross", "BTCUSDT", Interval::FiveMinutes, (9, 21), time),
            of("golden_cross", "BTCUSDT", minute, (9, 22), time),
            of("golden_cross", "BTCUSDT", minute, (10, 21), time),
            of("golden_cross", "BTCUSDT", minute, (9, 21), time + chrono::TimeDelta::minutes(1)),
        ] {
            assert_ne!(other, first);
        }
    }
}
