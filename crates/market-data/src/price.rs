//! The newest price of a symbol, and whether it may still be told.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{PriceQuote, PriceSource, Symbol};
use rust_decimal::Decimal;

/// A statement further ahead of the exchange's own clock than this is a fault, not a price: taken for true it would be
/// the newest for ever.
const FUTURE_TOLERANCE: TimeDelta = TimeDelta::seconds(2);

/// What the exchange said last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatedPrice {
    /// Last traded price, in the quote currency.
    pub(crate) price: Decimal,
    /// The exchange's time.
    pub(crate) observed_at: DateTime<Utc>,
    /// How it came.
    pub(crate) source: PriceSource,
}

/// Why there is no price to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoPrice {
    /// None came yet.
    Never,
    /// The newest is too old.
    Stale {
        /// How old.
        age: Duration,
        /// How old it may be.
        limit: Duration,
    },
}

impl StatedPrice {
    /// Age when the exchange's clock shows `exchange_now`; never negative: what was measured of that clock is not exact.
    pub(crate) fn age(&self, exchange_now: DateTime<Utc>) -> Duration {
        (exchange_now - self.observed_at).to_std().unwrap_or_default()
    }

    /// Whether it takes the place of `known`: the newest event time wins, in whatever order they come.
    pub(crate) fn supersedes(&self, known: Option<&Self>) -> bool {
        known.is_none_or(|known| self.observed_at > known.observed_at)
    }
}

/// Whether a time can be one of the exchange, whose clock shows `exchange_now`.
pub(crate) fn is_plausible(stated: DateTime<Utc>, exchange_now: DateTime<Utc>) -> bool {
    stated <= exchange_now + FUTURE_TOLERANCE
}

/// The answer for `symbol` when the exchange's clock shows `exchange_now`.
pub(crate) fn quote(
    symbol: &Symbol,
    stated: Option<&StatedPrice>,
    exchange_now: DateTime<Utc>,
    limit: Duration,
) -> Result<PriceQuote, NoPrice> {
    let stated = stated.ok_or(NoPrice::Never)?;
    let age = stated.age(exchange_now);
    if age > limit {
        return Err(NoPrice::Stale { age, limit });
    }
    Ok(PriceQuote {
        symbol: symbol.clone(),
        price: stated.price,
        observed_at: stated.observed_at,
        age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        source: stated.source,
        trace_id: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stated(ms: i64) -> StatedPrice {
        StatedPrice {
            price: Decimal::ONE,
            observed_at: DateTime::from_timestamp_millis(1_700_000_000_000 + ms).unwrap(),
            source: PriceSource::Stream,
        }
    }

    #[test]
    fn an_old_price_is_no_price() {
        let symbol: Symbol = "BTCUSDT".parse().unwrap();
        let price = stated(0);
        let limit = Duration::from_secs(15);
        let ask = |ms: i64| quote(&symbol, Some(&price), price.observed_at + TimeDelta::milliseconds(ms), limit);
        assert_eq!(ask(1234).unwrap().age_ms, 1234);
        assert_eq!(ask(15_000).unwrap().age_ms, 15_000);
        assert_eq!(ask(15_001), Err(NoPrice::Stale { age: Duration::from_millis(15_001), limit }));
        assert_eq!(ask(-5000).unwrap().age_ms, 0, "a statement a little ahead is not negative");
        assert_eq!(quote(&symbol, None, price.observed_at, limit), Err(NoPrice::Never));
    }

    #[test]
    fn the_newest_event_time_wins() {
        assert!(stated(0).supersedes(None));
        assert!(stated(2).supersedes(Some(&stated(1))));
        assert!(!stated(1).supersedes(Some(&stated(1))));
        assert!(!stated(1).supersedes(Some(&stated(2))));
    }

    #[test]
    fn the_far_future_is_a_fault() {
        let now = stated(0).observed_at;
        assert!(is_plausible(now + TimeDelta::seconds(2), now));
        assert!(!is_plausible(now + TimeDelta::milliseconds(2_001), now));
        assert!(is_plausible(now - TimeDelta::days(300), now));
    }
}
