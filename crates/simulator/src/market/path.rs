//! How the price moves inside a candle: the recording has only its four prices.

use super::bar::Bar;

/// A deterministic walk through a bar: open, then low and high (rising bar) or high and low (falling bar), then close.
///
/// It touches all four prices exactly, so a candle that is watched to its end closes as recorded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    /// Tick within the bar and price in cents, in order; the first is tick 0, the last is the bar's last tick.
    knots: [(i64, i64); 4],
}

impl Path {
    /// The path through `bar` in `ticks` ticks, at least four.
    pub(super) fn of(bar: &Bar, ticks: i64) -> Self {
        let last = ticks - 1;
        let (first_turn, second_turn) = if bar.is_rising() { (bar.low(), bar.high()) } else { (bar.high(), bar.low()) };
        Self { knots: [(0, bar.open()), (last / 3, first_turn), (last * 2 / 3, second_turn), (last, bar.close())] }
    }

    /// Price in cents at `tick` (0 is the first of the bar).
    pub(super) fn price(&self, tick: i64) -> i64 {
        for pair in self.knots.windows(2) {
            if let [(from_tick, from), (to_tick, to)] = *pair
                && tick < to_tick
            {
                return from + (to - from) * (tick - from_tick) / (to_tick - from_tick);
            }
        }
        self.knots[3].1
    }

    /// Lowest and highest price of the ticks up to and including `tick`.
    pub(super) fn extremes(&self, tick: i64) -> (i64, i64) {
        let now = self.price(tick);
        self.knots
            .iter()
            .filter(|(at, _)| *at <= tick)
            .fold((now, now), |(low, high), (_, price)| (low.min(*price), high.max(*price)))
    }

    /// How many of the ticks up to and including `tick` were buys: those at which the price did not fall.
    pub(super) fn buys(&self, tick: i64) -> i64 {
        // The opening trade has no predecessor within the bar: it goes with the bar as a whole.
        let opening = i64::from(self.knots[3].1 >= self.knots[0].1);
        let later: i64 = self
            .knots
            .windows(2)
            .map(|pair| match *pair {
                [(from_tick, from), (to_tick, to)] if to >= from && tick > from_tick => tick.min(to_tick) - from_tick,
                _ => 0,
            })
            .sum();
        opening + later
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touches_all_four_prices_and_never_leaves_the_bar() {
        for (open, high, low, close) in
            [(100, 120, 90, 110), (110, 120, 90, 100), (100, 100, 100, 100), (90, 120, 90, 120)]
        {
            let bar = Bar::new([open, high, low, close], 1_000).unwrap();
            for ticks in [10, 13, 60, 3600] {
                let path = Path::of(&bar, ticks);
                assert_eq!(path.price(0), bar.open());
                assert_eq!(path.price(ticks - 1), bar.close());
                assert_eq!(path.extremes(ticks - 1), (bar.low(), bar.high()));
                let mut before = path.price(0);
                let mut buys = path.buys(0);
                for tick in 1..ticks {
                    let price = path.price(tick);
                    let (low, high) = path.extremes(tick);
                    assert!(bar.low() <= low && low <= price && price <= high && high <= bar.high());
                    let step = path.buys(tick) - buys;
                    assert!(step == 0 || step == 1);
                    assert!(price <= before || step == 1, "a rise is a buy");
                    assert!(price >= before || step == 0, "a fall is a sale");
                    before = price;
                    buys += step;
                }
            }
        }
    }
}
