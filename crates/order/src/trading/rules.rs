//! What trading keeps to: its settings, checked, and how long what takes at the exchange.

use std::time::Duration;

use domain::trading::Limits;
use domain::{Symbol, TradingMode};
use rust_decimal::Decimal;

use super::values::QuantityDecimals;

/// The settings, checked.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) mode: TradingMode,
    pub(crate) limits: Limits,
    pub(crate) default_notional: Decimal,
    pub(crate) decimals: QuantityDecimals,
    /// Whether somebody has to confirm an order, and how long that may take.
    pub(crate) confirm_within: Option<Duration>,
    pub(crate) reconcile_interval: Duration,
    pub(crate) times: SendTimes,
}

/// How long what takes at the exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SendTimes {
    /// Longest wait for the answer to an order.
    pub(crate) answer: Duration,
    /// How old a call may be when it reaches the exchange.
    pub(crate) recv_window: Duration,
    /// What else may take time: writing down, clocks that differ.
    pub(crate) margin: Duration,
}

impl SendTimes {
    /// Longest that a process may take from its claim to the moment in which it sends.
    pub(crate) fn before_sending(&self) -> Duration {
        self.margin / 2
    }

    /// How long a claim holds: beyond it whoever made it has died, or has had its answer.
    pub(crate) fn claim(&self) -> Duration {
        self.answer + self.recv_window + self.margin
    }

    /// How long after its claim an order can still appear at the exchange: it is stamped at most
    /// [`SendTimes::before_sending`] later, refused when it is older than the window, and the exchange's clock may be
    /// behind ours by as much as it lets pass.
    pub(crate) fn settled(&self) -> Duration {
        self.before_sending() + self.recv_window * 2 + self.margin
    }

    /// The margin of everything but tests.
    pub(crate) const fn usual_margin() -> Duration {
        Duration::from_secs(2)
    }
}

impl Rules {
    /// A symbol as metrics have it: one of those that may be traded, or `other`.
    pub(crate) fn label<'a>(&self, symbol: &'a Symbol) -> &'a str {
        if self.limits.symbols.contains(symbol) { symbol.as_str() } else { "other" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_settles_after_nobody_can_send_it_any_more() {
        let times = SendTimes {
            answer: Duration::from_secs(8),
            recv_window: Duration::from_secs(5),
            margin: SendTimes::usual_margin(),
        };
        assert_eq!((times.claim(), times.settled()), (Duration::from_secs(15), Duration::from_secs(13)));
        assert!(times.settled() > times.before_sending() + times.recv_window);
    }
}
