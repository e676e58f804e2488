//! What sets a pipeline off.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::Symbol;
use crate::signal_event::{SignalEvent, SignalWord};

/// Signals that set a pipeline off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SignalTrigger {
    /// Types of signal; every type when empty. At most 20.
    #[serde(default)]
    #[schema(max_items = 20)]
    pub signal_types: Vec<SignalWord>,
    /// Markets; every market when empty. At most 50.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub tickers: Vec<Symbol>,
    /// Least confidence of the signal, 0 to 1.
    #[serde(default)]
    #[schema(value_type = String, example = "0.7")]
    pub minimum_confidence: Decimal,
}

impl SignalTrigger {
    /// Whether a signal sets it off.
    #[must_use]
    pub fn matches(&self, signal: &SignalEvent) -> bool {
        (self.signal_types.is_empty() || self.signal_types.contains(&signal.signal_type))
            && (self.tickers.is_empty() || self.tickers.contains(&signal.symbol))
            && signal.confidence >= self.minimum_confidence
    }
}

/// A clock that sets a pipeline off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PeriodicTrigger {
    /// Time between two executions, in seconds, 10 to 604,800 (a week).
    #[schema(minimum = 10, maximum = 604_800)]
    pub every_seconds: u32,
    /// Which market it is about.
    pub symbol: Symbol,
}

/// What sets a pipeline off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Trigger {
    /// A signal on the bus.
    Signal(SignalTrigger),
    /// A clock.
    Periodic(PeriodicTrigger),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal_macros::dec;

    use super::*;
    use crate::DecisionId;
    use crate::trading::SignalAction;

    fn signal(signal_type: &str, symbol: &str, confidence: Decimal) -> SignalEvent {
        SignalEvent {
            version: 1,
            signal_id: DecisionId::from_bytes([1; 16]),
            signal_type: signal_type.parse().unwrap(),
            source: "mock_generator".parse().unwrap(),
            symbol: symbol.parse().unwrap(),
            action: SignalAction::Buy,
            confidence,
            price: None,
            interval: None,
            candle_closed_at: None,
            reason: None,
            generated_at: chrono::DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn each_part_decides() {
        let trigger = SignalTrigger {
            signal_types: vec!["golden_cross".parse().unwrap(), "mock".parse().unwrap()],
            tickers: vec!["BTCUSDT".parse().unwrap()],
            minimum_confidence: dec!(0.7),
        };
        assert!(trigger.matches(&signal("mock", "BTCUSDT", dec!(0.7))));
        assert!(!trigger.matches(&signal("death_cross", "BTCUSDT", dec!(0.7))));
        assert!(!trigger.matches(&signal("mock", "ETHUSDT", dec!(0.7))));
        assert!(!trigger.matches(&signal("mock", "BTCUSDT", dec!(0.69))));
    }

    proptest! {
        #[test]
        fn an_empty_list_is_every_one(hundredths in 0i64..=100, word in "[a-z][a-z0-9_]{0,39}") {
            let any = SignalTrigger::default();
            prop_assert!(any.matches(&signal(&word, "SOLUSDT", Decimal::new(hundredths, 2))));
        }
    }
}
