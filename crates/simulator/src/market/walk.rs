//! Seeded random walks for the symbols that no recording exists of. They are named as such wherever they are listed.

use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use super::bar::Bar;
use super::recording::MINUTES;

/// What a walk looks like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk {
    /// Where it starts and what it is weakly drawn to, in cents.
    pub(super) start_cents: i64,
    /// Largest step within a minute's eighth, in millionths of the price.
    pub(super) step_ppm: i64,
    /// Usual volume of a minute, in cents of the quote currency.
    pub(super) volume_cents: u64,
}

/// Steps that a minute is made of.
const STEPS: usize = 8;
/// The pull towards the start: a fifty-thousandth of the distance a step keeps a month within reach of it.
const PULL: i64 = 50_000;

/// Walks that are remembered; each takes a megabyte.
const MOST_KNOWN: usize = 6;

struct Known {
    seed: u64,
    stream: u64,
    bars: Arc<Vec<Bar>>,
}

impl Walk {
    /// [`MINUTES`] minutes of the walk, computed once a process for each seed: tests start many simulators.
    pub(super) fn month(&self, seed: u64, stream: u64) -> Arc<Vec<Bar>> {
        static KNOWN: Mutex<Vec<Known>> = Mutex::new(Vec::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.iter().find(|known| (known.seed, known.stream) == (seed, stream)) {
            return found.bars.clone();
        }
        known.truncate(MOST_KNOWN - 1);
        let bars = Arc::new(self.bars(seed, stream, MINUTES));
        known.insert(0, Known { seed, stream, bars: bars.clone() });
        bars
    }

    /// `minutes` minutes of the walk; the same seed and stream give the same walk (ChaCha8 is reproducible).
    fn bars(&self, seed: u64, stream: u64, minutes: usize) -> Vec<Bar> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        let mut price = self.start_cents;
        let mut bars = Vec::with_capacity(minutes);
        while bars.len() < minutes {
            let open = price;
            let (mut low, mut high) = (open, open);
            for _ in 0..STEPS {
                let step = price * random.random_range(-self.step_ppm..=self.step_ppm) / 1_000_000;
                let pull = (self.start_cents - price) / PULL;
                price = (price + step + pull).max(1);
                low = low.min(price);
                high = high.max(price);
            }
            // Busy minutes are the ones that move: volume grows with the range.
            let range_ppm = u64::try_from((high - low) * 1_000_000 / open).unwrap_or_default();
            let volume = self.volume_cents * random.random_range(50..150) / 100 * (500 + range_ppm) / 1_000;
            let prices = [open, high, low, price].map(|cents| u32::try_from(cents).unwrap_or(u32::MAX));
            match Bar::new(prices, volume) {
                Some(bar) => bars.push(bar),
                None => price = self.start_cents,
            }
        }
        bars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALK: Walk = Walk { start_cents: 370_000, step_ppm: 500, volume_cents: 50_000_000 };

    #[test]
    fn the_seed_decides_and_the_streams_differ() {
        assert_eq!(WALK.bars(7, 1, 500), WALK.bars(7, 1, 500));
        assert_ne!(WALK.bars(7, 1, 500), WALK.bars(8, 1, 500));
        assert_ne!(WALK.bars(7, 1, 500), WALK.bars(7, 2, 500));
    }

    #[test]
    fn a_month_moves_joins_up_and_stays_in_reach() {
        let bars = WALK.bars(1, 1, 44_640);
        assert!(bars.windows(2).all(|pair| pair[0].close() == pair[1].open()));
        let low = bars.iter().map(Bar::low).min().unwrap();
        let high = bars.iter().map(Bar::high).max().unwrap();
        assert!(low > 370_000 / 4 && high < 370_000 * 4, "{low} {high}");
        assert!(high - low > 370_000 / 50, "{low} {high}");
    }
}
