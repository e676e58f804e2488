//! Seeded dice, for tests of everything around a decision.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use rust_decimal::Decimal;

use super::Opinion;
use crate::{Action, Indicators};

/// Draws actions and confidences; the same seed gives the same sequence, on every machine and in every release (the
/// generator is one that `rand` promises not to change).
#[derive(Debug)]
pub struct RandomStrategy {
    seed: u64,
    drawn: u64,
    generator: Xoshiro256PlusPlus,
}

impl RandomStrategy {
    /// A sequence of its own for each seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: 0, generator: Xoshiro256PlusPlus::seed_from_u64(seed) }
    }

    /// The next one of the sequence. The market is not looked at, so there are no indicators.
    pub fn decide(&mut self) -> Opinion {
        self.drawn = self.drawn.wrapping_add(1);
        let action = match self.generator.random_range(0..3_u32) {
            0 => Action::Buy,
            1 => Action::Sell,
            _ => Action::Hold,
        };
        Opinion {
            action,
            confidence: Decimal::new(self.generator.random_range(0..=100), 2),
            reason: format!(
                "Drawn at random (number {} of seed {}), without a look at the market: for tests, not for trading.",
                self.drawn, self.seed
            ),
            indicators: Indicators::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(seed: u64) -> Vec<Opinion> {
        let mut strategy = RandomStrategy::new(seed);
        (0..60).map(|_| strategy.decide()).collect()
    }

    #[test]
    fn a_seed_is_a_sequence() {
        assert_eq!(sequence(7), sequence(7));
        let actions = |seed| sequence(seed).into_iter().map(|opinion| opinion.action).collect::<Vec<_>>();
        assert_ne!(actions(7), actions(8));
    }

    /// Recorded once: whoever changes the generator or the draws breaks every recorded run.
    #[test]
    fn the_sequence_of_a_seed_never_changes() {
        let first: Vec<String> =
            sequence(42).iter().take(4).map(|opinion| format!("{} {}", opinion.action, opinion.confidence)).collect();
        assert_eq!(first, ["HOLD 0.32", "HOLD 0.70", "HOLD 0.59", "BUY 0.61"]);
        assert_eq!(
            sequence(42)[1].reason,
            "Drawn at random (number 2 of seed 42), without a look at the market: for tests, not for trading."
        );
    }

    #[test]
    fn every_action_occurs_and_confidences_are_in_range() {
        let opinions = sequence(1);
        for action in [Action::Buy, Action::Sell, Action::Hold] {
            assert!(opinions.iter().any(|opinion| opinion.action == action), "{action} never drawn");
        }
        assert!(opinions.iter().all(|o| (Decimal::ZERO..=Decimal::ONE).contains(&o.confidence)));
    }
}
