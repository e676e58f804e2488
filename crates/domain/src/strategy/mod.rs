//! How a decision is made: pure rules over prices and candles.
//!
//! A [`MarketView`] is a request that has been checked; the strategies take nothing else, so that none of them ever
//! sees a stale price or candles of another symbol. [`technical`] is the default and the one the others are measured
//! by, [`random`] exists for tests. The language model's strategy needs the network and lives in decision-service.

mod cross;
pub mod figures;
pub mod random;
mod rsi;
mod sma;
pub mod technical;
mod verdict;
pub mod view;

pub use cross::{CrossFinder, CrossKind, CrossWindowsError, Crossing};
pub use random::RandomStrategy;
pub use rsi::Rsi;
pub use sma::Sma;
pub use technical::{NotEnoughCandles, Technical};
pub use view::{MAX_CANDLES, MarketError, MarketView};

use rust_decimal::{Decimal, RoundingStrategy};

use crate::{Action, Indicators};

/// What a strategy thinks: a decision without its id, its cost and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// What to do.
    pub action: Action,
    /// How sure, from 0 to 1, with two decimals.
    pub confidence: Decimal,
    /// Why, in one or two sentences for people.
    pub reason: String,
    /// The numbers it rests on; empty when it rests on none.
    pub indicators: Indicators,
}

/// A confidence as it is published: within 0 and 1, two decimals, halves away from zero.
#[must_use]
pub fn confidence(value: Decimal) -> Decimal {
    let mut rounded =
        value.clamp(Decimal::ZERO, Decimal::ONE).round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    // "0.50", not "0.5": the same width in every reply.
    rounded.rescale(2);
    rounded
}
