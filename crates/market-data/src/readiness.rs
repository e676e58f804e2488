//! Whether the service can do its work, and whose fault it is when it cannot.
//!
//! It can as long as every price is fresh, whichever way it came. So the two ways to the exchange fail as dependencies
//! only when prices are missing: a stream that is down while REST brings prices is a matter for the log and for
//! `market_data_stream_connected`, not for whoever decides whether to send requests here.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use web::Readiness;

use crate::Market;
use crate::price::NoPrice;
use crate::survey::SKEW_LIMIT;

/// The named dependencies.
pub(crate) fn checks(market: &Arc<Market>) -> Readiness {
    let (prices, rest, stream) = (Arc::clone(market), Arc::clone(market), Arc::clone(market));
    Readiness::new()
        .check("prices", move || std::future::ready(prices.prices_fault().map_or(Ok(()), Err)))
        .check("binance-rest", move || {
            let fault = rest.prices_fault().and_then(|_| rest.link.rest_fault());
            std::future::ready(fault.map_or(Ok(()), Err))
        })
        .check("binance-stream", move || {
            let down = stream.prices_fault().is_some() && !stream.link.stream_is_up();
            std::future::ready(if down { Err("the stream is not connected".to_owned()) } else { Ok(()) })
        })
}

impl Market {
    /// What is wrong with prices, if anything is.
    pub(crate) fn prices_fault(&self) -> Option<String> {
        let now = Utc::now();
        let mut faults: Vec<String> = self
            .store
            .symbols()
            .filter_map(|symbol| match self.store.quote(symbol, now) {
                Ok(_) => None,
                Err(NoPrice::Never) => Some(format!("{symbol}: none yet")),
                Err(NoPrice::Stale { age, limit }) => {
                    Some(format!("{symbol}: {:.1} s old, at most {:.1} s", age.as_secs_f64(), limit.as_secs_f64()))
                }
            })
            .collect();
        if faults.is_empty() {
            return None;
        }
        faults.extend(self.skew());
        Some(faults.join("; "))
    }

    /// A sentence about the clocks, if they differ so much that somebody should know.
    pub(crate) fn skew(&self) -> Option<String> {
        let offset = self.store.clock_offset().filter(|offset| offset.abs() > SKEW_LIMIT)?;
        let direction = if offset > TimeDelta::zero() { "behind" } else { "ahead of" };
        let seconds = offset.abs().to_std().unwrap_or_default().as_secs_f64();
        Some(format!("this machine's clock is {seconds:.1} s {direction} the exchange's"))
    }
}
